"""Printable cards, and what runs out first."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.domain.printable import Consumable, Printable, first_to_run_out, open_days_of, printable

RIBBON, FILM = Consumable(units=1, prints_per_unit=500), Consumable(units=2, prints_per_unit=1500)


def test_the_scarcest_of_blanks_ribbon_and_film_limits() -> None:
    found = printable(2_000, {"ribbon": RIBBON, "film": FILM})
    assert found == Printable(cards=500, limited_by="ribbon", unrecorded=())
    assert printable(400, {"ribbon": RIBBON, "film": FILM}).limited_by is None
    assert printable(500, {"ribbon": RIBBON}) == Printable(cards=500, limited_by=None, unrecorded=())


def test_what_was_never_recorded_does_not_limit_and_is_named() -> None:
    never = Consumable(units=None, prints_per_unit=500)
    assert printable(2_000, {"ribbon": never}) == Printable(cards=2_000, limited_by=None, unrecorded=("ribbon",))


def test_an_empty_store_of_film_prints_nothing() -> None:
    none_left = Consumable(units=0, prints_per_unit=1500)
    assert printable(9, {"ribbon": RIBBON, "film": none_left}) == Printable(cards=0, limited_by="film", unrecorded=())


@pytest.mark.parametrize(
    ("prints", "per_day", "days"), [(1_000, 500, 2), (1_001, 500, 3), (1, 500, 1), (0, 500, 1), (9, 0, None)]
)
def test_a_yield_lasts_for_its_open_days(prints: int, per_day: float, days: int | None) -> None:
    assert open_days_of(prints, per_day) == days


def test_the_first_to_run_out_is_named_and_of_a_tie_the_blank() -> None:
    early, late = date(2024, 5, 16), date(2024, 5, 20)
    assert first_to_run_out([("blank", late), ("ribbon", None), ("film", early)]) == ("film", early)
    assert first_to_run_out([("blank", early), ("film", early)]) == ("blank", early)
    assert first_to_run_out([("blank", None), ("film", None)]) is None
