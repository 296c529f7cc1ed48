"""The chain of seals, and the audit that it holds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from inventory.domain import audit
from inventory.domain.seals import GENESIS
from inventory.models import AuditEntry
from inventory.services import seals
from inventory.services.seals import SealView
from inventory.services.verification.faults import Fault


def unbroken(session: Session, known_head: str | None) -> Iterator[Fault]:
    """Every seal follows the one before and still fits what it holds; a head kept elsewhere stands in the chain."""
    previous, next_id, next_audit_id = GENESIS, 1, 1
    seen = known_head is None
    for link in seals.chain():
        name = f"seal {link.id} ({_range(link)})"
        if link.previous != previous or link.first_id not in (None, next_id):
            yield Fault(check="seals", row=name, what="it does not follow the seal before")
        elif link.first_audit_id not in (None, next_audit_id):
            yield Fault(check="seals", row=name, what="its audit entries do not follow those of the seals before")
        else:
            yield from _unfit(session, link, name)
        previous = link.digest
        next_id, next_audit_id = (link.last_id or next_id - 1) + 1, (link.last_audit_id or next_audit_id - 1) + 1
        seen = seen or link.digest == known_head
    if not seen:
        yield Fault(check="seals", row=f"head {known_head}", what="it is not in the chain")


def entries(session: Session) -> Iterator[Fault]:
    """Every audit entry still says what its own digest says, those that no seal holds yet as well."""
    for entry in seals.sealed_entries(session, 1, None):
        if audit.digest(entry) != entry["digest"]:
            yield Fault(check="audit", row=f"audit entry {entry['id']} ({entry['event']})", what="it was changed")


def _unfit(session: Session, link: SealView, name: str) -> Iterator[Fault]:
    digest, movements, entries = seals.digest_of(session, link)
    if movements != link.movements:
        what = f"{movements} movements of {link.movements} are there, or one of them was changed"
        yield Fault(check="seals", row=name, what=what)
    elif entries != link.audit_entries:
        what = f"{entries} audit entries of {link.audit_entries} are there{_first_gap(session, link)}"
        yield Fault(check="seals", row=name, what=what)
    elif digest != link.digest:
        counts = f"{movements} movements of {link.movements}"
        if link.audit_entries:
            counts += f" and {entries} audit entries of {link.audit_entries}"
        yield Fault(check="seals", row=name, what=f"{counts} are there, or one of them was changed")


def _first_gap(session: Session, link: SealView) -> str:
    """The first number without an entry. PostgreSQL leaves one out now and then, where a transaction was given up."""
    expected, last = link.first_audit_id or 0, link.last_audit_id or 0
    ids = select(AuditEntry.id).where(AuditEntry.id.between(expected, last))
    for found in session.scalars(ids.order_by(AuditEntry.id)):
        if found != expected:
            break
        expected += 1
    return f"; the first number without one is {expected}" if expected <= last else ""


def _range(link: SealView) -> str:
    parts = []
    if link.movements:
        parts.append(f"movements {link.first_id} to {link.last_id}")
    if link.audit_entries:
        parts.append(f"audit entries {link.first_audit_id} to {link.last_audit_id}")
    return ", ".join(parts)
