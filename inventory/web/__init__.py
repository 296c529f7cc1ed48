"""Pages: parse, call one service, render."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, current_app, url_for
from flask_security import current_user
from werkzeug.routing import BaseConverter, ValidationError

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action
from inventory.domain.calendars import day_from

ANY_CODE = "0-any-code-0"


class CodeConverter(BaseConverter):
    """An office's or item's code in a URL. What cannot be a code is not found, and never reaches a database."""

    regex = r"[0-9A-Za-z][0-9A-Za-z.\-]{0,39}"


class DayConverter(BaseConverter):
    """A calendar day in a URL, such as 2024-05-15."""

    regex = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, value: str) -> date:
        try:
            return day_from(value)
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: date) -> str:
        return value.isoformat()


PAGES = (
    "account",
    "alert_figures",
    "alerts",
    "allotments",
    "audit",
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
    "factors",
    "health",
    "heat",
    "help",
    "imports",
    "jobs",
    "language",
    "log_ins",
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
    "service_accounts",
    "sign_on",
    "stock_cards",
    "stocktakes",
    "suppliers",
    "today",
    "transfers",
    "watchers",
)
"""The modules with pages."""

FOR_EVERYBODY = (
    {"static", "security.static", "offline.shell", "offline.worker", "offline.manifest"}
    | {f"boards.{name}" for name in ("index", "show", "data", "badge")}
    | {"api.boards.index", "api.boards.show"}
)
"""What is the same whoever asks for it, and says itself how long it may be kept."""


def init_app(app: Flask) -> None:
    from inventory.web import errors, headers, language, replica, sessions, static_files

    app.url_map.converters["code"] = CodeConverter
    app.url_map.converters["day"] = DayConverter
    for name in PAGES:
        app.register_blueprint(import_module(f"inventory.web.{name}").blueprint)
    static_files.init_app(app)
    language.init_app(app)
    errors.init_app(app)
    app.jinja_env.filters["moment"] = moment
    app.jinja_env.globals["Action"] = Action
    app.jinja_env.globals["url_by_code"] = url_by_code
    app.context_processor(_what_the_actor_may)
    headers.init_app(app, FOR_EVERYBODY)
    replica.init_app(app)
    app.session_interface = sessions.PeoplesSessions(FOR_EVERYBODY)


def moment(instant: datetime, time_zone: str | None = None) -> str:
    """An instant on the clock of an office, or else of the installation, with that clock's name (WIB, WITA, WIT)."""
    local = instant.astimezone(ZoneInfo(time_zone or current_app.config["SETTINGS"].TIME_ZONE))
    return f"{text.day(local.date(), 'medium')} {local:%H:%M} {local.tzname()}"


def url_by_code(endpoint: str, **others: Any) -> Callable[[str], str]:
    """`url_for` for a list of offices: all but the office's code is put together once. Codes are letters, digits, dots
    and dashes, which stand in a URL as they are."""
    before, after = url_for(endpoint, code=ANY_CODE, **others).split(ANY_CODE)
    return lambda code: f"{before}{code}{after}"


def _what_the_actor_may() -> dict[str, Any]:
    return {"may": _may}


def _may(action: Action, path: str | None = None) -> bool:
    """For templates: whether to offer what the actor may do, at the office with this path or anywhere."""
    if not current_user.is_authenticated:
        return False
    actor = security.current_actor()
    return access.may_somewhere(actor, action) if path is None else access.may(actor, action, path)
