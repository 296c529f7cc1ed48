"""Verification: recompute what the books say from the movements, and name the first row that is wrong.

It reports and never repairs: a discrepancy in a security document's books is for people to explain. The checks stand
each under the noun that it looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inventory.db import db, on_postgresql
from inventory.domain.access import JOB, Action, Actor, may_somewhere
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import Schedule
from inventory.models import AuditEntry, Balance, Movement
from inventory.services import runs, seals
from inventory.services.runs import RunView
from inventory.services.verification import (
    chain,
    deliveries,
    documents,
    drafts,
    ledger,
    numbers,
    proposals,
    stocktakes,
    transfers,
)
from inventory.services.verification.faults import Fault as Fault

VERIFICATION = "verification"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was checked. `faults` holds the first wrong row of each check that failed; none means all is well."""

    movements: int
    balances: int
    audit_entries: int
    seals: int
    head: str | None
    faults: tuple[Fault, ...]


def verify(actor: Actor, known_head: str | None = None) -> Verified:
    """Check sequence, reversals, daily totals, balances, law, past closings, every kind of document, what needs a
    second person, number ranges, drafts of allotment plans, documents as they were issued, the audit, and the chain
    of seals.

    `known_head` is a seal's digest that was kept elsewhere: it must stand in the chain. Reads only.
    Raises NotAllowed.
    """
    if not may_somewhere(actor, Action.VIEW_JOBS):
        raise NotAllowed("not_allowed", action=Action.VIEW_JOBS.value)
    session = _snapshot()
    found = [next(check(session), None) for check in CHECKS]
    found.append(next(chain.unbroken(session, known_head), None))
    head = seals.head()
    verified = Verified(
        movements=session.scalar(select(func.count()).select_from(Movement)) or 0,
        balances=session.scalar(select(func.count()).select_from(Balance)) or 0,
        audit_entries=session.scalar(select(func.count()).select_from(AuditEntry)) or 0,
        seals=len(seals.chain()),
        head=head.digest if head else None,
        faults=tuple(fault for fault in found if fault),
    )
    session.rollback()
    return verified


def verify_slot(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
    """The scheduled verification of one slot; None when the slot is taken. See `runs.run_slot`.

    The books are read before the run is written down: nobody waits for a check of years of movements.
    """
    found = verify(JOB)
    counts: dict[str, Any] = {
        "movements": found.movements,
        "balances": found.balances,
        "audit_entries": found.audit_entries,
        "seals": found.seals,
        "faults": len(found.faults),
        "head": found.head,
        "found": [asdict(fault) for fault in found.faults],
    }
    return runs.run_slot(VERIFICATION, slot, schedule, clock, worker, lambda _session, _run: counts)


def last_runs(actor: Actor) -> tuple[RunView | None, RunView | None]:
    """The last scheduled verification, and the last one that found nothing wrong. Raises NotAllowed."""
    found = runs.latest_of(actor, VERIFICATION, limit=400)
    done = [run for run in found if run.status == "done"]
    return next(iter(done), None), next((run for run in done if not run.counts.get("faults")), None)


def _snapshot() -> Session:
    """A session that reads one moment of the database from its first query to its last."""
    session: Session = db.session()
    session.rollback()
    if on_postgresql():
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    return session


CHECKS: tuple[Callable[[Session], Iterator[Fault]], ...] = (
    ledger.sequence,
    ledger.reversals,
    ledger.daily_totals,
    ledger.unbalanced,
    ledger.balances,
    ledger.closings,
    transfers.booked,
    proposals.second_person,
    proposals.destructions,
    deliveries.deliveries,
    deliveries.requests,
    stocktakes.booked,
    numbers.sums,
    numbers.reversals,
    numbers.places,
    numbers.balances,
    drafts.sent,
    drafts.planned,
    documents.contents,
    documents.numbers,
    chain.entries,
)
"""Each yields its faults in a fixed order, and only the first is asked for."""
