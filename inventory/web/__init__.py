"""Pages: parse, call one service, render."""

from __future__ import annotations

from datetime import date, datetime
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response, current_app, request
from flask_security import current_user
from werkzeug.routing import BaseConverter, ValidationError

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
    )
)


class CodeConverter(BaseConverter):
    """An office's or item's code in a URL. What cannot be a code is not found, and never reaches a database."""

    regex = r"[0-9A-Za-z][0-9A-Za-z.\-]{0,39}"


class DayConverter(BaseConverter):
    """A calendar day in a URL, such as 2024-05-15."""

    regex = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, value: str) -> date:
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: date) -> str:
        return value.isoformat()


PAGES = (
    "alert_figures",
    "alerts",
    "allotments",
    "backtests",
    "boards",
    "cases",
    "closings",
    "comparisons",
    "consumption",
    "coverage",
    "deliveries",
    "destructions",
    "documents",
    "events",
    "exports",
    "health",
    "heat",
    "help",
    "imports",
    "jobs",
    "language",
    "messages",
    "metrics",
    "numbers",
    "offices",
    "offline",
    "outreach",
    "people",
    "projections",
    "proposals",
    "reports",
    "requests",
    "run_outs",
    "search",
    "series",
    "stock_cards",
    "stocktakes",
    "suppliers",
    "today",
    "transfers",
    "watchers",
)
"""The modules with pages."""

FOR_EVERYBODY = {"static", "security.static", "offline.shell", "offline.worker", "offline.manifest"} | {
    f"boards.{name}" for name in ("index", "show", "data", "badge")
}
"""What is the same whoever asks for it, and says itself how long it may be kept."""


def init_app(app: Flask) -> None:
    from inventory.web import errors, language, sessions, static_files

    app.url_map.converters["code"] = CodeConverter
    app.url_map.converters["day"] = DayConverter
    for name in PAGES:
        app.register_blueprint(import_module(f"inventory.web.{name}").blueprint)
    static_files.init_app(app)
    language.init_app(app)
    errors.init_app(app)
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.globals["Action"] = Action
    app.context_processor(_what_the_actor_may)
    app.after_request(_add_headers)
    app.session_interface = sessions.PeoplesSessions(FOR_EVERYBODY)


def moment(instant: datetime, time_zone: str | None = None) -> str:
    """An instant on the clock of an office, or else of the installation, with that clock's name (WIB, WITA, WIT)."""
    local = instant.astimezone(ZoneInfo(time_zone or current_app.config["SETTINGS"].TIME_ZONE))
    return f"{text.day(local.date(), 'medium')} {local:%H:%M} {local.tzname()}"


def _what_the_actor_may() -> dict[str, Any]:
    return {"may": _may}


def _may(action: Action, path: str | None = None) -> bool:
    """For templates: whether to offer what the actor may do, at the office with this path or anywhere."""
    if not current_user.is_authenticated:
        return False
    actor = security.current_actor()
    return access.may_somewhere(actor, action) if path is None else access.may(actor, action, path)


def _add_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint not in FOR_EVERYBODY or response.status_code >= 400:
        # Pages show stock that the next person at the same desk may not be allowed to see; a page that says what
        # went wrong names its reader, whatever was asked for.
        response.headers["Cache-Control"] = "no-store"
    if current_app.config["SETTINGS"].production:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return response
