"""Blangko: the stock ledger for blank identity cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from logging import Handler
from pathlib import Path
from typing import Any

from flask import Flask

ROOT = Path(__file__).resolve().parent.parent


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the application: the only place where the parts are wired.

    `config` gives settings by the names of `inventory.config.Config` (they win over the environment); names that
    Config does not have go to Flask as they are. Raises SettingError when a setting is missing or wrong.
    """
    from inventory.config import Config, load, secret_from_instance
    from inventory.db import REPLICA, engine_options, replica_options

    given = dict(config or {})
    known = {name: given.pop(name) for name in list(given) if name in Config.__dataclass_fields__}
    settings = load(known)
    instance = Path(settings.INSTANCE_PATH or ROOT / "instance").resolve()
    app = Flask(__name__, instance_path=str(instance), template_folder=str(ROOT / "templates"), static_folder="static")
    url = settings.DATABASE_URL or f"sqlite:///{instance / 'blangko.sqlite3'}"
    if url.startswith("sqlite"):
        instance.mkdir(parents=True, exist_ok=True)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.SECRET_KEY or secret_from_instance(instance),
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings, url),
        SQLALCHEMY_BINDS={REPLICA: replica_options(settings)} if settings.REPLICA_URL else {},
        MAX_CONTENT_LENGTH=settings.MAX_UPLOAD_BYTES,
        MAX_FORM_MEMORY_SIZE=min(settings.MAX_UPLOAD_BYTES, 1_000_000),
    )
    app.config.update(given)
    _wire(app)
    return app


def _wire(app: Flask) -> None:
    from inventory import api, cli, jobs, models, security, text, web
    from inventory.db import db, let_go, migrate
    from inventory.security import gates

    assert models  # registers the tables
    app.logger.setLevel(app.config["SETTINGS"].LOG_LEVEL)
    _log_safely(app)
    db.init_app(app)
    app.teardown_appcontext(let_go)  # before the library does the same less patiently
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), render_as_batch=True, compare_type=True)
    text.init_app(app)
    gates.init_app(app)
    security.init_app(app)
    web.init_app(app)
    api.init_app(app)
    jobs.init_app(app)
    cli.init_app(app)


def _log_safely(app: Flask) -> None:
    """Of ours and of the server around us: gunicorn has its handlers before it asks for the application."""
    import logging

    from flask.logging import default_handler

    servers = [logging.getLogger(f"gunicorn.{name}") for name in ("error", "access")]
    # Whatever logger has no handler, such as a library's, writes by the last one.
    others = [logging.lastResort] if logging.lastResort else []
    log_safely(app, [default_handler, *others, *(handler for each in servers for handler in each.handlers)])


def log_safely(app: Flask, handlers: Iterable[Handler]) -> None:
    """Have these handlers write no secret of the application's, in the form that its settings ask for."""
    from inventory.adapters import logs
    from inventory.security import origin

    settings = app.config["SETTINGS"]
    secrets = [app.config["SECRET_KEY"], *settings.secrets.values()]
    secrets += [part for value in settings.secrets.values() for part in logs.secrets_in(value)]
    logs.make_safe(handlers, secrets, as_json=settings.LOG_FORMAT == "json", about=origin.of_request)
