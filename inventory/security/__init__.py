"""Accounts at the edge: Flask-Security, who is acting, and what an endpoint asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, current_app, g
from flask_security import Security, SQLAlchemyUserDatastore, current_user
from flask_security.decorators import auth_required
from flask_wtf import CSRFProtect
from passlib.hash import argon2  # pyright: ignore[reportAttributeAccessIssue]  (made when asked for)

from inventory.config import Config
from inventory.db import db
from inventory.domain.access import Action, Actor, may_somewhere
from inventory.domain.errors import Invalid, NotAllowed
from inventory.models import Membership, Person
from inventory.security import database, factors, lockout, origin, passwords, record, sessions, sign_on
from inventory.security.factors import ask_when_needed, logged_in, needs_fresh, require_fresh
from inventory.security.passwords import hashed
from inventory.services import people

__all__ = [
    "ask_when_needed",
    "current_actor",
    "hashed",
    "init_app",
    "logged_in",
    "needs",
    "needs_fresh",
    "normalised_email",
    "now",
    "public",
    "require_fresh",
]

View = TypeVar("View", bound=Callable[..., Any])


def init_app(app: Flask) -> None:
    settings: Config = app.config["SETTINGS"]
    app.config.setdefault("CLOCK", lambda: datetime.now(UTC))
    app.config.from_mapping(
        SESSION_COOKIE_NAME="__Host-blangko" if settings.production else "blangko",
        SESSION_COOKIE_SECURE=settings.production,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=settings.SESSION_HOURS),
        REMEMBER_COOKIE_SECURE=settings.production,
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        **passwords.SETTINGS,
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False, "test_environment": True},
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_LOGOUT_METHODS=["POST"],
        SECURITY_CHANGEABLE=True,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_POST_LOGOUT_VIEW="/login",
        SECURITY_POST_CHANGE_VIEW="/",
        SECURITY_REMEMBER_ME=False,
        SECURITY_FRESHNESS=timedelta(-1),  # who is still there is asked by `factors`, not on a page of the library's
        SECURITY_I18N_DIRNAME=[str(Path(__file__).parents[1] / "translations")],
        WTF_CSRF_TIME_LIMIT=None,  # a form left open over lunch still posts; the token lives as long as the session
    )
    # Left to itself the hash looks for its backend at the first log-in, and two at once trip over each other.
    argon2.get_backend()
    CSRFProtect(app)
    origin.init_app(app)
    record.init_app(app)
    database.init_app(app)
    Security(
        app,
        SQLAlchemyUserDatastore(db, Person, Membership),
        register_blueprint=True,
        password_util_cls=passwords.Passphrases,
        login_form=lockout.GuardedLoginForm,
        change_password_form=passwords.OwnPassphraseForm,
    )
    # A style sheet is for everybody, also while the database cannot say who asks.
    app.extensions["security"].principal.skip_static = True
    lockout.init_app(app)
    sessions.init_app(app)
    factors.init_app(app)
    sign_on.init_app(app)


def now() -> datetime:
    """The instant of this request, aware UTC. The one place where the edge reads the clock."""
    return current_app.config["CLOCK"]()


def current_actor() -> Actor:
    """Who acts in this request; read once, so that all its rules see the same grants."""
    if "actor" not in g:
        person: Any = current_user
        g.actor = replace(people.actor_for(person), origin=origin.origin())
    return g.actor


def needs(action: Action) -> Callable[[View], View]:
    """An endpoint for people who may do `action` somewhere; which offices, the service decides.

    An action in `access.FRESH` asks anew who is there when that was confirmed too long ago. The action stays readable
    as the view's `action`, so that the access table can be held against the url map.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not may_somewhere(current_actor(), action):
                raise NotAllowed("not_allowed", action=action.value)
            factors.ask_when_needed(action)
            return view(*args, **kwargs)

        checked: Any = auth_required("session")(guarded)
        checked.action = action
        return checked

    return decorate


def public(view: View) -> View:
    """An endpoint that anybody may call, logged in or not."""
    view.action = None  # type: ignore[attr-defined]
    return view


def normalised_email(text: str) -> str:
    """The address in the one form in which accounts are looked up. Raises Invalid `email_format`."""
    try:
        return current_app.extensions["security"]._mail_util.normalize(text)
    except ValueError:
        raise Invalid("email_format") from None
