"""gunicorn's settings for `gunicorn --config .deploy/gunicorn.conf.py wsgi:app` behind a proxy.

What holds wherever gunicorn serves the application, such as how long it waits for what, is in `inventory/serving.py`
with its reasons. Here is what depends on the machine.
"""

import os

from inventory.serving import SETTINGS, counts_under_its_number, takes_a_number

globals().update(SETTINGS)

# The proxy on the same machine ends TLS, answers slow clients and serves /static/.
bind = os.environ.get("BIND", "127.0.0.1:8000")

# Python works on one thing at a time in each worker: two for each processor, so that one works while the other's
# threads wait for the database. More than eight gain little before the database is what is busy.
workers = int(os.environ.get("WEB_CONCURRENCY", min(8, 2 * (os.cpu_count() or 1))))

# Requests of one worker at the same time, of which most wait. Each may hold a connection: workers × threads of all
# machines together have to stay below the database's max_connections, or go through a pooler.
threads = 4

# A worker is replaced now and then, whatever it may have gathered meanwhile; not all at the same moment.
max_requests = 20_000
max_requests_jitter = 4_000

# The numbers under which workers count requests for /metrics: a replacement goes on where the one before stopped, so
# that the folder does not grow.
pre_fork = takes_a_number
post_fork = counts_under_its_number

# The proxy has the log of accesses; what goes wrong goes to the journal.
accesslog = None
errorlog = "-"
proc_name = "blangko"

# The master never loads the application, which would give its lines their form.
if os.environ.get("BLANGKO_LOG_FORMAT") == "json":
    logconfig_dict = {"formatters": {"generic": {"()": "inventory.adapters.logs.JsonFormatter"}}}
