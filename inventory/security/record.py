"""What the edge itself writes into the audit: log-ins and log-outs, and what was refused for want of a right.

What services do they write themselves, in the transaction of what they do.
"""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, current_app, g, has_request_context, request
from flask_login import user_logged_out
from flask_security import current_user, password_changed, user_authenticated

from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.security import outage
from inventory.security.origin import origin, visitor
from inventory.services import audit, people

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    user_authenticated.connect(_logged_in, app)
    user_logged_out.connect(_logged_out, app)
    password_changed.connect(_password_changed, app)
    app.after_request(_log_in_refused)
    app.after_request(_write)


def refused(refusal: Refusal) -> None:
    """Write down who wanted what without the right to it: what is not allowed, and what is out of reach or not there,
    which look the same to them. Somebody unknown is not written down: nothing was shown to them but the way in. It
    never fails: the refusal is what people are to see."""
    if not isinstance(refusal, NotAllowed | NotFound) or not has_request_context():
        return
    try:
        actor = g.get("actor") or (_actor(current_user) if current_user.is_authenticated else None)
        if actor is None:
            return
        facts = {"refusal": refusal.code, "method": request.method, "page": request.path}
        if "action" in refusal.facts:
            facts["action"] = str(refusal.facts["action"])
        audit.record_refusal(_now(), actor, Event.REFUSED, subject=request.path, facts=facts)
    except Exception:
        log.exception("a refusal could not be written into the audit")


def log_in_refused(person_id: int | None, reason: str, *, how: str = "password") -> None:
    """Write down that a log-in was refused: to the account `person_id`, or under an address that nobody has. What was
    typed is not kept: now and then it is a password in the wrong field."""
    g.log_in_written = True
    facts = {"how": how, "reason": reason}
    try:
        audit.record_refusal(_now(), visitor(), Event.LOG_IN_REFUSED, facts=facts, about_id=person_id)
    except Exception:
        log.exception("a refused log-in could not be written into the audit")


def token_refused(person_id: int, reason: str) -> None:
    """Write down that somebody showed a token of the machine `person_id` that opens nothing any more: it was kept, or
    found. It never fails: to whoever shows it all that are no good look the same."""
    try:
        log_in_refused(person_id, reason, how="token")
    except Exception:
        log.exception("a refused token could not be written into the audit")


def _logged_in(_app: Flask, user: Any, authn_via: Any = (), **_: Any) -> None:
    if authn_via == ["change"]:
        return  # their session goes on after something of the account has changed
    how = [str(each) for each in authn_via or ()] or ["session"]
    _write_at_the_end(user, Event.LOGGED_IN, {"how": how})


def _logged_out(_app: Flask, user: Any, **_: Any) -> None:
    if getattr(user, "id", None) is not None:
        _write_at_the_end(user, Event.LOGGED_OUT)


def _password_changed(_app: Flask, user: Any, **_: Any) -> None:
    _write_at_the_end(user, Event.PASSWORD_CHANGED)


def _write_at_the_end(user: Any, event: Event, facts: dict[str, Any] | None = None) -> None:
    """Once the library has committed what it does: on SQLite nothing that has begun to read writes any more when
    somebody else has written meanwhile."""
    g.setdefault("audit_entries", []).append((_actor(user), event, facts))


def _write(response: Response) -> Response:
    for actor, event, facts in g.pop("audit_entries", []):
        if outage.is_noted():
            log.error("not in the audit, as the database does not serve: %s of person %s", event.value, actor.person_id)
            continue
        audit.record(_now(), actor, event, facts=facts)
    return response


def _log_in_refused(response: Response) -> Response:
    """A log-in form that came back instead of letting somebody in was refused, whatever looked through it."""
    asked = request.endpoint == "security.login" and request.method == "POST"
    if outage.is_noted():
        return response
    if asked and not g.get("log_in_written") and not 300 <= response.status_code < 400:
        try:
            if not current_user.is_authenticated:
                log_in_refused(people.id_of(request.form.get("email", "")), "not_let_in")
        except Exception:
            log.exception("a refused log-in could not be written into the audit")
    return response


def _actor(user: Any) -> Actor:
    """Who it is, without what they may: a person may have lost all rights and is still written down."""
    return Actor(person_id=user.id, name=user.full_name, origin=origin())


def _now() -> Any:
    return current_app.config["CLOCK"]()
