"""Alerts about blanks that nobody looks after, on both databases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Level, Subject, lateness_level
from inventory.domain.transfers import Arrived
from inventory.services import alerts, closings, consumption, destructions, reviews, transfers
from inventory.services.alerts import AlertView
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World


def review(now: datetime) -> None:
    run, _ = reviews.review(SYSTEM, lambda: now, "test")
    assert run.status == "done", run.error


def about(world: World, subject: Subject) -> AlertView | None:
    found = [alert for alert in alerts.open_alerts(world.actor("manager")) if alert.subject is subject]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(("late", "level"), [(0, "ok"), (1, "watch"), (2, "watch"), (3, "critical")])
def test_lateness_is_watched_then_critical(late: int, level: str) -> None:
    assert lateness_level(late, 2) is Level(level)


def test_a_transfer_that_does_not_arrive_raises_an_alert_until_it_does(world: World) -> None:
    world.deliver(NOW, TODAY, 20_500)
    transfer_id = world.send(NOW, TODAY, 20_000)
    review(NOW)
    assert about(world, Subject.OVERDUE_TRANSFER) is None
    review(NOW + timedelta(days=2))
    alert = about(world, Subject.OVERDUE_TRANSFER)
    assert alert is not None
    assert (alert.level, alert.office_code, alert.item_code) == ("watch", DENPASAR, BLANK)
    assert (alert.facts["quantity"], alert.facts["transfers"], alert.facts["days_late"]) == (20_000, [transfer_id], 1)
    review(NOW + timedelta(days=4))
    raised = about(world, Subject.OVERDUE_TRANSFER)
    assert raised is not None
    assert (raised.id, raised.level) == (alert.id, "critical")
    later = NOW + timedelta(days=4)
    day = TODAY + timedelta(days=4)
    counts = {BLANK: Arrived(good=20_000)}
    transfers.receive(world.actor("other_storekeeper"), later, uuid4(), transfer_id, day, counts)
    review(later + timedelta(minutes=1))
    assert about(world, Subject.OVERDUE_TRANSFER) is None
    events = alerts.get(world.actor("manager"), alert.id).events
    assert [event.to_level for event in events] == ["ok", "critical", "watch"]


def test_spoiled_blanks_past_their_deadline_raise_an_alert(world: World) -> None:
    day = TODAY - timedelta(days=31)
    world.deliver(NOW, day, 100)
    consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, day, {"misprint": 7})
    review(NOW)
    alert = about(world, Subject.SPOILED_NOT_DESTROYED)
    assert alert is not None
    assert (alert.level, alert.facts["quantity"], alert.facts["oldest_on"]) == ("watch", 7, day.isoformat())
    review(NOW + timedelta(days=30))
    raised = about(world, Subject.SPOILED_NOT_DESTROYED)
    assert raised is not None
    assert raised.level == "critical"
    destructions.approve(world.actor("manager"), NOW, uuid4(), world.propose_destruction(NOW, TODAY, 7))
    review(NOW + timedelta(days=30, minutes=1))
    assert about(world, Subject.SPOILED_NOT_DESTROYED) is None


def test_days_that_are_not_closed_raise_an_alert_of_the_office(world: World) -> None:
    monday = TODAY - timedelta(days=2)
    world.deliver(NOW, monday, 100)
    close(world, monday, 100)
    review(NOW)
    alert = about(world, Subject.DAY_NOT_CLOSED)
    assert alert is not None, "Tuesday was not closed"
    assert (alert.level, alert.item_code, alert.facts["days"]) == ("watch", None, 1)
    close(world, monday + timedelta(days=1), 100)
    review(NOW + timedelta(minutes=1))
    assert about(world, Subject.DAY_NOT_CLOSED) is None


def test_a_difference_at_closing_raises_an_alert_until_a_manager_clears_it(world: World) -> None:
    world.deliver(NOW, TODAY - timedelta(days=1), 100)
    close(world, TODAY - timedelta(days=1), 97)
    review(NOW)
    alert = about(world, Subject.DAY_DIFFERENCE)
    assert alert is not None
    assert (alert.level, alert.facts["quantity"], alert.facts["days_late"]) == ("watch", 1, 1)
    (found,) = closings.open_exceptions(SYSTEM)
    closings.clear(world.actor("manager"), NOW, uuid4(), found.id, "counted twice")
    review(NOW + timedelta(minutes=1))
    assert about(world, Subject.DAY_DIFFERENCE) is None


def close(world: World, day: date, left: int) -> None:
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, day, {BLANK: left}, {BLANK: 0})


def test_a_review_of_one_office_or_of_the_past_leaves_what_is_left_undone_alone(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.send(NOW, TODAY, 50)
    later = NOW + timedelta(days=3)
    reviews.review(SYSTEM, lambda: later, "test", on=TODAY)
    reviews.review(SYSTEM, lambda: later + timedelta(seconds=1), "test", office_code=DENPASAR)
    assert about(world, Subject.OVERDUE_TRANSFER) is None
    review(later + timedelta(seconds=2))
    assert about(world, Subject.OVERDUE_TRANSFER) is not None
