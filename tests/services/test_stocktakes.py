"""Stocktakes on both databases: blind, each line at its own instant, approved by another, booked on its own day."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Kind, Line
from inventory.domain.stocktakes import Counted
from inventory.models import Movement
from inventory.services import balances, consumption, deliveries, items, ledger, offices, stocktakes
from inventory.services.consumption import Printed
from inventory.services.stocktakes import StocktakeView
from tests.concurrent import at_once, audit, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

TOMORROW = TODAY + timedelta(days=1)


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def count(
    world: World,
    stocktake_id: int,
    quantity: int,
    at: datetime,
    *,
    by: str = "storekeeper",
    request: UUID | None = None,
    again: bool = False,
    told: datetime | None = None,
    item: str = BLANK,
) -> StocktakeView:
    enter = stocktakes.recount if again else stocktakes.count
    return enter(world.actor(by), at, request or uuid4(), stocktake_id, {item: Counted(quantity=quantity, at=told)})


def counted(world: World, quantity: int, at: datetime = NOW) -> int:
    """A stocktake of one item, opened and counted at the same time, twice where it differs."""
    stocktake_id = world.stocktake(at)
    if count(world, stocktake_id, quantity, at).status == "counting":
        count(world, stocktake_id, quantity, at, again=True)
    return stocktake_id


def shown(world: World, stocktake_id: int, at: datetime) -> dict[str, int]:
    _, compared, _ = stocktakes.for_approval(world.actor("manager"), at, stocktake_id)
    return {each.item_code: each.difference for each in compared}


def approve(
    world: World,
    stocktake_id: int,
    at: datetime,
    *,
    differences: Mapping[str, int] | None = None,
    request: UUID | None = None,
    by: str = "manager",
) -> StocktakeView:
    seen = shown(world, stocktake_id, at) if differences is None else differences
    return stocktakes.approve(world.actor(by), at, request or uuid4(), stocktake_id, seen)


def above(world: World) -> Actor:
    """A manager of an office above, who took no part."""
    return Actor(world.actor("regional").person_id, "Above", (Grant(Role.MANAGER, "00/"),))


def booked() -> list[tuple[str, int, str]]:
    rows = db.session.execute(
        select(Movement.reason, Movement.quantity, Movement.effective_on)
        .where(Movement.kind == "count")
        .order_by(Movement.id)
    )
    return [(row.reason, row.quantity, str(row.effective_on)) for row in rows]


def print_at(world: World, recorded: datetime, quantity: int, at: time | None = None, days_ago: int = 0) -> None:
    day = TODAY - timedelta(days=days_ago)
    printed = {"new": Printed(quantity)}
    consumption.post_printed(world.storekeeper, recorded, uuid4(), DENPASAR, BLANK, day, printed, at=at)


# --- the instant of each count -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["issued before the count", "issued after the count"])
def test_the_adjustment_is_right_whenever_an_issue_was_posted(world: World, order: str) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(later(1))
    if order == "issued before the count":
        print_at(world, later(2), 10)
        count(world, stocktake_id, 87, later(5))
        count(world, stocktake_id, 87, later(6), again=True)
    else:
        count(world, stocktake_id, 97, later(5))
        count(world, stocktake_id, 97, later(6), again=True)
        print_at(world, later(7), 10)
    assert shown(world, stocktake_id, later(9)) == {BLANK: -3}
    approve(world, stocktake_id, later(10))
    assert world.figures().store == 87
    assert world.figures().missing == 3
    audit()


def test_each_line_has_an_instant_of_its_own_and_work_goes_on(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "ribbon", TODAY, 8, "")
    stocktake_id = world.stocktake(later(1))
    count(world, stocktake_id, 100, later(2))
    print_at(world, later(3), 40)
    consumption.post_printed(world.storekeeper, later(4), uuid4(), DENPASAR, "ribbon", TODAY, {"consumed": Printed(1)})
    assert count(world, stocktake_id, 7, later(5), item="ribbon").status == "counted"
    assert shown(world, stocktake_id, later(6)) == {BLANK: 0, "ribbon": 0}


def test_a_count_may_be_entered_later_with_its_time_of_day(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(later(1))
    print_at(world, later(5), 10)
    assert count(world, stocktake_id, 100, later(9), told=later(3)).status == "counted"
    [line] = stocktakes.get(world.storekeeper, NOW, stocktake_id).lines
    assert line.counted_at == later(3)
    stocktakes.cancel(world.actor("manager"), later(10), stocktake_id, "once more")
    again = world.stocktake(later(11))
    with pytest.raises(Invalid, match="count_in_future"):
        count(world, again, 90, later(12), told=later(13))
    with pytest.raises(Invalid, match="count_before_opening"):
        count(world, again, 90, later(12), told=later(9))


def test_an_entry_with_its_time_of_day_stands_on_its_side_of_the_count(world: World) -> None:
    world.deliver(NOW - timedelta(hours=2), TODAY, 100)
    stocktake_id = world.stocktake(later(1))
    assert count(world, stocktake_id, 90, later(2)).lines[0].recount_asked
    print_at(world, later(5), 10, time(10, 30))  # NOW is 11:00 in Denpasar
    count(world, stocktake_id, 90, later(6), again=True)
    assert shown(world, stocktake_id, later(7)) == {BLANK: 0}
    with pytest.raises(Invalid, match="moment_in_future"):
        print_at(world, later(8), 1, time(11, 30))


def test_a_reversal_stands_on_the_side_of_what_it_takes_back(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    wrong = world.print(later(1), TODAY, 10).movements[0]
    stocktake_id = world.stocktake(later(2))
    count(world, stocktake_id, 100, later(3))
    ledger.reverse(world.storekeeper, later(4), uuid4(), wrong.id, "never printed")
    count(world, stocktake_id, 100, later(5), again=True)
    assert shown(world, stocktake_id, later(6)) == {BLANK: 0}


# --- blind, and counted twice --------------------------------------------------------------------------------------


def test_a_difference_is_counted_once_more_and_the_second_count_stands(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    seen = count(world, stocktake_id, 95, later(1))
    assert (seen.status, seen.lines[0].waits) == ("counting", "recount")
    assert (seen.lines[0].counted, seen.lines[0].book, seen.lines[0].difference) == (None, None, None)
    seen = count(world, stocktake_id, 98, later(2), again=True)
    [line] = seen.lines
    assert (seen.status, line.counted, line.recounted, line.stands) == ("counted", 95, 98, 98)
    assert (line.book, line.difference) == (None, None)
    [line] = approve(world, stocktake_id, later(3)).lines
    assert (line.book, line.difference, line.counted, line.recounted) == (100, -2, 95, 98)


def test_a_recount_is_entered_only_where_one_is_asked(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    with pytest.raises(Refusal, match="line_counted"):
        count(world, stocktake_id, 100, NOW, again=True)
    assert count(world, stocktake_id, 100, NOW).status == "counted"
    with pytest.raises(Refusal, match="stocktake_closed"):
        count(world, stocktake_id, 100, NOW, again=True)
    stocktakes.cancel(world.actor("manager"), NOW, stocktake_id, "again")
    other = world.stocktake(NOW)
    with pytest.raises(Refusal, match="line_counted"):
        count(world, other, 3, NOW, item="film")


def test_a_count_sent_twice_is_saved_once_and_never_taken_for_a_recount(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    request = uuid4()
    for _attempt in range(2):
        seen = count(world, stocktake_id, 95, later(1), request=request)
        assert seen.lines[0].waits == "recount"
    with pytest.raises(Refusal, match="request_id_reused"):
        count(world, stocktake_id, 96, later(1), request=request)
    with pytest.raises(Refusal, match="line_counted"):
        count(world, stocktake_id, 95, later(1))


@pytest.mark.parametrize(
    ("quantity", "code"), [(-1, "quantity_negative"), (10_000_001, "quantity_too_large"), ("7", "not_a_number")]
)
def test_a_count_that_cannot_be_is_refused(world: World, quantity: Any, code: str) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    with pytest.raises(Invalid, match=code):
        count(world, stocktake_id, quantity, NOW)
    with pytest.raises(Invalid, match="nothing_entered"):
        stocktakes.count(world.storekeeper, NOW, uuid4(), stocktake_id, {})


# --- approval ------------------------------------------------------------------------------------------------------


def test_a_count_approved_tomorrow_keeps_the_day_it_was_counted(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 97)
    approve(world, stocktake_id, NOW + timedelta(days=1))
    assert booked() == [("short", 3, str(TODAY))]
    assert balances.as_of(SYSTEM, DENPASAR, BLANK, TODAY).store == 97


def test_a_count_of_zero_keeps_the_history_and_writes_an_entry(world: World) -> None:
    world.deliver(NOW, TODAY, 5)
    approve(world, counted(world, 0), later(5))
    assert booked() == [("short", 5, str(TODAY))]
    assert world.figures().received == 5
    assert (world.figures().store, world.figures().missing) == (0, 5)


def test_a_count_without_a_difference_books_nothing_and_is_approved(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 100)
    request = uuid4()
    for _attempt in range(2):
        seen = approve(world, stocktake_id, later(5), differences={BLANK: 0}, request=request)
        assert (seen.status, seen.lines[0].book, seen.lines[0].difference) == ("approved", 100, 0)
    with pytest.raises(Refusal, match="stocktake_closed"):
        approve(world, stocktake_id, later(5), differences={BLANK: 0})
    assert booked() == []


def test_a_surplus_is_found(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    approve(world, counted(world, 104), later(5))
    assert booked() == [("found", 4, str(TODAY))]
    assert (world.figures().store, world.figures().missing) == (104, -4)


def test_an_approval_sent_twice_books_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 97)
    request = uuid4()
    for _attempt in range(2):
        approve(world, stocktake_id, later(5), differences={BLANK: -3}, request=request)
    with pytest.raises(Refusal, match="stocktake_closed"):
        approve(world, stocktake_id, later(5), differences={BLANK: -3})
    assert booked() == [("short", 3, str(TODAY))]


def test_what_the_approver_did_not_see_is_not_booked(world: World) -> None:
    world.deliver(NOW - timedelta(hours=2), TODAY, 100)
    stocktake_id = counted(world, 97)
    seen = shown(world, stocktake_id, later(4))
    print_at(world, later(5), 3, time(10, 30))
    for stale in (seen, {}, {BLANK: -3, "film": 0}):
        with pytest.raises(Refusal, match="differences_changed"):
            approve(world, stocktake_id, later(6), differences=stale)
    assert booked() == []
    assert approve(world, stocktake_id, later(7)).status == "approved"
    assert world.figures().missing == 0


def test_a_shortage_that_the_stock_cannot_take_is_refused_and_changes_nothing(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 40)
    world.print(later(5), TODAY, 50)
    with pytest.raises(Refusal, match="not_enough_stock"):
        approve(world, stocktake_id, later(6))
    seen = stocktakes.get(world.storekeeper, NOW, stocktake_id)
    assert (seen.status, seen.lines[0].book) == ("counted", None)
    assert booked() == []
    world.deliver(NOW + timedelta(days=1), TOMORROW, 100)
    with pytest.raises(Refusal, match="day_below_zero"):
        approve(world, stocktake_id, NOW + timedelta(days=1, hours=1))


def test_nobody_approves_a_count_that_they_opened_or_made(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    opened = stocktakes.begin(world.actor("manager"), NOW, uuid4(), DENPASAR)
    count(world, opened, 100, NOW)
    with pytest.raises(Refusal, match="own_count"):
        approve(world, opened, NOW, differences={BLANK: 0})
    with pytest.raises(Refusal, match="own_count"):
        stocktakes.cancel(world.actor("manager"), NOW, opened, "opened by the wrong person")
    stocktakes.cancel(above(world), NOW, opened, "opened by the wrong person")
    made = world.stocktake(NOW)
    count(world, made, 99, NOW)
    count(world, made, 99, NOW, again=True, by="manager")
    with pytest.raises(Refusal, match="own_count"):
        approve(world, made, NOW, differences={BLANK: -1})
    with pytest.raises(Refusal, match="own_count"):
        shown(world, made, NOW)
    with pytest.raises(NotAllowed):
        approve(world, made, NOW, differences={BLANK: -1}, by="storekeeper")
    with pytest.raises(NotAllowed):
        stocktakes.approve(SYSTEM, NOW, uuid4(), made, {BLANK: -1})
    with pytest.raises(NotAllowed):
        stocktakes.begin(SYSTEM, NOW, uuid4(), BADUNG)
    assert booked() == []


@pytest.mark.parametrize("who", ["opened_by_id", "counted_by_id", "recounted_by_id"])
def test_the_database_itself_refuses_an_approval_by_who_took_part(world: World, who: str) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 97)
    manager = world.actor("manager").person_id
    table = "stocktakes" if who == "opened_by_id" else "stocktake_lines"
    db.session.execute(text("UPDATE stocktake_lines SET book = 100, difference = -3"))
    db.session.execute(text(f"UPDATE {table} SET {who} = :manager"), {"manager": manager})
    approved = (
        "UPDATE stocktakes SET status = 'approved', approved_at = opened_at, approved_by_id = :manager,"
        " approval_request_id = request_id WHERE id = :id"
    )
    with pytest.raises(DBAPIError, match=r"two_people|did not count"):
        db.session.execute(text(approved), {"manager": manager, "id": stocktake_id})
    db.session.rollback()


def test_the_database_books_a_count_for_an_approved_stocktake_only(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = counted(world, 97)
    like = (
        "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at, actor_id,"
        " request_id, request_line, request_digest, stocktake_id) SELECT office_id, item_id, 99, 'count', 'short', 3,"
        " effective_on, recorded_at, {actor}, request_id, 99, '', {stocktake} FROM movements WHERE seq = 1"
    )
    manager, keeper = world.actor("manager").person_id, world.storekeeper.person_id
    with pytest.raises(IntegrityError, match="ck_movements_stocktake"):
        db.session.execute(text(like.format(actor=manager, stocktake="NULL")))
    db.session.rollback()
    with pytest.raises(DBAPIError, match="approved stocktake"):
        db.session.execute(text(like.format(actor=manager, stocktake=stocktake_id)))
    db.session.rollback()
    approve(world, stocktake_id, later(1))
    for actor in (keeper, "NULL"):
        with pytest.raises(DBAPIError, match="did not count"):
            db.session.execute(text(like.format(actor=actor, stocktake=stocktake_id)))
        db.session.rollback()


def test_a_booked_difference_is_not_reversed_by_itself(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    approve(world, counted(world, 97), later(1))
    movement = db.session.scalar(select(Movement.id).where(Movement.kind == "count"))
    assert movement is not None
    with pytest.raises(Refusal, match="part_of_document"):
        ledger.reverse(world.storekeeper, NOW, uuid4(), movement, "wrong")


# --- after the approval --------------------------------------------------------------------------------------------


def test_what_is_recorded_late_for_before_the_count_is_corrected(world: World) -> None:
    world.deliver(NOW - timedelta(hours=2), TODAY, 100)
    stocktake_id = counted(world, 97)
    manager = world.actor("manager")
    approve(world, stocktake_id, later(5))
    with pytest.raises(Refusal, match="nothing_to_correct"):
        stocktakes.correct(manager, later(6), uuid4(), stocktake_id, {})
    print_at(world, later(10), 3, time(10, 0))
    [known] = stocktakes.known_now(world.storekeeper, later(11), stocktake_id)
    assert (known.book, known.booked, known.left, known.count) == (97, -3, 3, 97)
    with pytest.raises(NotAllowed):
        stocktakes.correct(world.storekeeper, later(12), uuid4(), stocktake_id, {BLANK: 3})
    with pytest.raises(Refusal, match="differences_changed"):
        stocktakes.correct(manager, later(12), uuid4(), stocktake_id, {BLANK: 2})
    request = uuid4()
    for _attempt in range(2):
        seen = stocktakes.correct(manager, later(13), request, stocktake_id, {BLANK: 3}, "found the list")
    assert (seen.lines[0].book, seen.lines[0].difference) == (97, 0)
    assert [each.difference for each in seen.lines[0].booked] == [-3, 3]
    assert (world.figures().store, world.figures().missing) == (97, 0)
    assert stocktakes.known_now(manager, later(14), stocktake_id)[0].left == 0
    audit()


def test_a_late_correction_does_not_disturb_a_later_count_of_the_same_day(world: World) -> None:
    world.deliver(NOW - timedelta(hours=2), TODAY, 100)
    first = counted(world, 100)
    approve(world, first, later(5))
    second = counted(world, 95, later(10))
    approve(world, second, later(15))
    print_at(world, later(20), 5, time(10, 0))
    manager = world.actor("manager")
    # Of the two counts the earlier one takes it in; then the later one is right as it stands.
    stocktakes.correct(manager, later(25), uuid4(), first, {BLANK: 5})
    assert stocktakes.known_now(manager, later(26), second)[0].left == 0
    assert world.figures().store == 95
    audit()


# --- one at a time -------------------------------------------------------------------------------------------------


def test_an_office_has_one_open_stocktake(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    request = uuid4()
    first = stocktakes.begin(world.storekeeper, NOW, request, DENPASAR, note="monthly")
    assert stocktakes.begin(world.storekeeper, NOW, request, DENPASAR, note="monthly") == first
    with pytest.raises(Refusal, match="request_id_reused"):
        stocktakes.begin(world.storekeeper, NOW, request, DENPASAR, note="other")
    with pytest.raises(Refusal, match="stocktake_open"):
        world.stocktake(NOW)
    with pytest.raises(Refusal, match="nothing_to_count"):
        stocktakes.begin(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG)


def test_a_stocktake_is_cancelled_with_a_reason_and_by_whom_it_takes(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    with pytest.raises(Invalid, match="stocktake_cancel_needs_reason"):
        stocktakes.cancel(world.storekeeper, NOW, stocktake_id, " ")
    for _attempt in range(2):
        assert stocktakes.cancel(world.storekeeper, NOW, stocktake_id, "power cut").status == "cancelled"
    with pytest.raises(Refusal, match="stocktake_closed"):
        count(world, stocktake_id, 100, NOW)
    all_in = counted(world, 90)
    with pytest.raises(NotAllowed):
        stocktakes.cancel(world.storekeeper, NOW, all_in, "does not suit me")
    assert stocktakes.cancel(world.actor("manager"), NOW, all_in, "wrong room").cancelled_by == "Manager"
    with pytest.raises(Refusal, match="stocktake_closed"):
        approve(world, all_in, NOW, differences={BLANK: -10})
    assert [each.id for each in stocktakes.of_office(world.storekeeper, DENPASAR)] == [all_in, stocktake_id]


def test_strangers_see_nothing(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    stocktake_id = world.stocktake(NOW)
    for stranger in ("viewer", "other_storekeeper", "administrator"):
        with pytest.raises(NotAllowed):
            stocktakes.get(world.actor(stranger), NOW, stocktake_id)
    with pytest.raises(NotFound):
        stocktakes.get(world.storekeeper, NOW, 999)


def test_entries_are_asked_for_their_time_only_on_the_day_of_a_stocktake(world: World) -> None:
    world.deliver(NOW, TODAY, 100)

    def asks(at: datetime) -> bool:
        return stocktakes.asks_for_time(world.storekeeper, at, DENPASAR)

    assert not asks(NOW)
    stocktake_id = counted(world, 100)
    assert asks(NOW)
    approve(world, stocktake_id, NOW + timedelta(days=1))
    assert asks(NOW + timedelta(days=1))
    assert not asks(NOW + timedelta(days=2))


# --- many at once --------------------------------------------------------------------------------------------------


def test_of_ten_who_approve_and_cancel_at_once_one_does(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        stocktake_id = counted(world, 97)
        manager = world.actor("manager")

        def act(number: int) -> Any:
            if number % 2:
                return stocktakes.approve(manager, later(5), uuid4(), stocktake_id, {BLANK: -3})
            return stocktakes.cancel(manager, later(5), stocktake_id, f"reason {number}")

        outcomes = at_once(app, [lambda number=number: act(number) for number in range(10)])
        assert refused_codes(outcomes) == {"stocktake_closed": 9}
        assert len(booked()) == (stocktakes.get(manager, NOW, stocktake_id).status == "approved")
        audit()


def test_prints_while_it_is_approved_do_not_change_what_is_booked(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        stocktake_id = counted(world, 97)
        manager, keeper = world.actor("manager"), world.storekeeper
        calls: list[Any] = [lambda: stocktakes.approve(manager, later(5), uuid4(), stocktake_id, {BLANK: -3})]

        def one_card() -> Any:
            printed = {"new": Printed(1)}
            return consumption.post_printed(keeper, later(4), uuid4(), DENPASAR, BLANK, TODAY, printed)

        outcomes = at_once(app, calls + [one_card] * 8)
        assert refused_codes(outcomes) == {}
        assert booked() == [("short", 3, str(TODAY))]
        assert world.figures().store == 97 - 8
        audit()


def test_two_who_count_the_same_item_at_once_leave_one_count(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        stocktake_id = world.stocktake(NOW)
        actors: list[Actor] = [world.storekeeper, world.actor("manager")]
        calls = [
            lambda actor=actor: stocktakes.count(actor, later(1), uuid4(), stocktake_id, {BLANK: Counted(quantity=100)})
            for actor in actors * 4
        ]
        outcomes = at_once(app, calls)
        codes = refused_codes(outcomes)
        assert codes["line_counted"] + codes["stocktake_closed"] == 7
        assert stocktakes.get(world.storekeeper, NOW, stocktake_id).status == "counted"


# --- whatever happens in whatever order ----------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.integers(-120, 120), st.integers(0, 200), st.integers(-9, 12), st.booleans()), max_size=12
)
"""Minutes from the count to when it happened, minutes until it was recorded, how many came (or went), and whether
its time of day was told."""


DAYS = itertools.count(3)


@given(events=EVENTS, slip=st.integers(-20, 20))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_store_is_the_count_and_all_that_happened_after_it(
    world: World, events: list[tuple[int, int, int, bool]], slip: int
) -> None:
    ahead = timedelta(days=next(DAYS))  # each example has a day of its own, after those of all others
    noon, day = NOW + timedelta(hours=1) + ahead, TODAY + ahead  # 12:00 in Denpasar: two hours around are of that day
    world.deliver(noon - timedelta(days=1), day - timedelta(days=1), 1000)
    truth = world.figures().store + sum(change for minutes, _, change, _ in events if minutes <= 0) + slip
    steps: list[tuple[datetime, int, Any]] = [
        (noon - timedelta(minutes=125), 0, "open"),
        (noon, 1, "count"),
        (noon + timedelta(minutes=60), 2, "approve"),
    ]
    for minutes, delay, change, told in events:
        happened, recorded = noon + timedelta(minutes=minutes), noon + timedelta(minutes=minutes + delay)
        across = minutes <= 0 < minutes + delay  # only what is recorded on the other side of the count has to be told
        if change:
            steps.append((recorded, 0, (happened if told or across else None, change)))
    stocktake_id = 0
    for at, _, step in sorted(steps, key=lambda each: each[:2]):
        if step == "open":
            stocktake_id = world.stocktake(at)
        elif step == "count":
            if count(world, stocktake_id, truth, at).status == "counting":
                count(world, stocktake_id, truth, at, again=True)
        elif step == "approve":
            approve(world, stocktake_id, at)
        else:
            _move(world, at, day, *step)
    end = noon + timedelta(hours=6)
    compared = stocktakes.known_now(world.storekeeper, end, stocktake_id)
    left = {each.item_code: each.left for each in compared if each.left}
    if left:
        stocktakes.correct(world.actor("manager"), end, uuid4(), stocktake_id, left)
    assert world.figures().store == truth + sum(change for minutes, _, change, _ in events if minutes > 0)
    audit()


def _move(world: World, recorded: datetime, day: date, happened: datetime | None, change: int) -> None:
    office = offices.get(world.storekeeper, Action.VIEW_STOCK, DENPASAR)
    kind, reason = (Kind.RECEIPT, "supplied") if change > 0 else (Kind.PRINT, "new")
    line = Line(
        office_id=office.id,
        item_id=items.get(BLANK).id,
        kind=kind,
        reason=reason,
        quantity=abs(change),
        effective_on=day,
        happened_at=happened,
    )
    ledger.post(world.storekeeper, recorded, uuid4(), [line])
