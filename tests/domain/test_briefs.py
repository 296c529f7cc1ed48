"""Which three sentences tell a case, with which values: a table of situations, and the days by which to act."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.alerts import Subject
from inventory.domain.briefs import Around, arrival_if_asked_today, brief, codes, last_day_to_ask

WEDNESDAY = date(2024, 5, 15)


def weekdays(day: date) -> bool:
    return day.weekday() < 5


def on(number: int) -> date:
    return WEDNESDAY + timedelta(days=number)


def around(**changes: Any) -> Around:
    return Around(**{"today": WEDNESDAY, "is_open": weekdays} | changes)


def facts(**changes: Any) -> dict[str, Any]:
    """Denpasar on 12 September 2023 had 1,639 blanks, called safe, at 225 to 500 prints a day; here at 225, with a
    lead time of five working days (inventory/data/reported.csv)."""
    usual = {
        "store": 1_639,
        "backlog": 0,
        "inbound": 0,
        "known": True,
        "level_per_day": 225.0,
        "cover_days": 7.3,
        "cover_capped": False,
        "lead_days": 5,
        "suggested_order": 3_500,
        "stockout_on": on(12).isoformat(),
    }
    return usual | changes


UNKNOWN = {"known": False, "level_per_day": None, "cover_days": None, "stockout_on": None, "suggested_order": None}

SITUATIONS = {
    "in time to order": (facts(), {}, ("stock_lasts", "why_nothing_comes", "do_order_by")),
    "too late to order": (
        facts(stockout_on=on(2).isoformat(), cover_days=2.1),
        {},
        ("stock_lasts", "why_nothing_comes", "do_order_and_borrow"),
    ),
    "comes in time, and more is wanted": (
        facts(inbound=500),
        {"arrives_on": on(5)},
        ("stock_lasts", "why_comes_on", "do_order_by"),
    ),
    "comes too late": (
        facts(inbound=500, stockout_on=on(2).isoformat()),
        {"arrives_on": on(6)},
        ("stock_lasts", "why_comes_too_late", "do_order_and_borrow"),
    ),
    "should have come": (
        facts(inbound=500),
        {"arrives_on": on(-3)},
        ("stock_lasts", "why_is_late", "do_order_by"),
    ),
    "comes, no day known, and it is enough": (
        facts(inbound=5_000, suggested_order=0),
        {},
        ("stock_lasts", "why_comes", "do_see_it_arrives"),
    ),
    "empty": (
        facts(store=0, cover_days=0.0, stockout_on=on(1).isoformat()),
        {},
        ("stock_out", "why_nothing_comes", "do_order_and_borrow"),
    ),
    "empty, people wait, something comes": (
        facts(store=0, backlog=40, inbound=500, stockout_on=on(1).isoformat()),
        {"arrives_on": on(1)},
        ("stock_out_waiting", "why_comes_too_late", "do_order_and_borrow"),
    ),
    "nobody can tell": (facts(**UNKNOWN), {}, ("stock_unknown", "why_unknown", "do_state_a_figure")),
    "empty, and nobody can tell": (
        facts(**UNKNOWN, store=0),
        {},
        ("stock_out", "why_unknown", "do_state_a_figure"),
    ),
    "no end in sight, order with the next": (
        facts(stockout_on=None, cover_capped=True, cover_days=250.0),
        {},
        ("stock_lasts_long", "why_nothing_comes", "do_order_next"),
    ),
    "nothing to do": (facts(suggested_order=0), {}, ("stock_lasts", "why_nothing_comes", "do_nothing")),
    "closed for good": (
        facts(store=0),
        {"is_open": lambda _day: False},
        ("stock_out", "why_nothing_comes", "do_order_now"),
    ),
    "facts of long ago": (
        {"store": 20, "level_per_day": None},
        {},
        ("stock_unknown", "why_unknown", "do_state_a_figure"),
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_stock_is_told_in_three_sentences(name: str) -> None:
    said, changes, expected = SITUATIONS[name]
    assert tuple(each.code for each in brief(Subject.LOW_STOCK, said, around(**changes))) == expected


def test_every_sentence_about_a_stock_is_said_of_some_situation() -> None:
    said = {code for _, _, expected in SITUATIONS.values() for code in expected}
    assert said == {code for code in codes() if code.startswith(("stock_", "why_", "do_"))}


def test_the_values_are_those_of_the_facts() -> None:
    what, why, do = brief(Subject.LOW_STOCK, facts(inbound=500), around(arrives_on=on(5)))
    assert what.values == {"store": 1_639, "cover": 7.3, "day": on(12)}
    assert why.values == {"rate": 225.0, "lead": 5, "inbound": 500, "day": on(5)}
    # Runs out on Monday the 27th: five working days back from it, it is asked for on the 20th.
    assert do.values == {"order": 3_500, "day": on(5)}


def test_it_says_how_many_working_days_there_would_be_without_stock() -> None:
    # Out on Friday; a delivery asked for on Wednesday is there on the next Wednesday: Monday and Tuesday are without.
    do = brief(Subject.LOW_STOCK, facts(stockout_on=on(2).isoformat()), around())[2]
    assert do.values == {"order": 3_500, "day": on(7), "gap": 2}
    empty = brief(Subject.LOW_STOCK, facts(store=0), around())[2]
    assert empty.values == {"order": 3_500, "day": on(7), "gap": 5}


CUSTODY = {
    Subject.OVERDUE_TRANSFER: {"quantity": 30, "since": "2024-05-10", "days_late": 5, "transfers": [1]},
    Subject.SPOILED_NOT_DESTROYED: {"quantity": 12, "oldest_on": "2024-04-01", "since": "2024-05-01", "days_late": 14},
    Subject.DAY_NOT_CLOSED: {"days": 3, "since": "2024-05-10", "days_late": 3},
    Subject.DAY_DIFFERENCE: {"quantity": 2, "since": "2024-05-13", "days_late": 2},
    Subject.COUNT_DIFFERENCE: {"quantity": 4, "since": "2024-05-13", "difference": -4},
    Subject.CONSUMABLE_FIRST: {"since": "2024-05-20", "blank": "ktp-wni"},
}


@pytest.mark.parametrize("subject", [each for each in Subject if each is not Subject.LOW_STOCK])
def test_what_is_left_undone_is_told_in_three_sentences_with_or_without_its_facts(subject: Subject) -> None:
    name = subject.value
    bare = brief(subject, {}, around())
    assert tuple(each.code for each in bare) == (f"{name}_plain", f"{name}_why", f"{name}_do")
    if subject in CUSTODY:
        what, *rest = brief(subject, CUSTODY[subject], around())
        assert what.code == f"{name}_what"
        assert what.values["since"] == date.fromisoformat(CUSTODY[subject]["since"])
        assert rest == list(bare[1:])


def test_every_code_that_is_said_is_listed() -> None:
    listed = set(codes())
    for said, changes, _ in SITUATIONS.values():
        assert {each.code for each in brief(Subject.LOW_STOCK, said, around(**changes))} <= listed
    for subject, said in CUSTODY.items():
        assert {each.code for each in brief(subject, said, around())} <= listed


@given(st.integers(0, 60), st.integers(0, 30), st.sets(st.integers(0, 90)))
def test_what_is_asked_for_on_the_last_day_is_there_in_time_and_a_day_later_is_not(
    out: int, lead: int, closed: set[int]
) -> None:
    shut = {on(number) for number in closed}
    place = around(is_open=lambda day: weekdays(day) and day not in shut)
    latest = last_day_to_ask(on(out), lead, place)

    def there(asked: date) -> date:
        found = arrival_if_asked_today(lead, around(today=asked, is_open=place.is_open))
        assert found is not None
        return found

    if latest is not None:
        assert place.is_open(latest)
        assert there(latest) <= on(out)
    later = [on(number) for number in range(out + 1) if latest is None or on(number) > latest]
    assert all(there(day) > on(out) for day in later if place.is_open(day) and lead > 0)
