"""A posting raises and relieves its stock's case within seconds, whatever made the stock fall; nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Level
from inventory.domain.cases import Done
from inventory.domain.stocktakes import Counted
from inventory.models import Alert, AlertEvent, Balance, StockCheck, StoredProjection
from inventory.services import cases, destructions, ledger, projections, reviews, stated_rates, stock_checks, stocktakes
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.services.test_requests import allot
from tests.world import BLANK, DENPASAR, World

SOON = NOW + timedelta(seconds=10)


def safe_stock(world: World, store: int = 20_000) -> None:
    """Denpasar holds a safe stock, with half a year of some 100 prints a working day behind it; reviewed."""
    days = [TODAY - timedelta(days=back) for back in range(180, 0, -1)]
    days = [day for day in days if day.weekday() < 5]
    noise = random.Random(7)
    prints = [noise.randint(85, 115) for _ in days]
    world.deliver(NOW, days[0], sum(prints) + store)
    for day, quantity in zip(days, prints, strict=True):
        world.print(NOW, day, quantity)
    review(NOW)
    assert stock_checks.check_stocks(lambda: NOW) == 1


def review(now: datetime) -> None:
    run, _ = reviews.review(SYSTEM, lambda: now, "test")
    assert run.status == "done", run.error


def look(now: datetime = SOON) -> int:
    return stock_checks.check_stocks(lambda: now)


def the_case() -> Alert | None:
    db.session.rollback()
    query = select(Alert).where(Alert.subject == "low_stock", Alert.resolved_at.is_(None))
    return db.session.scalars(query, execution_options={"populate_existing": True}).one_or_none()


def waiting() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(StockCheck)) or 0


def fall_by_print(world: World) -> None:
    world.print(NOW, TODAY, 19_900)


def fall_by_test_print(world: World) -> None:
    world.spoil(NOW, TODAY, 19_900)


def fall_by_transfer(world: World) -> None:
    world.send(NOW, TODAY, 19_900)


def fall_by_reversal(world: World) -> None:
    receipt = world.deliver(NOW, TODAY, 19_900).movements[0]
    world.print(NOW, TODAY, 19_900)
    look(NOW)
    world.reverse_receipt(NOW, receipt.id)


def counted(world: World, quantity: int, now: datetime = NOW) -> int:
    """A count of Denpasar's citizen blanks, twice where it differs; it waits for its approval."""
    stocktake = world.stocktake(now)
    counts = {BLANK: Counted(quantity=quantity)}
    stocktakes.count(world.storekeeper, now, uuid4(), stocktake, counts)
    stocktakes.recount(world.storekeeper, now, uuid4(), stocktake, counts)
    return stocktake


def fall_by_count(world: World) -> None:
    stocktakes.approve(world.actor("manager"), NOW, uuid4(), counted(world, 100), {BLANK: 100 - 20_000})


FALLS: dict[str, Callable[[World], Any]] = {
    "print": fall_by_print,
    "test print": fall_by_test_print,
    "transfer": fall_by_transfer,
    "count": fall_by_count,
    "reversal": fall_by_reversal,
}


@pytest.mark.filled(by=safe_stock)
@pytest.mark.parametrize("fall", FALLS)
def test_a_fall_raises_the_case_at_once_whatever_caused_it(world: World, fall: str) -> None:
    assert the_case() is None
    FALLS[fall](world)
    store = db.session.scalars(select(Balance.store).where(Balance.store > 0).order_by(Balance.store)).first()
    assert look() >= 1
    case = the_case()
    assert case is not None
    assert (case.level, case.opened_at) == ("critical", SOON)
    assert case.facts["store"] == store == 100
    assert case.facts["suggested_order"] % 500 == 0
    assert case.facts["suggested_order"] > 0
    (event,) = db.session.scalars(select(AlertEvent).where(AlertEvent.alert_id == case.id)).all()
    assert (event.from_level, event.to_level, event.job_run_id, event.facts["store"]) == ("ok", "critical", None, 100)
    assert (waiting(), look()) == (0, 0)


@pytest.mark.filled(by=safe_stock)
def test_one_case_tells_the_whole_story_out_to_relief(world: World) -> None:
    for minute, quantity in enumerate((17_300, 1_900, 800), start=1):
        world.print(NOW, TODAY, quantity)
        look(NOW + timedelta(minutes=minute))
    world.deliver(NOW, TODAY, 40_000)
    look(NOW + timedelta(minutes=9))
    (case,) = db.session.scalars(select(Alert).where(Alert.subject == "low_stock")).all()
    steps = db.session.execute(
        select(AlertEvent.from_level, AlertEvent.to_level, AlertEvent.facts)
        .where(AlertEvent.alert_id == case.id)
        .order_by(AlertEvent.id)
    ).all()
    assert [(row.to_level, row.facts["store"]) for row in steps][-2:] == [("out", 0), ("ok", 40_000)]
    assert [row.from_level for row in steps[1:]] == [row.to_level for row in steps[:-1]]
    assert (case.done, case.level, case.resolved_at) == ("relieved", "ok", NOW + timedelta(minutes=9))


