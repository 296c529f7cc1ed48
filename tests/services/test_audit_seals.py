"""The audit in the chain of seals: what is changed, removed, put in or exchanged is found, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Actor, Origin
from inventory.domain.audit import Event
from inventory.domain.seals import GENESIS
from inventory.domain.seals import seal as digest_of
from inventory.models import AuditEntry, Movement, Seal
from inventory.services import audit, seals, verification
from tests.concurrent import meanwhile
from tests.conftest import NOW, TODAY
from tests.services.test_verification import write_past_the_ledger
from tests.world import World

_instants = iter(range(10_000))
BY_HAND = Actor(None, "uji", origin=Origin("command"))


def make_seal() -> seals.SealView | None:
    at = NOW + timedelta(seconds=next(_instants))
    assert seals.seal_now(SYSTEM, lambda: at, "test").status == "done"
    return seals.head()


def enter(*subjects: str) -> list[int]:
    """Entries one after the other; their ids."""
    for subject in subjects:
        audit.record(NOW, BY_HAND, Event.EXPORTED, subject=subject, facts={"rows": 1})
    db.session.rollback()
    return [db.session.scalars(select(AuditEntry.id).where(AuditEntry.subject == each)).one() for each in subjects]


def fill(world: World) -> None:
    """Movements and entries under two seals, and an entry that none holds yet."""
    world.deliver(NOW, TODAY, 100)
    enter("first", "second")
    make_seal()
    world.print(NOW, TODAY, 10)
    enter("third", "fourth", "fifth", "sixth")
    make_seal()
    enter("not sealed yet")


def faults() -> list[tuple[str, str, str]]:
    return [(fault.check, fault.row, fault.what) for fault in verification.verify(SYSTEM).faults]


def id_of(subject: str) -> int:
    return db.session.scalars(select(AuditEntry.id).where(AuditEntry.subject == subject)).one()


@pytest.mark.filled(by=fill)
def test_an_audit_that_was_only_added_to_agrees(world: World) -> None:
    assert faults() == []
    found = verification.verify(SYSTEM)
    assert (found.seals, found.audit_entries) == (2, max(db.session.scalars(select(AuditEntry.id))))
    first, second = seals.chain()
    assert (first.first_id, first.last_id, first.movements) == (1, 1, 1)
    assert (second.first_id, second.last_id, second.movements) == (2, 2, 1)
    assert second.first_audit_id == (first.last_audit_id or 0) + 1
    assert second.last_audit_id == id_of("sixth")


@pytest.mark.filled(by=fill)
@pytest.mark.parametrize(
    ("subject", "change"),
    [
        ("first", "subject = 'other'"),
        ("fourth", "facts = '{}'"),
        ("fourth", "actor_name = 'Nobody'"),
        ("not sealed yet", "address = '10.9.9.9'"),
        ("not sealed yet", "event = 'imported'"),
    ],
)
def test_the_entry_that_was_changed_is_named(world: World, subject: str, change: str) -> None:
    entry_id = id_of(subject)
    write_past_the_ledger(world.app, f"UPDATE audit_entries SET {change} WHERE id = {entry_id}")
    checks = {check: (row, what) for check, row, what in faults()}
    row, what = checks["audit"]
    assert row.startswith(f"audit entry {entry_id} ")
    assert what == "it was changed"
    assert ("seals" in checks) == (subject != "not sealed yet")


@pytest.mark.filled(by=fill)
def test_an_entry_changed_with_its_own_digest_breaks_the_seal(world: World) -> None:
    forged = db.session.get_one(AuditEntry, id_of("fourth"))
    figures = {name: getattr(forged, name) for name in verification.chain.audit.SEALED} | {"subject": "forged"}
    digest = verification.chain.audit.digest(figures)
    write_past_the_ledger(
        world.app, f"UPDATE audit_entries SET subject = 'forged', digest = '{digest}' WHERE subject = 'fourth'"
    )
    [(check, row, what)] = faults()
    assert check == "seals"
    assert row.startswith("seal 2 ")
    assert what.endswith("or one of them was changed")


@pytest.mark.filled(by=fill)
def test_the_first_entry_that_is_missing_is_named(world: World) -> None:
    entry_id = id_of("fourth")
    write_past_the_ledger(world.app, "DELETE FROM audit_entries WHERE subject IN ('fourth', 'fifth')")
    [(check, row, what)] = faults()
    assert (check, row.split(" (")[0]) == ("seals", "seal 2")
    assert what == f"2 audit entries of 4 are there; the first number without one is {entry_id}"


@pytest.mark.filled(by=fill)
def test_an_entry_put_in_is_found(world: World) -> None:
    third = id_of("third")
    write_past_the_ledger(
        world.app,
        "DELETE FROM audit_entries WHERE subject = 'third'",
        "INSERT INTO audit_entries (id, at, event, actor_name, way, address, request_id, subject, facts, digest)"
        f" SELECT {third}, at, event, actor_name, way, address, request_id, 'put in', facts, digest"
        " FROM audit_entries WHERE subject = 'fifth'",
    )
    assert {check for check, *_ in faults()} == {"audit", "seals"}


@pytest.mark.filled(by=fill)
def test_entries_that_changed_places_are_found(world: World) -> None:
    fourth, fifth = id_of("fourth"), id_of("fifth")
    write_past_the_ledger(
        world.app,
        f"UPDATE audit_entries SET id = -1 WHERE id = {fourth}",
        f"UPDATE audit_entries SET id = {fourth} WHERE id = {fifth}",
        f"UPDATE audit_entries SET id = {fifth} WHERE id = -1",
    )
    assert [check for check, *_ in faults()] == ["seals"]


@pytest.mark.filled(by=fill)
def test_a_seal_taken_out_of_the_audit_breaks_the_chain(world: World) -> None:
    write_past_the_ledger(world.app, "UPDATE seals SET first_audit_id = first_audit_id + 1 WHERE id = 2")
    assert faults()[-1][2] == "its audit entries do not follow those of the seals before"


def test_a_seal_may_hold_nothing_but_audit(world: World) -> None:
    enter("alone")
    head = make_seal()
    assert head is not None
    assert (head.first_id, head.last_id, head.movements) == (None, None, 0)
    assert head.last_audit_id == id_of("alone")
    world.deliver(NOW, TODAY, 10)
    after = make_seal()
    assert after is not None
    assert (after.first_id, after.movements) == (1, 1)
    assert faults() == []
    write_past_the_ledger(world.app, "UPDATE audit_entries SET subject = 'other' WHERE subject = 'alone'")
    assert {check for check, *_ in faults()} == {"audit", "seals"}


def test_a_seal_made_before_there_was_an_audit_stays_valid(world: World) -> None:
    """As an installation has it that kept its books before: a seal of movements only, then one of both."""
    world.deliver(NOW, TODAY, 10)
    db.session.rollback()
    movements = list(seals.sealed_rows(db.session(), 1, None))
    digest, count, entries = digest_of(GENESIS, movements)
    assert (count, entries) == (1, 0)
    old = {"first_id": 1, "last_id": 1, "movements": 1, "previous": GENESIS, "digest": digest, "sealed_at": NOW}
    write(lambda session: session.add(Seal(**old)))
    enter("the first one")
    head = make_seal()
    assert head is not None
    assert (head.previous, head.movements, head.first_audit_id) == (digest, 0, 1)
    assert faults() == []


BAD = [
    {"movements": 0},
    {"first_id": None},
    {"last_id": 0},
    {"movements": 0, "first_id": None, "last_id": None},
    {"audit_entries": 1},
    {"first_audit_id": 1, "last_audit_id": 1},
    {"audit_entries": 1, "first_audit_id": 1},
    {"audit_entries": 1, "first_audit_id": 2, "last_audit_id": 1},
]


@pytest.mark.parametrize("change", BAD)
def test_the_database_takes_no_seal_that_cannot_be(world: World, change: dict[str, Any]) -> None:
    good = {"first_id": 1, "last_id": 3, "movements": 3, "previous": GENESIS, "digest": "a" * 64, "sealed_at": NOW}
    with pytest.raises(IntegrityError):
        write(lambda session: session.add(Seal(**good | change)))


# --- what is still being written ---------------------------------------------------------------------------------


def test_a_seal_waits_for_a_posting_and_holds_it(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        world.deliver(NOW, TODAY, 100)
        # With its document: alone it would be one statement, and nothing comes after that in its transaction.
        with meanwhile(crowded_app, make_seal, after="INSERT INTO movements") as happened:
            world.deliver(NOW, TODAY, 5)
        assert happened.is_set()
        newest = max(db.session.scalars(select(Movement.id)))
        head = seals.head()
        assert head is not None
        assert (head.last_id, head.movements) == (newest, newest)
        assert faults() == []


def test_a_seal_waits_for_an_entry_and_holds_it(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        enter("before")

        def slow(session: Any) -> None:
            audit.note(session, NOW, BY_HAND, Event.APPROVED, subject="slow")
            session.execute(text("SELECT 1"))

        with meanwhile(crowded_app, make_seal, after="INSERT INTO audit_entries") as happened:
            write(slow)
        assert happened.is_set()
        head = seals.head()
        assert head is not None
        assert head.last_audit_id == id_of("slow")
        assert faults() == []


def test_nothing_is_written_below_a_seal_that_is_being_made(crowded_app: Flask) -> None:
    """An entry that begins while the seal reads comes after it."""
    with crowded_app.app_context():
        enter("before")
        with meanwhile(crowded_app, lambda: enter("late"), after="FROM audit_entries") as happened:
            head = make_seal()
        assert happened.is_set()
        assert head is not None
        assert head.last_audit_id == id_of("before")
        assert id_of("late") > id_of("before")
        assert make_seal() != head
        assert faults() == []


def test_a_seal_that_waits_holds_nobody_up(crowded_app: Flask) -> None:
    """While an import is under way and the seal waits for it, others write."""
    if crowded_app.config["SETTINGS"].DATABASE_URL.startswith("sqlite"):
        pytest.skip("SQLite lets one write at a time")
    with crowded_app.app_context():
        enter("before")
        sealing = threading.Thread(target=lambda: _in_context(crowded_app, make_seal), daemon=True)

        def slow(session: Any) -> None:
            audit.note(session, NOW, BY_HAND, Event.IMPORTED, subject="slow")
            sealing.start()
            sealing.join(0.3)
            audit.record(NOW, BY_HAND, Event.LOGGED_IN, subject="not held up")
            assert sealing.is_alive(), "it waits on, and this did not wait for it"

        write(slow)
        sealing.join(30)
        db.session.rollback()
        head = seals.head()
        assert head is not None
        assert head.last_audit_id == id_of("not held up") > id_of("slow")
        assert faults() == []


def test_a_seal_stands_in_line_in_the_end(crowded_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory.db.ASKED_POLITELY", 1)
    with crowded_app.app_context():
        enter("before")
        with meanwhile(crowded_app, make_seal, after="INSERT INTO audit_entries") as happened:
            write(lambda session: audit.note(session, NOW, BY_HAND, Event.APPROVED, subject="slow"))
        assert happened.is_set()
        assert faults() == []
        assert seals.chain()[0].last_audit_id == id_of("slow")


def _in_context(app: Flask, work: Any) -> None:
    with app.app_context():
        work()
