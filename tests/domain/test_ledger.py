"""The ledger's law: effects, lines, reversal, closing balances and digests."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain import ledger
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import (
    EFFECTS,
    FIGURES,
    NOTHING,
    Effect,
    Kind,
    Line,
    Original,
    body_digest,
    check_day,
    check_line,
    effect_of,
    first_day_below_zero,
    obeys_law,
    reversal_of,
    total_effect,
)
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.ranges import Range

DAY = date(2024, 5, 15)

# Every kind and reason, written out a second time.
EXPECTED = {
    ("receipt", "supplied"): {"received": 1, "store": 1},
    ("receipt", "opening"): {"received": 1, "store": 1},
    ("receipt", "defective"): {"received": 1, "spoiled": 1},
    ("print", "new"): {"store": -1, "printed": 1},
    ("print", "lost"): {"store": -1, "printed": 1},
    ("print", "damaged"): {"store": -1, "printed": 1},
    ("print", "changed_data"): {"store": -1, "printed": 1},
    ("print", "moved_in"): {"store": -1, "printed": 1},
    ("print", "consumed"): {"store": -1, "printed": 1},
    ("spoil", "misprint"): {"store": -1, "spoiled": 1},
    ("spoil", "encoding_failure"): {"store": -1, "spoiled": 1},
    ("spoil", "defective"): {"store": -1, "spoiled": 1},
    ("spoil", "obsolete"): {"store": -1, "spoiled": 1},
    ("dispatch", "distribution"): {"store": -1, "transit": 1},
    ("dispatch", "loan"): {"store": -1, "transit": 1},
    ("dispatch", "return"): {"store": -1, "transit": 1},
    ("dispatch", "outreach"): {"store": -1, "transit": 1},
    ("arrival", "handed_over"): {"transit": -1, "sent": 1},
    ("arrival", "short"): {"transit": -1, "missing": 1},
    ("arrival", "cancelled"): {"transit": -1, "store": 1},
    ("arrival", "arrived"): {"received": 1, "store": 1},
    ("arrival", "arrived_damaged"): {"received": 1, "spoiled": 1},
    ("return", "to_supplier"): {"store": -1, "sent": 1},
    ("destroy", "destroyed"): {"spoiled": -1, "destroyed": 1},
    ("count", "found"): {"store": 1, "missing": -1},
    ("count", "short"): {"store": -1, "missing": 1},
}


def line(**changes: Any) -> Line:
    values = {
        "office_id": 1,
        "item_id": 1,
        "kind": Kind.PRINT,
        "reason": "new",
        "quantity": 10,
        "effective_on": DAY,
    }
    return Line(**values | changes)


def original(**changes: Any) -> Original:
    values: dict[str, Any] = {
        "id": 7,
        "office_id": 1,
        "item_id": 2,
        "kind": Kind.PRINT,
        "reason": "lost",
        "quantity": 10,
        "served_waiting": 4,
        "effective_on": DAY,
        "reverses_id": None,
        "reversed_by_id": None,
    }
    return Original(**values | changes)


# --- effects -----------------------------------------------------------------------------------------------------


def test_every_movement_has_the_effect_that_the_design_gives_it() -> None:
    known = {(kind.value, reason): effect for (kind, reason), effect in EFFECTS.items()}
    assert known == {key: Effect(**parts) for key, parts in EXPECTED.items()}


@pytest.mark.parametrize("key", EXPECTED, ids="-".join)
def test_no_movement_makes_or_loses_a_blank(key: tuple[str, str]) -> None:
    effect = effect_of(*key)
    in_places = effect.store + effect.transit + effect.printed + effect.spoiled + effect.destroyed + effect.missing
    assert effect.received - effect.sent == in_places
    assert effect != NOTHING


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_reason(kind: Kind) -> None:
    assert [reason for known, reason in EFFECTS if known is kind]


@pytest.mark.parametrize(
    ("kind", "reason"), [("print", "misprint"), ("gift", "new"), ("print", ""), ("receipt", "new"), ("", "")]
)
def test_a_movement_that_the_law_does_not_have_is_refused(kind: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        effect_of(kind, reason)
    assert refused.value.code == "unknown_movement"
    assert refused.value.facts == {"kind": kind, "reason": reason}


some_lines = st.lists(
    st.builds(
        lambda key, quantity: line(kind=key[0], reason=key[1], quantity=quantity),
        st.sampled_from(sorted(EFFECTS)),
        st.integers(-MAX_QUANTITY, MAX_QUANTITY),
    )
)


@given(some_lines)
def test_any_sum_of_movements_keeps_the_law(lines: list[Line]) -> None:
    total = total_effect(lines)._asdict()
    places = ("store", "transit", "printed", "spoiled", "destroyed", "missing")
    assert total["received"] - total["sent"] == sum(total[place] for place in places)


@given(some_lines, some_lines)
def test_effects_add_up_in_any_grouping_and_order(first: list[Line], second: list[Line]) -> None:
    assert total_effect(first + second) == total_effect(second).plus(total_effect(first))
    assert total_effect(first).plus(total_effect(first).times(-1)) == NOTHING


@pytest.mark.parametrize("figure", FIGURES)
def test_the_law_notices_one_blank_too_many_in_any_figure(figure: str) -> None:
    figures = dict.fromkeys(FIGURES, 0) | {"received": 10, "sent": 1, "store": 5, "printed": 4}
    assert obeys_law(figures)
    assert not obeys_law(figures | {figure: figures[figure] + 1})


@pytest.mark.parametrize("figure", FIGURES)
def test_only_missing_may_be_negative(figure: str) -> None:
    figures = dict.fromkeys(FIGURES, 0) | {figure: -1}
    balancing = "store" if figure == "missing" else "missing"
    figures[balancing] += {"received": -1, "sent": 1}.get(figure, 1)
    assert obeys_law(figures) is (figure == "missing")


# --- lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 0}, "quantity_not_positive"),
        ({"quantity": -1}, "quantity_not_positive"),
        ({"quantity": 1, "reverses_id": 3}, "quantity_not_positive"),
        ({"quantity": 1.5}, "quantity_not_positive"),
        ({"quantity": MAX_QUANTITY + 1}, "quantity_too_large"),
        ({"quantity": -MAX_QUANTITY - 1, "reverses_id": 3}, "quantity_too_large"),
        ({"reason": "misprint"}, "unknown_movement"),
        ({"served_waiting": 11}, "served_waiting_exceeds_print"),
        ({"served_waiting": -1}, "served_waiting_needs_print"),
        ({"served_waiting": 1, "quantity": -10, "reverses_id": 3}, "served_waiting_needs_print"),
        ({"served_waiting": -11, "quantity": -10, "reverses_id": 3}, "served_waiting_exceeds_print"),
        ({"served_waiting": 1, "kind": Kind.SPOIL, "reason": "misprint"}, "served_waiting_needs_print"),
        ({"served_waiting": 1, "kind": Kind.RECEIPT, "reason": "supplied"}, "served_waiting_needs_print"),
    ],
)
def test_a_line_that_cannot_stand_by_itself_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_line(line(**changes))
    assert refused.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quantity": 1},
        {"quantity": MAX_QUANTITY},
        {"served_waiting": 10},
        {"quantity": -10, "served_waiting": -10, "reverses_id": 3},
    ],
)
def test_a_line_that_can_stand_by_itself_is_accepted(changes: dict[str, Any]) -> None:
    check_line(line(**changes))


def test_how_many_waited_is_a_whole_number() -> None:
    with pytest.raises(Invalid):
        check_line(line(served_waiting=0.5))


@pytest.mark.parametrize("key", EXPECTED, ids="-".join)
def test_every_movement_can_be_a_line(key: tuple[str, str]) -> None:
    check_line(line(kind=Kind(key[0]), reason=key[1]))


@pytest.mark.parametrize(
    ("day", "code"),
    [(DAY + timedelta(days=1), "day_in_future"), (date(2010, 12, 31), "day_too_early")],
)
def test_a_day_outside_the_ledger_is_refused(day: date, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_day(day, DAY, date(2011, 1, 1))
    assert refused.value.code == code
    assert refused.value.facts["day"] == day


@pytest.mark.parametrize("day", [DAY, date(2011, 1, 1)])
def test_the_first_day_and_today_are_inside_the_ledger(day: date) -> None:
    check_day(day, DAY, date(2011, 1, 1))


# --- reversal ----------------------------------------------------------------------------------------------------


def test_a_reversal_takes_back_its_original_on_the_originals_day() -> None:
    undo = reversal_of(original(), "  typed twice ")
    assert undo == Line(
        office_id=1,
        item_id=2,
        kind=Kind.PRINT,
        reason="lost",
        quantity=-10,
        served_waiting=-4,
        effective_on=DAY,
        reverses_id=7,
        note="typed twice",
    )
    check_line(undo)


@pytest.mark.parametrize(
    ("changes", "note", "code"),
    [
        ({"reverses_id": 3}, "why", "reversal_of_reversal"),
        ({"reversed_by_id": 9}, "why", "already_reversed"),
        ({"kind": Kind.DISPATCH, "reason": "loan", "served_waiting": 0}, "why", "part_of_document"),
        ({"kind": Kind.ARRIVAL, "reason": "arrived", "served_waiting": 0}, "why", "part_of_document"),
        ({"kind": Kind.COUNT, "reason": "found", "served_waiting": 0}, "why", "part_of_document"),
        ({"kind": Kind.DESTROY, "reason": "destroyed", "served_waiting": 0}, "why", "part_of_document"),
        ({}, "", "reversal_needs_reason"),
        ({}, " \n\t", "reversal_needs_reason"),
        ({"reverses_id": 3, "reversed_by_id": 9}, "", "reversal_of_reversal"),
    ],
)
def test_what_may_not_be_reversed(changes: dict[str, Any], note: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        reversal_of(original(**changes), note)
    assert refused.value.code == code


@pytest.mark.parametrize("key", [key for key in EXPECTED if key[0] in ("receipt", "print", "spoil", "return")])
@given(quantity=st.integers(1, MAX_QUANTITY))
def test_a_movement_and_its_reversal_leave_nothing(key: tuple[str, str], quantity: int) -> None:
    undone = original(kind=Kind(key[0]), reason=key[1], quantity=quantity, served_waiting=0)
    undo = reversal_of(undone, "a slip")
    check_line(undo)
    assert undo.effect.plus(effect_of(*key).times(quantity)) == NOTHING


# --- closing balances --------------------------------------------------------------------------------------------


def first_by_brute_force(entries: list[tuple[date, Effect]], since: date) -> tuple[date, dict[str, int]] | None:
    """The earliest day from `since` on with movements whose closing is negative, and all its negative figures."""
    for day in sorted({day for day, _ in entries if day >= since}):
        closing = NOTHING
        for on, effect in entries:
            if on <= day:
                closing = closing.plus(effect)
        negative = {f: n for f, n in closing._asdict().items() if n < 0 and f != "missing"}
        if negative:
            return day, negative
    return None


days = st.integers(0, 9).map(lambda n: DAY + timedelta(days=n))
dated_effects = st.lists(
    st.tuples(
        days,
        st.builds(
            lambda key, quantity: effect_of(*key).times(quantity),
            st.sampled_from(sorted(EFFECTS)),
            st.integers(-5, 9),
        ),
    ),
    max_size=14,
)


@given(dated_effects, days)
def test_the_first_day_below_zero_is_the_one_that_adding_up_finds(
    entries: list[tuple[date, Effect]], since: date
) -> None:
    now, by_day = NOTHING, {}
    for day, effect in entries:
        now = now.plus(effect)
        by_day[day] = by_day.get(day, NOTHING).plus(effect)
    found = first_day_below_zero(now._asdict(), by_day, since)
    expected = first_by_brute_force(entries, since)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        day, figure, closing = found
        assert day == expected[0]
        assert expected[1][figure] == closing


def test_a_balance_with_missing_below_zero_is_not_below_zero() -> None:
    surplus = effect_of("count", "found").times(3)
    assert first_day_below_zero(surplus._asdict(), {DAY: surplus}, DAY) is None


# --- digests -----------------------------------------------------------------------------------------------------


def test_the_same_request_has_the_same_digest() -> None:
    extra = {"bast_number": "470/1", "bast_on": DAY}
    first = body_digest(5, [line(), line(item_id=2)], extra)
    assert first == body_digest(5, (line(), line(item_id=2)), dict(reversed(extra.items())))
    assert re.fullmatch(r"[0-9a-f]{64}", first)
    assert body_digest(5, [line()]) == body_digest(5, [line()], {})


CHANGES: dict[str, Any] = {
    "office_id": 2,
    "item_id": 2,
    "kind": Kind.SPOIL,
    "reason": "lost",
    "quantity": 11,
    "effective_on": DAY - timedelta(days=1),
    "served_waiting": 1,
    "note": "x",
    "reverses_id": 3,
    "shift": "morning",
    "happened_at": datetime(2024, 5, 15, 3, 0, tzinfo=UTC),
    "ranges": (Range("A", 3, 1, 2),),
}


@pytest.mark.parametrize("name", list(Line.__dataclass_fields__))
def test_another_line_has_another_digest(name: str) -> None:
    assert body_digest(5, [line()]) != body_digest(5, [replace(line(), **{name: CHANGES[name]})])


@pytest.mark.parametrize(
    ("actor", "lines", "extra"),
    [
        (6, [line()], {"bast_number": "470/1"}),
        (None, [line()], {"bast_number": "470/1"}),
        (5, [], {"bast_number": "470/1"}),
        (5, [line(), line()], {"bast_number": "470/1"}),
        (5, [line()], {"bast_number": "470/2"}),
        (5, [line()], None),
    ],
)
def test_another_request_has_another_digest(
    actor: int | None, lines: list[Line], extra: dict[str, object] | None
) -> None:
    assert body_digest(5, [line()], {"bast_number": "470/1"}) != body_digest(actor, lines, extra)


def test_the_order_of_lines_is_part_of_the_request() -> None:
    one, other = line(), line(item_id=2)
    assert body_digest(5, [one, other]) != body_digest(5, [other, one])


def test_reasons_of_prints_and_causes_of_spoilage_are_those_that_offices_record() -> None:
    assert ledger.PRINT_REASONS == ("new", "lost", "damaged", "changed_data", "moved_in")
    assert ledger.SPOIL_CAUSES == ("misprint", "encoding_failure", "defective", "obsolete")
