"""What a board tells of a stock, over all choices: never more than was chosen, never more than there is."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib.resources import files

import pytest

from inventory.domain.boards import STEPS, Choice, Level, Precision, Shown, check_choice, shown
from inventory.domain.errors import Invalid
from inventory.domain.keys import LAST, key_of, keys_beginning

STORES = (*range(260), 999, 1000, 1001, 1639, 10_000_000)
FEW = (1, 7, 100, 105)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("few_below", FEW)
def test_what_is_told_is_true_and_never_promises_more_than_there_is(precision: Precision, few_below: int) -> None:
    for store in STORES:
        told = shown(store, precision, few_below)
        assert (told.level is Level.NONE) == (store == 0), "none is none, however it is rounded"
        if precision is Precision.LEVEL:
            assert (told.least, told.most) == (None, None)
            assert (told.level is Level.FEW) == (0 < store < few_below)
        else:
            assert told.least is not None
            assert told.most is not None
            assert told.least <= store <= told.most < told.least + STEPS[precision]
            assert told.exact == (store == 0 or precision is Precision.EXACT)


@pytest.mark.parametrize("precision", [Precision.TENS, Precision.HUNDREDS])
@pytest.mark.parametrize("few_below", FEW)
def test_stocks_within_one_step_are_told_alike(precision: Precision, few_below: int) -> None:
    step = STEPS[precision]
    for first in (step, 7 * step, 16 * step):
        assert len({shown(store, precision, few_below) for store in range(first, first + step)}) == 1
    assert len({shown(store, precision, few_below) for store in range(1, step)}) == 1


@pytest.mark.parametrize("few_below", FEW)
def test_a_word_tells_three_things_at_most(few_below: int) -> None:
    told = {shown(store, Precision.LEVEL, few_below) for store in STORES}
    assert told <= {Shown(level=level) for level in Level}


def test_the_stock_that_was_called_safe_is_told_by_each_choice() -> None:
    """Kota Denpasar's 1,639 of 12 September 2023, as reported by its newspaper."""
    text = (files("inventory") / "data" / "reported.csv").read_text(encoding="utf-8")
    assert any("1639" in row for row in csv.reader(text.splitlines()))
    assert shown(1639, Precision.EXACT, 100) == Shown(level=Level.AVAILABLE, least=1639, most=1639)
    assert shown(1639, Precision.TENS, 100) == Shown(level=Level.AVAILABLE, least=1630, most=1639)
    assert shown(1639, Precision.HUNDREDS, 100) == Shown(level=Level.AVAILABLE, least=1600, most=1699)
    assert shown(1639, Precision.LEVEL, 2000) == Shown(level=Level.FEW)


def test_a_negative_store_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="never negative"):
        shown(-1, Precision.EXACT, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"on": True, "item_codes": ()}, "board_items_missing"),
        ({"item_codes": ("ktp-wni", "gold")}, "board_item_unknown"),
        ({"item_codes": ("ktp-wni",) * 21}, "board_item_unknown"),
        ({"few_below": 0}, "quantity_not_positive"),
        ({"few_below": 10_000_001}, "quantity_too_large"),
        ({"sentence": "x" * 201}, "text_too_long"),
        ({"sentence": "a\x00b"}, "text_unprintable"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_choice(replace(Choice(), **changes), {"ktp-wni"})  # type: ignore[arg-type]
    assert refused.value.code == code


def test_a_choice_is_off_until_somebody_says_otherwise_and_its_sentence_is_trimmed() -> None:
    assert Choice().on is False
    said = check_choice(Choice(on=True, item_codes=("kia",), sentence="  Cetak KTP Senin–Jumat \n"), {"kia"})
    assert said.sentence == "Cetak KTP Senin–Jumat"


def test_two_ways_of_writing_a_number_have_one_key() -> None:
    assert key_of("470.1/2024") == key_of(" 470/1-2024 ") == "47012024"
    assert key_of("BAST/01/Dukcapil") == key_of("bast 01 DUKCAPIL") == "bast01dukcapil"
    assert key_of("É%_") == "É%_", "letters that databases make small each in its own way are left alone"
    assert keys_beginning("470") == ("470", "470" + LAST)