@pytest.mark.filled(by=safe_stock)
@pytest.mark.parametrize("store", [100, 600, 900, 1_500, 2_500, 8_000, 20_000])
def test_a_look_says_what_a_projection_of_now_would(world: World, store: int) -> None:
    world.send(NOW, TODAY, 20_000 - store) if store < 20_000 else None
    found = stock_checks._facts_now(db.session(), SOON, [key()])[key()]
    (projected,) = [each for each in projections.of_stocks(SYSTEM, SOON) if (each.office_id, each.item_id) == key()]
    wanted = projected.facts
    assert (found["store"], found["usable"], found["inbound"]) == (store, wanted["usable"], wanted["inbound"])
    for name in ("reorder_point", "order_up_to", "suggested_order"):
        assert found[name] == pytest.approx(wanted[name], rel=0.05), name
    assert found["stockout_in_lead"] == pytest.approx(wanted["stockout_in_lead"], abs=0.03)
    if wanted["cover_capped"] is False:
        assert found["cover_days"] == pytest.approx(wanted["cover_days"], rel=0.1, abs=0.6)
    for name in ("stockout_on", "stockout_early_on", "stockout_late_on"):
        # The fan ends after sixty days: what lies beyond waits for the review.
        if wanted[name] is not None and date.fromisoformat(wanted[name]) <= TODAY + timedelta(days=55):
            assert abs(date.fromisoformat(found[name]) - date.fromisoformat(wanted[name])) <= timedelta(days=3), name


@pytest.mark.filled(by=safe_stock)
@pytest.mark.parametrize(("asked", "store"), [(6, 900), (16, 600), (16, 300), (18, 250), (25, 250)])
def test_a_look_counts_on_what_is_due_as_a_projection_does(world: World, asked: int, store: int) -> None:
    """Allotted, and asked for so many days ago: 14 working days are about 20."""
    number = world.ask(NOW, TODAY - timedelta(days=asked), 5_000)
    allot(world, number, 5_000)
    world.spoil(NOW, TODAY, 20_000 - store)
    found = stock_checks._facts_now(db.session(), SOON, [key()])[key()]
    (projected,) = [each for each in projections.of_stocks(SYSTEM, SOON) if (each.office_id, each.item_id) == key()]
    assert (found["inbound"], found["due"]) == (5_000, projected.facts["due"])
    assert len(found["due"]) == 1
    assert found["stockout_in_lead"] == pytest.approx(projected.facts["stockout_in_lead"], abs=0.05)
    look()
    case = the_case()
    assert case is None or case.level != "low", "with what is on order there is enough"
    assert (case is None or case.level == "watch") == (found["stockout_in_lead"] < 0.5)


def key() -> tuple[int, int]:
    row = db.session.execute(
        select(StoredProjection.office_id, StoredProjection.item_id).order_by(StoredProjection.office_id)
    ).first()
    assert row is not None
    return row.office_id, row.item_id


@pytest.mark.filled(by=safe_stock)
def test_what_people_resolved_is_opened_at_once_only_when_it_is_worse(world: World) -> None:
    world.print(NOW, TODAY, 19_900)
    look()
    case = the_case()
    assert case is not None
    cases.resolve(world.actor("manager"), SOON, uuid4(), case.id, Done.ORDERED, "")
    world.print(NOW, TODAY, 10)
    look(SOON + timedelta(minutes=1))
    assert the_case() is None, "the review is what sees it again"
    world.print(NOW, TODAY, 90)
    look(SOON + timedelta(minutes=2))
    again = the_case()
    assert again is not None
    assert (again.id, again.level, again.reopened) == (case.id, "out", 1)


@pytest.mark.filled(by=safe_stock)
def test_a_sleeping_case_wakes_at_its_level_at_once(world: World) -> None:
    world.print(NOW, TODAY, 19_900)
    look()
    case = the_case()
    assert case is not None
    cases.snooze(world.actor("manager"), SOON, uuid4(), case.id, None, Level.OUT)
    world.print(NOW, TODAY, 100)
    look(SOON + timedelta(minutes=1))
    woken = the_case()
    assert woken is not None
    assert (woken.snoozed_level, woken.level) == (None, "out")
    assert db.session.scalars(select(AlertEvent.kind).order_by(AlertEvent.id.desc())).first() == "woken"


