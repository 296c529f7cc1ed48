"""From changes to messages: each change once to each recipient, whoever makes them and however often; and on to the
managers above when nobody answers."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from inventory.db import db, write
from inventory.domain.access import Role
from inventory.domain.alerts import Level
from inventory.domain.notices import LINES
from inventory.models import (
    Alert,
    AlertEvent,
    Escalation,
    Message,
    MessageChange,
    NoticeChannel,
    NoticeToFanOut,
    Office,
    Person,
)
from inventory.services import cases, messages, notices
from inventory.services.messages import Outgoing
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.notices import TERMS, add_districts, add_people, change_level, raise_alerts
from tests.world import BADUNG, DENPASAR, PEOPLE, World

NIGHT = NOW.replace(hour=17)
"""01:00 in Denpasar."""
DISTRICT = "51.71.01"


def fan_out(now: datetime = NOW) -> int:
    return notices.fan_out(now, TERMS)


def count(table: Any, *where: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def told() -> set[tuple[str, str, int]]:
    """(whom, kind, how many changes) of every message."""
    db.session.rollback()
    query = (
        select(Person.email, Message.kind, func.count(MessageChange.alert_event_id))
        .join(NoticeChannel, NoticeChannel.person_id == Person.id)
        .join(Message, Message.channel_id == NoticeChannel.id)
        .join(MessageChange, MessageChange.message_id == Message.id)
        .group_by(Person.email, Message.kind, Message.id)
    )
    return {(email, kind, number) for email, kind, number in db.session.execute(query)}


def emails(*names: str) -> set[str]:
    return {PEOPLE[name][0] for name in names}


def enrol() -> None:
    """Everybody gets the channel that they have without choosing."""
    write(lambda session: notices.enrol(session, NOW))


def choose(name: str, **values: Any) -> None:
    enrol()
    person = select(Person.id).where(Person.email == PEOPLE[name][0]).scalar_subquery()
    db.session.execute(update(NoticeChannel).where(NoticeChannel.person_id == person).values(**values))
    db.session.commit()


def test_a_change_is_written_down_to_be_told_in_its_own_transaction(world: World) -> None:
    [event] = raise_alerts(NOW, codes=[DENPASAR])
    assert list(db.session.scalars(select(NoticeToFanOut.alert_event_id))) == [event]
    alert_id = db.session.scalars(select(Alert.id)).one()
    db.session.execute(insert(AlertEvent).values(alert_id=alert_id, at=NOW, from_level="low", to_level="out", facts={}))
    assert count(NoticeToFanOut) == 1, "what is rolled back is not told"
    cases.acknowledge(world.actor("manager"), NOW, uuid4(), [alert_id])
    assert count(NoticeToFanOut) == 1, "what people do is no change to be told"


def test_who_may_see_an_alert_is_told_and_nobody_else(world: World) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    assert fan_out() == 3
    assert {whom for whom, _, _ in told()} == emails("storekeeper", "manager", "regional")
    raise_alerts(NOW, codes=[DISTRICT])
    fan_out()
    assert {whom for whom, _, _ in told()} == emails("storekeeper", "manager", "regional")
    assert count(Message) == 5, "a storekeeper is not told of the offices below"
    raise_alerts(NOW, codes=["94.71"])
    assert fan_out() == 0


def test_what_was_told_is_not_told_again(world: World) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    assert fan_out() == 3
    assert fan_out() == 0
    assert (count(NoticeToFanOut), count(Message)) == (0, 3)


@pytest.mark.parametrize("same", [True, False])
def test_the_database_refuses_to_tell_a_recipient_a_change_twice(world: World, same: bool) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    fan_out()
    line = db.session.execute(select(MessageChange.__table__).limit(1)).mappings().one()
    kind = line["kind"] if same else "escalation"
    if not same:
        db.session.execute(insert(MessageChange).values(dict(line) | {"kind": kind}))
        return
    with pytest.raises(IntegrityError):
        db.session.execute(insert(MessageChange).values(dict(line)))


def test_a_thousand_alerts_in_one_night_are_one_message_per_recipient(world: World) -> None:
    add_districts(198)
    assert len(raise_alerts(NIGHT, items=5)) == 1000
    assert fan_out(NIGHT) == 2
    assert told() == {(email, "change", 1000) for email in emails("manager", "regional")}
    assert count(Message, Message.next_try_at == NIGHT.replace(hour=22)) == 2, "at 06:00 in Denpasar"


@pytest.mark.slow
def test_ten_thousand_cases_of_one_review_are_one_message_per_recipient(world: World) -> None:
    """And how long it takes, as JSON on standard output; the machine's speed is not asserted."""
    add_districts(1998)
    people = 2 + len(add_people(NOW, 38, DENPASAR))
    enrol()
    begun = time.perf_counter()
    assert len(raise_alerts(NIGHT, items=5)) == 10_000
    raised, start = time.perf_counter(), time.perf_counter()
    assert fan_out(NIGHT) == people
    made = time.perf_counter()
    seen: list[Outgoing] = []
    while messages.deliver(lambda: NIGHT + timedelta(hours=6), seen.append, lambda: 0.5).claimed:
        pass
    done = time.perf_counter()
    figures = {
        "database": db.engine.dialect.name,
        "cases": 10_000,
        "recipients": people,
        "messages": len(seen),
        "seconds to raise": round(raised - begun, 2),
        "seconds to fan out": round(made - start, 2),
        "seconds to deliver": round(done - made, 2),
    }
    print(json.dumps(figures))
    assert len(seen) == len({message.channel_id for message in seen}) == people
    assert {(message.total, len(message.lines)) for message in seen} == {(10_000, LINES)}
    assert count(MessageChange) == 10_000 * people


