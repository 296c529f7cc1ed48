"""Lockout: a try is reserved in the database before a password is looked at, so that no number of processes, threads or
addresses together gets more of them than `inventory.domain.lockout` allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from inventory.db import db, in_batches, insert_or, write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import TooMany
from inventory.domain.lockout import ALLOWANCES, DEVICE_KEPT, DEVICE_TRIES, Counter, wait_after
from inventory.domain.sessions import digest
from inventory.models import KnownDevice, LogInTries, Person, TriedFrom
from inventory.services import audit, people

AT_ONCE = 1_000
VISITOR = Actor(person_id=None, name="")
FORGOTTEN_AFTER = timedelta(days=3)
"""Longer than any allowance remembers, its longest wait included."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    person_id: int
    password_hash: str | None
    active: bool


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """Tries that were taken, by counter: the key and which one it was. `device_id` instead, on a known device."""

    device_id: int | None = None
    counted: tuple[tuple[Counter, str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lock:
    since: datetime
    until: datetime
    addresses: int
    """How many networks the tries since then came from that were looked at."""


def credentials(email: str) -> Credentials | None:
    """What a password is held against; `email` as the edge normalised it. The same statement, found or not."""
    row = db.session.execute(
        select(Person.id, Person.password, Person.active)
        .where(func.lower(Person.email) == email.lower())
        .order_by(Person.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else Credentials(person_id=row.id, password_hash=row.password, active=row.active)


def reserve(
    now: datetime, *, account: str, address: str, device_key: str, person_id: int | None, actor: Actor = VISITOR
) -> Reserved:
    """Take a try at an account before its password is looked at. `account` and `address` are keys of
    `domain.lockout.key_of`, `device_key` what the browser carries. Raises TooMany `log_in_locked`, the same for
    accounts that do not exist. `actor` is whoever tries, as far as the audit is to say."""

    def work(session: Session) -> Reserved:
        device_id = session.scalar(
            update(KnownDevice)
            .where(KnownDevice.digest == digest(device_key), KnownDevice.person_id == (person_id or 0))
            .where(KnownDevice.wrong < DEVICE_TRIES, KnownDevice.used_at > now - DEVICE_KEPT)
            .values(wrong=KnownDevice.wrong + 1)
            .returning(KnownDevice.id)
        )
        if device_id is not None:
            return Reserved(device_id=device_id)
        # Always in this order, so that two never wait for each other.
        counted = tuple(
            (counter, key, _take(session, now, counter, key))
            for counter, key in ((Counter.ADDRESS, address), (Counter.ACCOUNT, account))
        )
        _note_address(session, now, account, address)
        _note_waits(session, now, actor, counted, person_id)
        return Reserved(counted=counted)

    return write(work)


def give_back(now: datetime, reserved: Reserved) -> None:
    """The password was right: the try does not count. Those of others do still."""
    write(lambda session: give_back_within(session, now, reserved))


def give_back_within(session: Session, now: datetime, reserved: Reserved) -> None:
    """`give_back` in the caller's transaction."""
    if reserved.device_id is not None:
        session.execute(update(KnownDevice).where(KnownDevice.id == reserved.device_id).values(wrong=0))
    for counter, key, number in reserved.counted:
        values: dict[str, Any] = {"tries": LogInTries.tries - 1}
        if wait_after(counter, number):
            # The wait that this very try began, and nobody else's, is over with it.
            values["free_at"] = case((LogInTries.tries == number, now), else_=LogInTries.free_at)
        this = (LogInTries.counter == counter.value, LogInTries.key == key, LogInTries.tries > 0)
        session.execute(update(LogInTries).where(*this).values(values))


def locked(actor: Actor, now: datetime, accounts: Mapping[int, str]) -> dict[int, Lock]:
    """Of these people, by id with the key of their account, those whom unknown devices cannot log in as at present.
    Those whom the actor does not manage are left out."""
    managed = people.managed_among(actor, accounts.keys())
    by_key = {key: person_id for person_id, key in accounts.items() if person_id in managed}
    found: dict[int, Lock] = {}
    for keys in in_batches(list(by_key), AT_ONCE):
        addresses = (
            select(func.count())
            .where(TriedFrom.account_key == LogInTries.key, TriedFrom.last_at >= LogInTries.first_at)
            .scalar_subquery()
        )
        rows = db.session.execute(
            select(LogInTries.key, LogInTries.last_at, LogInTries.free_at, addresses.label("addresses")).where(
                LogInTries.counter == Counter.ACCOUNT.value, LogInTries.key.in_(keys), LogInTries.free_at > now
            )
        )
        found |= {by_key[row.key]: Lock(since=row.last_at, until=row.free_at, addresses=row.addresses) for row in rows}
    return found


def lift(actor: Actor, now: datetime, person_id: int, account: str) -> None:
    """Let unknown devices try again at once. Raises NotFound for a person whom the actor does not manage."""
    person = people.get(actor, person_id)

    def work(session: Session) -> None:
        session.execute(
            delete(LogInTries).where(LogInTries.counter == Counter.ACCOUNT.value, LogInTries.key == account)
        )
        session.execute(delete(TriedFrom).where(TriedFrom.account_key == account))
        audit.note(session, now, actor, Event.UNLOCKED, subject=person.full_name, about_id=person_id)

    write(work)


def clear_away(now: datetime, limit: int = AT_ONCE) -> int:
    """Delete some of what is forgotten anyhow; how many rows went. Safe from any number of processes at once."""
    old = now - FORGOTTEN_AFTER

    def work(session: Session) -> int:
        gone = 0
        for table, which in (
            (LogInTries, and_(LogInTries.last_at < old, LogInTries.free_at < old)),
            (TriedFrom, TriedFrom.last_at < old),
            (KnownDevice, KnownDevice.used_at < now - DEVICE_KEPT),
        ):
            key = [column.name for column in table.__table__.primary_key]
            some = select(*(getattr(table, name) for name in key)).where(which).limit(limit)
            for row in session.execute(some.with_for_update(skip_locked=True)).all():
                same = (getattr(table, name) == value for name, value in zip(key, row, strict=True))
                session.execute(delete(table).where(*same))
                gone += 1
        return gone

    return write(work)


def _take(session: Session, now: datetime, counter: Counter, key: str) -> int:
    """One more try, or TooMany; which one it is since they were last forgotten.

    The row is inserted or updated only where a try is free, by one statement that waits for whoever is at it, and it
    stays locked until the transaction ends.
    """
    table = LogInTries
    forgotten = now - ALLOWANCES[counter].forgotten_after
    quiet = and_(table.last_at <= forgotten, table.free_at <= forgotten)
    first = {"counter": counter.value, "key": key, "tries": 1, "first_at": now, "last_at": now, "free_at": now}
    statement = insert_or(session, table.__table__).values(first)
    statement = statement.on_conflict_do_update(
        index_elements=["counter", "key"],
        set_={
            "tries": case((quiet, 1), else_=table.tries + 1),
            "first_at": case((quiet, now), else_=table.first_at),
            "last_at": now,
        },
        # A wait that would last longer than any began on a clock that was ahead.
        where=or_(table.free_at <= now, table.free_at > now + ALLOWANCES[counter].longest_wait),
    ).returning(table.tries)
    tries = session.execute(statement).scalar_one_or_none()
    this = (table.counter == counter.value, table.key == key)
    if tries is None:
        free_at = session.scalar(select(table.free_at).where(*this)) or now
        seconds = max(ceil((free_at - now).total_seconds()), 1)
        raise TooMany("log_in_locked", seconds=seconds, minutes=ceil(seconds / 60))
    if wait := wait_after(counter, tries):
        session.execute(update(table).where(*this).values(free_at=now + wait))
    return tries


def _note_waits(
    session: Session, now: datetime, actor: Actor, counted: tuple[tuple[Counter, str, int], ...], person_id: int | None
) -> None:
    """The try that begins a wait is written into the audit, and not each one that is refused then: those anybody could
    make without end."""
    for counter, _key, number in counted:
        if wait := wait_after(counter, number):
            facts = {"attempts": number, "how": counter.value, "until": (now + wait).isoformat(timespec="seconds")}
            about_id = person_id if counter is Counter.ACCOUNT else None
            audit.note(session, now, actor, Event.LOCKED, facts=facts, about_id=about_id)


def _note_address(session: Session, now: datetime, account: str, address: str) -> None:
    statement = insert_or(session, TriedFrom.__table__).values(account_key=account, address_key=address, last_at=now)
    session.execute(
        statement.on_conflict_do_update(index_elements=["account_key", "address_key"], set_={"last_at": now})
    )
