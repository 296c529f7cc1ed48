"""Old messages are cleared away with what they told; what waits, what is young and the alerts' history stay."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update

from inventory.db import db
from inventory.domain.notices import DEAD_KEPT, MESSAGES_KEPT
from inventory.jobs import OLD_MESSAGES, chores_for, do
from inventory.models import AlertEvent, Escalation, Message, MessageChange
from inventory.services import messages, notices, old_messages
from tests.concurrent import at_once
from tests.conftest import NOW
from tests.notices import TERMS, add_districts, add_people, raise_alerts
from tests.world import World

DAY = timedelta(days=1)
LATER = NOW + timedelta(days=400)
SECOND = timedelta(seconds=1)


def told(world: World) -> None:
    """Changes of a night, told by messages of every recipient."""
    add_districts(5)
    add_people(NOW, 4, "51.71")
    raise_alerts(NOW)
    assert notices.fan_out(NOW, TERMS) > 3


def put(status: str, due: datetime, *ids: int) -> None:
    values = {"status": status, "next_try_at": due, "sent_at": due if status == "sent" else None}
    values["claimed_at"] = due if status == "sending" else None
    wanted = Message.id.in_(ids) if ids else Message.id > 0
    db.session.execute(update(Message).where(wanted).values(values))
    db.session.commit()


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def clear(now: datetime, limit: int = old_messages.AT_ONCE) -> list[int]:
    found = []
    while some := old_messages.clear_away(now, limit):
        found.append(some)
    return found


@pytest.mark.filled(by=told)
@pytest.mark.parametrize(("status", "kept"), [("sent", MESSAGES_KEPT), ("dropped", MESSAGES_KEPT), ("dead", DEAD_KEPT)])
def test_a_message_goes_with_what_it_told_once_it_is_old(world: World, status: str, kept: timedelta) -> None:
    put(status, NOW)
    before = count(Message), count(MessageChange)
    assert clear(NOW + kept) == []
    assert (count(Message), count(MessageChange)) == before
    assert sum(clear(NOW + kept + SECOND)) == sum(before)
    assert (count(Message), count(MessageChange)) == (0, 0)
    assert count(AlertEvent), "the history of the alerts stays"


@pytest.mark.filled(by=told)
@pytest.mark.parametrize("status", ["waiting", "sending"])
def test_what_was_not_sent_yet_stays_however_old_it_is(world: World, status: str) -> None:
    put(status, NOW)
    before = count(Message), count(MessageChange)
    assert clear(LATER) == []
    assert (count(Message), count(MessageChange)) == before


@pytest.mark.filled(by=told)
def test_only_the_old_ones_go(world: World) -> None:
    ids = list(db.session.scalars(select(Message.id).order_by(Message.id)))
    put("sent", NOW + 400 * DAY)
    put("sent", NOW, *ids[:2])
    clear(NOW + 200 * DAY)
    assert list(db.session.scalars(select(Message.id).order_by(Message.id))) == ids[2:]
    kept = set(db.session.scalars(select(MessageChange.message_id)))
    assert kept == set(ids[2:]), "and with them what they told"


@pytest.mark.filled(by=told)
def test_each_transaction_deletes_no_more_than_it_may(world: World) -> None:
    put("sent", NOW)
    rows, number = count(MessageChange), count(Message)
    found = clear(LATER, limit=4)
    assert max(found) <= 4 + old_messages.MESSAGES_AT_ONCE
    assert len(found) >= rows / 4
    assert sum(found) == rows + number
    assert (count(Message), count(MessageChange)) == (0, 0)


@pytest.mark.filled(by=told)
def test_what_was_passed_on_is_forgotten_and_what_may_still_be_is_not(world: World) -> None:
    put("sent", LATER)
    before = count(Escalation)
    assert before
    assert clear(LATER) == []
    first = db.session.scalars(select(Escalation.alert_event_id).order_by(Escalation.alert_event_id)).first()
    db.session.execute(update(Escalation).where(Escalation.alert_event_id == first).values(done_at=NOW))
    db.session.commit()
    assert clear(NOW + MESSAGES_KEPT + SECOND) == [1]
    assert count(Escalation) == before - 1


@pytest.mark.filled(by=told)
def test_what_was_told_and_forgotten_is_not_told_again(world: World) -> None:
    put("sent", NOW)
    clear(LATER)
    assert notices.fan_out(LATER, TERMS) == 0
    assert count(Message) == 0


@pytest.mark.filled(by=told)
def test_one_that_is_given_up_stays_in_sight_of_the_administrators_and_can_be_tried_again(world: World) -> None:
    put("dead", NOW)
    clear(NOW + MESSAGES_KEPT + DAY)
    administrator = world.actor("administrator")
    shown, number = messages.undelivered(administrator)
    assert number == len(shown) == count(Message)
    messages.try_again(administrator, NOW + 364 * DAY, shown[0].id)
    clear(LATER)
    assert list(db.session.scalars(select(Message.id))) == [shown[0].id], "it waits again"


@pytest.mark.filled(by=told)
def test_several_at_once_clear_all_away_and_fail_on_nothing(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        (channel_id,) = db.session.scalars(select(Message.channel_id).limit(1)).all()
        rows = [
            {"key": f"{number:032}", "channel_id": channel_id, "kind": "test", "next_try_at": NOW, "created_at": NOW}
            | {"status": "dropped", "facts": {}}
            for number in range(1_200)
        ]
        db.session.execute(insert(Message), rows)
        db.session.commit()
        put("dropped", NOW)
        outcomes = at_once(crowded_app, [lambda: sum(clear(LATER, limit=300))] * 4)
        assert [each for each in outcomes if isinstance(each, BaseException)] == []
        clear(LATER)
        assert (count(Message), count(MessageChange)) == (0, 0)


@pytest.mark.filled(by=told)
def test_the_scheduler_does_it(app: Flask, world: World) -> None:
    put("sent", NOW)
    app.config["CLOCK"] = lambda: LATER
    do(app, next(chore for chore in chores_for(app.config["SETTINGS"]) if chore.name == OLD_MESSAGES))
    assert (count(Message), count(MessageChange)) == (0, 0)
