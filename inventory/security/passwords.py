"""Passphrases at the edge: what Flask-Security checks new ones by, and the form that changes one's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import current_app
from flask_security import ChangePasswordForm, current_user, hash_password, verify_password
from flask_security.password_util import PasswordUtil
from flask_security.utils import get_message

from inventory.adapters import passphrases
from inventory.domain.access import Actor
from inventory.domain.errors import Refusal
from inventory.domain.factors import TryKind
from inventory.domain.passphrases import LONGEST, check_passphrase, normalised
from inventory.services import factors

# OWASP's least for argon2id is 19 MiB, 2 rounds, 1 lane; this is RFC 9106's second recommendation. A hash made with
# less is made anew when its owner logs in.
ARGON2 = {"argon2__type": "ID", "argon2__memory_cost": 65536, "argon2__rounds": 3, "argon2__parallelism": 4}

SETTINGS = {
    "SECURITY_PASSWORD_HASH": "argon2",  # the name of a hash
    # argon2 salts each hash itself; the library's own second salt would tie passwords to a setting.
    "SECURITY_PASSWORD_SINGLE_HASH": True,
    "SECURITY_PASSWORD_SALT": "none",
    "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": ARGON2,
    "SECURITY_PASSWORD_NORMALIZE_FORM": "NFKD",
}


def checked(passphrase: str, known: Iterable[str] = ()) -> str:
    """A new passphrase in the form in which it is hashed. Raises what `domain.passphrases.check_passphrase` raises."""
    return check_passphrase(passphrase, known, passphrases.common(), passphrases.guesses)


def hashed(passphrase: str, known: Iterable[str] = ()) -> str:
    """The hash of a new passphrase; `known` is what an attacker knows of its person. Raises what `checked` raises."""
    return hash_password(checked(passphrase, known))


def is_own(actor: Actor, typed: str, now: datetime, action: str = "confirm") -> bool:
    """Whether this is the passphrase of whoever is logged in; counted before it is looked at. `action` says in the
    audit what it was asked for. Raises Refusal `passphrase_tries_many`."""
    person: Any = current_user
    factors.reserve_try(person.id, now, TryKind.PASSPHRASE)
    right = bool(person.password) and len(typed) <= 4 * LONGEST and verify_password(normalised(typed), person.password)
    if right:
        factors.passphrase_right(actor, now, action)
    else:
        factors.refused(now, actor, "passphrase", action)
    return right


def renew_hash(person: Any, passphrase: str) -> None:
    """Hash a passphrase that was right just now anew, where its hash was made with less than ARGON2; the datastore's
    next commit keeps it."""
    security = current_app.extensions["security"]
    if security.pwd_context.needs_update(person.password):
        person.password = hash_password(normalised(passphrase))
        security.datastore.put(person)


class Passphrases(PasswordUtil):
    """What Flask-Security asks about a new passphrase."""

    def validate(self, password: str, is_register: bool, **kwargs: Any) -> tuple[list[str] | None, str]:
        try:
            return None, checked(password, known_of(kwargs.get("user")))
        except Refusal as refusal:
            return [_said(refusal)], self.normalize(password)


class OwnPassphraseForm(ChangePasswordForm):
    """Flask-Security's form, with its rules in our order: the fields, the present passphrase, the new one. Guesses at
    the present one are bounded, whatever else is wrong."""

    def validate(self, **kwargs: Any) -> bool:
        if not super(ChangePasswordForm, self).validate(**kwargs):
            return False
        person: Any = current_user
        present, new = self.password.data or "", self.new_password.data or ""
        if person.password and not self._is_present(present):
            return False
        if person.password and normalised(present) == normalised(new):
            self.password.errors = [get_message("PASSWORD_IS_THE_SAME")[0]]
            return False
        wrong, self.new_password.data = current_app.extensions["security"].password_util.validate(
            new, False, user=person
        )
        self.new_password.errors = wrong or []
        if not wrong:
            person.password_given = False  # the library keeps it along with the new password
        return not wrong

    def _is_present(self, typed: str) -> bool:
        from inventory import security

        if not typed.strip():
            self.password.errors = [get_message("PASSWORD_NOT_PROVIDED")[0]]
            return False
        try:
            right = is_own(security.current_actor(), typed, security.now(), "change")
        except Refusal as refusal:
            self.password.errors = [_said(refusal)]
            return False
        if not right:
            self.password.errors = [get_message("INVALID_PASSWORD")[0]]
        return right


def known_of(person: Any) -> list[str]:
    """What an attacker knows of somebody: name, address, offices."""
    if person is None or not getattr(person, "is_authenticated", False):
        return []
    return [person.full_name, person.email, *(role.office.name for role in person.roles)]


def _said(refusal: Refusal) -> str:
    """Its sentence: which language is spoken is not known on this layer."""
    return current_app.extensions["sentence"](refusal)
