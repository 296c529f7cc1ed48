"""The backtest as it is run, kept and read, on both databases: whose scores, of which day, and what they decide."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.backtest import backtest, scores
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.ledger import Kind, Line
from inventory.domain.offices import OfficeSettings
from inventory.jobs import Job, jobs_for, run_due
from inventory.models import BacktestRun, BacktestScore
from inventory.services import backtests, calendars, events, items, ledger, offices
from inventory.services.events import Happening
from inventory.services.runs import RunView
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

SMALL = "51.71.02"
RAMADAN = ((date(2023, 3, 23), date(2023, 4, 21)), (date(2024, 3, 12), date(2024, 4, 9)))
"""As the Ministry of Religious Affairs announced them."""


def record(office_code: str, prints: Mapping[date, int], left: int = 500) -> None:
    """A history of new cards that leaves so many blanks in the store."""
    office = offices.get(SYSTEM, Action.VIEW_STOCK, office_code)
    common: dict[str, Any] = {"office_id": office.id, "item_id": items.get(BLANK).id}
    opening = sum(prints.values()) + left
    lines = [Line(**common, kind=Kind.RECEIPT, reason="opening", quantity=opening, effective_on=min(prints))]
    lines += [
        Line(**common, kind=Kind.PRINT, reason="new", quantity=quantity, effective_on=day)
        for day, quantity in prints.items()
        if quantity
    ]
    ledger.post(SYSTEM, NOW, uuid4(), lines, origin="synthetic")


def working_days(days: int, until: date = TODAY) -> list[date]:
    every = [until - timedelta(days=n) for n in range(days - 1, -1, -1)]
    return [day for day in every if day.weekday() < 5]


def uneven(days: int, mean: int, seed: int = 1) -> dict[date, int]:
    """Prints whose level moves, as an office's does."""
    noise = random.Random(seed)
    level, found = float(mean), {}
    for day in working_days(days):
        level = max(mean / 3, level * noise.lognormvariate(0, 0.03))
        found[day] = max(1, round(noise.gauss(level, level**0.5)))
    return found


def constant(days: int, each: int) -> dict[date, int]:
    holidays = calendars.national_holidays(TODAY.year - 2, TODAY.year)
    return dict.fromkeys((day for day in working_days(days) if day not in holidays), each)


def run(on: date | None = TODAY, office_code: str | None = None, now: datetime = NOW) -> RunView:
    made = backtests.run(SYSTEM, lambda: now, "test", on=on, office_code=office_code)
    assert made.status == "done", made.error
    return made


def pair(office_code: str) -> tuple[int, int]:
    return offices.get(SYSTEM, Action.VIEW_STOCK, office_code).id, items.get(BLANK).id


@pytest.fixture
def two(world: World) -> World:
    """Denpasar's demand moves; Denpasar Timur prints exactly twelve a day, as no model can say better."""
    record(DENPASAR, uneven(420, 300))
    record(SMALL, constant(420, 12))
    return world


def test_the_scores_are_those_of_what_the_projection_would_have_seen(two: World) -> None:
    made = run()
    [inputs] = backtests._inputs(SYSTEM, NOW, TODAY, None)
    found = backtest(inputs.history, inputs.horizon, foreknowing=inputs.foreknowing)
    kept = backtests.overview(SYSTEM)
    assert kept.scores is not None
    assert kept.scores["windows"] == scores(found.record)["windows"] == made.counts["windows"] > 10
    for method, wanted in scores(found.record)["methods"].items():
        for name, value in wanted.items():
            assert kept.scores["methods"][method][name] == (value if name == "bins" else pytest.approx(value))
    for i, stock in enumerate(inputs.stocks):
        of_stock = backtests.of_stock(SYSTEM, stock.office_code, stock.item_code)
        assert of_stock is not None
        assert [window["through"] for window in of_stock.past] == [
            day.isoformat() for day, valid in zip(found.through, found.valid[i], strict=True) if valid
        ]
        assert of_stock.past[0]["demand"] == round(found.demand[i, found.valid[i]][0])
        assert of_stock.synthetic


def test_where_the_average_is_better_the_average_is_taken(two: World) -> None:
    made = run()
    moving, still = pair(DENPASAR), pair(SMALL)
    assert made.counts["worse"] == 1
    assert backtests.worse_than_average([moving, still]) == {still}
    assert backtests.worse_than_average([moving]) == set()
    assert backtests.worse_than_average([]) == set()
    errors = backtests.errors_of([moving, still, (moving[0], 99)])
    assert set(errors) == {moving, still}
    assert errors[still].worse
    assert errors[still].average_error == pytest.approx(0, abs=1e-9)
    assert 0.01 < (errors[moving].error or 0) < 0.3


def test_many_stocks_are_asked_for_at_once(two: World) -> None:
    run()
    many = [(office, 1) for office in range(10_000, 10_300)]
    assert backtests.worse_than_average([*many, pair(SMALL)]) == {pair(SMALL)}
    assert backtests.worse_than_average(many) == set()
    assert set(backtests.errors_of([*many, pair(DENPASAR)])) == {pair(DENPASAR)}


