"""What an entry of the audit says, for people: a sentence for each event, and its facts with their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from inventory import text
from inventory.domain.audit import Event
from inventory.services.audit_trail import EntryView
from inventory.web import moment
from inventory.web.exports import TABLES
from inventory.web.forms import lazy as _

EVENTS: Mapping[str, Any] = {
    Event.LOGGED_IN: _("Log-in"),
    Event.LOG_IN_REFUSED: _("Log-in refused"),
    Event.LOGGED_OUT: _("Log-out"),
    Event.SESSION_ENDED: _("Session ended"),
    Event.LOCKED: _("Log-in held up"),
    Event.UNLOCKED: _("Log-in free again"),
    Event.PASSWORD_CHANGED: _("Password changed"),
    Event.PASSWORD_GIVEN: _("New first password"),
    Event.FACTOR_ADDED: _("Second factor added"),
    Event.FACTOR_REMOVED: _("Second factor removed"),
    Event.FACTOR_CONFIRMED: _("Second factor confirmed"),
    Event.FACTOR_REFUSED: _("Second factor refused"),
    Event.RECOVERY_USED: _("Recovery code used"),
    Event.SIGNED_ON: _("Single sign-on"),
    Event.SIGN_ON_UNLINKED: _("Single sign-on unlinked"),
    Event.PERSON_ADDED: _("Person added"),
    Event.PERSON_ENABLED: _("Person let in"),
    Event.PERSON_DISABLED: _("Person shut out"),
    Event.ROLES_CHANGED: _("Roles changed"),
    Event.ACCOUNT_ADDED: _("Service account added"),
    Event.ACCOUNT_CLOSED: _("Service account closed"),
    Event.TOKEN_MADE: _("Access token made"),
    Event.TOKEN_REVOKED: _("Access token revoked"),
    Event.REFUSED: _("Refused for want of rights"),
    Event.APPROVED: _("Approved"),
    Event.DECLINED: _("Declined"),
    Event.REVERSED: _("Entry reversed"),
    Event.SETTING_CHANGED: _("Setting changed"),
    Event.BOARD_CHANGED: _("Public board changed"),
    Event.EXPORTED: _("Table exported"),
    Event.DOCUMENT_ISSUED: _("Document issued"),
    Event.DOCUMENT_READ: _("Document taken out"),
    Event.IMPORTED: _("File imported"),
    Event.NUMBER_LOOKED_UP: _("Serial number looked up"),
    Event.BACKED_UP: _("Backup made"),
    Event.RESTORED: _("Backup restored"),
}

SENTENCES: Mapping[str, Any] = {
    Event.LOGGED_IN: _("Logged in."),
    Event.LOG_IN_REFUSED: _("Somebody tried to log in and was not let in."),
    Event.LOGGED_OUT: _("Logged out."),
    Event.SESSION_ENDED: _("A session was ended."),
    Event.LOCKED: _("After too many attempts, log-ins were held up for a while."),
    Event.UNLOCKED: _("Log-ins are possible again."),
    Event.PASSWORD_CHANGED: _("Changed the password."),
    Event.PASSWORD_GIVEN: _("Gave %(subject)s a new first password."),
    Event.FACTOR_ADDED: _("Added a second factor to the account."),
    Event.FACTOR_REMOVED: _("Removed a second factor from the account."),
    Event.FACTOR_CONFIRMED: _("Confirmed with the second factor."),
    Event.FACTOR_REFUSED: _("The second factor was wrong and not accepted."),
    Event.RECOVERY_USED: _("Used a recovery code in place of the second factor."),
    Event.SIGNED_ON: _("Logged in by single sign-on."),
    Event.SIGN_ON_UNLINKED: _("Took the link to single sign-on from the account of %(subject)s."),
    Event.PERSON_ADDED: _("Added %(subject)s as a person who may log in."),
    Event.PERSON_ENABLED: _("Let %(subject)s in again."),
    Event.PERSON_DISABLED: _("Shut %(subject)s out."),
    Event.ROLES_CHANGED: _("Changed the roles of %(subject)s."),
    Event.ACCOUNT_ADDED: _("Added the service account %(subject)s."),
    Event.ACCOUNT_CLOSED: _("Closed the service account %(subject)s."),
    Event.TOKEN_MADE: _("Made an access token: %(subject)s."),
    Event.TOKEN_REVOKED: _("Revoked an access token: %(subject)s."),
    Event.REFUSED: _("Asked for %(subject)s and was refused."),
    Event.APPROVED: _("Approved, as the second person: %(kind)s %(subject)s."),
    Event.DECLINED: _("Declined, as the second person: %(kind)s %(subject)s."),
    Event.REVERSED: _("Took back an entry of the ledger: %(quantity)s × %(item)s of %(day)s."),
    Event.SETTING_CHANGED: _("Changed a setting: %(setting)s."),
    Event.BOARD_CHANGED: _("Changed what the public board of %(subject)s shows."),
    Event.EXPORTED: _("Took out a table: %(table)s, %(rows)s rows."),
    Event.DOCUMENT_ISSUED: _("Issued document %(subject)s: %(kind)s."),
    Event.DOCUMENT_READ: _("Took out document %(subject)s: %(kind)s."),
    Event.IMPORTED: _("Recorded the file %(subject)s: %(kind)s."),
    Event.NUMBER_LOOKED_UP: _("Looked up where serial number %(subject)s is."),
    Event.BACKED_UP: _("A backup was made: %(subject)s."),
    Event.RESTORED: _("A backup was restored: %(subject)s."),
}

FACTS: Mapping[str, Any] = {
    "action": _("what for"),
    "after": _("now"),
    "attempts": _("attempts"),
    "before": _("before"),
    "count": _("how many"),
    "day": _("day"),
    "device": _("device"),
    "email": _("e-mail address"),
    "expires": _("valid until"),
    "factor": _("second factor"),
    "file": _("file"),
    "format": _("as"),
    "found": _("found in"),
    "how": _("by"),
    "id": _("no."),
    "item": _("item"),
    "items": _("items"),
    "kind": _("kind"),
    "language": _("language"),
    "left": _("left"),
    "method": _("way of asking"),
    "movement": _("entry no."),
    "name": _("name"),
    "number": _("number"),
    "on": _("shown"),
    "page": _("page"),
    "precision": _("how closely"),
    "proposed_by": _("proposed by"),
    "provider": _("provider"),
    "quantity": _("quantity"),
    "reason": _("reason"),
    "refusal": _("why"),
    "role": _("role"),
    "rows": _("rows"),
    "scopes": _("what it may do"),
    "seal": _("seal"),
    "setting": _("setting"),
    "since": _("from"),
    "size": _("size"),
    "table": _("table"),
    "until": _("to"),
    "version": _("version"),
    "whole": _("whole"),
}

SETTINGS: Mapping[str, Any] = {
    "lead_time_days": _("Working days from asking to delivery"),
    "review_period_days": _("Working days between two occasions to ask"),
    "service_level": _("Service level"),
    "working_days": _("Working week"),
    "destroy_within_days": _("Days within which spoiled blanks are destroyed"),
    "calendar": _("Calendar"),
    "stated_rate": _("Stated demand"),
    "clearing_rates": _("Clearing rate of the backlog"),
    "digital_shares": _("Share of digital identities"),
    "cap": _("Day cap"),
    "event": _("Event"),
    "outreach": _("Outreach"),
    "channel": _("Where messages go"),
}

VALUES: Mapping[str, Any] = {
    "stocktake": _("Stocktake"),
    "correction": _("Correction after a stocktake"),
    "day_difference": _("Difference at closing"),
    "coverage": _("Figures of coverage"),
    "not_let_in": _("name or password wrong, or shut out"),
    "not_allowed": _("the role does not allow it here"),
    "password": _("password"),
    "session": _("session"),
    "added": _("added"),
    "changed": _("changed"),
    "removed": _("removed"),
    "open": _("open"),
    "closed": _("closed"),
    **text.PROPOSAL_KINDS,
    **text.IMPORT_KINDS,
    **text.DOCUMENT_KINDS,
}

WAYS: Mapping[str, Any] = {
    "page": _("on a page"),
    "api": _("through the API"),
    "command": _("by a command on the server"),
    "job": _("by a scheduled job"),
}


def sentence(entry: EntryView) -> str:
    """What happened, in the reader's language. An event that this version does not know is told by its name."""
    said = SENTENCES.get(entry.event)
    if said is None:
        return f"{entry.event}: {entry.subject}"
    shown: defaultdict[str, str] = defaultdict(lambda: "–")
    shown.update({name: value(name, fact) for name, fact in entry.facts.items()})
    shown["subject"] = entry.subject or "–"
    return str(said) % shown


def details(entry: EntryView) -> list[tuple[str, str]]:
    """The facts that the sentence has not said yet, with their names."""
    said = str(SENTENCES.get(entry.event, ""))
    return [
        (str(FACTS.get(name, name)), value(name, fact))
        for name, fact in entry.facts.items()
        if f"%({name})s" not in said and fact not in (None, "", [])
    ]


def value(name: str, fact: object) -> str:
    """A fact as people read it."""
    if isinstance(fact, str) and re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", fact) and (read := _time_of(fact)):
        return read
    if isinstance(fact, list):
        return ", ".join(value(name, each) for each in fact) or "–"
    if isinstance(fact, bool):
        return str(_("yes") if fact else _("no"))
    if isinstance(fact, int):
        return str(fact) if name in ("id", "movement") else text.number(fact)
    known = {"table": TABLES, "setting": SETTINGS, "role": text.ROLES}.get(name, VALUES)
    return str(known.get(str(fact), fact))


def _time_of(fact: str) -> str:
    """A day or an instant as people write it; empty for what only begins like one."""
    try:
        instant = datetime.fromisoformat(fact)
    except ValueError:
        return ""
    return moment(instant) if instant.tzinfo else text.day(instant.date(), "medium")
