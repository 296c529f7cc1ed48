"""Splits and loans held against an exact solver that knows nothing of how they are found."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_matrix

from inventory.domain.allotment import MOST_PACKS, TRIP_COST, Lender, Stock, even_split, lend, outcome, split
from inventory.domain.distributions import count_cdf, expected_excess
from inventory.domain.errors import Invalid, Refusal


def seeds(number: int) -> list[Any]:
    """The first fifteen for every run, the rest for the long one."""
    slow = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(15, number))
    return [*range(15), *slow]


HORIZON = 28
WEEKS = ("1111100", "1111110", "1111111", "1010100")


def up_to(per_day: float, week: str = "1111100", days: int = 120) -> np.ndarray:
    """Expected demand up to each day, the same on each open day."""
    return np.cumsum([per_day * (week[day % 7] == "1") for day in range(days)])


def stock(code: str, usable: int, per_day: float, *, week: str = "1111100", **changes: Any) -> Stock:
    demand = up_to(per_day, week)
    values: dict[str, Any] = {"mean": float(demand[HORIZON - 1]), "dispersion": 0.05} | changes
    return Stock(code=code, usable=usable, demand=demand, **values)


def random_stocks(chance: random.Random, pack: int) -> list[Stock]:
    """Two to six offices, large and small, some with limits, some that owe cards or that nobody asks for any."""
    found = []
    for number in range(chance.randint(2, 6)):
        per_day = chance.choice((0.0, 0.3, 2.0, 11.0, 40.0, 130.0)) * chance.uniform(0.7, 1.3)
        usable = round(per_day * chance.uniform(-5, 30)) + chance.randint(0, 3)
        least = chance.choice((0, 0, 0, pack, 2 * pack + 1))
        most = chance.choice((None, None, 2 * pack, 3 * pack + pack // 2, 9 * pack))
        most = None if most is not None and -(-least // pack) > most // pack else most
        dispersion = chance.choice((0.0, 0.02, 0.3, 0.9))
        week = chance.choice(WEEKS)
        limits = {"least": least, "most": most, "dispersion": dispersion}
        found.append(stock(f"{number:02}", usable, per_day, week=week, **limits))
    return found


# --- the exact solver ---------------------------------------------------------------------------------------------


class Exact:
    """Office i holds `covers[i][k]` days and `costs[i][k]` unmet requests with k packs more than it starts with; one
    binary a step says whether it gets at least so many. First the largest smallest cover, then the least cost."""

    FAR = 10_000.0
    """Days: stands for never."""

    def __init__(self, covers: list[list[float]], costs: list[list[float]], packs: int) -> None:
        self.covers = [np.clip(each, -self.FAR, self.FAR) for each in covers]
        self.costs = [np.array(each) for each in costs]
        self.steps = [len(each) - 1 for each in covers]
        self.packs = min(packs, sum(self.steps))

    def best(self) -> tuple[float, float]:
        smallest = -self._solve(np.concatenate([np.zeros(sum(self.steps)), [-1.0]]), [])
        rises = np.concatenate([*(np.diff(each) for each in self.costs), [0.0]])
        return smallest, sum(each[0] for each in self.costs) + self._solve(rises, [smallest])

    def _solve(self, objective: np.ndarray, at_least: list[float]) -> float:
        count = sum(self.steps)
        # Row, lower bound, upper bound.
        rules: list[tuple[Any, float, float]] = [(np.append(np.ones(count), 0.0), self.packs, self.packs)]
        place = 0
        for covers, steps in zip(self.covers, self.steps, strict=True):
            cover = np.zeros(count + 1)
            cover[place : place + steps] = np.diff(covers)
            cover[-1] = -1.0  # what it adds up to is no less than the smallest cover
            rules.append((cover, -covers[0], np.inf))
            for step in range(place + 1, place + steps):
                order = np.zeros(count + 1)
                order[step - 1], order[step] = 1.0, -1.0
                rules.append((order, 0.0, np.inf))
            place += steps
        rows: Any = np.array([row for row, _, _ in rules])
        sides: Any = ([low for _, low, _ in rules], [high for _, _, high in rules])
        least = at_least[0] - 1e-6 if at_least else -self.FAR
        bounds = (np.append(np.zeros(count), least), np.append(np.ones(count), self.FAR))
        found = milp(
            objective,
            integrality=np.append(np.ones(count), 0),
            bounds=bounds,
            constraints=LinearConstraint(csr_matrix(rows), *sides),
            options={"mip_rel_gap": 0.0},
        )
        assert found.success, found.message
        return float(found.fun)


def exact_split(stocks: list[Stock], packs: int, pack: int) -> tuple[float, float]:
    low = [-(-each.least // pack) for each in stocks]
    high = [packs if each.most is None else min(packs, each.most // pack) for each in stocks]
    ranges = [range(least, max(least, most) + 1) for least, most in zip(low, high, strict=True)]
    covers = [[each.cover(each.usable + k * pack) for k in ks] for each, ks in zip(stocks, ranges, strict=True)]
    costs = [[each.unmet(each.usable + k * pack) for k in ks] for each, ks in zip(stocks, ranges, strict=True)]
    return Exact(covers, costs, packs - sum(low)).best()


def clipped(cover: float) -> float:
    return max(-Exact.FAR, min(Exact.FAR, cover))


# --- splits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(400))
def test_a_split_is_the_best_there_is(seed: int) -> None:
    chance = random.Random(seed)
    pack = chance.choice((1, 7, 50, 500))
    stocks = random_stocks(chance, pack)
    least = sum(-(-each.least // pack) for each in stocks)
    packs = least + chance.randint(0, 14)
    reserve = chance.choice((0, 3, 2 * pack))
    if packs == 0:
        packs = 1
    found = split(stocks, packs * pack + reserve + chance.randint(0, pack - 1), pack, reserve)
    smallest, cost = exact_split(stocks, packs, pack)
    assert clipped(found.after.smallest_cover) == pytest.approx(smallest, abs=1e-4)
    assert found.after.unmet == pytest.approx(cost, abs=1e-3, rel=1e-6)


def tight_stocks(chance: random.Random) -> list[Stock]:
    """Offices most of whose room is small: the smallest cover is soon settled, and the rest is for the second aim."""
    found = random_stocks(chance, 20)
    tight = replace(found[0], usable=-50, least=0, most=20)
    return [tight, *(replace(each, most=None) for each in found[1:])]


@pytest.mark.parametrize("seed", seeds(40))
def test_where_no_more_can_be_equal_the_rest_goes_where_it_meets_most_requests(seed: int) -> None:
    stocks = tight_stocks(random.Random(1000 + seed))
    found = split(stocks, 25 * 20, 20)
    smallest, cost = exact_split(stocks, 25, 20)
    assert clipped(found.after.smallest_cover) == pytest.approx(smallest, abs=1e-4)
    assert found.after.unmet == pytest.approx(cost, abs=1e-3, rel=1e-6)


def cases(seed: int) -> tuple[list[Stock], int, int]:
    chance = random.Random(seed)
    pack = chance.choice((1, 7, 50, 500))
    stocks = random_stocks(chance, pack)
    return stocks, pack, sum(-(-each.least // pack) for each in stocks) + chance.randint(1, 60)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40))
def test_a_split_keeps_every_limit_and_adds_up(seed: int, reserve: int) -> None:
    stocks, pack, packs = cases(seed)
    quantity = packs * pack + reserve + seed % pack
    found = split(stocks, quantity, pack, reserve)
    given_ = {share.code: share.quantity for share in found.shares}
    assert sum(given_.values()) + found.left + reserve == quantity
    for each in stocks:
        assert given_[each.code] % pack == 0
        assert given_[each.code] >= each.least
        assert each.most is None or given_[each.code] <= each.most
    has_room = [each for each in stocks if each.most is None or given_[each.code] + pack <= each.most]
    assert found.left < pack or not has_room, "blanks were kept back although somebody has room for them"
    assert found.after.smallest_cover >= found.before.smallest_cover
    assert found.after.unmet <= found.before.unmet + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_the_offices_makes_no_difference(seed: int, chance: random.Random) -> None:
    stocks, pack, packs = cases(seed)
    shuffled = list(stocks)
    chance.shuffle(shuffled)
    assert split(shuffled, packs * pack, pack) == split(stocks, packs * pack, pack)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_more_to_split_never_lowers_the_smallest_cover(seed: int) -> None:
    stocks, pack, packs = cases(seed)
    covers = [split(stocks, each * pack, pack).after.smallest_cover for each in (packs, packs + 1, packs + 5)]
    assert covers == sorted(covers)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_no_even_split_is_better(seed: int) -> None:
    stocks, pack, packs = cases(seed)
    free = [replace(each, least=0, most=None) for each in stocks]
    found = split(free, packs * pack, pack)
    assert found.after.smallest_cover >= found.even.smallest_cover
    if found.after.smallest_cover == found.even.smallest_cover:
        assert found.after.unmet <= found.even.unmet + 1e-5 * packs


def districts() -> list[Stock]:
    """23 districts of a regency, from 2 to 47 prints a working day, with stocks for none to three weeks."""
    return [stock(f"18.01.{n:02}", usable=round((2 + 2 * n) * (n * 7 % 16)), per_day=2.0 + 2 * n) for n in range(1, 24)]


def test_a_regency_splits_twenty_thousand_over_its_districts_and_keeps_a_reserve() -> None:
    found = split(districts(), 20_000, 500, 2_750)
    quantities = [share.quantity for share in found.shares]
    assert len(quantities) == 23
    assert sum(quantities) == 17_000
    assert found.left == 250
    assert all(quantity % 500 == 0 for quantity in quantities)
    smallest, cost = exact_split(districts(), 34, 500)
    assert found.after.smallest_cover == pytest.approx(smallest, abs=1e-4)
    assert found.after.unmet == pytest.approx(cost, abs=1e-3)
    assert found.after.smallest_cover > found.even.smallest_cover
    assert found.after.unmet < found.even.unmet
    # Offices that the delivery brings level differ by less than what a pack is worth to them.
    for share, each in zip(found.shares, districts(), strict=True):
        if share.rule == "together":
            assert each.cover(each.usable + share.quantity - 500) < found.after.smallest_cover


def test_packs_of_one_bring_all_to_the_same_day() -> None:
    found = split(districts(), 20_000, 1, 2_750)
    covers = [share.cover_after for share in found.shares if share.quantity]
    assert max(covers) - min(covers) < 3.0  # one print at the smallest office, which may wait over a weekend
    assert found.left == 0


def test_each_line_says_why() -> None:
    stocks = [
        stock("short", 0, 50),
        stock("shorter", -100, 50),
        stock("long", 5_000, 10),
        stock("asked", 900, 10, least=500),
        stock("full", 0, 100, most=1_000),
    ]
    rules = {share.code: share.rule for share in split(stocks, 5_000, 100).shares}
    assert rules == {"short": "unmet", "shorter": "unmet", "long": "enough", "asked": "least", "full": "most"}
    level = split([stock("a", 0, 50), stock("b", 100, 50)], 900, 100)
    assert {share.code: share.rule for share in level.shares} == {"a": "together", "b": "together"}
    assert {share.code: share.quantity for share in level.shares} == {"a": 500, "b": 400}


def test_offices_with_other_working_weeks_run_out_on_the_same_day() -> None:
    """The six-day office works more days until then, and so gets more for the same prints a day."""
    five, six = stock("five", 0, 10), stock("six", 0, 10, week="1111110")
    found = split([five, six], 270, 1)
    assert {share.code: share.quantity for share in found.shares} == {"five": 125, "six": 145}
    assert [share.cover_after for share in found.shares] == [16.5, 16.5]


@pytest.mark.parametrize(
    ("quantity", "pack", "reserve", "code"),
    [
        (100, 0, 0, "pack_range"),
        (100, 10, 100, "reserve_exceeds_quantity"),
        (100, 10, -1, "reserve_exceeds_quantity"),
        (MOST_PACKS + 1, 1, 0, "packs_too_many"),
    ],
)
def test_what_cannot_be_split_is_refused(quantity: int, pack: int, reserve: int, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        split([stock("a", 0, 10)], quantity, pack, reserve)


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(Invalid, match="least_exceeds_most"):
        split([stock("a", 0, 10, least=101, most=190)], 1_000, 100)
    with pytest.raises(Refusal, match="least_exceeds_quantity"):
        split([stock("a", 0, 10, least=600), stock("b", 0, 10, least=500)], 1_000, 100)
    with pytest.raises(Invalid, match="nobody_to_allot"):
        split([], 1_000, 100)


# --- loans --------------------------------------------------------------------------------------------------------


def random_lenders(chance: random.Random, pack: int) -> list[Lender]:
    found = []
    for each in random_stocks(chance, pack):
        store = max(0, each.usable + chance.choice((0, 0, -40)))
        plain = {name: getattr(each, name) for name in ("code", "usable", "demand", "mean", "dispersion", "most")}
        limits = {
            "reserve": chance.choice((0, 0, pack + 1)),
            "keep_cover": chance.choice((0.0, 3.0, 14.0)),
            "most_out": chance.choice((None, None, 2 * pack + 1)),
            "near": ("00", chance.choice(("a", "b")), each.code),
        }
        found.append(Lender(**plain, store=store, **limits))
    return found


def exact_loans(lenders: list[Lender], pack: int, enough: float) -> tuple[float, float]:
    spare = []
    for each in lenders:
        packs = 0
        while (
            (packs + 1) * pack <= each.store - each.reserve
            and (each.most_out is None or (packs + 1) * pack <= each.most_out)
            and each.cover(each.usable - (packs + 1) * pack) >= each.keep_cover
        ):
            packs += 1
        spare.append(packs)
    pool = sum(spare)
    covers, costs = [], []
    for each, home in zip(lenders, spare, strict=True):
        most = min(pool, home + (pool if each.most is None else each.most // pack))
        stocks = [each.usable + (k - home) * pack for k in range(most + 1)]
        covers.append([min(enough, each.cover(usable)) for usable in stocks])
        costs.append([each.unmet(usable) + TRIP_COST * max(0, k - home) for k, usable in enumerate(stocks)])
    return Exact(covers, costs, pool).best()


@pytest.mark.parametrize("seed", seeds(400))
def test_loans_are_the_best_there_are(seed: int) -> None:
    chance = random.Random(5000 + seed)
    pack = chance.choice((25, 100, 500))
    lenders = random_lenders(chance, pack)
    enough = chance.choice((math.inf, HORIZON))
    found = lend(lenders, pack, enough=enough)
    smallest, cost = exact_loans(lenders, pack, enough)
    moved = sum(shipment.quantity for shipment in found.shipments) // pack
    assert clipped(min(enough, found.after.smallest_cover)) == pytest.approx(smallest, abs=1e-4)
    assert found.after.unmet + TRIP_COST * moved == pytest.approx(cost, abs=1e-3, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 60, 300]), st.sampled_from([None, 1, 3]))
def test_loans_keep_every_limit(seed: int, least_shipment: int, most_shipments: int | None) -> None:
    chance = random.Random(seed)
    pack = chance.choice((1, 7, 50))
    lenders = random_lenders(chance, pack)
    found = lend(lenders, pack, least_shipment=least_shipment, most_shipments=most_shipments)
    net = {share.code: share.quantity for share in found.shares}
    assert sum(net.values()) == 0
    assert most_shipments is None or len(found.shipments) <= most_shipments
    ends = {shipment.sender for shipment in found.shipments} | {shipment.receiver for shipment in found.shipments}
    assert len(found.shipments) <= max(0, len(ends) - 1)
    assert not {shipment.sender for shipment in found.shipments} & {each.receiver for each in found.shipments}
    for shipment in found.shipments:
        assert shipment.quantity % pack == 0
        assert shipment.quantity >= max(least_shipment, 1)
    for each in lenders:
        out = -net[each.code]
        assert out <= 0 or out <= each.store - each.reserve
        assert out <= 0 or each.most_out is None or out <= each.most_out
        assert out <= 0 or each.cover(each.usable - out) >= each.keep_cover
        assert each.most is None or -out <= each.most
    assert found.after.smallest_cover >= found.before.smallest_cover


def lender(code: str, usable: int, per_day: float, **changes: Any) -> Lender:
    plain = stock(code, usable, per_day)
    values = {name: getattr(plain, name) for name in ("code", "usable", "demand", "mean", "dispersion")}
    return Lender(**values, store=max(usable, 0), **changes)


def test_loans_go_from_the_longest_to_the_shortest() -> None:
    found = lend([lender("long", 4_000, 20), lender("short", 0, 20), lender("middle", 2_000, 20)], 500)
    assert [(each.sender, each.receiver, each.quantity) for each in found.shipments] == [("long", "short", 2_000)]
    assert {share.code: share.rule for share in found.shares} == {
        "long": "lends",
        "short": "borrows",
        "middle": "keeps",
    }


def test_where_all_have_enough_nothing_travels() -> None:
    lenders = [lender("a", 9_000, 20), lender("b", 8_000, 20), lender("c", 9_500, 20)]
    found = lend(lenders, 500, enough=HORIZON)
    assert found.shipments == ()
    assert found.before == found.after


def test_neighbours_lend_to_each_other_first() -> None:
    far, near = ("00", "51", "51.03"), ("00", "51", "51.71")
    lenders = [
        lender("51.71.01", 2_000, 10, near=(*near, "51.71.01")),
        lender("51.71.02", 0, 10, near=(*near, "51.71.02")),
        lender("51.03.01", 2_000, 10, near=(*far, "51.03.01")),
        lender("51.03.02", 0, 10, near=(*far, "51.03.02")),
    ]
    ways = {(each.sender, each.receiver) for each in lend(lenders, 500).shipments}
    assert ways == {("51.71.01", "51.71.02"), ("51.03.01", "51.03.02")}


# --- unmet requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.0, 0.4, 12.0, 49.0, 51.0, 300.0, 4_000.0])
@pytest.mark.parametrize("dispersion", [0.0, 0.01, 0.2, 0.8, 3.0])
def test_expected_unmet_requests_are_the_sum_of_the_tails(mean: float, dispersion: float) -> None:
    for stock_ in (0, 1, round(0.5 * mean), round(mean), round(1.6 * mean) + 3):
        spread = math.sqrt(mean + dispersion * mean**2)
        counts = np.arange(stock_, round(mean + (40 if dispersion > 0.5 else 14) * spread) + 60)
        tails = float(np.sum(1.0 - count_cdf(counts, mean, dispersion)))
        assert float(expected_excess(stock_, mean, dispersion)) == pytest.approx(tails, abs=0.02 + 2e-4 * mean)


@given(st.integers(-50, 900), st.floats(0, 500), st.floats(0, 2))
def test_expected_unmet_requests_fall_ever_more_slowly(stock_: int, mean: float, dispersion: float) -> None:
    unmet = expected_excess(stock_ + np.arange(0, 120, 20), mean, dispersion)
    steps = np.diff(unmet)
    assert np.all(unmet >= 0)
    assert np.all(steps <= 1e-3)
    assert np.all(np.diff(steps) >= -1e-2)
    assert float(expected_excess(-20, mean, dispersion)) == pytest.approx(mean + 20)


def test_an_even_split_gives_all_packs() -> None:
    stocks = [stock(code, 0, 1) for code in "cab"]
    assert even_split(stocks, 5, 10) == {"a": 20, "b": 20, "c": 10}
    assert outcome(stocks, {}).first_out == "a"