def test_what_changes_while_a_message_waits_for_the_morning_joins_it(world: World) -> None:
    raise_alerts(NIGHT, codes=[DENPASAR])
    fan_out(NIGHT)
    raise_alerts(NIGHT, codes=[DISTRICT], to=Level.CRITICAL)
    fan_out(NIGHT + timedelta(minutes=5))
    assert told() == {
        (PEOPLE["storekeeper"][0], "change", 1),
        *((email, "change", 2) for email in emails("manager", "regional")),
    }


def test_an_empty_store_waits_for_no_morning_and_says_all(world: World) -> None:
    raise_alerts(NIGHT, codes=[DENPASAR])
    raise_alerts(NIGHT, codes=[DISTRICT], to=Level.OUT)
    fan_out(NIGHT)
    db.session.rollback()
    found = {row.email: row.next_try_at for row in db.session.execute(_when())}
    assert {email for email, at in found.items() if at == NIGHT} == emails("manager", "regional")
    assert found[PEOPLE["storekeeper"][0]] > NIGHT
    assert (PEOPLE["manager"][0], "change", 2) in told()


def _when() -> Any:
    joined = select(Person.email, Message.next_try_at).join(NoticeChannel, NoticeChannel.person_id == Person.id)
    return joined.join(Message, Message.channel_id == NoticeChannel.id)


def test_levels_and_subjects_are_each_persons_choice(world: World) -> None:
    choose("manager", least_level="critical")
    choose("regional", without=["low_stock"])
    raise_alerts(NOW, codes=[DENPASAR])
    fan_out()
    assert {whom for whom, _, _ in told()} == emails("storekeeper")
    [alert_id] = db.session.scalars(select(Alert.id))
    change_level(NOW, alert_id, Level.LOW, Level.CRITICAL)
    fan_out()
    assert {whom for whom, _, _ in told()} == emails("storekeeper", "manager")
    change_level(NOW, alert_id, Level.CRITICAL, Level.OK)
    fan_out()
    assert len([1 for whom, _, _ in told() if whom == PEOPLE["manager"][0]]) == 1
    assert count(MessageChange) == 5, "who heard that it got bad hears that it is over"


