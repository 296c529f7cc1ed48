"""While the database does not serve: said once in the log for each request, and remembered until its end."""

from __future__ import annotations

import logging

from flask import g, request

RETRY_AFTER = "5"
"""Seconds, as a header says them."""

log = logging.getLogger(__name__)


def note(why: str) -> None:
    """Log it in one line, and have nothing that comes at the end of this request ask the database again: each time
    may take as long as connecting does."""
    if not is_noted():
        log.error("the database does not serve (%s): %s %s", why, request.method, request.path)
    g.database_away = why


def is_noted() -> bool:
    return "database_away" in g


def reason() -> str | None:
    """Why the database did not serve this request, if that is so."""
    return g.get("database_away")