def test_what_came_after_a_day_changes_nothing_that_is_said_of_it(world: World) -> None:
    prints = uneven(420, 300)
    day = TODAY - timedelta(days=60)
    record(DENPASAR, {each: quantity for each, quantity in prints.items() if each <= day}, left=100_000)
    run(on=day)
    before = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    world.print(NOW, TODAY - timedelta(days=40), 9_999)
    run(on=day, now=NOW + timedelta(minutes=1))
    assert before is not None
    assert before.on_day == day
    assert backtests.of_stock(SYSTEM, DENPASAR, BLANK) == before
    run(now=NOW + timedelta(minutes=2))
    after = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    assert after is not None
    assert after.on_day == TODAY


def told() -> dict[date, tuple[int, int, int]]:
    found = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    assert found is not None
    return {
        date.fromisoformat(window["through"]): (window["low"], window["model"], window["high"]) for window in found.past
    }


def test_what_was_said_after_an_origin_changes_nothing_that_was_foretold_there(world: World) -> None:
    record(DENPASAR, uneven(420, 300), left=100_000)
    run()
    before = told()
    hindsight = Happening(
        kind="other",
        name="Antrean panjang",
        first_day=TODAY - timedelta(days=100),
        last_day=TODAY - timedelta(days=40),
        factor=4.0,
    )
    events.add(SYSTEM, NOW, uuid4(), hindsight)
    world.print(NOW, TODAY, 9_999)
    world.plan_outreach(NOW, TODAY, 5_000)
    run(now=NOW + timedelta(minutes=1))
    assert len(before) >= 8
    assert told() == before


def test_outreach_that_was_planned_by_then_was_foretold(world: World) -> None:
    record(DENPASAR, uneven(420, 300), left=100_000)
    run()
    before = told()
    held_on, known_at, unknown_at = date(2024, 4, 3), date(2024, 3, 20), date(2024, 2, 21)
    assert {known_at, unknown_at} <= set(before)
    days = (TODAY - known_at).days
    world.plan_outreach(NOW - timedelta(days=days), held_on, 2_000)
    world.plan_outreach(NOW - timedelta(days=days - 1), held_on, 40_000)
    run(now=NOW + timedelta(minutes=1))
    after = told()
    assert after[known_at][1] == pytest.approx(before[known_at][1] + 2_000, abs=1)
    del after[known_at], before[known_at]
    assert after == before


def test_seasons_of_the_past_teach_those_that_follow(world: World) -> None:
    """Ramadan of 2023 halves what Denpasar prints, and that of 2024 again: foretold from the year before."""
    prints = {}
    for day, quantity in uneven(700, 300).items():
        fasting = any(first <= day <= last for first, last in RAMADAN)
        prints[day] = quantity // 3 if fasting else quantity
    record(DENPASAR, prints, left=100_000)
    run()
    found = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    assert found is not None
    [window] = [each for each in found.past if each["through"] == "2024-02-21"]
    assert window["model"] == pytest.approx(window["demand"], rel=0.12)
    assert window["average"] > 1.25 * window["demand"]


def test_the_past_does_not_overwrite_the_present(two: World) -> None:
    run()
    kept = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    run(on=TODAY - timedelta(days=60), now=NOW + timedelta(minutes=1))
    assert backtests.of_stock(SYSTEM, DENPASAR, BLANK) == kept
    days = db.session.scalars(select(BacktestRun.on_day).order_by(BacktestRun.id)).all()
    assert days == [TODAY, TODAY - timedelta(days=60)], "every run is kept with its own scores"


def test_a_stock_that_can_no_longer_be_tried_has_no_scores_any_more(two: World) -> None:
    run()
    years = OfficeSettings(lead_time_days=250, review_period_days=250, service_level=0.95, working_days="1111100")
    offices.change_settings(SYSTEM, NOW, SMALL, years)
    run(office_code="51.03", now=NOW + timedelta(minutes=1))
    assert backtests.of_stock(SYSTEM, SMALL, BLANK) is not None, "another office's run leaves it alone"
    run(office_code=SMALL, now=NOW + timedelta(minutes=2))
    assert backtests.of_stock(SYSTEM, SMALL, BLANK) is None
    assert backtests.worse_than_average([pair(SMALL)]) == set()
    assert backtests.of_stock(SYSTEM, DENPASAR, BLANK) is not None


