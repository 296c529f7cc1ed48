"""What the projection is told of demand to come, for stocks of several offices and items, and for a country of them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import event, insert, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.backtest import Foreknown
from inventory.domain.coverage import Figure
from inventory.models import Event, Office, OutreachPlan
from inventory.services import caps, clearing, coverage, events, items, known_demand, offices, outreach
from inventory.services.caps import Capping
from inventory.services.events import Happening
from inventory.services.known_demand import KnownDemand
from inventory.services.outreach import Planning
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

HISTORY, AHEAD = 60, 30
THROUGH = TODAY - timedelta(days=1)
FIRST = THROUGH - timedelta(days=HISTORY - 1)
CODES = ((DENPASAR, BLANK), (DENPASAR, "kia"), (BADUNG, BLANK), ("16.09", BLANK))
CITY, CHILD, OTHER, FAR = range(4)


@dataclass(frozen=True)
class Stock:
    office_id: int
    item_id: int


def stocks() -> list[Stock]:
    return [Stock(offices.get(SYSTEM, Action.VIEW_OFFICE, office).id, items.get(item).id) for office, item in CODES]


def known(
    printed: np.ndarray | None = None, is_open: np.ndarray | None = None, backlog: Mapping[int, int] | None = None
) -> KnownDemand:
    nothing = np.zeros((len(CODES), HISTORY), dtype=np.int64)
    usual = np.ones((len(CODES), AHEAD), dtype=bool)
    return known_demand.of_stocks(
        stocks(),
        FIRST,
        THROUGH,
        nothing if printed is None else printed,
        usual if is_open is None else is_open,
        backlog or {},
    )


def column(day: date) -> int:
    return (day - FIRST).days


def ahead(day: date) -> int:
    return (day - THROUGH).days - 1


def season_on(found: KnownDemand, row: int, day: date) -> str:
    number = found.season[row, column(day)]
    return found.seasons[number - 1].kind if number else ""


def plan(world: World, day: date, quantity: int, **changes: Any) -> int:
    return world.plan_outreach(NOW, day, quantity, **changes)


def test_who_has_said_nothing_has_usual_demand(world: World) -> None:
    found = known()
    assert found.season.shape == (4, HISTORY + AHEAD)
    assert found.season.dtype == np.int8
    assert not found.rationed.any()
    assert found.rationed.shape == (4, HISTORY)
    assert np.isinf(found.cap_ahead).all()
    assert found.cap_ahead.shape == found.extra.shape == (4, AHEAD)
    assert not found.extra.any()
    assert (found.factor == 1).all()
    json.dumps(found.notes)
    assert {season.kind for season in found.seasons} == {"ramadan", "lebaran"}
    assert season_on(found, FAR, date(2024, 4, 9)) == "ramadan"
    assert season_on(found, FAR, date(2024, 4, 15)) == ""
    assert [season_on(found, FAR, date(2024, 4, day)) for day in (16, 29, 30)] == ["lebaran", "lebaran", ""]


def test_an_event_counts_in_its_subtree_for_its_items(world: World) -> None:
    june = (date(2024, 6, 3), date(2024, 6, 7))

    def add(name: str, **changes: Any) -> None:
        said = {"kind": "other", "name": name, "first_day": june[0], "last_day": june[1], **changes}
        events.add(SYSTEM, NOW, uuid4(), Happening(**said))

    add("country")
    add("bali", office_code="51", first_day=june[0] + timedelta(days=1))
    add("kia", office_code="51", kind="school_enrolment", items=("kia",), first_day=june[1], factor=1.4)
    found = known()

    def names(row: int) -> list[str]:
        numbers = [int(found.season[row, column(june[0] + timedelta(days=n))]) for n in range(5)]
        return [found.seasons[n - 1].name or found.seasons[n - 1].kind for n in numbers]

    assert names(FAR) == ["country"] * 5
    assert names(CITY) == names(OTHER) == ["country"] + ["bali"] * 4
    assert names(CHILD) == ["country"] + ["bali"] * 3 + ["school_enrolment"]
    assert [each["name"] for each in found.notes[CHILD]["seasons"]] == ["country", "bali", "kia"]
    assert [each["name"] for each in found.notes[FAR]["seasons"]] == ["country"]
    assert [season.factor for season in found.seasons if season.kind == "school_enrolment"] == [1.4]


def test_past_elections_teach_the_coming_one(world: World) -> None:
    for first in (FIRST, TODAY + timedelta(days=3)):
        said = Happening(kind="election", name=f"Pemilu {first}", first_day=first, last_day=first + timedelta(days=2))
        events.add(SYSTEM, NOW, uuid4(), said)
    found = known()
    days = (FIRST, TODAY + timedelta(days=3))
    assert {int(found.season[CITY, column(day)]) for day in days} == {
        found.seasons.index(next(each for each in found.seasons if each.kind == "election")) + 1
    }


def test_outreach_is_expected_on_its_day_while_it_is_planned(world: World) -> None:
    saturday = date(2024, 5, 18)
    plan(world, saturday, 200, expected={BLANK: 200, "kia": 30})
    plan(world, saturday, 50)
    outreach.call_off(world.storekeeper, NOW, uuid4(), plan(world, saturday, 900), 1, "hujan")
    plan(world, TODAY + timedelta(days=AHEAD), 70)
    held = plan(world, TODAY, 40)
    outreach.record_held(world.storekeeper, NOW, uuid4(), held, 1, {})
    planning = Planning(day=saturday, place="Kuta", expected={BLANK: 11})
    outreach.plan(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, planning)
    found = known()
    assert found.extra[CITY, ahead(saturday)] == 250
    assert found.extra[CHILD, ahead(saturday)] == 30
    assert found.extra[OTHER, ahead(saturday)] == 11
    assert found.extra.sum() == 291, "not what was called off, held, or lies beyond the days ahead"
    note = found.notes[CITY]
    assert (note["outreach_count"], note["outreach_prints"], note["outreach_next"]) == (2, 250, "2024-05-18")


def test_outreach_of_past_days_is_told_and_not_expected(world: World) -> None:
    plan(world, TODAY, 200)
    later = TODAY + timedelta(days=2)
    found = known_demand.of_stocks(
        stocks(),
        FIRST,
        later,
        np.zeros((4, HISTORY + 3), dtype=np.int64),
        np.ones((4, AHEAD), dtype=bool),
        {},
    )
    assert not found.extra.any()
    note = found.notes[CITY]
    assert (note["outreach_count"], note["outreach_past_count"], note["outreach_past_prints"]) == (0, 1, 200)
    assert np.argwhere(found.announced).tolist() == [[CITY, (TODAY - FIRST).days]]


def test_an_office_that_goes_out_all_the_time_has_no_other_usual_demand(world: World) -> None:
    days = [TODAY + timedelta(days=number) for number in range(9)]
    for day in days:
        plan(world, day, 20)
    some = known_demand.of_stocks(
        stocks(),
        TODAY - timedelta(days=1),
        days[-1],
        np.zeros((4, 10), dtype=np.int64),
        np.ones((4, 5), dtype=bool),
        {},
    )
    assert not some.announced.any()
    for day in days[2:]:
        outreach.call_off(world.storekeeper, NOW, uuid4(), _plan_on(day), 1, "hujan")
    fewer = known_demand.of_stocks(
        stocks(),
        TODAY - timedelta(days=1),
        days[-1],
        np.zeros((4, 10), dtype=np.int64),
        np.ones((4, 5), dtype=bool),
        {},
    )
    assert np.argwhere(fewer.announced).tolist() == [[CITY, 1], [CITY, 2]]


def _plan_on(day: date) -> int:
    found = db.session.scalar(select(OutreachPlan.id).where(OutreachPlan.day == day))
    assert found is not None
    return found


def test_a_day_whose_prints_reached_the_cap_is_rationed(world: World) -> None:
    def cap(most: int, first: date, last: date | None, item: str = BLANK) -> int:
        said = Capping(item_code=item, most_a_day=most, first_day=first, last_day=last)
        return caps.add(world.storekeeper, NOW, uuid4(), DENPASAR, said)

    week_ago = TODAY - timedelta(days=7)
    cap(80, week_ago, week_ago + timedelta(days=3))
    cap(50, week_ago + timedelta(days=3), None)
    caps.withdraw(world.storekeeper, NOW, uuid4(), cap(1, FIRST, None), 1)
    printed = np.full((4, HISTORY), 300, dtype=np.int64)
    start = column(week_ago)
    printed[CITY, start : start + 7] = [80, 75, 76, 49, 47, 48, 0]
    found = known(printed)
    assert found.rationed[CITY, start : start + 7].tolist() == [True, False, True, True, False, True, False]
    assert found.rationed.sum() == 4
    assert (found.cap_ahead[CITY] == 50).all()
    assert np.isinf(found.cap_ahead[[CHILD, OTHER, FAR]]).all()
    note = found.notes[CITY]
    assert (note["cap"], note["cap_from"], note["cap_until"], note["days_rationed"]) == (50, "2024-05-11", None, 4)


def test_a_cap_to_come_has_its_days(world: World) -> None:
    first, last = TODAY + timedelta(days=4), TODAY + timedelta(days=6)
    said = Capping(item_code=BLANK, most_a_day=120, first_day=first, last_day=last)
    caps.add(world.storekeeper, NOW, uuid4(), DENPASAR, said)
    capped = np.flatnonzero(np.isfinite(known().cap_ahead[CITY])).tolist()
    assert capped == [ahead(first), ahead(first) + 1, ahead(last)]


def state(world: World, item: str, per_day: int | None) -> None:
    clearing.state_rate(world.storekeeper, NOW, uuid4(), DENPASAR, item, per_day, "rencana kerja")


def test_a_backlog_is_cleared_on_open_days_until_it_is_used_up(world: World) -> None:
    is_open = np.ones((4, AHEAD), dtype=bool)
    is_open[:, 3:5] = False
    denpasar = stocks()[CITY].office_id
    assert not known(None, is_open, {denpasar: 250}).extra.any(), "nobody has said how fast"
    assert known(None, is_open, {denpasar: 250}).notes[CITY]["backlog"] == 250
    state(world, BLANK, 40)
    found = known(None, is_open, {denpasar: 250})
    assert found.extra[CITY, :10].tolist() == [40, 40, 40, 0, 0, 40, 40, 40, 10, 0]
    assert found.extra.sum() == 250
    note = found.notes[CITY]
    assert (note["backlog_part"], note["clearing_rate"], note["clearing_source"]) == (250, 40, "rencana kerja")
    assert note["cleared_on"] == (TODAY + timedelta(days=8)).isoformat()
    state(world, BLANK, None)
    assert not known(None, is_open, {denpasar: 250}).extra.any()


def test_denpasars_backlog_of_7636_outlasts_a_month_at_a_slow_rate(world: World) -> None:
    """Denpasar had 7,636 residents still to be enrolled on 12 Sep 2023 (Bali Post, in data/reported.csv)."""
    state(world, BLANK, 100)
    found = known(None, None, {stocks()[CITY].office_id: 7636})
    assert found.extra[CITY].tolist() == [100] * AHEAD
    note = found.notes[CITY]
    assert (note["cleared_on"], note["cleared_ahead"]) == (None, 100 * AHEAD)


def test_two_items_clear_one_backlog_and_not_each_its_own(world: World) -> None:
    state(world, BLANK, 30)
    state(world, "kia", 10)
    found = known(None, None, {stocks()[CITY].office_id: 100})
    assert (found.extra[CITY].sum(), found.extra[CHILD].sum()) == (75, 25)
    assert json.dumps(found.notes)


def test_clearing_comes_on_top_of_outreach(world: World) -> None:
    plan(world, TODAY, 200)
    state(world, BLANK, 30)
    assert known(None, None, {stocks()[CITY].office_id: 45}).extra[CITY, :3].tolist() == [230, 15, 0]


def test_digital_identities_lower_demand_of_every_item_of_their_office(world: World) -> None:
    clearing.state_digital(world.actor("administrator"), NOW, uuid4(), DENPASAR, 0.25, "target IKD")
    found = known()
    assert found.factor.tolist() == [0.75, 0.75, 1, 1]
    assert (found.notes[CITY]["digital_share"], found.notes[CITY]["digital_source"]) == (0.25, "target IKD")
    assert found.notes[FAR]["digital_share"] is None


def test_a_share_of_digital_identities_counts_below_unless_an_office_has_its_own(world: World) -> None:
    def state(office: str, share: float, now: datetime = NOW) -> None:
        clearing.state_digital(world.actor("administrator"), now, uuid4(), office, share, f"of {office}")

    state("51", 0.2)
    assert known().factor == pytest.approx([0.8, 0.8, 0.8, 1])
    note = known().notes[CITY]
    assert (note["digital_share"], note["digital_source"], note["digital_office"]) == (0.2, "of 51", "Bali")
    state(DENPASAR, 0.0)
    state(BADUNG, 0.5)
    assert known().factor == pytest.approx([1, 1, 0.5, 1]), "none at all is its own word, too"
    assert known().notes[OTHER]["digital_office"] is None
    state("51", 0.3, NOW + timedelta(days=1))
    assert known().factor == pytest.approx([1, 1, 0.5, 1])
    south = offices.get(SYSTEM, Action.VIEW_OFFICE, "51.71.01").id
    row = [Stock(south, items.get(BLANK).id)]
    nothing, usual = np.zeros((1, HISTORY), dtype=np.int64), np.ones((1, AHEAD), dtype=bool)
    district = known_demand.of_stocks(row, FIRST, THROUGH, nothing, usual, {})
    assert district.factor.tolist() == [1], "the nearest office above counts, and Denpasar has said none"
    said = clearing.digital_history(world.actor("manager"), "51.71.01")
    assert [(each.share, each.of_office) for each in said] == [(0.0, "Kota Denpasar")]
    assert [each.of_office for each in clearing.digital_history(world.storekeeper, DENPASAR)] == [""]


def test_a_backlog_of_more_than_a_year_ago_does_not_count_and_that_is_noted(world: World) -> None:
    """Denpasar's 42,411 print-ready residents of 30 September 2017, by a newspaper (data/reported.csv)."""
    denpasar = offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).id

    def report(as_of: date, value: int) -> None:
        figure = Figure(measure="print_ready", value=value, as_of=as_of, source="Bali Post")
        coverage.record(SYSTEM, NOW, uuid4(), DENPASAR, [figure])

    def waiting() -> tuple[int | None, dict[str, Any] | None]:
        said = coverage.backlog_of([denpasar], THROUGH)[denpasar]
        found = known(backlog={denpasar: said.print_ready or 0})
        assert (found.extra.sum() > 0) == bool(said.print_ready)
        return said.print_ready, found.notes[CITY]["backlog_outdated"]

    report(date(2017, 9, 30), 42_411)
    assert waiting() == (None, None), "nobody means to clear it"
    state(world, BLANK, 100)
    assert waiting() == (None, {"backlog": 42_411, "as_of": "2017-09-30"})
    report(THROUGH - timedelta(days=366), 900)
    assert waiting() == (None, {"backlog": 900, "as_of": (THROUGH - timedelta(days=366)).isoformat()})
    report(THROUGH - timedelta(days=365), 700)
    assert waiting() == (700, None)


