"""What a worker of the server does before its first request."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

from gunicorn.config import Config
from gunicorn.glogging import Logger

from inventory.serving import WholeRequests


def test_what_a_worker_has_loaded_is_never_looked_through_again() -> None:
    loaded: list[Any] = [{"one": number} for number in range(100)]
    before = gc.get_freeze_count()
    config, app = Config(), SimpleNamespace(wsgi=lambda: loaded)
    worker: Any = WholeRequests(1, 1, [], cast(Any, app), 30, config, Logger(config))
    try:
        worker.load_wsgi()
        assert worker.wsgi is loaded
        assert gc.get_freeze_count() > before + len(loaded)
        assert loaded not in gc.get_objects()
    finally:
        gc.unfreeze()
        worker.tmp.close()
