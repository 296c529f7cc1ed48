"""How many offices run out on which day: counted as in plain Python, rolled up, within reach, and quick."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role
from inventory.domain.errors import NotAllowed, NotFound
from inventory.models import Balance, Item, Office, StoredProjection
from inventory.services import items, offices, reviews, run_out_calendar, stated_rates
from inventory.services.run_out_calendar import DAYS, PER_PAGE, WEEK, RunOutCalendar
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

BALI = Actor(1, "Uji", (Grant(Role.MANAGER, "00/51/"),))
DISTRICTS = ("51.71.01", "51.71.02")


def on(number: int) -> date:
    return TODAY + timedelta(days=number)


def expect(
    office_code: str,
    day: date | None,
    *,
    item: str = BLANK,
    level: str = "low",
    early: date | None = None,
    late: date | None = None,
) -> None:
    """As if the last review had said so of a stock."""
    key = {
        "office_id": offices.get(SYSTEM, Action.VIEW_STOCK, office_code).id,
        "item_id": items.get(item).id,
    }
    if db.session.get(Balance, tuple(key.values())) is None:
        db.session.execute(text("INSERT INTO balances (office_id, item_id) VALUES (:office_id, :item_id)"), key)
    days = {"stockout_on": day, "stockout_early_on": early, "stockout_late_on": late}
    db.session.add(StoredProjection(**key, on_day=TODAY, made_at=NOW, level=level, facts={}, **days))
    db.session.commit()


def counts(found: RunOutCalendar) -> dict[date, int]:
    return {each.day: each.offices for each in found.days if each.offices}


def test_offices_are_counted_on_the_day_they_run_out_with_their_first_item(world: World) -> None:
    expect(DENPASAR, on(3))
    expect(DENPASAR, on(9), item="kia")
    expect(BADUNG, on(3))
    expect("51.71.01", on(13))
    expect("51.71.02", on(14))
    found = run_out_calendar.of_office(BALI, NOW, "51")
    assert [each.day for each in found.days] == [on(number) for number in range(DAYS)]
    assert counts(found) == {on(3): 2, on(13): 1}
    assert (found.offices, found.week, found.out) == (4, 2, 0)
    assert [(each.office_code, each.item_code, each.day) for each in found.run_outs] == [
        (BADUNG, BLANK, on(3)),
        (DENPASAR, BLANK, on(3)),
        (DENPASAR, "kia", on(9)),
        ("51.71.01", BLANK, on(13)),
    ]
    assert counts(run_out_calendar.of_office(BALI, NOW, "51", item_code="kia")) == {on(9): 1}


def test_what_is_out_already_is_counted_apart_and_what_should_be_past_counts_as_today(world: World) -> None:
    expect(DENPASAR, on(1), level="out")
    expect(BADUNG, on(-4), level="critical")
    expect("51.71.01", None, level="unknown")
    expect("51.71.02", None, level="ok")
    found = run_out_calendar.of_office(BALI, NOW)
    assert (found.out, found.unknown, counts(found)) == (1, 1, {TODAY: 1})
    assert found.days[0].by_then == found.days[-1].by_then == 2
    assert [(each.office_code, each.day) for each in found.run_outs] == [(DENPASAR, None), (BADUNG, on(-4))]
    [badung] = run_out_calendar.of_office(BALI, NOW, day=TODAY).run_outs
    assert badung.office_code == BADUNG


def test_the_band_says_how_many_at_least_and_at_most(world: World) -> None:
    expect(DENPASAR, on(5), early=on(2), late=on(9))
    expect(BADUNG, on(6), early=on(6), late=None)
    days = {each.day: each for each in run_out_calendar.of_office(BALI, NOW, "51").days}
    told = {
        number: (days[on(number)].at_least, days[on(number)].by_then, days[on(number)].at_most)
        for number in (1, 2, 5, 6, 9)
    }
    assert told == {1: (0, 0, 0), 2: (0, 0, 1), 5: (0, 1, 1), 6: (0, 2, 2), 9: (1, 2, 2)}


def test_offices_are_rolled_up_and_drilled_down_into(world: World) -> None:
    expect("51", on(2))
    expect(DENPASAR, on(8))
    expect("51.71.01", on(0))
    expect("51.71.02", on(30))
    expect(BADUNG, on(40), level="ok")
    found = run_out_calendar.of_office(BALI, NOW, "51")
    told = {each.office.code: (each.offices, each.week, each.fortnight) for each in found.parts}
    assert told == {BADUNG: (1, 0, 0), DENPASAR: (3, 1, 2)}
    assert found.own is not None
    assert (found.own.offices, found.own.week) == (1, 1)
    below = run_out_calendar.of_office(BALI, NOW, DENPASAR)
    assert {each.office.code: each.week for each in below.parts} == {"51.71.01": 1, "51.71.02": 0}
    assert run_out_calendar.of_office(BALI, NOW, "51.71.01").parts == ()


def test_nobody_sees_beyond_their_reach(world: World) -> None:
    expect(DENPASAR, on(1))
    expect("51.71.01", on(1))
    expect(BADUNG, on(1))
    manager, storekeeper = world.actor("manager"), world.storekeeper
    assert run_out_calendar.of_office(manager, NOW).offices == 2
    assert {each.office_code for each in run_out_calendar.of_office(manager, NOW).run_outs} == {DENPASAR, "51.71.01"}
    own = run_out_calendar.of_office(storekeeper, NOW, DENPASAR)
    assert (own.offices, own.parts) == (1, ())
    with pytest.raises(NotAllowed):
        run_out_calendar.of_office(manager, NOW, BADUNG)
    with pytest.raises(NotFound):
        run_out_calendar.of_office(manager, NOW, "99")
    with pytest.raises(NotFound):
        run_out_calendar.of_office(manager, NOW, DENPASAR, item_code="nichts")


def test_the_sums_are_those_of_plain_python(world: World) -> None:
    dice = random.Random(5)
    codes = [DENPASAR, BADUNG, *DISTRICTS, "51", "16.09", "94.71"]
    told: dict[str, list[date]] = {code: [] for code in codes}
    for code in codes:
        for item in (BLANK, "kia"):
            day = on(dice.randrange(0, 20))
            expect(code, day, item=item)
            told[code].append(day)
    firsts = [min(days) for days in told.values()]
    found = run_out_calendar.of_office(SYSTEM, NOW)
    assert counts(found) == {day: firsts.count(day) for day in set(firsts) if day < on(DAYS)}
    assert found.week == sum(day < on(WEEK) for day in firsts)
    stocks = sorted(day for days in told.values() for day in days if day < on(DAYS))
    assert [each.day for each in found.run_outs] == stocks


def test_reaches_that_lie_within_each_other_count_an_office_in_each(world: World) -> None:
    for code in (DENPASAR, "51.71.01", BADUNG):
        expect(code, on(3))
    grants = tuple(Grant(Role.MANAGER, path) for path in ("00/51/", "00/51/51.71/"))
    found = run_out_calendar.of_office(Actor(1, "Uji", grants), NOW)
    assert {each.office.code: (each.offices, each.week) for each in found.parts} == {"51": (3, 3), DENPASAR: (2, 2)}
    assert (found.offices, found.week, found.found) == (3, 3, 3)


def test_parts_are_those_of_plain_python(world: World) -> None:
    dice = random.Random(7)
    told: dict[str, tuple[str, date | None]] = {}
    for code in ("51", DENPASAR, BADUNG, *DISTRICTS):
        level = dice.choice(("out", "unknown", "low", "ok"))
        told[code] = level, None if level == "unknown" else on(dice.randrange(-2, 20))
        expect(code, told[code][1], level=level)
    found = run_out_calendar.of_office(BALI, NOW, "51")
    assert found.own is not None
    for part in (*found.parts, found.own):
        below = [said for code, said in told.items() if code.startswith(part.office.code)]
        below = [told["51"]] if part is found.own else below
        ahead = [day for level, day in below if level != "out" and day is not None]
        assert (part.offices, part.out) == (len(below), sum(level == "out" for level, _ in below))
        assert part.week == sum(day < on(WEEK) for day in ahead)
        assert part.fortnight == sum(day < on(DAYS) for day in ahead)
        assert part.unknown == sum(level == "unknown" for level, _ in below)


def test_the_review_keeps_its_days_as_columns(world: World) -> None:
    world.deliver(NOW, TODAY, 50)
    reviews.review(SYSTEM, lambda: NOW, "test")
    row = db.session.scalars(select(StoredProjection)).one()
    assert row.facts["stockout_on"] is None
    assert row.stockout_on is None
    stated_rates.state(world.actor("administrator"), NOW, DENPASAR, BLANK, 20, "rapat")
    reviews.review(SYSTEM, lambda: NOW + timedelta(minutes=1), "test")
    db.session.expire_all()
    row = db.session.scalars(select(StoredProjection)).one()
    days = (row.stockout_on, row.stockout_early_on, row.stockout_late_on)
    written = (row.facts[name] for name in reviews.RUN_OUT_DAYS)
    assert days == tuple(day and date.fromisoformat(day) for day in written)
    assert row.stockout_on is not None


def test_pages_are_whole_and_the_number_of_queries_does_not_grow(world: World) -> None:
    _many_districts(PER_PAGE + 20)
    first = run_out_calendar.of_office(BALI, NOW, "51")
    second = run_out_calendar.of_office(BALI, NOW, "51", page=2)
    assert (first.found, first.pages, len(first.run_outs), len(second.run_outs)) == (70, 2, 50, 20)
    assert not {each.office_code for each in first.run_outs} & {each.office_code for each in second.run_outs}
    assert run_out_calendar.of_office(BALI, NOW, "51", page=99).page == 2
    assert len(_statements(lambda: run_out_calendar.of_office(BALI, NOW, "51"))) <= 14


def _many_districts(number: int) -> None:
    parent = db.session.scalars(select(Office).where(Office.code == DENPASAR)).one()
    item_id = db.session.scalars(select(Item.id).where(Item.code == BLANK)).one()
    copied = {name: getattr(parent, name) for name in ("time_zone", "working_days", "service_level")}
    copied |= {"lead_time_days": 5, "review_period_days": 5, "kind": "district", "parent_id": parent.id}
    made = [
        Office(code=f"51.71.{i + 100}", name=f"Kecamatan {i}", path=f"{parent.path}51.71.{i + 100}/", **copied)
        for i in range(number)
    ]
    db.session.add_all(made)
    db.session.flush()
    keys = [{"office_id": office.id, "item_id": item_id} for office in made]
    db.session.execute(text("INSERT INTO balances (office_id, item_id) VALUES (:office_id, :item_id)"), keys)
    said = {"on_day": TODAY, "made_at": NOW, "level": "low", "facts": {}, "stockout_on": on(4)}
    db.session.add_all([StoredProjection(**key, **said) for key in keys])
    db.session.commit()


def _statements(work: Any) -> Sequence[str]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return seen
