"""A word of warning where the application's role on the database could undo what protects the books."""

from __future__ import annotations

import logging
from threading import Lock

from flask import Flask

from inventory.services import database_role

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Have the first request of a process in production say it; commands that the owner runs do not."""
    if not app.config["SETTINGS"].production:
        return
    first = Lock()

    @app.before_request
    def look() -> None:
        if first.acquire(blocking=False):  # and never given back
            warn(app)


def warn(app: Flask) -> None:
    """Say once, in production, that the connected role could rewrite the books. It is no reason not to start; neither
    is a database that is not there yet."""
    if not app.config["SETTINGS"].production:
        return
    with app.app_context():
        try:
            name = database_role.too_powerful()
        except Exception as error:
            log.warning("the rights of the database's role could not be looked at: %s", type(error).__name__)
            return
    if name:
        log.warning(
            "the database's role %s owns the tables, or may change what is only ever added to: whoever takes over the"
            " application could rewrite the books;"
            " see `flask db-role`",
            name,
        )