# --- as it was known -----------------------------------------------------------------------------------------------


def known_then(day: date, days: int = 20) -> Foreknown:
    return known_demand.as_it_was_known(stocks(), FIRST, THROUGH)(day, days)


def labels(found: Foreknown, row: int) -> list[int]:
    assert found.seasons is not None
    return [*found.seasons.past[row].tolist(), *found.seasons.ahead[row].tolist()]


def test_the_moons_seasons_were_known_at_any_time(world: World) -> None:
    found = known_then(date(2024, 4, 3))
    assert found.extra is None
    assert found.seasons is not None
    assert found.seasons.past.shape == (4, column(date(2024, 4, 3)) + 1)
    assert found.seasons.ahead.shape == (4, 20)
    assert np.isnan(found.seasons.stated).all()
    ramadan, after = labels(found, FAR)[column(date(2024, 4, 3))], labels(found, FAR)[column(date(2024, 4, 16))]
    assert labels(found, FAR)[column(date(2024, 4, 9))] == ramadan != after
    assert labels(found, FAR)[column(date(2024, 4, 12))] == 0


def test_of_an_event_said_later_only_what_is_public_was_known_before(world: World) -> None:
    first, said = TODAY - timedelta(days=12), NOW - timedelta(days=15)

    def add(kind: str, name: str, day: date) -> None:
        happening = Happening(kind=kind, name=name, first_day=day, last_day=day, office_code=DENPASAR, factor=2.5)
        events.add(SYSTEM, said, uuid4(), happening)

    add("election", "Pilkada", first)
    add("other", "Pasar malam", first + timedelta(days=1))
    before, after = (known_then(TODAY - timedelta(days=days)) for days in (16, 15))
    for found, stated, names in ((before, [], [True, False]), (after, [2.5, 2.5], [True, True])):
        assert found.seasons is not None
        known = found.seasons.stated
        assert known[~np.isnan(known)].tolist() == stated
        days = [column(first), column(first) + 1]
        assert [labels(found, CITY)[day] > 0 for day in days] == names
        assert [labels(found, OTHER)[day] for day in days] == [0, 0]


