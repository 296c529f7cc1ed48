"""The daily closing on both databases: differences become exceptions that another person clears."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Kind, Line
from inventory.services import closings, deliveries, items, ledger, offices
from inventory.services.closings import DayView, ExceptionView, Unclosed
from tests.concurrent import at_once, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)
MONDAY = TODAY - timedelta(days=2)


def close(
    world: World,
    left: int | Mapping[str, int],
    printed: int = 0,
    *,
    day: date = TODAY,
    days_later: int = 0,
    request: UUID | None = None,
    by: str = "storekeeper",
) -> DayView:
    counted = {BLANK: left} if isinstance(left, int) else left
    now = NOW + timedelta(days=days_later)
    return closings.close(world.actor(by), now, request or uuid4(), DENPASAR, day, counted, {BLANK: printed})


def exceptions(seen: DayView) -> list[tuple[str, int, int]]:
    return [(each.kind, each.expected, each.found) for item in seen.items for each in item.exceptions]


def open_ones(world: World, name: str = "manager") -> list[ExceptionView]:
    return closings.open_exceptions(world.actor(name))


def test_a_day_that_agrees_is_closed_without_a_difference(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 10)
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "ribbon", TODAY, 8, "")
    seen = close(world, {BLANK: 90, "ribbon": 8}, 10)
    assert exceptions(seen) == []
    blank, ribbon = seen.items
    assert (blank.left, blank.book_store, blank.printed_by_system, blank.book_printed) == (90, 90, 10, 10)
    assert (ribbon.left, ribbon.printed_by_system) == (8, None)
    assert seen.closed_by == "Storekeeper"


def test_each_difference_is_an_exception_and_posts_nothing(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 10)
    before = world.figures()
    seen = close(world, 88, 12)
    assert exceptions(seen) == [("store", 90, 88), ("printed", 10, 12)]
    assert world.figures() == before
    assert [each.kind for each in open_ones(world)] == ["store", "printed"]
    assert open_ones(world, "other_storekeeper") == []
    assert len(closings.open_exceptions(SYSTEM, limit=1)) == 1


def test_a_past_day_is_held_against_the_book_of_its_own_close(world: World) -> None:
    world.deliver(NOW, MONDAY, 100)
    world.print(NOW, YESTERDAY, 10)
    world.print(NOW, TODAY, 25)
    assert exceptions(close(world, 90, 10, day=YESTERDAY)) == []
    assert exceptions(close(world, 100, 0, day=MONDAY)) == []
    assert [each.day for each in closings.of_office(world.storekeeper, DENPASAR)] == [YESTERDAY, MONDAY]


def test_a_manager_clears_a_difference_with_a_reason_and_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    close(world, 98)
    [found] = open_ones(world)
    manager, request = world.actor("manager"), uuid4()
    with pytest.raises(Invalid, match="clearing_needs_reason"):
        closings.clear(manager, NOW, uuid4(), found.id, " ")
    with pytest.raises(NotAllowed):
        closings.clear(world.storekeeper, NOW, uuid4(), found.id, "mine")
    with pytest.raises(NotAllowed):
        closings.clear(SYSTEM, NOW, uuid4(), found.id, "by itself")
    for _attempt in range(2):
        cleared = closings.clear(manager, NOW, request, found.id, "two cards under the printer")
        assert (cleared.status, cleared.cleared_by, cleared.reason) == (
            "cleared",
            "Manager",
            "two cards under the printer",
        )
    with pytest.raises(Refusal, match="exception_cleared"):
        closings.clear(manager, NOW, uuid4(), found.id, "again")
    assert open_ones(world) == []
    with pytest.raises(NotFound):
        closings.exception(manager, 999)


def test_who_closed_the_day_does_not_clear_it_says_the_database_too(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    close(world, 98)
    cleared = "UPDATE closing_exceptions SET status = 'cleared', reason = 'x', cleared_at = '2024-05-15 03:00:00'"
    for who in ("closed_by_id", "NULL"):
        with pytest.raises(IntegrityError, match="ck_closing_exceptions_cleared"):
            db.session.execute(text(f"{cleared}, cleared_by_id = {who}"))
        db.session.rollback()
    manager = world.actor("manager").person_id
    with pytest.raises(IntegrityError):  # the copy of who closed it cannot say otherwise than the closing
        db.session.execute(text(f"UPDATE closing_exceptions SET closed_by_id = {manager}"))
    db.session.rollback()


def test_late_entries_are_shown_and_a_difference_that_vanished_is_still_cleared_by_hand(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    close(world, 97)
    world.print(NOW + timedelta(days=1), TODAY, 3)
    world.print(NOW + timedelta(days=1), TODAY + timedelta(days=1), 20)
    seen = closings.get(world.actor("manager"), NOW, DENPASAR, TODAY)
    [item] = seen.items
    assert (item.book_store, item.known_store, item.left, item.known_printed) == (100, 97, 97, 3)
    [found] = item.exceptions
    assert (found.known, found.vanished, found.status) == (97, True, "open")
    assert [(each.change, each.day) for each in seen.late] == [(-3, TODAY)]
    assert [each.vanished for each in open_ones(world)] == [True]


def test_a_day_is_closed_once_and_a_repeated_request_finds_it(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    request = uuid4()
    for _attempt in range(2):
        assert exceptions(close(world, 98, request=request)) == [("store", 100, 98)]
    with pytest.raises(Refusal, match="request_id_reused"):
        close(world, 99, request=request)
    with pytest.raises(Refusal, match="day_closed"):
        close(world, 98)


def test_a_day_is_opened_again_by_another_person_and_closed_anew(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    close(world, 10)
    manager = world.actor("manager")
    with pytest.raises(NotAllowed):
        closings.reopen(world.storekeeper, NOW, DENPASAR, TODAY, "typing error")
    with pytest.raises(Invalid, match="reopening_needs_reason"):
        closings.reopen(manager, NOW, DENPASAR, TODAY, "")
    closings.reopen(manager, NOW, DENPASAR, TODAY, "typing error")
    assert open_ones(world) == []
    with pytest.raises(Refusal, match="day_not_closed"):
        closings.get(manager, NOW, DENPASAR, TODAY)
    with pytest.raises(Refusal, match="day_not_closed"):
        closings.reopen(manager, NOW, DENPASAR, TODAY, "typing error")
    assert exceptions(close(world, 100)) == []


@pytest.mark.parametrize(
    ("left", "changes", "code"),
    [
        ({}, {}, "closing_items_differ"),
        ({BLANK: 1, "film": 1}, {}, "closing_items_differ"),
        ({BLANK: -1}, {}, "quantity_negative"),
        ({BLANK: 10_000_001}, {}, "quantity_too_large"),
        ({BLANK: 1}, {"day": TODAY + timedelta(days=1)}, "day_in_future"),
        ({BLANK: 1}, {"day": date(2010, 1, 1)}, "day_too_early"),
        ({BLANK: 1}, {"by": "manager"}, "not_allowed"),
        ({BLANK: 1}, {"by": "other_storekeeper"}, "not_allowed"),
    ],
)
def test_a_closing_that_cannot_be_is_refused(
    world: World, left: dict[str, int], changes: dict[str, Any], code: str
) -> None:
    world.deliver(NOW, TODAY, 100)
    with pytest.raises(Refusal, match=code):
        close(world, left, **changes)
    assert closings.of_office(world.storekeeper, DENPASAR) == []


def test_an_office_without_a_book_has_nothing_to_close(world: World) -> None:
    with pytest.raises(Refusal, match="nothing_to_close"):
        close(world, 0)


def test_of_eight_who_close_a_day_at_once_one_does(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        keeper = world.storekeeper
        calls = [
            lambda left=left: closings.close(keeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: left}, {BLANK: 0})
            for left in range(93, 101)
        ]
        assert refused_codes(at_once(app, calls)) == {"day_closed": 7}
        assert db.session.scalar(text("SELECT count(*) FROM day_closings")) == 1


# --- what was left out ---------------------------------------------------------------------------------------------


def left_out(world: World, days_later: int, name: str = "regional") -> list[Unclosed]:
    return closings.unclosed(world.actor(name), NOW + timedelta(days=days_later))


def test_an_office_that_never_closed_a_day_is_told_once(world: World) -> None:
    assert left_out(world, 0) == []
    world.deliver(NOW, TODAY, 100)
    [found] = left_out(world, 10)
    assert (found.office_code, found.never, found.days) == (DENPASAR, True, ())
    assert closings.unclosed_days(NOW + timedelta(days=10)) == []


def test_working_days_left_unclosed_are_told_from_the_first_closing_on(world: World) -> None:
    world.deliver(NOW, MONDAY, 100)
    close(world, 100, day=YESTERDAY)
    assert left_out(world, 0) == []  # today is not over yet
    [found] = left_out(world, 1)
    assert (found.never, found.days) == (False, (TODAY,))
    # Thursday and Friday are worked, the weekend is not.
    [found] = left_out(world, 5)
    assert found.days == (TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=2))
    close(world, 100, day=TODAY, days_later=5)
    office = offices.get(SYSTEM, closings.Action.VIEW_STOCK, DENPASAR)
    assert closings.unclosed_days(NOW + timedelta(days=5)) == [
        (office.id, (TODAY + timedelta(days=1), TODAY + timedelta(days=2)))
    ]
    # Never more than the last five.
    assert len(left_out(world, 60)[0].days) == 5


def test_a_day_on_which_the_office_was_shut_is_not_owed(world: World) -> None:
    world.deliver(NOW, MONDAY, 100)
    close(world, 100, day=YESTERDAY)
    offices.add_calendar_day(SYSTEM, NOW, DENPASAR, TODAY, open_=False, name="flood")
    assert left_out(world, 1) == []


def test_unclosed_days_are_seen_in_reach_only_and_with_few_queries(world: World) -> None:
    world.deliver(NOW, MONDAY, 100)
    close(world, 100, day=MONDAY)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        statements.append(statement)

    actor = world.actor("regional")
    event.listen(db.engine, "after_cursor_execute", note)
    try:
        found = closings.unclosed(actor, NOW)
    finally:
        event.remove(db.engine, "after_cursor_execute", note)
    assert [each.office_code for each in found] == [DENPASAR]
    assert len([each for each in statements if "SELECT" in each]) == 4
    assert left_out(world, 0, "other_storekeeper") == []
    assert [each.office_code for each in left_out(world, 0, "storekeeper")] == [DENPASAR]
    assert closings.unclosed(actor, NOW, limit=0) == []
    with pytest.raises(NotAllowed):
        closings.of_office(world.storekeeper, BADUNG)


def test_what_is_counted_is_what_is_listed(world: World) -> None:
    for number, code in enumerate((DENPASAR, BADUNG, "51.71.01", "51.71.02")):
        office_id, item_id = offices.get(SYSTEM, closings.Action.VIEW_STOCK, code).id, items.get(BLANK).id
        line = Line(
            office_id=office_id, item_id=item_id, kind=Kind.RECEIPT, reason="opening", quantity=100, effective_on=MONDAY
        )
        ledger.post(SYSTEM, NOW, UUID(int=number + 1), [line], origin="synthetic")
    close(world, 100, day=MONDAY)
    actor, later = world.actor("regional"), NOW + timedelta(days=3)
    listed = closings.unclosed(actor, later)
    assert [(each.office_code, each.never) for each in listed] == [
        (BADUNG, True),
        (DENPASAR, False),
        ("51.71.01", True),
        ("51.71.02", True),
    ]
    for limit in (1, 2, 3, 4, 5):
        assert closings.first_unclosed(actor, later, limit) == (listed[:limit], 4)
        assert closings.unclosed(actor, later, limit) == listed[:limit]
    paths = [offices.get(SYSTEM, closings.Action.VIEW_STOCK, code).path for code in ("51", DENPASAR, BADUNG)]
    assert closings.unclosed_by(actor, later, paths) == [
        (
            sum(len(each.days) for each in listed if each.office_path.startswith(path)),
            sum(each.never for each in listed if each.office_path.startswith(path)),
        )
        for path in paths
    ]
    assert closings.unclosed_by(world.storekeeper, later, paths[:1]) == [(len(listed[1].days), 0)]
