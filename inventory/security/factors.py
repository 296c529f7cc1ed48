"""Second factors at the edge: what comes after a right passphrase, who is sent to set one up, and who is still there.

What the session says, beside who it is of:
- `entering`: whose passphrase was right, while the second factor is waited for; nobody is logged in yet.
- `second`: that a second factor was given in this session.
- `confirmed_at`: when it was last confirmed who is there, by the second factor of whoever has one.
- `by_sign_on`: that it began by single sign-on.
- `challenge`: what a passkey is to sign next, and for what.
- `app_secret`: what is offered to an authenticator app, and whose.
All of it is one person's: nothing is left to whoever logs in next at the same desk.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app, redirect, request, session, url_for
from flask_login import user_logged_out
from flask_security import current_user, login_user, user_authenticated
from flask_security.decorators import auth_required
from flask_security.tf_plugin import TfPlugin
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from inventory.adapters.passkeys import Site
from inventory.config import Config
from inventory.db import db
from inventory.domain.access import FRESH, Action, Actor, Role
from inventory.domain.errors import Invalid, NotAllowed
from inventory.domain.factors import Policy, must_have
from inventory.models import Person
from inventory.security import origin
from inventory.services import factors, people, sign_on
from inventory.services.passkeys import CHALLENGE_BYTES, CHALLENGE_LASTS

View = TypeVar("View", bound=Callable[..., Any])

ENTERING_LASTS = timedelta(minutes=10)
CHANGED = "change"
"""What Flask-Security calls a log-in that only goes on, after something of the account was changed."""

TO_SET_UP = frozenset(
    {
        "account.second_factor",
        "account.add_app",
        "account.add_passkey",
        "account.passkey_options",
        "account.recovery_codes",
        "factors.confirm",
        "factors.confirm_options",
        "security.logout",
        "static",
        "security.static",
    }
)
"""What somebody without the second factor that they must have can still reach, beside what anybody can."""

CHANGE_PASSWORD = "security.change_password"  # noqa: S105  (an endpoint)
TO_CHANGE_PASSWORD = frozenset({CHANGE_PASSWORD, "security.logout", "static", "security.static"})
"""What somebody whose password was given by somebody else can still reach, beside what anybody can."""


class SecondFactors(TfPlugin):
    """Asked by Flask-Security's log-in once the passphrase was right. The library's own second factors let a code count
    twice when it comes twice at once, and keep recovery codes that can be read."""

    def tf_enter(self, user: Any, remember_me: Any, primary_authn_via: str, next_loc: str | None) -> Any:
        asked_for = request.form.get("next") or request.args.get("next")
        return after_first(user, next_loc if primary_authn_via == "oidc" else asked_for, primary_authn_via)


def init_app(app: Flask) -> None:
    app.extensions["security"].two_factor_plugins = SecondFactors()
    user_authenticated.connect(_confirmed_by_entering, app)
    user_logged_out.connect(_forget_who_it_was, app)
    app.before_request(_send_to_change_password)
    app.before_request(_send_to_set_up)


# --- logging in --------------------------------------------------------------------------------------------------


def after_first(person: Any, next_page: str | None, via: str = "password") -> Any:
    """What to answer when the first factor of `person` was right: the way to the second, or None when they have none
    and can be logged in. Nobody is logged in by this. `via` says what the first one was."""
    current_app.extensions["security"].datastore.commit()  # a passphrase that was hashed anew
    if not factors.has_any(person.id):
        return None
    session["entering"] = {"who": person.fs_uniquifier, "until": _epoch(now() + ENTERING_LASTS), "via": via}
    return redirect(url_for("factors.enter", next=next_page or None), 303)


def entering() -> Any:
    """Whose second factor is waited for; None when nobody's, no longer, or of somebody who is shut out by now."""
    waited = session.get("entering") or {}
    if waited.get("until", 0) < _epoch(now()):
        session.pop("entering", None)
        return None
    person = current_app.extensions["security"].datastore.find_user(fs_uniquifier=waited.get("who") or "")
    return person if person is not None and person.active else None


def enter(person: Any, way: str) -> None:
    """Log somebody in who was waited for, and whose second factor was right just now. An account at the provider of
    single sign-on by which they came for the first time is theirs from now on. Raises what `sign_on.link` raises."""
    waited = session.get("entering") or {}
    if "link" in waited:
        sign_on.link(actor_of(person), now(), *waited["link"])
    complete(person, waited.get("via", "password"), way)


