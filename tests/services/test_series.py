"""Series of a stock on both databases, against what the books say of each day by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.domain.series import Step
from inventory.domain.stocktakes import Counted
from inventory.models import Movement
from inventory.services import balances, consumption, deliveries, ledger, outreach, series, stocktakes
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import _statements
from tests.world import BLANK, DENPASAR, World

FIRST = TODAY - timedelta(days=40)


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


def fill(world: World) -> None:
    """Six weeks: an opening stock, prints for several reasons, a delivery with defects, a print that is taken back, a
    transfer, spoilage, and an outreach and an event."""
    keeper = world.storekeeper
    deliveries.record_opening(keeper, NOW, uuid4(), DENPASAR, BLANK, FIRST, 900, "")
    for days in range(38, 0, -3):
        world.print(NOW, back(days), {"new": Printed(7 + days % 5), "lost": Printed(3)})
    world.deliver(NOW, back(20), 400, defective=12)
    taken_back = world.print(NOW, back(5), {"damaged": Printed(50)}).movements[0].id
    ledger.reverse(keeper, NOW, uuid4(), taken_back, "salah")
    world.send(NOW, back(4), 100)
    world.spoil(NOW, back(3), 4)
    plan = world.plan_outreach(NOW, TODAY, 30, place="SMA Negeri 3")
    outreach.record_held(keeper, NOW, uuid4(), plan, 1, {BLANK: 28})
    called_off = world.plan_outreach(NOW, TODAY, 30, place="Banjar Kaja")
    outreach.call_off(keeper, NOW, uuid4(), called_off, 1, "hujan")
    world.event(NOW, back(8), name="Pemilihan", items=(BLANK,))
    world.event(NOW, back(9), name="Pendaftaran", items=("kia",))


pytestmark = pytest.mark.filled(by=fill)


def test_each_closing_is_the_balance_of_its_day(world: World) -> None:
    found = series.of_stock(SYSTEM, NOW, DENPASAR, BLANK, FIRST - timedelta(days=5), TODAY)
    assert [each.day for each in found.closings] == [FIRST + timedelta(days=number) for number in range(41)]
    for each in found.closings:
        assert each.store == balances.as_of(SYSTEM, DENPASAR, BLANK, each.day).store, each.day
    assert {each.day: each.arrived for each in found.closings if each.arrived} == {FIRST: 900, back(20): 388}


def test_a_part_of_the_series_is_a_part_of_the_whole_and_takes_few_queries(world: World) -> None:
    whole = series.of_stock(SYSTEM, NOW, DENPASAR, BLANK).closings
    part = series.of_stock(SYSTEM, NOW, DENPASAR, BLANK, back(9), back(2)).closings
    assert part == tuple(each for each in whole if back(9) <= each.day <= back(2))
    assert series.of_stock(SYSTEM, NOW, DENPASAR, BLANK, None, TODAY + timedelta(days=9)).until == TODAY
    db.session.expire_all()
    # The office, the item, the balance and its daily totals.
    assert len(_statements(lambda: series.of_stock(SYSTEM, NOW, DENPASAR, BLANK))) <= 4


def test_a_count_is_told_apart_from_a_delivery(world: World) -> None:
    counted = world.stocktake(NOW)
    store = world.figures().store
    for enter in (stocktakes.count, stocktakes.recount):
        enter(world.storekeeper, NOW, uuid4(), counted, {BLANK: Counted(quantity=store - 6)})
    stocktakes.approve(world.actor("manager"), NOW, uuid4(), counted, {BLANK: -6})
    last = series.of_stock(SYSTEM, NOW, DENPASAR, BLANK).closings[-1]
    assert (last.day, last.store, last.arrived, last.counted) == (TODAY, store - 6, 0, -6)


@pytest.mark.parametrize("step", Step)
def test_what_was_used_adds_up_to_the_movements(world: World, step: Step) -> None:
    found = series.usage(SYSTEM, NOW, DENPASAR, BLANK, step, FIRST, TODAY)
    rows = db.session.execute(
        select(Movement.effective_on, Movement.kind, Movement.reason, Movement.quantity).where(
            Movement.kind.in_(("print", "spoil"))
        )
    ).all()
    for used in found.used:
        naive: dict[str, int] = {}
        for day, kind, reason, quantity in rows:
            if used.first <= day <= used.last:
                part = reason if kind == "print" else "spoiled"
                naive[part] = naive.get(part, 0) + quantity
        assert used.by_part == {part: quantity for part, quantity in naive.items() if quantity}, used.first
    assert found.parts == ("new", "lost", "spoiled"), "what was taken back was never used"
    assert sum(each.total for each in found.used) == sum(found.total(part) for part in found.parts)
    assert found.total("spoiled") == 4


def test_weeks_are_whole_and_know_their_open_days_outreach_and_events(world: World) -> None:
    found = series.usage(SYSTEM, NOW, DENPASAR, BLANK, Step.WEEK)
    assert found.since.weekday() == 0
    assert len(found.used) == 26
    assert [each.outreach for each in found.used if each.outreach] == [("SMA Negeri 3",)]
    assert found.used[-1].open_days == 3, "Monday to Wednesday"
    # 9 and 10 May 2024 were holidays.
    assert found.used[-2].open_days == 3
    assert found.used[-2].events == (("other", "Pemilihan"),)
    assert {kind for each in found.used for kind, _ in each.events} == {"other", "ramadan", "lebaran"}


def test_a_day_is_the_offices_own(world: World) -> None:
    late = datetime(2024, 5, 15, 17, 30, tzinfo=UTC)
    assert series.usage(SYSTEM, late, DENPASAR, BLANK, Step.DAY).until == TODAY + timedelta(days=1)
    assert series.usage(SYSTEM, late, "16.09", BLANK, Step.DAY).until == TODAY + timedelta(days=1)
    early = datetime(2024, 5, 15, 16, 30, tzinfo=UTC)
    assert series.usage(SYSTEM, early, DENPASAR, BLANK, Step.DAY).until == TODAY + timedelta(days=1)
    assert series.usage(SYSTEM, early, "16.09", BLANK, Step.DAY).until == TODAY


def test_what_cannot_be_is_refused(world: World) -> None:
    def code(**period: date) -> str:
        with pytest.raises(Invalid) as refused:
            series.usage(SYSTEM, NOW, DENPASAR, BLANK, Step.DAY, **period)
        return refused.value.code

    assert code(since=TODAY, until=back(1)) == "period_backwards"
    assert code(since=back(92), until=TODAY) == "period_too_long"
    assert code(since=date(1999, 1, 1)) == "day_too_early"
    with pytest.raises(Invalid, match="period_too_long"):
        series.of_stock(SYSTEM, NOW, DENPASAR, BLANK, date(2012, 1, 1), TODAY)
    for stranger in ("other_storekeeper", "administrator"):
        with pytest.raises(NotAllowed):
            series.of_stock(world.actor(stranger), NOW, DENPASAR, BLANK)
        with pytest.raises(NotAllowed):
            series.usage(world.actor(stranger), NOW, DENPASAR, BLANK, Step.WEEK)
    with pytest.raises(NotFound):
        series.usage(SYSTEM, NOW, DENPASAR, "nothing", Step.WEEK)


def test_a_consumable_and_an_item_that_was_never_kept(world: World) -> None:
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "ribbon", back(2), 9, "")
    consumption.post_printed(world.storekeeper, NOW, uuid4(), DENPASAR, "ribbon", TODAY, {"consumed": Printed(2)})
    assert series.usage(SYSTEM, NOW, DENPASAR, "ribbon", Step.DAY).parts == ("consumed",)
    nothing = series.usage(SYSTEM, NOW, DENPASAR, "film", Step.DAY)
    assert (nothing.parts, {each.total for each in nothing.used}) == ((), {0})
    assert series.of_stock(SYSTEM, NOW, DENPASAR, "film").closings == ()
