"""The audit: who did what, from where and when, beside what the ledger says of the stock. What an entry may hold.

An entry names a person, an office and a thing by what people know them by, and a few facts. It never holds a secret nor
what a resident could be known by: facts have names of a short list, and what looks like either is masked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

SUBJECT_LENGTH = 200
VALUE_LENGTH = 200
FACTS_LENGTH = 4000
MOST_VALUES = 20
"""Of a list that is a fact; the rest is left out."""
MASK = "***"
WAYS = ("", "page", "api", "command", "job")


class Event(StrEnum):
    """What happened. The value is what is kept: it is never changed once it has been written."""

    LOGGED_IN = "logged_in"
    LOG_IN_REFUSED = "log_in_refused"
    LOGGED_OUT = "logged_out"
    SESSION_ENDED = "session_ended"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  (the name of an event)
    PASSWORD_GIVEN = "password_given"  # noqa: S105
    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    FACTOR_CONFIRMED = "factor_confirmed"
    FACTOR_REFUSED = "factor_refused"
    RECOVERY_USED = "recovery_used"
    SIGNED_ON = "signed_on"
    SIGN_ON_UNLINKED = "sign_on_unlinked"
    PERSON_ADDED = "person_added"
    PERSON_ENABLED = "person_enabled"
    PERSON_DISABLED = "person_disabled"
    ROLES_CHANGED = "roles_changed"
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_CLOSED = "account_closed"
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    REFUSED = "refused"
    APPROVED = "approved"
    DECLINED = "declined"
    REVERSED = "reversed"
    SETTING_CHANGED = "setting_changed"
    BOARD_CHANGED = "board_changed"
    EXPORTED = "exported"
    DOCUMENT_ISSUED = "document_issued"
    DOCUMENT_READ = "document_read"
    IMPORTED = "imported"
    NUMBER_LOOKED_UP = "number_looked_up"
    BACKED_UP = "backed_up"
    RESTORED = "restored"


COMMON = frozenset({"reason", "kind", "id", "name", "email", "count", "until"})
"""Facts that any entry may carry: why, of what kind, a number by which its page is found, how many, until when."""

FACTS: Mapping[Event, frozenset[str]] = {
    Event.LOGGED_IN: frozenset({"how", "factor", "device"}),
    Event.LOG_IN_REFUSED: frozenset({"how", "device", "attempts"}),
    Event.LOGGED_OUT: frozenset({"device"}),
    Event.SESSION_ENDED: frozenset({"device", "since"}),
    Event.LOCKED: frozenset({"attempts", "how"}),
    Event.UNLOCKED: frozenset({"how"}),
    Event.PASSWORD_CHANGED: frozenset({"how"}),
    Event.PASSWORD_GIVEN: frozenset(),
    Event.FACTOR_ADDED: frozenset({"factor"}),
    Event.FACTOR_REMOVED: frozenset({"factor"}),
    Event.FACTOR_CONFIRMED: frozenset({"factor", "action"}),
    Event.FACTOR_REFUSED: frozenset({"factor", "action", "attempts"}),
    Event.RECOVERY_USED: frozenset({"left"}),
    Event.SIGNED_ON: frozenset({"provider", "factor", "device"}),
    Event.SIGN_ON_UNLINKED: frozenset(),
    Event.PERSON_ADDED: frozenset({"role"}),
    Event.PERSON_ENABLED: frozenset(),
    Event.PERSON_DISABLED: frozenset(),
    Event.ROLES_CHANGED: frozenset({"role", "before", "after"}),
    Event.ACCOUNT_ADDED: frozenset({"role", "scopes"}),
    Event.ACCOUNT_CLOSED: frozenset(),
    Event.TOKEN_MADE: frozenset({"scopes", "expires"}),
    Event.TOKEN_REVOKED: frozenset({"scopes", "expires"}),
    Event.REFUSED: frozenset({"refusal", "action", "method", "page"}),
    Event.APPROVED: frozenset({"proposed_by", "quantity", "item", "day"}),
    Event.DECLINED: frozenset({"proposed_by", "quantity", "item", "day"}),
    Event.REVERSED: frozenset({"quantity", "item", "day", "movement"}),
    Event.SETTING_CHANGED: frozenset({"setting", "item", "before", "after", "day", "since"}),
    Event.BOARD_CHANGED: frozenset({"on", "items", "precision", "version"}),
    Event.EXPORTED: frozenset({"table", "format", "rows", "since", "whole"}),
    Event.DOCUMENT_ISSUED: frozenset({"number", "language", "day"}),
    Event.DOCUMENT_READ: frozenset({"number", "language"}),
    Event.IMPORTED: frozenset({"file", "rows", "since"}),
    Event.NUMBER_LOOKED_UP: frozenset({"item", "found"}),
    Event.BACKED_UP: frozenset({"file", "size", "seal"}),
    Event.RESTORED: frozenset({"file", "size", "seal"}),
}

_SECRET_NAME = re.compile(
    r"pass(word|phrase|wd)|token|secret|cookie|csrf|session_id|otp|recovery_code|authori[sz]ation|(^|_)(code|key|hash)$"
)
_NIK = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
"""A resident's number. A number in groups is not one that anybody writes into a form by mistake."""
_SECRET_VALUE = re.compile(
    r"\$argon2\S*|\beyJ[\w\-]+\.[\w\-]+(\.[\w\-]*)?|(?<![\w\-])(?=[\w\-]*[0-9])(?=[\w\-]*[A-Za-z])[\w\-]{32,}", re.ASCII
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

SEALED = (
    "id",
    "at",
    "event",
    "person_id",
    "actor_name",
    "about_id",
    "way",
    "address",
    "request_id",
    "office_id",
    "subject",
    "facts",
)
"""The figures of an entry that are sealed, in this order."""
DIGESTED = SEALED[1:]
"""Those of its own digest: its id is given by the database when it is written."""


def one_line(text: str, most: int) -> str:
    """`text` without what could begin a line of its own, cut to `most` characters."""
    return _CONTROL.sub(" ", text).strip()[:most]


def masked(text: str) -> str:
    """`text` with what looks like a secret or a resident's number made unreadable."""
    kept = _NIK.sub(MASK, text)
    return _SECRET_VALUE.sub(lambda found: found[0] if _UUID.fullmatch(found[0]) else MASK, kept)


def faults_of(event: Event, facts: Mapping[str, object]) -> list[str]:
    """What is wrong with the facts of an entry: names that it may not carry, and what looks like a secret or a
    resident's number. A program that passes such facts is wrong; what people typed belongs into the subject."""
    found = [f"{event.value} may not carry {name}" for name in facts if name not in FACTS[event] | COMMON]
    found += [f"{name} sounds like a secret" for name in facts if _SECRET_NAME.search(name)]
    found += [f"{name} looks like a secret" for name, value in facts.items() if _texts_of(value) != _masked(value)]
    return found


def write_facts(event: Event, facts: Mapping[str, object]) -> str:
    """The facts as the JSON that is kept: names in their order, every text one bounded line, masked where it must be.

    Names that the event may not carry are left out.
    """
    kept = {
        name: _plain(value)
        for name, value in sorted(facts.items())
        if name in FACTS[event] | COMMON and not _SECRET_NAME.search(name)
    }
    while len(written := json.dumps(kept, ensure_ascii=False, separators=(",", ":"))) > FACTS_LENGTH:
        kept.pop(max(kept, key=lambda name: len(str(kept[name]))))
    return written


def read_facts(text: str) -> dict[str, object]:
    """The facts of an entry by their names. What cannot be read is none: somebody has written past the audit."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def canonical(entry: Mapping[str, object], names: tuple[str, ...] = SEALED) -> bytes:
    """An entry as the bytes that are sealed: each figure by name, length and text, so that none runs into another."""
    parts = ["entry"]
    for name in names:
        value = entry[name]
        if isinstance(value, datetime):
            value = value.astimezone(UTC).isoformat(timespec="microseconds")
        text = "" if value is None else str(value)
        parts.append(f"{name}:{'-' if value is None else len(text)}:{text}")
    return "\n".join(parts).encode()


def digest(entry: Mapping[str, object]) -> str:
    """SHA-256 (hex) of an entry by itself: it tells which of the entries behind a broken seal was changed."""
    return hashlib.sha256(canonical(entry, DIGESTED)).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_line(each) for each in list(value)[:MOST_VALUES]]
    return _line(value)


def _line(value: object) -> str:
    return one_line(masked(str(value)), VALUE_LENGTH)


def _texts_of(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple | set | frozenset) else [str(value)]


def _masked(value: object) -> list[str]:
    return [masked(each) for each in _texts_of(value)]