def test_a_factor_changed_afterwards_was_not_known_before(world: World) -> None:
    first = TODAY - timedelta(days=12)
    said = Happening(kind="other", name="Pasar malam", first_day=first, last_day=first, factor=1.5)
    made = events.add(SYSTEM, NOW - timedelta(days=20), uuid4(), said)
    day = column(first)
    assert labels(known_then(TODAY - timedelta(days=16)), CITY)[day] > 0
    events.change(SYSTEM, NOW - timedelta(days=10), uuid4(), made, 1, replace(said, factor=3.0))
    assert labels(known_then(TODAY - timedelta(days=16)), CITY)[day] == 0
    assert labels(known_then(TODAY - timedelta(days=10)), CITY)[day] > 0


def test_outreach_was_expected_once_it_was_planned_and_until_it_was_called_off(world: World) -> None:
    held_on = TODAY - timedelta(days=10)

    def ago(days: int) -> datetime:
        return NOW - timedelta(days=days)

    def planned(days_ago: int, quantity: int) -> int:
        return world.plan_outreach(ago(days_ago), held_on, quantity)

    planned(20, 200)
    off = planned(19, 30)
    outreach.call_off(world.storekeeper, ago(14), uuid4(), off, 1, "hujan")
    moved = planned(20, 7)
    other = Planning(day=held_on, place="Sanur", expected={BLANK: 9})
    outreach.change(world.storekeeper, ago(12), uuid4(), moved, 1, other)

    def expected(days_ago: int) -> float:
        extra = known_then(TODAY - timedelta(days=days_ago)).extra
        if extra is None:
            return 0.0
        assert extra[CITY, days_ago - 10 - 1] == extra.sum()
        return float(extra.sum())

    found = [expected(days) for days in (21, 20, 19, 15, 14, 12, 11, 10)]
    assert found == [0, 200, 230, 230, 200, 209, 209, 0], "what the changed plan said before it was changed is not kept"
    assert known_then(TODAY - timedelta(days=20), days=9).extra is None, "its day lies beyond those looked at"


