"""Second factors: one-time codes by time, recovery codes, and who must have one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from inventory.domain.access import Role


class Policy(StrEnum):
    """Who must have a second factor."""

    MANAGERS = "managers"
    """Managers and administrators: who decides about blanks and about people."""
    EVERYBODY = "everybody"
    OFFERED = "offered"
    """Nobody must."""


class TryKind(StrEnum):
    """What somebody can get wrong too often."""

    CODE = "code"
    """At log-in, on a device that its owner never logged in from: whoever has the passphrase can try there."""
    KNOWN_DEVICE = "known_device"
    """The same on devices from which the owner has logged in: nobody else's wrong codes hold those up."""
    CONFIRM = "confirm"
    """By somebody who is logged in."""
    PASSPHRASE = "passphrase"  # noqa: S105  (a kind of try)
    RECOVERY = "recovery"


DECIDERS = frozenset({Role.MANAGER, Role.ADMINISTRATOR})

SECRET_BYTES = 20
STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""A phone's clock may be half a minute off, and people type slowly."""

FREE_TRIES = 5
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=1)
"""So long after a wait nothing is held against anybody any more; guessing on would have given more tries."""

RECOVERY_CODES = 10
RECOVERY_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Nothing that is taken for something else when it is read from paper: no 0 and o, no 1, i and l."""
RECOVERY_LENGTH = 28
"""138 bits: nobody finds one by trying, so a fast hash keeps them well."""
FEW_CODES = 3
"""So few left are worth a warning."""

MOST_PASSKEYS = 10


def must_have(policy: Policy, roles: Iterable[Role]) -> bool:
    """Whether somebody with these roles must have a second factor."""
    if policy is Policy.EVERYBODY:
        return True
    return policy is Policy.MANAGERS and not DECIDERS.isdisjoint(roles)


def step_at(now: datetime) -> int:
    """The number of the half minute that `now` (aware) lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def code_at(secret: bytes, step: int) -> str:
    """The code of one step, by RFC 6238 with SHA-1, as every authenticator app makes it."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, code: str, now: datetime, last_step: int) -> int | None:
    """The step whose code this is, later than `last_step`; None when it is none's, or of one used up."""
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", code, re.ASCII):
        return None
    here = step_at(now)
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if step > last_step and hmac.compare_digest(code_at(secret, step), code):
            return step
    return None


def code_typed(text: str) -> str:
    """A code as it was meant: apps show it in two groups."""
    return re.sub(r"[\s-]", "", text)


def key_for_typing(secret: bytes) -> str:
    """The secret for people who cannot scan: base32 in groups of four."""
    letters = base64.b32encode(secret).decode("ascii").rstrip("=")
    return " ".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def wait_after(wrong: int) -> timedelta:
    """How long nothing more is tried after so many wrong tries in a row: it doubles, up to an hour."""
    if wrong < FREE_TRIES:
        return timedelta(0)
    doublings = min(wrong - FREE_TRIES, 10)
    return min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)


def recovery_code(picked: Iterable[int]) -> str:
    """A recovery code for people to keep: the letters with these numbers, in groups of four."""
    letters = "".join(RECOVERY_LETTERS[number] for number in picked)
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def is_recovery_code(text: str) -> bool:
    """Whether what was typed has the form of one, however it was grouped."""
    letters = _letters(text)
    return len(letters) == RECOVERY_LENGTH and all(letter in RECOVERY_LETTERS for letter in letters)


def recovery_digest(text: str) -> str:
    """What is kept of a recovery code."""
    return hashlib.sha256(_letters(text).encode()).hexdigest()


def _letters(text: str) -> str:
    return re.sub(r"[\s-]", "", text).lower()