def test_without_a_digest_a_few_come_one_by_one_and_many_together(world: World) -> None:
    add_districts(3)
    choose("manager", digest=False)
    raise_alerts(NOW, codes=[DENPASAR, DISTRICT])
    fan_out()
    assert count(Message) == 2 + 1 + 1
    raise_alerts(NOW, codes=["51.71.02", "51.71.100", "51.71.101", "51.71.102"])
    fan_out()
    assert (PEOPLE["manager"][0], "change", 4) in told()


def test_who_wants_no_more_is_told_nothing_and_not_enrolled_again(world: World) -> None:
    choose("manager", unsubscribed_at=NOW)
    choose("regional", verified_at=None)
    raise_alerts(NOW, codes=[DENPASAR])
    fan_out()
    assert {whom for whom, _, _ in told()} == emails("storekeeper")


def test_without_a_mail_server_nobody_is_enrolled(world: World) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    terms = notices.Terms(email=False, escalate_after_hours=4, office_hours=TERMS.office_hours)
    assert notices.fan_out(NOW, terms) == 0
    assert count(NoticeChannel) == 0


# --- at once -----------------------------------------------------------------------------------------------------


def test_eight_at_once_tell_each_change_once(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        add_districts(50)
        add_people(NOW, 20, DENPASAR)
        raise_alerts(NOW, items=5)
        db.session.remove()
    outcomes = at_once(crowded_app, [fan_out] * 8)
    assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
    with crowded_app.app_context():
        assert sum(outcomes) == count(Message) == 22
        assert count(MessageChange) == 22 * 260
        assert count(NoticeToFanOut) == 0
        db.session.remove()


def test_a_change_that_commits_after_a_later_one_is_told(world: World) -> None:
    """Ids are given in the order of inserts, not of commits: a mark at the highest id would pass the late one over."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets one write at a time")
    raise_alerts(NOW, codes=[DENPASAR])
    fan_out()
    alert_id = db.session.scalars(select(Alert.id)).one()
    late = db.engine.connect()
    values = {"alert_id": alert_id, "at": NOW, "facts": {}}
    first = insert(AlertEvent).values(**values, from_level="low", to_level="critical").returning(AlertEvent.id)
    early_id = late.execute(first).scalar_one()
    later_id = change_level(NOW, alert_id, Level.LOW, Level.OUT)
    assert early_id < later_id
    assert fan_out() == 3
    late.commit()
    late.close()
    assert fan_out() == 3
    assert count(MessageChange, MessageChange.alert_event_id == early_id) == 3


# --- escalation --------------------------------------------------------------------------------------------------


@pytest.fixture
def above(world: World) -> World:
    """Bali has a manager as well."""
    add_people(NOW, 1, "51", Role.MANAGER)
    return world


def escalated() -> list[tuple[str, int]]:
    """(office of whom, changes) of each escalation."""
    db.session.rollback()
    query = (
        select(Office.code, func.count(MessageChange.alert_event_id))
        .join(Message, Message.region_id == Office.id)
        .join(MessageChange, MessageChange.message_id == Message.id)
        .where(Message.kind == "escalation")
        .group_by(Office.code, Message.id)
    )
    return [(code, number) for code, number in db.session.execute(query)]


def test_what_nobody_acknowledges_goes_to_the_managers_above_after_four_working_hours(above: World) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    fan_out()
    almost, then = NOW + timedelta(hours=4, seconds=-1), NOW + timedelta(hours=4)
    assert notices.escalate(almost, TERMS) == 0
    assert notices.escalate(then, TERMS) == 1
    assert escalated() == [("51", 1)]
    assert notices.escalate(then + timedelta(days=9), TERMS) == 0, "once"


def test_working_hours_pass_over_the_night_and_a_weekend(above: World) -> None:
    friday = datetime.fromisoformat("2024-05-17T14:00+08:00")
    raise_alerts(friday, codes=[DENPASAR])
    fan_out(friday)
    due = db.session.scalars(select(Escalation.due_at)).one()
    assert due == datetime.fromisoformat("2024-05-20T10:00+08:00")


@pytest.mark.parametrize("act", ["acknowledged", "snoozed", "resolved", "changed again", "watch only"])
def test_what_somebody_sees_to_is_not_passed_on(above: World, act: str) -> None:
    raise_alerts(NOW, codes=[DENPASAR], to=Level.WATCH if act == "watch only" else Level.LOW)
    choose("manager", least_level="unknown")
    fan_out()
    alert_id, manager = db.session.scalars(select(Alert.id)).one(), above.actor("manager")
    if act == "acknowledged":
        cases.acknowledge(manager, NOW, uuid4(), [alert_id])
    elif act == "snoozed":
        cases.snooze(manager, NOW, uuid4(), alert_id, TODAY + timedelta(days=9), None)
    elif act == "resolved":
        cases.resolve(manager, NOW, uuid4(), alert_id, cases.Done.ORDERED, "")
    elif act == "changed again":
        change_level(NOW + timedelta(hours=3), alert_id, Level.LOW, Level.CRITICAL)
        fan_out(NOW + timedelta(hours=3))
    assert notices.escalate(NOW + timedelta(hours=4), TERMS) == 0
    if act == "changed again":
        assert notices.escalate(NOW + timedelta(days=2), TERMS) == 1, "the later change has its own time"


def test_without_managers_right_above_the_next_that_has_some_are_told(above: World) -> None:
    db.session.execute(
        text(
            "UPDATE memberships SET name = 'viewer' WHERE office_id IN "
            f"(SELECT id FROM offices WHERE code = '{DENPASAR}')"
        )
    )
    db.session.commit()
    raise_alerts(NOW, codes=[DISTRICT, BADUNG])
    fan_out()
    assert notices.escalate(NOW + timedelta(days=3), TERMS) == 1
    assert escalated() == [("51", 2)]


def test_many_at_once_pass_on_once(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        add_people(NOW, 1, "51", Role.MANAGER)
        raise_alerts(NOW, codes=[DENPASAR, BADUNG, DISTRICT])
        fan_out()
        db.session.remove()
    outcomes = at_once(crowded_app, [lambda: notices.escalate(NOW + timedelta(days=3), TERMS)] * 8)
    # The district's goes to its city's manager; the city's and the regency's to the province's.
    assert sum(outcomes) == 2, outcomes
    with crowded_app.app_context():
        assert sorted(escalated()) == [("51", 2), (DENPASAR, 1)]
        db.session.remove()


def test_an_empty_store_is_told_to_the_managers_right_above_at_once_whatever_else_they_leave_out(above: World) -> None:
    raise_alerts(NOW, codes=[BADUNG])
    fan_out()
    bali = (
        select(NoticeChannel.id).join(Person, Person.id == NoticeChannel.person_id).where(Person.email.like("orang%"))
    )
    channel_id = db.session.scalars(bali).one()
    db.session.execute(update(NoticeChannel).where(NoticeChannel.id == channel_id).values(below=False))
    db.session.execute(text("DELETE FROM message_changes"))
    db.session.execute(text("DELETE FROM messages"))
    db.session.commit()
    alert_id = db.session.scalars(select(Alert.id)).one()
    change_level(NOW, alert_id, Level.LOW, Level.CRITICAL)
    fan_out()
    assert count(Message, Message.channel_id == channel_id) == 0
    change_level(NIGHT, alert_id, Level.CRITICAL, Level.OUT)
    fan_out(NIGHT)
    assert count(Message, Message.channel_id == channel_id, Message.next_try_at == NIGHT) == 1


def test_a_region_is_the_recipients_own_office(world: World) -> None:
    raise_alerts(NOW, codes=[DISTRICT])
    fan_out()
    regions = set(db.session.scalars(select(Office.code).join(Message, Message.region_id == Office.id)))
    assert regions == {"51", DENPASAR}
