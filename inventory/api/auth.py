"""Who asks: a machine by its token, or a person by the session of their log-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import g, request
from flask_security import current_user
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError

from inventory import security
from inventory.api import rates
from inventory.api.problems import Problem
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed, Refusal
from inventory.domain.scopes import scopes_for
from inventory.security import origin, sessions, tokens

View = TypeVar("View", bound=Callable[..., Any])

SAFE = ("GET", "HEAD", "OPTIONS")


def needs(action: Action | None, *, fields: dict[str, str] | None = None) -> Callable[[View], View]:
    """An operation for whoever may do `action` somewhere (None: for anybody who is known); which offices, the service
    decides. `fields` are JSON pointers by the code of a refusal that the service raises: the field to blame for it.

    It goes right below `route`. The action stays readable as the view's `action`.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            actor = identify()
            if action is not None and not may_somewhere(actor, action):
                raise _refused(actor, action)
            if action is not None and "bearer" not in g and request.method not in SAFE:
                security.require_fresh(action)
            g.refused_fields = fields or {}
            return view(*args, **kwargs)

        checked: Any = guarded
        # `None` on a view means that anybody may see it, known or not: here it takes somebody.
        checked.action = action if action is not None else Action.SIGN_OUT
        checked._apidoc = {**getattr(view, "_apidoc", {}), "needs": {"action": action}}
        return checked

    return decorate


def identify() -> Actor:
    """Who asks, known for this request from now on. Raises Problem 401; 403 `csrf_token_wrong`; 429."""
    if "Authorization" in request.headers:
        _by_token()
    else:
        _by_session()
    rates.count(g.actor)
    return g.actor


def _by_token() -> None:
    """A request that shows a token is a machine's, whatever cookies came with it."""
    kind, _, secret = request.headers["Authorization"].strip().partition(" ")
    if kind.lower() != "bearer":
        raise _unknown(Refusal("log_in_or_token"))
    bearer = tokens.bearer(secret.strip(), origin.origin())
    if bearer is None:
        raise _unknown(Refusal("token_not_good"), error="invalid_token")
    g.bearer, g.actor = bearer, bearer.actor


def _by_session() -> None:
    # Only the session of a log-in that lasts counts, not the other ways in which Flask-Security would know somebody.
    if not current_user.is_authenticated or sessions.current_id() is None:
        raise _unknown(Refusal("log_in_or_token"))
    if request.method not in SAFE:
        try:
            validate_csrf(request.headers.get("X-CSRFToken"))
        except ValidationError:
            raise Problem(
                NotAllowed("csrf_token_wrong"), faults=[("X-CSRFToken", NotAllowed("csrf_token_wrong"))]
            ) from None
    g.actor = security.current_actor()


def _refused(actor: Actor, action: Action) -> NotAllowed:
    if actor.scopes is None:
        return NotAllowed("not_allowed", action=action.value)
    wanted = scopes_for(action)
    if not wanted:
        return NotAllowed("not_for_machines")
    return NotAllowed("scope_missing", scope=" ".join(wanted))


def _unknown(refusal: Refusal, *, error: str = "") -> Problem:
    challenge = 'Bearer realm="api"' + (f', error="{error}"' if error else "")
    return Problem(refusal, 401, headers={"WWW-Authenticate": challenge})
