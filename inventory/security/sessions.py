"""Sessions at the edge: a cookie names a row in the database, and counts for nothing without it."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask_login import user_logged_out
from flask_security import user_authenticated
from flask_security.utils import set_request_attr

from inventory.domain.sessions import SEEN_EVERY, device_words
from inventory.security import lockout, outage
from inventory.services import sessions
from inventory.services.lockout import give_back_within
from inventory.services.sessions import Limits, Place

KEY = "login"
"""Where the cookie carries the key of the session."""
CHANGED = "change"
"""What Flask-Security calls a log-in that only goes on, after something of the account was changed."""


def init_app(app: Flask) -> None:
    # The library's own tokens would know somebody whose session is over: nobody is known by anything but a session.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]
    app.extensions["security"].login_manager.user_loader(_load)
    user_authenticated.connect(_begin, app)
    user_logged_out.connect(_end, app)
    app.after_request(_note_seen)


def limits() -> Limits:
    """How long sessions last in this installation."""
    return Limits.of(current_app.config["SETTINGS"])


def current_id() -> int | None:
    """The id of the session of this request."""
    found = g.get("login_session")
    return found.id if found else None


def current_key() -> str:
    return session.get(KEY, "")


def _load(uniquifier: str) -> Any:
    """Whom the cookie is of, with Flask-Security's own notes about it; None when its session is over."""
    key = session.get(KEY)
    if not key or not uniquifier:
        return None
    found = sessions.find(key, uniquifier, _now(), limits())
    if found is None:
        return None
    person, g.login_session = found
    set_request_attr("fs_authn_via", "session")
    set_request_attr("fs_paa", session.get("fs_paa", 0))
    return person


def _begin(_app: Flask, user: Any, authn_via: Any = None, **_extra: Any) -> None:
    """Nothing that the browser carried before the log-in is worth anything after it: neither a key that somebody else
    planted there, nor the token of a form. Where a log-in only goes on, so do the forms in its other windows."""
    goes_on = authn_via == [CHANGED]
    key, tried = secrets.token_urlsafe(32), lockout.take_right_try()
    sessions.begin(
        user.id,
        _now(),
        key,
        Place(address=request.remote_addr or "", device=device_words(request.user_agent.string)),
        old_key=session.get(KEY, ""),
        device=(lockout.device_key(), lockout.new_device_key()),
        alone=goes_on,
        also=partial(give_back_within, now=_now(), reserved=tried) if tried else None,
    )
    session[KEY] = key
    if not goes_on:
        session.pop("csrf_token", None)
        g.pop("csrf_token", None)


def _end(_app: Flask, **_extra: Any) -> None:
    key = session.pop(KEY, None)
    if key:
        sessions.end_by_key(_now(), key)


def _note_seen(response: Response) -> Response:
    found = g.get("login_session")
    if found is not None and not outage.is_noted() and found.last_seen_at <= _now() - SEEN_EVERY:
        sessions.seen(found.id, _now())
    return response


def _now() -> Any:
    return current_app.config["CLOCK"]()
