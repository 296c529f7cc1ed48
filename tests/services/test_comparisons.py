"""A few offices beside each other: each figure against the books, within reach."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.errors import NotAllowed
from inventory.services import closings, comparisons, deliveries, reviews, stated_rates
from inventory.services.comparisons import MOST
from inventory.services.deliveries import Counted, Paper
from tests.conftest import NOW, TODAY
from tests.services.test_run_out_calendar import _statements
from tests.world import BADUNG, BLANK, DENPASAR, World

BALI = Actor(1, "Uji", (Grant(Role.VIEWER, "00/51/"),))


def fill(world: World) -> None:
    """Denpasar asked ten working days ago, got it yesterday, and used, spoiled and closed; a district holds some."""
    before, yesterday = TODAY - timedelta(days=14), TODAY - timedelta(days=1)
    request = world.ask(NOW - timedelta(days=14), before, 400)
    paper = Paper(
        bast_number="470/9",
        bast_on=yesterday,
        received_on=yesterday,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
        delivery_request_id=request,
    )
    deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, {BLANK: Counted(received=400, asked=400)})
    world.print(NOW, yesterday, 76)
    world.spoil(NOW, yesterday, 4)
    deliveries.record_opening(SYSTEM, NOW, uuid4(), "51.71.01", BLANK, before, 30, "")
    closings.close(world.storekeeper, NOW - timedelta(days=1), uuid4(), DENPASAR, yesterday, {BLANK: 320}, {BLANK: 76})
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 40, "uji")
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)


@pytest.mark.filled(by=fill)
def test_each_office_is_told_with_all_below_it(world: World) -> None:
    found = comparisons.of_offices(BALI, NOW, BLANK, [DENPASAR, "51.71.01", BADUNG, DENPASAR])
    city, district, none = found.offices
    assert [each.office.code for each in found.offices] == [DENPASAR, "51.71.01", BADUNG]
    assert city.figures is not None
    assert district.figures is not None
    assert (city.figures.store, city.figures.use, city.figures.cover) == (350, 40, 8)
    assert (city.alone, district.alone, district.figures.store, none.figures) == (False, True, 30, None)
    assert city.spoiled == pytest.approx(4 / 80)
    assert district.spoiled is None
    assert city.learnt is not None
    # Of the 13 days after that of asking, four are of a weekend and two are public holidays (Ascension, and its leave).
    assert (city.learnt.deliveries, city.learnt.average) == (1, 7)
    assert (city.days_missed, city.never_closed, district.never_closed, none.never_closed) == (0, 1, 1, 0)


@pytest.mark.filled(by=fill)
def test_the_stores_are_told_day_by_day(world: World) -> None:
    city, district = comparisons.of_offices(BALI, NOW, BLANK, [DENPASAR, "51.71.01"]).offices
    days = [TODAY - timedelta(days=back) for back in (0, 1, 2, 14, 15, 59)]
    assert [city.store_on(day) for day in days] == [350, 350, 30, 30, 0, 0]
    assert [district.store_on(day) for day in days] == [30, 30, 30, 30, 0, 0]
    assert city.store_on(TODAY - timedelta(days=60)) is None
    assert city.store_on(TODAY + timedelta(days=2)) == 350
    assert city.store_on(TODAY + timedelta(days=3)) is None, "nothing is told of days that no review has seen"


@pytest.mark.filled(by=fill)
def test_no_more_than_can_be_told_apart_and_nothing_out_of_reach(world: World) -> None:
    codes = ["51", DENPASAR, BADUNG, "51.71.01", "51.71.02", "00", "16", "94"]
    assert len(comparisons.of_offices(SYSTEM, NOW, BLANK, codes).offices) == MOST
    assert comparisons.of_offices(BALI, NOW, BLANK, []).offices == ()
    with pytest.raises(NotAllowed):
        comparisons.of_offices(BALI, NOW, BLANK, [DENPASAR, "16"])
    keeper = Actor(1, "Uji", (Grant(Role.STOREKEEPER, "00/51/51.71/"),))
    [own] = comparisons.of_offices(keeper, NOW, BLANK, [DENPASAR]).offices
    assert own.figures is not None
    assert (own.figures.store, own.alone, own.store_on(TODAY)) == (320, True, 320)
    several = len(_statements(lambda: comparisons.of_offices(BALI, NOW, BLANK, ["51", DENPASAR, BADUNG, "51.71.01"])))
    assert several <= 20
