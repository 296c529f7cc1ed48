"""Alerts about blanks that nobody looks after, on both databases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert, update

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.alerts import Level, Subject, lateness_level
from inventory.domain.ledger import Kind, Line
from inventory.domain.stocktakes import Counted
from inventory.domain.transfers import Arrived
from inventory.models import Alert, BacktestScore
from inventory.services import (
    alerts,
    backtests,
    closings,
    consumption,
    destructions,
    items,
    ledger,
    offices,
    reviews,
    stated_rates,
    stocktakes,
    transfers,
)
from inventory.services.alerts import AlertView
from tests.conftest import NOW, TODAY
from tests.services.test_backtests import record, uneven
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


# --- counts, consumables, projections, jobs ----------------------------------------------------------------------


def test_a_difference_at_a_count_raises_an_alert_until_somebody_decides(world: World) -> None:
    world.deliver(NOW, TODAY, 1_000)
    stocktake_id = world.stocktake(NOW)
    counts = {BLANK: Counted(quantity=970)}
    stocktakes.count(world.storekeeper, NOW, uuid4(), stocktake_id, counts)
    review(NOW)
    assert about(world, Subject.COUNT_DIFFERENCE) is None, "the second count is still to come"
    stocktakes.recount(world.storekeeper, NOW, uuid4(), stocktake_id, counts)
    review(NOW + timedelta(minutes=1))
    assert about(world, Subject.COUNT_DIFFERENCE) is None
    review(NOW + timedelta(days=1))
    alert = about(world, Subject.COUNT_DIFFERENCE)
    assert alert is not None
    assert (alert.level, alert.office_code, alert.item_code) == ("watch", DENPASAR, BLANK)
    assert (alert.facts["difference"], alert.facts["stocktake"], alert.facts["days_late"]) == (-30, stocktake_id, 1)
    review(NOW + timedelta(days=3))
    raised = about(world, Subject.COUNT_DIFFERENCE)
    assert raised is not None
    assert (raised.id, raised.level) == (alert.id, "critical")
    stocktakes.approve(world.actor("manager"), NOW + timedelta(days=3), uuid4(), stocktake_id, {BLANK: -30})
    review(NOW + timedelta(days=4))
    assert about(world, Subject.COUNT_DIFFERENCE) is None


def consumable(world: World, rolls: int) -> None:
    """Citizen blanks for years at 100 a day, and so many rolls of ribbon for 500 prints each."""
    office = offices.get(SYSTEM, Action.VIEW_STOCK, DENPASAR)
    line = {"office_id": office.id, "item_id": items.get("ribbon").id, "kind": Kind.RECEIPT, "reason": "opening"}
    ledger.post(SYSTEM, NOW, uuid4(), [Line(**line, quantity=rolls, effective_on=TODAY)])
    world.deliver(NOW, TODAY, 9_000)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 100, "a newspaper")


@pytest.mark.parametrize(("rolls", "level"), [(2, "critical"), (3, "watch"), (17, None)])
def test_a_ribbon_that_ends_before_the_blanks_raises_an_alert_in_time(
    world: World, rolls: int, level: str | None
) -> None:
    consumable(world, rolls)
    review(NOW)
    alert = about(world, Subject.CONSUMABLE_FIRST)
    assert (alert.level if alert else None) == level
    if alert is not None:
        days = (date.fromisoformat(alert.facts["since"]) - TODAY).days
        assert (alert.item_code, alert.facts["blank"]) == ("ribbon", BLANK)
        assert abs(days - rolls * 7) <= 6, "five open days of a hundred prints a roll, and holidays"


def test_a_projection_that_lost_to_the_average_is_watched(world: World) -> None:
    record(DENPASAR, uneven(420, 40), left=60)
    backtests.run(SYSTEM, lambda: NOW, "test", on=TODAY)
    assert set(backtests.worse_stocks()) == set()
    db.session.execute(update(BacktestScore).values(worse=True, windows=8, loss=BacktestScore.average_loss + 1))
    db.session.commit()
    review(NOW)
    alert = about(world, Subject.MODEL_WORSE)
    assert alert is not None
    assert (alert.level, alert.facts["windows"], alert.facts["since"]) == ("watch", 8, TODAY.isoformat())
    db.session.execute(update(BacktestScore).values(worse=False))
    db.session.commit()
    review(NOW + timedelta(days=7))
    assert about(world, Subject.MODEL_WORSE) is None


def test_the_review_leaves_the_case_of_a_job_that_did_not_run_to_who_watches_the_jobs(world: World) -> None:
    office = offices.get(SYSTEM, Action.VIEW_STOCK, DENPASAR)
    values = {"office_id": office.id, "subject": "job_not_run", "level": "critical", "facts": {"since": "2024-05-14"}}
    db.session.execute(insert(Alert).values(**values, opened_at=NOW, changed_at=NOW))
    db.session.commit()
    review(NOW + timedelta(days=1))
    alert = about(world, Subject.JOB_NOT_RUN)
    assert alert is not None
    assert alert.resolved_at is None