def test_each_sees_the_scores_in_reach(two: World) -> None:
    run()
    seen = {
        name: sorted(each.office_code for each in backtests.overview(two.actor(name)).stocks)
        for name in ("storekeeper", "manager", "regional", "viewer", "other_storekeeper")
    }
    both = [DENPASAR, SMALL]
    assert seen == {"storekeeper": [DENPASAR], "manager": both, "regional": both, "viewer": [], "other_storekeeper": []}
    mine = backtests.overview(two.storekeeper).scores
    assert mine is not None
    assert mine["stocks"] == 1
    assert backtests.overview(two.actor("viewer")).scores is None
    below = backtests.overview(two.actor("manager"), SMALL)
    assert [each.office_code for each in below.stocks] == [SMALL]
    with pytest.raises(NotAllowed):
        backtests.overview(two.actor("administrator"))
    with pytest.raises(NotAllowed):
        backtests.overview(two.storekeeper, BADUNG)
    with pytest.raises(NotFound):
        backtests.overview(SYSTEM, "99.99")
    with pytest.raises(NotAllowed):
        backtests.of_stock(two.actor("other_storekeeper"), DENPASAR, BLANK)
    with pytest.raises(NotAllowed):
        backtests.run(two.storekeeper, lambda: NOW, "test")


def test_a_run_of_one_actor_leaves_the_scores_of_others(two: World) -> None:
    record(BADUNG, uneven(300, 100, seed=4))
    run()
    made = backtests.run(two.actor("manager"), lambda: NOW + timedelta(minutes=1), "test", on=TODAY)
    assert made.counts["tried"] == 2
    assert backtests.of_stock(SYSTEM, BADUNG, BLANK) is not None


def test_the_worst_come_first_a_page_at_a_time(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record(BADUNG, uneven(300, 4, seed=2))
    run()
    whole = backtests.overview(SYSTEM)
    losses = [each.scores["methods"]["model"]["loss"] for each in whole.stocks]
    assert losses[1] > losses[2] > losses[0], "one that takes the average comes before all others"
    assert [each.office_code for each in whole.stocks] == [SMALL, DENPASAR, BADUNG]
    monkeypatch.setattr(backtests, "PAGE", 2)
    pages = [backtests.overview(SYSTEM, page=page) for page in (0, 1, 2, 9)]
    assert [(each.page, each.pages, len(each.stocks)) for each in pages] == [(1, 2, 2), (1, 2, 2), (2, 2, 1), (2, 2, 1)]
    assert pages[2].scores == whole.scores


def test_without_history_there_is_nothing_to_say(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    made = run(on=None)
    assert made.counts["tried"] == 0
    assert backtests.overview(SYSTEM).scores is None
    assert backtests.of_stock(SYSTEM, DENPASAR, BLANK) is None
    assert backtests.errors_of([pair(DENPASAR)]) == {}


def test_a_run_that_fails_keeps_nothing(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "_drop_what_was_not_tried", lambda *_: 1 / 0)
    made = backtests.run(SYSTEM, lambda: NOW, "test", on=TODAY)
    assert (made.status, made.error) == ("failed", "ZeroDivisionError: division by zero")
    assert db.session.scalars(select(BacktestRun)).all() == []
    assert db.session.scalars(select(BacktestScore)).all() == []


@pytest.mark.parametrize(
    "change", ["worse = true, windows = 5, loss = 2, average_loss = 1", "worse = true, loss = 1, average_loss = 1"]
)
def test_the_database_takes_no_average_without_grounds(two: World, change: str) -> None:
    run()
    with pytest.raises(IntegrityError, match="worse"):
        db.session.execute(text(f"UPDATE backtest_scores SET {change}"))
    db.session.rollback()


# --- the weekly job ----------------------------------------------------------------------------------------------


def the_job(app: Flask) -> Job:
    return next(job for job in jobs_for(app.config["SETTINGS"]) if job.name == backtests.BACKTEST)


def test_the_backtest_runs_once_a_week(app: Flask) -> None:
    first = run_due(app, the_job(app))
    assert first is not None
    assert first.status == "done", first.error
    assert first.slot == datetime(2024, 5, 11, 18, 30, tzinfo=NOW.tzinfo), "Sunday, half past one in Jakarta"
    app.config["CLOCK"] = lambda: NOW + timedelta(days=3)
    assert run_due(app, the_job(app)) is None
    app.config["CLOCK"] = lambda: NOW + timedelta(days=21)
    later = run_due(app, the_job(app))
    assert later is not None
    assert later.slots_missed == 2


def test_of_many_at_once_one_runs(app: Flask) -> None:
    with app.app_context():
        record(DENPASAR, uneven(200, 30))
        db.session.remove()
    barrier = threading.Barrier(4)
    results: list[RunView | None] = []

    def attempt() -> None:
        barrier.wait()
        results.append(run_due(app, the_job(app)))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.status for each in results if each] == ["done"]
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM backtests")) == 1
        assert db.session.scalar(text("SELECT count(*) FROM backtest_scores")) == 1


def test_the_scheduler_has_the_weekly_trigger(app: Flask) -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    from inventory.jobs import add_to

    scheduler = BackgroundScheduler()
    add_to(scheduler, app)
    [trigger] = [job.trigger for job in scheduler.get_jobs() if job.id == backtests.BACKTEST]
    due = trigger.get_next_fire_time(None, NOW)
    assert due == datetime(2024, 5, 18, 18, 30, tzinfo=NOW.tzinfo)