def test_a_stock_that_was_never_reviewed_is_left_to_the_review(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 100, "a newspaper")
    assert (waiting(), look(), waiting()) == (1, 1, 0)
    assert the_case() is None


@pytest.mark.filled(by=safe_stock)
def test_only_what_changes_the_store_wants_a_look(world: World) -> None:
    world.spoil(NOW, TODAY, 50)
    look()
    destructions.approve(world.actor("manager"), NOW, uuid4(), world.propose_destruction(NOW, TODAY, 50))
    assert waiting() == 0


def test_a_refused_posting_asks_for_nothing_and_a_repeated_one_once(world: World) -> None:
    from inventory.domain.errors import Refusal

    request = uuid4()
    world.deliver(NOW, TODAY, 100, request=request, bast="1")
    world.deliver(NOW, TODAY, 100, request=request, bast="1")
    assert [row.postings for row in db.session.scalars(select(StockCheck))] == [1]
    look()
    with pytest.raises(Refusal):
        world.print(NOW, TODAY, 101)
    assert waiting() == 0


# --- at the same time --------------------------------------------------------------------------------------------


@pytest.mark.filled(by=safe_stock)
def test_a_posting_while_somebody_looks_is_not_lost(app: Flask, world: World) -> None:
    """Whatever is posted after the stock was read leaves it waiting."""
    world.print(NOW, TODAY, 10)
    before = stock_checks._settle

    def settle(session: Any, looked_at: Any) -> None:
        if db.engine.dialect.name == "postgresql":
            at_once(app, [lambda: World(app).print(NOW, TODAY, 19_900)])
        before(session, looked_at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stock_checks, "_settle", settle)
        look()
    if db.engine.dialect.name == "sqlite":  # which has one writer: the posting waits until the look is over
        assert waiting() == 0
        world.print(NOW, TODAY, 19_900)
    assert the_case() is None
    assert waiting() == 1
    look()
    case = the_case()
    assert case is not None
    assert case.level == "critical"


@pytest.mark.filled(by=safe_stock)
def test_postings_and_two_who_look_at_once_end_with_the_case_of_the_stock_that_is_there(
    crowded_app: Flask,
) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)

        def prints() -> None:
            for _ in range(10):
                World(crowded_app).print(NOW, TODAY, 199)

        def looks() -> None:
            for number in range(10):
                stock_checks.check_stocks(lambda number=number: NOW + timedelta(seconds=number))

        outcomes = at_once(crowded_app, [prints] * 10 + [looks] * 4)
        assert [each for each in outcomes if isinstance(each, BaseException)] == []
        assert waiting() <= 1
        look(SOON)
        assert waiting() == 0
        case = the_case()
        assert case is not None
        store = db.session.scalar(select(Balance.store).where(Balance.office_id == case.office_id))
        assert (store, case.facts["store"], case.level) == (100, 100, "critical")
        opened = db.session.scalar(select(func.count()).select_from(Alert).where(Alert.subject == "low_stock"))
        assert opened == 1
        assert world is not None
        steps = db.session.execute(select(AlertEvent.from_level, AlertEvent.to_level).order_by(AlertEvent.id)).all()
        assert [row.from_level for row in steps[1:]] == [row.to_level for row in steps[:-1]]


@pytest.mark.filled(by=safe_stock)
def test_a_bulk_of_postings_is_counted_up_too(world: World) -> None:
    from inventory.domain.ledger import Kind, Line

    office_id, item_id = key()
    line = Line(office_id=office_id, item_id=item_id, kind=Kind.PRINT, reason="new", quantity=5, effective_on=TODAY)
    ledger.post_in_bulk(
        SYSTEM, NOW, uuid4(), "digest", [(office_id, item_id)], lambda _: [(line, {})] * 3, document=lambda _: {}
    )
    assert [row.postings for row in db.session.scalars(select(StockCheck))] == [1]


@pytest.mark.filled(by=safe_stock)
def test_the_job_looks_at_all_and_a_failure_leaves_them_waiting(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inventory import jobs

    chore = next(chore for chore in jobs.chores_for(app.config["SETTINGS"]) if chore.name == jobs.STOCK_CHECKS)
    world.print(NOW, TODAY, 19_900)
    with monkeypatch.context() as patch:
        patch.setattr(stock_checks, "_settle", lambda *_: 1 / 0)
        jobs.do(app, chore)
    assert (waiting(), the_case()) == (1, None)
    jobs.do(app, chore)
    assert (waiting(), the_case() is None) == (0, False)
