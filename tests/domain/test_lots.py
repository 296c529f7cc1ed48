"""Lots: what is used up first, and that their remains are the store."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.lots import Lot, StoreDay, remains

FIRST = date(2024, 1, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def left(lots: list[Lot], days: list[StoreDay]) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for each in remains(lots, days):
        found[each.lot.delivery_id] = found.get(each.lot.delivery_id, 0) + each.left
    return found


def lot(number: int, on: int, quantity: int, funding: str) -> Lot:
    return Lot(day=day(on), quantity=quantity, funding=funding, delivery_id=number)


def test_a_regional_grant_is_used_up_before_an_older_state_delivery() -> None:
    lots = [lot(1, 0, 100, "apbn"), lot(2, 1, 50, "apbd")]
    days = [StoreDay(day=day(0), came=100, left=10), StoreDay(day=day(1), came=50, left=60)]
    assert left(lots, days) == {1: 80, 2: 0}


def test_a_lot_is_not_used_before_it_came() -> None:
    lots = [lot(1, 0, 100, "apbn"), lot(2, 5, 50, "apbd")]
    days = [StoreDay(day=day(0), came=100, left=0), StoreDay(day=day(3), came=0, left=70)]
    days += [StoreDay(day=day(5), came=50, left=0)]
    assert left(lots, days) == {1: 30, 2: 50}


def test_the_oldest_grant_goes_first_and_then_the_oldest_of_the_others() -> None:
    lots = [lot(1, 0, 10, "apbd"), lot(2, 1, 10, "apbd"), lot(3, 0, 10, "apbn"), lot(4, 1, 10, "apbn")]
    days = [StoreDay(day=day(0), came=20, left=0), StoreDay(day=day(1), came=20, left=25)]
    assert left(lots, days) == {1: 0, 2: 0, 3: 5, 4: 10}


def test_what_came_otherwise_is_a_lot_of_its_own() -> None:
    days = [StoreDay(day=day(0), came=40, left=0), StoreDay(day=day(1), came=5, left=10)]
    assert left([lot(1, 1, 5, "apbd")], days) == {None: 35, 1: 0}


def test_a_delivery_of_defective_cards_only_never_came_into_the_store() -> None:
    assert left([lot(1, 0, 0, "apbd")], []) == {1: 0}
    assert left([lot(1, 0, 0, "apbd")], [StoreDay(day=day(0), came=3, left=1)]) == {1: 0, None: 2}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Lot], list[StoreDay]]:
    """Deliveries, other arrivals and use that never takes more than there is."""
    lots: list[Lot] = []
    days: list[StoreDay] = []
    store = 0
    for number in range(draw(st.integers(1, 12))):
        delivered = draw(st.lists(st.tuples(st.sampled_from(["apbn", "apbd"]), st.integers(0, 50)), max_size=3))
        for funding, quantity in delivered:
            lots.append(lot(len(lots) + 1, number, quantity, funding))
        came = sum(quantity for _, quantity in delivered) + draw(st.integers(0, 20))
        gone = draw(st.integers(0, store + came))
        store += came - gone
        days.append(StoreDay(day=day(number), came=came, left=gone))
    return lots, days


@given(histories())
def test_remains_are_the_store_and_never_negative(history: tuple[list[Lot], list[StoreDay]]) -> None:
    lots, days = history
    found = remains(lots, days)
    assert all(0 <= each.left <= each.lot.quantity for each in found)
    assert sum(each.left for each in found) == sum(each.came - each.left for each in days)
    assert sorted(each.lot.delivery_id or 0 for each in found if each.lot.delivery_id) == [
        each.delivery_id for each in lots
    ]


@given(histories())
def test_others_are_used_only_on_days_that_leave_no_grant(history: tuple[list[Lot], list[StoreDay]]) -> None:
    lots, days = history
    before: dict[tuple[date, int | None], int] = {}
    for count in range(1, len(days) + 1):
        until = days[count - 1].day
        found = remains([each for each in lots if each.day <= until], days[:count])
        now = {(each.lot.day, each.lot.delivery_id): each.left for each in found}
        used = any(
            each.left < before.get((each.lot.day, each.lot.delivery_id), each.lot.quantity)
            for each in found
            if each.lot.funding != "apbd"
        )
        granted = sum(each.left for each in found if each.lot.funding == "apbd")
        assert not (used and granted)
        before = now


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_days_are_told_does_not_matter(
    history: tuple[list[Lot], list[StoreDay]], random: Random
) -> None:
    lots, days = history
    told = list(days)
    random.shuffle(told)
    assert remains(lots, told) == remains(lots, days)