def complete(person: Any, *via: str) -> None:
    """Log somebody in whose second factor was right, or whose one way in counts as both: a passkey that made sure who
    holds it, a sign-on that says so."""
    session.pop("entering", None)
    login_user(person, authn_via=list(via))
    session["second"] = True


def by_id(person_id: int) -> Any:
    """The account with this id."""
    return db.session.get(Person, person_id)


def go_on(person_id: int, *, second: bool | None = None) -> None:
    """After a change that ended all sessions of whoever is logged in: theirs goes on. `second` says whether a factor
    was given just now, or none is left."""
    person: Any = db.session.get(Person, person_id, populate_existing=True)
    login_user(person, authn_via=[CHANGED])
    if second is not None:
        session["second"] = second
    if second:
        session["confirmed_at"] = _epoch(now())


def actor_of(person: Any) -> Actor:
    """Somebody on the way in, as the actor that they will be."""
    return replace(people.actor_for(person), origin=origin.origin())


def _confirmed_by_entering(_app: Flask, user: Any, authn_via: Any = None, **_extra: Any) -> None:
    if authn_via == [CHANGED]:
        return
    _forget_who_it_was(_app)
    session["confirmed_at"] = _epoch(now())
    session["second"] = False
    session["by_sign_on"] = "oidc" in (authn_via or ())


def _forget_who_it_was(_app: Flask, **_extra: Any) -> None:
    for of_one_person in ("entering", "second", "confirmed_at", "challenge", "app_secret"):
        session.pop(of_one_person, None)


# --- who must have one -------------------------------------------------------------------------------------------


def must() -> bool:
    """Whether whoever is logged in must have a second factor."""
    person: Any = current_user
    return must_have(Policy(_settings().SECOND_FACTOR), [Role(role.name) for role in person.roles])


def _send_to_set_up() -> Any:
    """Somebody who must have a second factor and has none does nothing else before they have."""
    if Policy(_settings().SECOND_FACTOR) is Policy.OFFERED or request.endpoint in TO_SET_UP or not _is_a_persons():
        return None
    if _has_given_password() and request.endpoint == CHANGE_PASSWORD:
        return None  # that comes first
    person: Any = current_user
    if session.get("second") or not must():
        return None
    if request.path.startswith("/api/") or _sends_by_itself():
        raise NotAllowed("second_factor_needed")
    if factors.has_any(person.id):
        return redirect(url_for("factors.confirm", next=request.full_path if request.method == "GET" else "/"), 303)
    return redirect(url_for("account.second_factor"), 303)


def _send_to_change_password() -> Any:
    """Somebody whose password somebody else gave them does nothing else before they have changed it: what is done in a
    name is done by its owner alone. And nobody changes one at a desk that was left open."""
    if (request.endpoint != CHANGE_PASSWORD and request.endpoint in TO_CHANGE_PASSWORD) or not _is_a_persons():
        return None
    if _has_given_password():
        if request.endpoint == CHANGE_PASSWORD:
            return None
        if request.path.startswith("/api/") or _sends_by_itself():
            raise NotAllowed("password_to_change")
        return redirect(url_for(CHANGE_PASSWORD), 303)
    if request.endpoint != CHANGE_PASSWORD or is_fresh():
        return None
    if _sends_by_itself():
        raise NotAllowed("fresh_factor_needed")
    # Not by the question in the place of the answer: that would carry the passwords along.
    return redirect(url_for("factors.confirm", next=url_for(CHANGE_PASSWORD)), 303)


def _is_a_persons() -> bool:
    """Whether somebody who is logged in asks for what not everybody may see."""
    if request.endpoint is None or (request.path.startswith("/api/") and "Authorization" in request.headers):
        return False  # nothing, or a machine's, whatever cookies came with it
    if getattr(current_app.view_functions.get(request.endpoint), "action", "none") is None:
        return False
    person: Any = current_user
    return person.is_authenticated


def _has_given_password() -> bool:
    """Whoever signs on elsewhere never learnt the password."""
    person: Any = current_user
    return person.password_given and not session.get("by_sign_on")


# --- who is still there ------------------------------------------------------------------------------------------


def is_fresh() -> bool:
    """Whether it was confirmed lately who is there."""
    lately = _epoch(now() - timedelta(minutes=_settings().FRESH_MINUTES))
    return session.get("confirmed_at", 0) > lately


