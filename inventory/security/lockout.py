"""The log-in with a password: a try is reserved before the password is looked at, and everything that can go wrong
looks and lasts the same, so that nobody learns which accounts there are."""

from __future__ import annotations

import re
import secrets
from functools import cache
from typing import Any

from flask import Flask, Response, after_this_request, current_app, g, request
from flask_security import LoginForm, hash_password, verify_password

from inventory.domain.errors import TooMany
from inventory.domain.lockout import DEVICE_KEPT, Counter, key_of, network_of
from inventory.security import outage, passwords, record
from inventory.security.origin import visitor
from inventory.services import lockout
from inventory.services.lockout import Credentials, Reserved

LONGEST_PASSWORD = 1_000
"""Characters that are hashed; a longer one is wrong."""


def init_app(app: Flask) -> None:
    app.after_request(_give_back)
    with app.test_request_context():
        app.extensions["nobodys_password"] = _nobodys_password()


@cache
def _nobodys_password() -> str:
    """Held against when there is no account, or none with a password: at the same cost, and never right. One for each
    process is enough, however many applications it makes."""
    return hash_password(secrets.token_urlsafe(32))


class GuardedLoginForm(LoginForm):
    """Flask-Security's form, with its rules in our order."""

    def validate(self, **kwargs: Any) -> bool:
        if not super(LoginForm, self).validate(**kwargs):
            return False
        self.ifield = self.email
        now = current_app.config["CLOCK"]()
        found = lockout.credentials(self.email.data or "")
        try:
            reserved = lockout.reserve(
                now,
                account=account_key(self.email.data or ""),
                address=_key(Counter.ADDRESS, network_of(request.remote_addr)),
                device_key=device_key(),
                person_id=found.person_id if found else None,
                actor=visitor(),
            )
        except TooMany as refusal:
            return self._refuse(found, refusal)
        if not is_right(found, self.password.data or ""):
            return self._refuse(found)
        assert found is not None
        g.right_try = reserved
        self.user = current_app.extensions["security"].datastore.find_user(id=found.person_id)
        passwords.renew_hash(self.user, self.password.data or "")
        self.user_authenticated = True
        return True

    def _refuse(self, found: Credentials | None, locked: TooMany | None = None) -> bool:
        record.log_in_refused(found.person_id if found else None, "not_let_in")
        # At one field whatever is wrong: an answer that named another would tell which it was.
        self.password.errors = ["wrong"]
        if locked is not None:
            self.form_errors.append(_too_many(locked))
        return False


def account_key(email: str) -> str:
    """What stands for an account, or for an address without one, in the table of tries. `email` is normalised."""
    return _key(Counter.ACCOUNT, email.lower())


def is_right(found: Credentials | None, password: str) -> bool:
    """Whether this is the password of an account that may log in; it takes as long for one that does not exist."""
    nobodys = current_app.extensions["nobodys_password"]
    normalised = current_app.extensions["security"].password_util.normalize(password)
    usable = len(normalised) <= LONGEST_PASSWORD and not re.search(r"[\x00\ud800-\udfff]", normalised)
    right = verify_password(normalised if usable else "", (found and found.password_hash) or nobodys)
    return bool(right and usable and found and found.password_hash and found.active)


def take_right_try() -> Reserved | None:
    """The try of this request, whose password was right, once: whoever takes it gives it back."""
    return g.pop("right_try", None)


def _give_back(response: Response) -> Response:
    """Nobody is logged in yet where a second factor is asked; the password was right all the same."""
    reserved = take_right_try()
    if reserved is not None and not outage.is_noted():
        lockout.give_back(current_app.config["CLOCK"](), reserved)
    return response


# --- known devices -----------------------------------------------------------------------------------------------


def device_key() -> str:
    """What this browser carries as a known device; empty when it carries nothing."""
    return request.cookies.get(_device_cookie(), "")[:100]


def new_device_key() -> str:
    """A key for this browser, which it gets with this answer."""
    key = secrets.token_urlsafe(32)

    @after_this_request
    def hand_out(response: Response) -> Response:
        response.set_cookie(
            _device_cookie(),
            key,
            max_age=DEVICE_KEPT,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    return key


def _device_cookie() -> str:
    return current_app.config["SESSION_COOKIE_NAME"] + "-device"


def _key(counter: Counter, subject: str) -> str:
    return key_of(current_app.config["SECRET_KEY"], counter, subject)


def _too_many(refusal: TooMany) -> str:
    @after_this_request
    def say_when(response: Response) -> Response:
        response.status_code = refusal.status
        response.headers["Retry-After"] = str(refusal.facts["seconds"])
        return response

    return current_app.extensions["sentence"](refusal)
