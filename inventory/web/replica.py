"""Pages that are read from a replica where there is one: of whole regions, read-only, and none the worse for a second.

Everything else is the primary's: who is logged in and what they may, whatever is posted, an office's own pages, alerts
and work lists, and the API, whose clients carry no cookie that says what they have written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, current_app, request
from flask_security import current_user

from inventory import security
from inventory.config import Config
from inventory.db import ERRORS, is_apart, position, unavailable
from inventory.replicas import Outcome, Replica
from inventory.security import outage
from inventory.web.metrics import count_apart

PAGES = (
    "backtests.index",
    "boards.badge",
    "boards.data",
    "boards.index",
    "boards.show",
    "closings.overview",
    "comparisons.show",
    "heat.show",
    "offices.home",
    "offices.roll_up",
    "offices.roll_up_rows",
    "offices.stock",
    "reports.show",
    "run_outs.index",
    "run_outs.show",
    "run_outs.timeline",
    "run_outs.timeline_of",
    "series.closings",
    "series.usage",
)
"""Their endpoints."""

SAFE = ("GET", "HEAD", "OPTIONS")
AFTER_LAG = 60
"""Seconds for which a browser remembers what it wrote, beyond those after which no replica is read that lacks it."""
FURTHEST = 2**63
"""Where no replica ever comes: what is remembered when nobody could say how far the primary was."""


def init_app(app: Flask) -> None:
    settings: Config = app.config["SETTINGS"]
    if not settings.REPLICA_URL:
        return
    app.extensions["replica"] = Replica(settings.REPLICA_LAG_SECONDS)
    for endpoint in PAGES:
        app.view_functions[endpoint] = _apart(app.view_functions[endpoint])
    app.after_request(_remember_writing)


def state(app: Flask) -> str | None:
    """How the replica does; None where there is none."""
    replica: Replica | None = app.extensions.get("replica")
    if replica is None:
        return None
    outcome = replica.enter()
    replica.leave()
    return "serves" if outcome is Outcome.REPLICA else outcome.value


def _apart(view: Callable[..., Any]) -> Callable[..., Any]:
    for_everybody = view.action is None  # type: ignore[attr-defined]

    @wraps(view)
    def read(*args: Any, **kwargs: Any) -> Any:
        replica: Replica = current_app.extensions["replica"]
        if not for_everybody and current_user.is_authenticated:
            security.current_actor()  # what somebody may is the primary's to say, at this very moment
        outcome = replica.enter(_written())
        try:
            if outcome is Outcome.REPLICA:
                answer = view(*args, **kwargs)
                count_apart(outcome)
                return answer
        except ERRORS as error:
            # What is too slow there is so here too; and what came after a write is none of the replica's.
            if not is_apart() or unavailable(error) in (None, "too slow"):
                raise
            outcome = replica.failed(error)
        finally:
            replica.leave()
        count_apart(outcome)
        return view(*args, **kwargs)

    return read


# --- one's own writes are read back ------------------------------------------------------------------------------


def _remember_writing(response: Response) -> Response:
    """Tell the browser how far a replica must have come to show what was just written. It is no secret, and who makes
    one up deceives nobody but themselves."""
    if request.method in SAFE or response.status_code >= 400 or outage.is_noted() or "Authorization" in request.headers:
        return response
    try:
        place = position()
    except ERRORS:
        place = FURTHEST
    settings: Config = current_app.config["SETTINGS"]
    response.set_cookie(
        _cookie(settings),
        str(place),
        max_age=settings.REPLICA_LAG_SECONDS + AFTER_LAG,
        secure=settings.production,
        httponly=True,
        samesite="Lax",
    )
    return response


def _written() -> int:
    told = request.cookies.get(_cookie(current_app.config["SETTINGS"]), "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 20 else 0


def _cookie(settings: Config) -> str:
    return "__Host-blangko-written" if settings.production else "blangko-written"
