"""The embedded server: gunicorn with threads, and the scheduled jobs beside it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
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

    made = _let_workers_add_up(app) if workers > 1 else None

    def tidy(_arbiter: Any) -> None:  # in the master alone, after its workers
        if made:
            shutil.rmtree(made, ignore_errors=True)

    options = {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "worker_class": "gthread",
        "timeout": 60,
        "graceful_timeout": 30,
        "post_worker_init": start_jobs,
        "on_exit": tidy,
        "control_socket_disable": True,  # nothing here needs to be steered from outside
    }
    EmbeddedServer(app, options).run()


def _let_workers_add_up(app: Flask) -> str | None:
    """A folder in which the workers count requests together, where the settings name none; else each scrape would see
    the counts of one of them."""
    settings = app.config["SETTINGS"]
    if settings.METRICS_PATH:
        return None
    folder = tempfile.mkdtemp(prefix="blangko-metrics-")
    app.config["SETTINGS"] = replace(settings, METRICS_PATH=folder)
    return folder