def require_fresh(action: Action) -> None:
    """For answers that are no pages. Raises NotAllowed `fresh_factor_needed` for an action in FRESH by somebody of whom
    it was not confirmed lately that they are there."""
    if action in FRESH and not is_fresh():
        raise NotAllowed("fresh_factor_needed")


class NotFresh(Exception):
    """This request asks who is there first. The pages answer it with the question, and carry on what was sent."""


def ask_when_needed(action: Action) -> None:
    """Raises NotFresh where `action` is in FRESH and this request does it, or shows a form that does; NotAllowed
    `fresh_factor_needed` for what sends by itself."""
    if action in FRESH:
        ask()


def ask() -> None:
    """Raises what `ask_when_needed` raises, whatever the action, unless it was confirmed lately who is there."""
    writes = request.url_rule is not None and "POST" in (request.url_rule.methods or ())
    if not writes or is_fresh():
        return
    if _sends_by_itself():
        raise NotAllowed("fresh_factor_needed")
    raise NotFresh


def needs_fresh(view: View) -> View:
    """For whoever is logged in, and was confirmed lately to be there: what changes their own account."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        ask()
        return view(*args, **kwargs)

    checked: Any = guarded
    return logged_in(checked)


def logged_in(view: View) -> View:
    """For whoever is logged in, whatever their roles."""
    return auth_required("session")(view)


def confirmed(*, second: bool) -> None:
    """It was confirmed who is there."""
    session["confirmed_at"] = _epoch(now())
    session["second"] = second or session.get("second", False)


def takes_post(target: str) -> bool:
    """Whether this path of ours is one that forms are sent to."""
    adapter: Any = current_app.create_url_adapter(request)
    try:
        endpoint, _arguments = adapter.match(urlsplit(target).path, method="POST")
    except (HTTPException, RequestRedirect):
        return False
    return not endpoint.startswith("factors.")


# --- passkeys and secrets ----------------------------------------------------------------------------------------


def site() -> Site:
    """Whose passkeys these are: the installation's public address, or else the one that was asked."""
    address = urlsplit(_settings().PUBLIC_URL or request.host_url)
    return Site(address.hostname or "", f"{address.scheme}://{address.netloc}")


def new_challenge(purpose: str, handle: bytes = b"") -> bytes:
    """What a passkey is to sign next in this session; `handle` is that of a person to be, kept along with it."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    session["challenge"] = {
        "for": purpose,
        "it": challenge.hex(),
        "handle": handle.hex(),
        "until": _epoch(now() + CHALLENGE_LASTS),
    }
    return challenge


def take_challenge(purpose: str) -> tuple[bytes, bytes]:
    """The challenge of this session and the handle kept along with it, once. Raises Invalid `passkey_wrong` when there
    is none, or none any more."""
    kept = session.pop("challenge", None) or {}
    if kept.get("for") != purpose or kept.get("until", 0) < _epoch(now()):
        raise Invalid("passkey_wrong")
    return bytes.fromhex(kept["it"]), bytes.fromhex(kept["handle"])


def address_for_app(secret: bytes, account: str) -> str:
    """What an authenticator app reads from the QR code."""
    letters = base64.b32encode(secret).decode("ascii").rstrip("=")
    return f"otpauth://totp/Blangko:{quote(account)}?secret={letters}&issuer=Blangko"


def key() -> bytes:
    """The key that secrets of authenticator apps are kept under, derived from the installation's secret key."""
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"blangko authenticator apps")
    return base64.urlsafe_b64encode(made.derive(str(current_app.config["SECRET_KEY"]).encode()))


def offered_secret(renew: bool = False) -> bytes:
    """The secret that is offered to this person's authenticator app; it stays while the page is opened again."""
    person: Any = current_user
    kept = session.get("app_secret")
    if renew or not isinstance(kept, dict) or kept.get("of") != person.id:
        kept = None
    secret = factors.opened(key(), kept["it"]) if kept else None
    if secret is None:
        secret = factors.new_secret()
        session["app_secret"] = {"of": person.id, "it": factors.sealed(key(), secret)}
    return secret


def forget_secret() -> None:
    session.pop("app_secret", None)


def now() -> datetime:
    return current_app.config["CLOCK"]()


def _epoch(instant: datetime) -> int:
    return int(instant.timestamp())


def _sends_by_itself() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _settings() -> Config:
    return current_app.config["SETTINGS"]
