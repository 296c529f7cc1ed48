"""The audit: what is written stands with the act, cannot be changed, and is seen by those in whose reach it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Origin, Role, reach
from inventory.domain.audit import MASK, SEALED, Event, digest, read_facts
from inventory.domain.boards import Choice
from inventory.domain.errors import NotAllowed, Refusal
from inventory.domain.stocktakes import Counted
from inventory.models import AuditEntry, Office, Person
from inventory.services import (
    audit,
    audit_trail,
    boards,
    closings,
    destructions,
    exports,
    ledger,
    offices,
    people,
    proposals,
    reversals,
    stocktakes,
)
from tests.concurrent import at_once, done
from tests.conftest import NOW, TODAY
from tests.services.test_self_approval import machine_of
from tests.world import BADUNG, BLANK, DENPASAR, PEOPLE, World

ORIGIN = Origin(way="page", address="10.1.2.3", request_id="4f9d2c7a")
NIK = "5171014507850001"


def entries(*events: Event) -> list[AuditEntry]:
    """All entries in their order, of these kinds where some are given."""
    db.session.rollback()
    query = select(AuditEntry).order_by(AuditEntry.id)
    return list(db.session.scalars(query.where(AuditEntry.event.in_(events)) if events else query))


def only(event: Event) -> AuditEntry:
    [found] = entries(event)
    return found


def office_id(code: str) -> int:
    return db.session.scalars(select(Office.id).where(Office.code == code)).one()


def person_id(name: str) -> int:
    return db.session.scalars(select(Person.id).where(Person.email == PEOPLE[name][0])).one()


def acting(world: World, name: str) -> Actor:
    return replace(world.actor(name), origin=ORIGIN)


def test_an_entry_says_who_did_what_from_where_and_when(world: World) -> None:
    actor = acting(world, "manager")
    audit.record(
        NOW,
        actor,
        Event.EXPORTED,
        office_id=office_id(DENPASAR),
        subject="movements",
        facts={"rows": 12, "table": "movements"},
        about_id=person_id("storekeeper"),
    )
    found = only(Event.EXPORTED)
    assert (found.at, found.person_id, found.actor_name) == (NOW, actor.person_id, "Manager")
    assert (found.way, found.address, found.request_id) == ("page", "10.1.2.3", "4f9d2c7a")
    assert (found.office_id, found.subject) == (office_id(DENPASAR), "movements")
    assert read_facts(found.facts) == {"rows": 12, "table": "movements"}
    assert found.about_id == person_id("storekeeper")
    assert found.digest == digest({name: getattr(found, name) for name in SEALED})


def test_a_name_stays_as_it_was_when_it_happened(world: World) -> None:
    audit.record(NOW, acting(world, "manager"), Event.LOGGED_IN)
    write(lambda session: session.execute(update(Person).values(full_name="Somebody else")))
    assert only(Event.LOGGED_IN).actor_name == "Manager"


def test_what_is_noted_stands_and_falls_with_the_act(world: World) -> None:
    actor = acting(world, "manager")

    def refused(session: Any) -> None:
        audit.note(session, NOW, actor, Event.APPROVED)
        raise Refusal("already_decided")

    with pytest.raises(Refusal):
        write(refused)
    assert entries(Event.APPROVED) == []
    write(lambda session: audit.note(session, NOW, actor, Event.APPROVED))
    assert len(entries(Event.APPROVED)) == 1


def test_what_is_recorded_leaves_the_session_of_the_request_alone(world: World) -> None:
    actor = acting(world, "manager")
    person = db.session.get_one(Person, person_id("storekeeper"))
    person.full_name = "Not yet saved"
    audit.record(NOW, actor, Event.LOG_IN_REFUSED)
    assert person.full_name == "Not yet saved"
    assert person in db.session.dirty
    assert len(entries(Event.LOG_IN_REFUSED)) == 1  # (which lets go of what was not saved)


def test_secrets_and_residents_numbers_are_masked_in_an_installation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "STRICT", False)
    facts = {"password": "hunter2", "reason": f"NIK {NIK}", "name": "$argon2id$v=19$m=1,t=1,p=1$abc$def"}
    audit.record(NOW, acting(world, "manager"), Event.LOGGED_IN, subject=f"kartu {NIK}\nand a line", facts=facts)
    found = only(Event.LOGGED_IN)
    assert read_facts(found.facts) == {"reason": f"NIK {MASK}", "name": MASK}
    assert found.subject == f"kartu {MASK} and a line"


@pytest.mark.parametrize("facts", [{"password": "hunter2"}, {"reason": NIK}, {"rows": 3}])
def test_a_program_that_passes_them_fails_its_tests(world: World, facts: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        audit.record(NOW, acting(world, "manager"), Event.LOGGED_IN, facts=facts)


def test_text_that_no_database_keeps_is_made_fit(world: World) -> None:
    actor = Actor(None, "x\x00y" + "z" * 300, origin=Origin("page", "a" * 300, "r\n" * 300))
    audit.record(NOW, actor, Event.LOG_IN_REFUSED, subject="a\x00b" * 400)
    found = only(Event.LOG_IN_REFUSED)
    assert (len(found.actor_name), len(found.address), len(found.subject)) == (120, 64, 200)
    assert "\n" not in found.request_id


CHANGES = {
    "sqlite": [
        "UPDATE audit_entries SET subject = 'x'",
        "DELETE FROM audit_entries",
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries",
        "UPDATE OR REPLACE audit_entries SET id = 2",
    ],
    "postgresql": [
        "UPDATE audit_entries SET subject = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "TRUNCATE people CASCADE",
        "INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (id) DO UPDATE SET subject = 'x'",
    ],
}


def test_the_database_refuses_to_change_an_entry(world: World) -> None:
    audit.record(NOW, acting(world, "manager"), Event.LOGGED_IN)
    before = [(entry.id, entry.subject) for entry in entries()]
    for statement in CHANGES[db.engine.dialect.name]:
        with pytest.raises(DBAPIError, match="append-only"):
            db.session.execute(text(statement))
        db.session.rollback()
    assert [(entry.id, entry.subject) for entry in entries()] == before


def test_many_write_at_once_and_none_is_lost(crowded_app: Any) -> None:
    with crowded_app.app_context():
        actor = acting(World(crowded_app), "manager")
        calls = [lambda n=n: audit.record(NOW, actor, Event.LOGGED_IN, subject=str(n)) for n in range(12)]
        assert len(done(at_once(crowded_app, calls))) == 12
        assert sorted(entry.subject for entry in entries(Event.LOGGED_IN)) == sorted(map(str, range(12)))


# --- who sees what -----------------------------------------------------------------------------------------------


def seen_by(*grants: Grant) -> set[str]:
    db.session.rollback()
    allowed = reach(Actor(None, "Uji", grants), Action.VIEW_AUDIT)
    query = select(AuditEntry.subject).where(audit_trail.visible(allowed), AuditEntry.event == Event.LOGGED_IN.value)
    return set(db.session.scalars(query))


def test_entries_are_seen_within_reach(world: World) -> None:
    nobody = Actor(None, "")
    for subject, actor, where, about in (
        ("at Denpasar", world.storekeeper, DENPASAR, None),
        ("at Badung by Denpasar", world.storekeeper, BADUNG, None),
        ("by Denpasar", world.storekeeper, None, None),
        ("about Denpasar", nobody, None, person_id("storekeeper")),
        ("by Badung", world.actor("other_storekeeper"), None, None),
        ("by a machine at Denpasar", machine_of(SYSTEM, SYSTEM), None, None),
        ("by the province", world.actor("regional"), None, None),
        ("by nobody", nobody, None, None),
    ):
        place = office_id(where) if where else None
        audit.record(NOW, actor, Event.LOGGED_IN, office_id=place, subject=subject, about_id=about)
    denpasar = {"at Denpasar", "by Denpasar", "about Denpasar", "by a machine at Denpasar"}
    bali = denpasar | {"at Badung by Denpasar", "by Badung", "by the province"}
    assert seen_by(Grant(Role.MANAGER, "00/51/51.71/")) == denpasar
    assert seen_by(Grant(Role.MANAGER, "00/51/51.03/")) == {"at Badung by Denpasar", "by Badung"}
    assert seen_by(Grant(Role.ADMINISTRATOR, "00/51/")) == bali
    assert seen_by(Grant(Role.ADMINISTRATOR, "00/")) == bali | {"by nobody"}
    assert seen_by(Grant(Role.MANAGER, "00/16/16.09/")) == set()
    assert seen_by(Grant(Role.STOREKEEPER, "00/51/51.71/"), Grant(Role.VIEWER, "00/")) == set()


# --- what is written where it happens ----------------------------------------------------------------------------


def facts_of(event: Event) -> list[dict[str, object]]:
    return [read_facts(entry.facts) for entry in entries(event)]


def test_a_decision_is_written_with_its_effect_and_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.spoil(NOW, TODAY, 5)
    manager, made = acting(world, "manager"), world.propose_destruction(NOW, TODAY, 2)
    request = uuid4()
    for _ in range(2):
        destructions.approve(manager, NOW, request, made)
    found = only(Event.APPROVED)
    assert (found.person_id, found.office_id, found.address) == (manager.person_id, office_id(DENPASAR), "10.1.2.3")
    assert facts_of(Event.APPROVED) == [{"kind": "destruction", "id": made, "proposed_by": "Storekeeper"}]
    other = world.propose_destruction(NOW, TODAY, 1)
    proposals.reject(manager, NOW, other, "counted twice")
    assert facts_of(Event.DECLINED) == [{"kind": "destruction", "id": other, "proposed_by": "Storekeeper"}]
    third = world.propose_destruction(NOW, TODAY, 1)
    proposals.withdraw(world.storekeeper, NOW, third, "mine")
    assert len(entries(Event.DECLINED)) == 1


def test_a_decision_that_fails_leaves_no_entry(world: World) -> None:
    receipt = world.deliver(NOW, TODAY, 100).movements[0]
    asked = reversals.ask(world.storekeeper, NOW, uuid4(), receipt.id, "typed twice")
    world.print(NOW, TODAY, 60)
    with pytest.raises(Refusal, match="not_enough_stock"):
        reversals.approve(acting(world, "manager"), NOW, uuid4(), asked)
    assert entries(Event.APPROVED) == []


def test_a_count_approved_corrected_and_given_up_is_written(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    for enter in (stocktakes.count, stocktakes.recount):
        enter(world.storekeeper, NOW, uuid4(), stocktake_id, {BLANK: Counted(quantity=98)})
    stocktakes.approve(acting(world, "manager"), NOW, uuid4(), stocktake_id, {BLANK: -2})
    assert facts_of(Event.APPROVED) == [{"kind": "stocktake", "id": stocktake_id, "item": [f"{BLANK} -2"]}]
    again = world.stocktake(NOW)
    for enter in (stocktakes.count, stocktakes.recount):
        enter(world.storekeeper, NOW, uuid4(), again, {BLANK: Counted(quantity=90)})
    stocktakes.cancel(acting(world, "manager"), NOW, again, "counted in the dark")
    assert facts_of(Event.DECLINED) == [{"kind": "stocktake", "id": again, "item": []}]


def test_a_days_difference_that_is_cleared_is_written_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 99}, {BLANK: 0})
    [waiting] = closings.open_exceptions(world.actor("manager"))
    request = uuid4()
    for _ in range(2):
        closings.clear(acting(world, "manager"), NOW, request, waiting.id, "one fell behind the cupboard")
    [facts] = facts_of(Event.APPROVED)
    assert facts == {"kind": "day_difference", "id": waiting.id, "day": TODAY.isoformat(), "item": BLANK}


def test_a_reversal_is_written_with_what_it_takes_back(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    printed = world.print(NOW, TODAY, 7).movements[0]
    request = uuid4()
    for _ in range(2):
        ledger.reverse(acting(world, "storekeeper"), NOW, request, printed.id, "typed twice")
    assert facts_of(Event.REVERSED) == [
        {
            "movement": printed.id,
            "kind": "print",
            "reason": "new",
            "quantity": 7,
            "item": BLANK,
            "day": TODAY.isoformat(),
        }
    ]


def test_what_was_set_is_written_with_what_it_was_before(world: World) -> None:
    administrator = acting(world, "administrator")
    before = offices.get(administrator, Action.MANAGE_OFFICES, DENPASAR).settings
    offices.change_settings(administrator, NOW, DENPASAR, replace(before, lead_time_days=9))
    offices.add_calendar_day(administrator, NOW, DENPASAR, TODAY, open_=False, name="Banjir")
    world.cap(NOW, TODAY, 50)
    facts = facts_of(Event.SETTING_CHANGED)
    assert facts[0] == {"setting": "lead_time_days", "before": str(before.lead_time_days), "after": "9"}
    assert facts[1] == {"setting": "calendar", "day": TODAY.isoformat(), "after": "closed", "name": "Banjir"}
    assert facts[2] == {"setting": "cap", "id": 1, "after": "added"}
    assert len(facts) == 3


def test_a_board_that_is_switched_on_is_written(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    boards.choose(acting(world, "manager"), NOW, uuid4(), DENPASAR, Choice(on=True, item_codes=(BLANK,)), 0)
    [facts] = facts_of(Event.BOARD_CHANGED)
    assert (facts["on"], facts["items"]) == (True, [BLANK])


def test_people_are_written_with_who_they_are_and_whom_it_is_about(world: World) -> None:
    administrator, shut_out = acting(world, "administrator"), person_id("storekeeper")
    people.set_active(administrator, NOW, shut_out, False)
    people.set_active(administrator, NOW, shut_out, True)
    for event in (Event.PERSON_DISABLED, Event.PERSON_ENABLED):
        found = only(event)
        assert (found.about_id, found.subject, found.office_id) == (shut_out, "Storekeeper", office_id(DENPASAR))
    added = entries(Event.PERSON_ADDED)
    assert {entry.about_id for entry in added} == {person_id(name) for name in PEOPLE}


def test_what_leaves_the_house_is_written_before_it_leaves(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    manager = acting(world, "manager")
    exports.take_out(manager, NOW, "movements", DENPASAR, TODAY, TODAY, format="xlsx")
    assert facts_of(Event.EXPORTED) == [
        {
            "table": "movements",
            "format": "xlsx",
            "rows": 1,
            "since": TODAY.isoformat(),
            "until": TODAY.isoformat(),
        }
    ]
    with pytest.raises(NotAllowed):
        exports.take_out(world.actor("storekeeper"), NOW, "people")
    assert len(entries(Event.EXPORTED)) == 1


def test_refusals_are_bounded_for_each_and_for_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, nobody = acting(world, "manager"), Actor(None, "", origin=ORIGIN)
    told = [audit.record_refusal(NOW, manager, Event.REFUSED) for _ in range(audit.MOST_A_MINUTE + 5)]
    assert told == [True] * audit.MOST_A_MINUTE + [False] * 5
    assert len(entries(Event.REFUSED)) == audit.MOST_A_MINUTE + 1
    assert facts_of(Event.REFUSED)[-1] == {"reason": "more_left_out"}
    assert audit.record_refusal(NOW, nobody, Event.REFUSED)
    assert audit.record_refusal(NOW, nobody, Event.LOG_IN_REFUSED, about_id=person_id("manager"))
    assert audit.record_refusal(NOW + timedelta(seconds=61), manager, Event.REFUSED)
    # A flood from nobody, one network or all of them, hides neither what people do nor who tries at an account.
    for number in range(audit.MOST_A_MINUTE + 5):
        near = Actor(None, "", origin=Origin("page", f"2001:db8::{number:x}", "r"))
        audit.record_refusal(NOW, near, Event.LOG_IN_REFUSED)
    assert (
        len([each for each in entries(Event.LOG_IN_REFUSED) if each.address[:4] == "2001"]) == audit.MOST_A_MINUTE + 1
    )
    monkeypatch.setattr(audit, "MOST_OF_ALL", audit.MOST_A_MINUTE + 1)
    assert not audit.record_refusal(NOW, nobody, Event.LOG_IN_REFUSED)
    assert audit.record_refusal(NOW, nobody, Event.LOG_IN_REFUSED, about_id=person_id("storekeeper"))
    assert audit.record_refusal(NOW, world.storekeeper, Event.LOG_IN_REFUSED)
