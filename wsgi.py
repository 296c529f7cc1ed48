"""The WSGI entry point: `gunicorn wsgi:app`, `flask …`."""

import gc

gc.disable()  # what is loaded here stays: looking through it for garbage again and again takes a fifth of the start
from inventory import create_app  # noqa: E402

app = create_app()
gc.enable()
