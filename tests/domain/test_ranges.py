"""Number ranges against plain sets of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.errors import Invalid
from inventory.domain.ledger import EFFECTS, OUTSIDE, route_of
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.ranges import (
    BLOCK,
    MAX_RANGES,
    Range,
    Ranges,
    Whereabouts,
    blocks,
    check_agreement,
    check_ranges,
    common,
    count,
    gaps,
    less,
    less_part,
    parse_number,
    parse_ranges,
    passed_over,
    write_ranges,
)

Number = tuple[str, int, int]


def numbers(ranges: Any) -> set[Number]:
    return {(each.prefix, each.width, n) for each in ranges for n in range(each.first, each.last + 1)}


def from_numbers(found: set[Number]) -> list[Range]:
    return [Range(prefix, width, n, n) for prefix, width, n in found]


some_numbers = st.sets(st.tuples(st.sampled_from(["", "A"]), st.sampled_from([3, 4]), st.integers(0, 40)))
one_range = st.builds(
    lambda prefix, first, size: Range(prefix, 4, first, first + size),
    st.sampled_from(["", "A"]),
    st.integers(0, 40),
    st.integers(0, 15),
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("A100001-A100500, A100700", [("A", 6, 100001, 100500), ("A", 6, 100700, 100700)]),
        ("a100001 – a100500", [("A", 6, 100001, 100500)]),
        ("A100001 s.d. A100500", [("A", 6, 100001, 100500)]),
        ("A100001 s/d A100500\nA100501", [("A", 6, 100001, 100501)]),
        ("A100001 sd A100500;", [("A", 6, 100001, 100500)]),
        ("A100001 sampai dengan 100500", [("A", 6, 100001, 100500)]),
        ("0007-0009 0010", [("", 4, 7, 10)]),
        ("B2-B3,A1-A2,B1", [("A", 1, 1, 2), ("B", 1, 1, 3)]),
        ("12AB345", [("12AB", 3, 345, 345)]),
        ("A1, A01", [("A", 1, 1, 1), ("A", 2, 1, 1)]),
        ("  ", []),
    ],
)
def test_ranges_are_read_as_people_write_them(typed: str, expected: list[tuple[str, int, int, int]]) -> None:
    assert parse_ranges(typed) == tuple(Range(*each) for each in expected)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("A", "range_unreadable"),
        ("A1-", "range_unreadable"),
        ("-5", "range_unreadable"),
        ("A1-A2-A3", "range_unreadable"),
        ("A١٢", "range_unreadable"),
        ("A1234567890123", "range_unreadable"),
        ("ABCDEFGHI1", "range_unreadable"),
        ("A1.5", "range_unreadable"),
        ("A2-A1", "range_backwards"),
        ("A1-B2", "range_series_differ"),
        ("A01-A2", "range_series_differ"),
        ("A100001-500", "range_series_differ"),
        ("A1-A5, A5-A9", "range_twice"),
        ("A1, A1", "range_twice"),
        ("0-99999999", "quantity_too_large"),
        (" ".join(str(n) for n in range(1000, 1000 + 2 * (MAX_RANGES + 1), 2)), "ranges_too_many"),
        ("A" * 9000, "text_too_long"),
    ],
)
def test_what_cannot_be_read_is_refused(typed: str, code: str) -> None:
    typed = "00000000-99999999" if code == "quantity_too_large" else typed
    with pytest.raises(Invalid) as refused:
        parse_ranges(typed)
    assert refused.value.code == code


def test_a_range_of_the_largest_quantity_is_taken() -> None:
    assert count(parse_ranges(f"00000001-{MAX_QUANTITY:08d}")) == MAX_QUANTITY


@given(some_numbers)
def test_ranges_hold_exactly_their_numbers_and_are_written_so_that_they_read_back(found: set[Number]) -> None:
    ranges = check_ranges(from_numbers(found))
    assert numbers(ranges) == found
    assert count(ranges) == len(found)
    assert parse_ranges(write_ranges(ranges)) == ranges
    ends = {(each.prefix, each.width, each.last + 1) for each in ranges}
    assert not ends & {(each.prefix, each.width, each.first) for each in ranges}, "neighbours were not joined"


@given(st.lists(one_range, max_size=6))
def test_a_number_that_stands_twice_is_refused(ranges: list[Range]) -> None:
    if sum(each.size for each in ranges) == len(numbers(ranges)):
        assert numbers(check_ranges(ranges)) == numbers(ranges)
    else:
        with pytest.raises(Invalid, match="range_twice"):
            check_ranges(ranges)


@given(some_numbers, some_numbers)
def test_less_and_common_are_those_of_sets(one: set[Number], other: set[Number]) -> None:
    a, b = check_ranges(from_numbers(one)), check_ranges(from_numbers(other))
    assert numbers(less(a, b)) == one - other
    assert numbers(common(a, b)) == one & other
    if other <= one:
        assert numbers(less_part(a, b)) == one - other
    else:
        with pytest.raises(Invalid, match="range_not_part"):
            less_part(a, b)


@given(st.integers(0, 10 * BLOCK), st.integers(0, 5 * BLOCK))
def test_blocks_are_the_whole_and_none_crosses_a_border(first: int, more: int) -> None:
    whole = Range("A", 6, first, first + more)
    pieces = blocks(whole)
    assert check_ranges(pieces) == (whole,)
    assert all(piece.first // BLOCK == piece.last // BLOCK for piece in pieces)


@given(st.lists(st.tuples(one_range, st.sampled_from(["store", "printed", "outside"])), max_size=12))
def test_whereabouts_are_those_of_a_plain_table(moves: list[tuple[Range, str]]) -> None:
    places: dict[Number, str] = {}
    whereabouts = Whereabouts()
    for moved, target in moves:
        before = {number: places[number] for number in numbers([moved]) if number in places}
        told = whereabouts.move(moved, target)
        assert {number: state for piece, state in told for number in numbers([piece])} == before
        places |= dict.fromkeys(numbers([moved]), target)
    found = list(whereabouts.all())
    assert {number: state for each, state in found for number in numbers([each])} == places
    assert sum(each.size for each, _ in found) == len(places)


@given(some_numbers, some_numbers)
def test_gaps_and_passed_over_numbers_are_those_of_sets(one: set[Number], other: set[Number]) -> None:
    def top(found: set[Number], prefix: str, width: int) -> list[int]:
        return [n for p, w, n in found if (p, w) == (prefix, width)]

    between = {
        (prefix, width, n)
        for prefix, width, _ in one
        for n in range(min(top(one, prefix, width)), max(top(one, prefix, width)))
    }
    assert numbers(gaps(from_numbers(one))) == between - one
    unused = one - other
    passed = {(p, w, n) for p, w, n in unused if top(other, p, w) and n < max(top(other, p, w))}
    assert numbers(passed_over(check_ranges(from_numbers(unused)), from_numbers(other))) == passed


def test_a_number_has_a_series() -> None:
    assert parse_number(" a0012 ") == (("A", 4), 12)
    with pytest.raises(Invalid, match="range_unreadable"):
        parse_number("A1-A2")


SOME: Ranges = (Range("A", 3, 1, 10),)


@pytest.mark.parametrize(
    ("numbered", "quantity", "ranges", "code"),
    [
        (True, 10, (), "ranges_missing"),
        (True, 9, SOME, "ranges_differ"),
        (True, -11, SOME, "ranges_differ"),
        (False, 10, SOME, "ranges_not_kept"),
        (True, 10, SOME, None),
        (True, -10, SOME, None),
        (False, 10, (), None),
    ],
)
def test_quantity_and_ranges_agree_where_numbers_are_kept(
    numbered: bool, quantity: int, ranges: Ranges, code: str | None
) -> None:
    if code is None:
        check_agreement("ktp-wni", numbered, quantity, ranges)
        return
    with pytest.raises(Invalid) as refused:
        check_agreement("ktp-wni", numbered, quantity, ranges)
    assert refused.value.code == code


def test_every_movement_takes_numbers_from_one_place_to_another() -> None:
    routes = {f"{kind.value} {reason}": route_of(kind, reason) for kind, reason in EFFECTS}
    assert routes["receipt supplied"] == (OUTSIDE, "store")
    assert routes["receipt defective"] == (OUTSIDE, "spoiled")
    assert routes["print new"] == ("store", "printed")
    assert routes["dispatch loan"] == ("store", "transit")
    assert routes["arrival handed_over"] == ("transit", OUTSIDE)
    assert routes["arrival arrived"] == (OUTSIDE, "store")
    assert routes["arrival short"] == ("transit", "missing")
    assert routes["return to_supplier"] == ("store", OUTSIDE)
    assert routes["destroy destroyed"] == ("spoiled", "destroyed")
    assert routes["count found"] == ("missing", "store")
    assert all(source != target for source, target in routes.values())
