"""The embedded server: gunicorn with threads, and the scheduled jobs beside it."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from inventory import jobs


class EmbeddedServer(BaseApplication):
    """Serves one application object; `options` are gunicorn's settings."""

    def __init__(self, app: Flask, options: dict[str, Any]) -> None:
        self.app = app
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


def serve(app: Flask, *, host: str, port: int, workers: int, threads: int) -> None:
    """Serve until told to stop. With JOBS_IN_SERVER the jobs run in a thread of each worker: slots are taken once."""

    def start_jobs(_worker: Any) -> None:
        if app.config["SETTINGS"].JOBS_IN_SERVER:
            jobs.start_background(app)

    options = {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "worker_class": "gthread",
        "timeout": 60,
        "graceful_timeout": 30,
        "post_worker_init": start_jobs,
        "control_socket_disable": True,  # nothing here needs to be steered from outside
    }
    EmbeddedServer(app, options).run()
