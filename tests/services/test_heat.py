"""Weeks of offices on both databases, against what the books say of each day by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.heat import WEEKS, Cell, Show, step_of
from inventory.domain.series import monday_of
from inventory.models import Balance, DailyTotal, Item, Office
from inventory.services import balances, calendars, consumption, deliveries, heat
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import _many_districts, _statements
from tests.world import BADUNG, BLANK, DENPASAR, World

FIRST = TODAY - timedelta(days=37)
"""A Monday."""
DISTRICT = "51.71.01"


def fill(world: World) -> None:
    """Denpasar runs out for some days, its district never does, and Badung spoils every tenth card."""
    for code, opening in ((DENPASAR, 100), (DISTRICT, 5_000), (BADUNG, 1_000)):
        deliveries.record_opening(SYSTEM, NOW, uuid4(), code, BLANK, FIRST, opening, "")
    for number in range(1, 37):
        day = FIRST + timedelta(days=number)
        if day.weekday() > 4:
            continue
        if number == 18:
            world.deliver(NOW, day, 150)
        if number == 4:
            world.print(NOW, day, world.figures().store)
        elif number < 4 or (number > 18 and number % 2):
            world.print(NOW, day, 10)
        if number % 3 == 0:
            consumption.post_printed(SYSTEM, NOW, uuid4(), DISTRICT, BLANK, day, {"new": Printed(6)})
            consumption.post_printed(SYSTEM, NOW, uuid4(), BADUNG, BLANK, day, {"new": Printed(9)})
            consumption.post_spoiled(SYSTEM, NOW, uuid4(), BADUNG, BLANK, day, {"misprint": 1})


pytestmark = pytest.mark.filled(by=fill)


def naive(code: str, show: Show) -> list[float | None]:
    """The same figures, a day at a time."""
    office = db.session.scalars(select(Office).where(Office.code == code)).one()
    begin = monday_of(TODAY) - timedelta(weeks=WEEKS - 1)
    calendar = calendars.of_offices([(office.id, office.working_days)], begin, TODAY)[office.id]
    rows = db.session.execute(
        select(DailyTotal.day, DailyTotal.kind, DailyTotal.quantity).where(
            DailyTotal.office_id == office.id, DailyTotal.kind.in_(("print", "spoil"))
        )
    ).all()

    def used(*kinds: str, days: Sequence[date]) -> int:
        return sum(quantity for day, kind, quantity in rows if kind in kinds and day in days)

    kept = [FIRST + timedelta(days=number) for number in range(38)]
    store = {day: balances.as_of(SYSTEM, code, BLANK, day).store for day in kept if calendar.is_open(day)}
    served = [day for day, left in store.items() if left > 0 or used("print", "spoil", days=[day])]
    per_day = used("print", "spoil", days=kept) / len(served)
    found: list[float | None] = []
    for number in range(WEEKS):
        days = [begin + timedelta(weeks=number, days=each) for each in range(7)]
        closings = [store[day] for day in days if day in store]
        both = used("print", "spoil", days=days)
        if show is Show.SPOILAGE:
            found.append(used("spoil", days=days) / both if both else None)
        elif not closings:
            found.append(None)
        else:
            found.append(closings.count(0) if show is Show.STOCK_OUT_DAYS else min(closings) / per_day)
    return found


def told(found: heat.Heat) -> dict[str, list[float | None]]:
    return {row.code: [cell and cell.figure for cell in row.cells] for row in found.rows}


@pytest.mark.parametrize("show", Show)
def test_every_figure_is_what_a_look_at_each_day_gives(world: World, show: Show) -> None:
    found = heat.of_office(SYSTEM, NOW, "51", BLANK, show)
    assert found.weeks[-1] == monday_of(TODAY)
    assert len(found.weeks) == WEEKS
    for code, figures in told(found).items():
        assert figures == pytest.approx(naive(code, show)), code
    cells = [cell for row in found.rows for cell in row.cells if cell]
    assert all(cell == Cell(cell.figure, step_of(show, cell.figure)) for cell in cells)


def test_the_worst_come_first(world: World) -> None:
    def order(show: Show) -> list[str]:
        return list(told(heat.of_office(SYSTEM, NOW, "51", BLANK, show)))

    assert order(Show.COVER)[::2] == [DENPASAR, DISTRICT]
    assert order(Show.STOCK_OUT_DAYS)[0] == DENPASAR
    assert order(Show.SPOILAGE)[0] == BADUNG


def test_nobody_looks_beyond_their_reach(world: World) -> None:
    manager = world.actor("manager")
    assert set(told(heat.of_office(manager, NOW, DENPASAR, BLANK, Show.COVER))) == {DENPASAR, DISTRICT}
    assert set(told(heat.of_office(world.storekeeper, NOW, DENPASAR, BLANK, Show.COVER))) == {DENPASAR}
    with pytest.raises(NotAllowed):
        heat.of_office(manager, NOW, "51", BLANK, Show.COVER)
    with pytest.raises(NotFound):
        heat.of_office(manager, NOW, DENPASAR, "nothing", Show.COVER)
    assert heat.of_office(manager, NOW, DENPASAR, "film", Show.COVER).rows == ()


def test_many_offices_take_no_more_queries_and_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(page: int = 1, show: Show = Show.STOCK_OUT_DAYS) -> Any:
        return heat.of_office(SYSTEM, NOW, "51", BLANK, show, page)

    def count() -> int:
        # On SQLite the first of a session begins its transaction.
        return sum(statement != "BEGIN" for statement in _statements(looked))

    few = count()
    _many_districts(heat.PER_PAGE + 7)
    db.session.execute(text("UPDATE balances SET last_seq = 1 WHERE last_seq = 0"))
    db.session.commit()
    assert count() == few <= 6
    first, second = looked(), looked(2)
    assert (first.found, first.pages, len(first.rows), len(second.rows)) == (60, 2, 50, 10)
    assert not told(first).keys() & told(second).keys()
    assert first.rows[0].code == DENPASAR, "of those that can be sorted the worst comes first"
    assert not first.by_review
    assert looked(99).page == 2

    monkeypatch.setattr(heat, "MOST_SORTED", 20)
    first, second = looked(), looked(2)
    assert first.by_review
    assert len(told(first).keys() | told(second).keys()) == 60, "each once, whatever the order"
    assert count() == few
    # Only these have been reviewed, and found low.
    assert all(row.code.startswith("51.71.1") for row in first.rows)


def test_a_closed_office_is_left_out(world: World) -> None:
    item = select(Item.id).where(Item.code == BLANK)
    assert db.session.scalars(select(Balance.office_id).where(Balance.item_id.in_(item))).all()
    db.session.execute(text("UPDATE offices SET active = false WHERE code = :code"), {"code": BADUNG})
    db.session.commit()
    assert BADUNG not in told(heat.of_office(SYSTEM, NOW, "51", BLANK, Show.COVER))
