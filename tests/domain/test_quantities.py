"""How people write quantities, and which answers they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.errors import Invalid
from inventory.domain.quantities import MAX_QUANTITY, check_quantity, parse_quantity

INDONESIAN, ENGLISH = ".", ","


@pytest.mark.parametrize(
    ("text", "separator", "number"),
    [
        ("0", INDONESIAN, 0),
        ("12", INDONESIAN, 12),
        (" 12 ", INDONESIAN, 12),
        ("\t12\n", INDONESIAN, 12),
        ("\u00a012\u00a0", INDONESIAN, 12),
        ("007", INDONESIAN, 7),
        ("1639", INDONESIAN, 1639),
        ("1.639", INDONESIAN, 1639),
        ("1,639", ENGLISH, 1639),
        ("10.000.000", INDONESIAN, 10_000_000),
        ("10,000,000", ENGLISH, 10_000_000),
        ("999.999", INDONESIAN, 999_999),
    ],
)
def test_a_whole_number_is_read_as_the_language_groups_it(text: str, separator: str, number: int) -> None:
    assert parse_quantity(text, separator) == number


@pytest.mark.parametrize(
    ("text", "separator", "code"),
    [
        ("", INDONESIAN, "quantity_missing"),
        ("   ", INDONESIAN, "quantity_missing"),
        ("1e9", INDONESIAN, "quantity_not_a_number"),
        ("0x10", INDONESIAN, "quantity_not_a_number"),
        ("1_000", INDONESIAN, "quantity_not_a_number"),
        ("+5", INDONESIAN, "quantity_not_a_number"),
        ("1 000", INDONESIAN, "quantity_not_a_number"),
        ("1\u00a0000", INDONESIAN, "quantity_not_a_number"),
        ("\u0661\u0662", INDONESIAN, "quantity_not_a_number"),
        ("\uff11\uff12", INDONESIAN, "quantity_not_a_number"),
        ("\u00b2", INDONESIAN, "quantity_not_a_number"),
        ("1\x002", INDONESIAN, "quantity_not_a_number"),
        ("\x00", INDONESIAN, "quantity_not_a_number"),
        ("12\x00", INDONESIAN, "quantity_not_a_number"),
        ("1\n2", INDONESIAN, "quantity_not_a_number"),
        ("twelve", INDONESIAN, "quantity_not_a_number"),
        ("=1+1", INDONESIAN, "quantity_not_a_number"),
        ("nan", INDONESIAN, "quantity_not_a_number"),
        ("inf", INDONESIAN, "quantity_not_a_number"),
        (".", INDONESIAN, "quantity_not_a_number"),
        ("1..639", INDONESIAN, "quantity_not_a_number"),
        (".639", INDONESIAN, "quantity_not_a_number"),
        ("1639.", INDONESIAN, "quantity_not_a_number"),
        ("-5", INDONESIAN, "quantity_negative"),
        ("- 5", INDONESIAN, "quantity_negative"),
        ("\u22125", INDONESIAN, "quantity_negative"),
        ("-1.639", INDONESIAN, "quantity_negative"),
        ("-0.5", ENGLISH, "quantity_negative"),
        ("1,639", INDONESIAN, "quantity_fraction"),
        ("1.639", ENGLISH, "quantity_fraction"),
        ("1.6390", INDONESIAN, "quantity_fraction"),
        ("1.6390", ENGLISH, "quantity_fraction"),
        ("12.34", INDONESIAN, "quantity_fraction"),
        ("12,34", INDONESIAN, "quantity_fraction"),
        ("12.34", ENGLISH, "quantity_fraction"),
        ("0.5", ENGLISH, "quantity_fraction"),
        ("1234.567", INDONESIAN, "quantity_fraction"),
        ("10000001", INDONESIAN, "quantity_too_large"),
        ("10.000.001", INDONESIAN, "quantity_too_large"),
        ("999999999999", INDONESIAN, "quantity_too_large"),
        ("999999999999999", INDONESIAN, "quantity_too_large"),
        ("999.999.999.999.999", INDONESIAN, "quantity_too_large"),
        ("9" * 5000, INDONESIAN, "quantity_too_large"),
    ],
)
def test_anything_else_is_refused_and_says_why(text: str, separator: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_quantity(text, separator)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text", ["10000001", "10.000.001", "999999999999", "999999999999999", "999.999.999.999.999", "9" * 5000]
)
def test_a_number_that_is_too_large_is_told_the_limit(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_quantity(text, INDONESIAN)
    assert refused.value.facts["limit"] == MAX_QUANTITY


@pytest.mark.parametrize("text", ["0.639", "00.639", "000.639"])
def test_a_number_whose_first_group_is_nothing_is_not_guessed_at(text: str) -> None:
    with pytest.raises(Invalid):
        parse_quantity(text, INDONESIAN)


def test_what_was_written_is_repeated_but_not_at_any_length() -> None:
    with pytest.raises(Invalid) as refused:
        parse_quantity("x" * 100_000, INDONESIAN)
    assert refused.value.facts["text"] == "x" * 40


@given(st.integers(0, MAX_QUANTITY), st.sampled_from([INDONESIAN, ENGLISH]))
def test_what_is_shown_can_be_entered_again(number: int, separator: str) -> None:
    assert parse_quantity(f"{number:,}".replace(",", separator), separator) == number
    assert parse_quantity(str(number), separator) == number


@given(st.text(max_size=30), st.sampled_from([INDONESIAN, ENGLISH]))
def test_any_text_is_a_bounded_number_or_refused(text: str, separator: str) -> None:
    try:
        number = parse_quantity(text, separator)
    except Invalid:
        return
    assert 0 <= number <= MAX_QUANTITY
    assert set(text.strip()) <= set("0123456789" + separator)


@pytest.mark.parametrize("number", [1, 2, MAX_QUANTITY])
def test_a_whole_positive_bounded_quantity_is_accepted(number: int) -> None:
    assert check_quantity(number) == number


@pytest.mark.parametrize("number", [0, -1, -MAX_QUANTITY, 1.0, 1.5, True, "5", None])
def test_a_quantity_that_is_not_whole_and_positive_is_refused(number: int) -> None:
    with pytest.raises(Invalid, match="quantity_not_positive"):
        check_quantity(number)


@pytest.mark.parametrize("number", [MAX_QUANTITY + 1, 2**31, 2**63, 10**30])
def test_a_quantity_above_the_bound_is_refused(number: int) -> None:
    with pytest.raises(Invalid, match="quantity_too_large"):
        check_quantity(number)