def test_prints_of_other_days_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="printed is"):
        known(np.zeros((4, HISTORY - 1), dtype=np.int64))


def test_no_stocks_are_no_trouble(world: World) -> None:
    none = np.zeros((0, HISTORY), dtype=np.int64)
    found = known_demand.of_stocks([], FIRST, THROUGH, none, np.zeros((0, AHEAD), dtype=bool), {})
    assert (found.season.shape, found.notes) == ((0, HISTORY + AHEAD), [])


def _country(count: int) -> list[Stock]:
    """Stocks of `count` offices and three items; some of the offices are in the database, below Denpasar."""
    known_ids = db.session.scalars(select(Office.id).order_by(Office.id)).all()
    office_ids = [*known_ids, *range(10_000, 10_000 + count - len(known_ids))]
    item_ids = [item.id for item in items.active()[:3]]
    return [Stock(office_id, item_id) for office_id in office_ids for item_id in item_ids]


def test_a_country_takes_few_queries_and_little_memory(world: World) -> None:
    history, ahead_days = 730, 120
    plan(world, date(2024, 5, 18), 200)
    state(world, BLANK, 40)
    caps.add(world.storekeeper, NOW, uuid4(), DENPASAR, Capping(item_code=BLANK, most_a_day=50, first_day=TODAY))
    for code in ("51", "16", ""):
        said = Happening(
            kind="election",
            name=f"Pilkada {code}",
            first_day=date(2024, 6, 1),
            last_day=date(2024, 6, 30),
            office_code=code,
        )
        events.add(SYSTEM, NOW, uuid4(), said)
    found_stocks = _country(8_000)
    printed = np.full((len(found_stocks), history), 60, dtype=np.int64)
    is_open = np.ones((len(found_stocks), ahead_days), dtype=bool)
    first = THROUGH - timedelta(days=history - 1)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    found = known_demand.of_stocks(found_stocks, first, THROUGH, printed, is_open, {1: 500})
    assert found.season.shape == (24_000, history + ahead_days)
    assert len(statements) <= 10, statements
    tracemalloc.start()
    known_demand.of_stocks(found_stocks, first, THROUGH, printed, is_open, {1: 500})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000_000


def test_more_than_127_seasons_have_numbers_of_their_own(world: World) -> None:
    rows = [
        {"kind": "other", "name": f"Pasar malam {n}", "first_day": TODAY, "last_day": TODAY, "recorded_at": NOW}
        for n in range(200)
    ]
    db.session.execute(insert(Event), rows)
    db.session.commit()
    found = known()
    assert len(found.seasons) == 202
    assert found.season.dtype == np.int16
    assert 1 <= found.season.max() <= 202
    assert season_on(found, CITY, TODAY) == "other"
