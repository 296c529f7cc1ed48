"""What runs out first in an office, as the projection says it, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM
from inventory.domain.demand import Settings, project_by_part
from inventory.services import balances, deliveries, items, projections, reviews, stated_rates
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

CHILD = "kia"


def opening(item: str, quantity: int) -> None:
    deliveries.record_opening(SYSTEM, NOW, uuid4(), DENPASAR, item, TODAY, quantity, "")


def rate(item: str, per_day: int) -> None:
    stated_rates.state(SYSTEM, NOW, DENPASAR, item, per_day, "a newspaper")


def review() -> dict[str, dict[str, Any]]:
    _, found = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY, office_code=DENPASAR)
    return {each.projection.item_code: each.projection.facts for each in found}


def test_film_that_runs_out_before_the_blanks_is_named_with_its_day(world: World) -> None:
    opening(BLANK, 6_000)
    opening("film", 1)
    opening("ribbon", 40)
    rate(BLANK, 500)
    facts = review()[BLANK]
    # TODAY is a Wednesday: 1,500 prints at 500 a day are used up on the third open day after it, a Monday.
    monday = TODAY + timedelta(days=5)
    assert facts["first_to_run_out"] == {"item": "film", "on_day": monday.isoformat()}
    assert date.fromisoformat(facts["stockout_on"]) > monday
    held = {each.item_code: each for each in balances.of_office(world.storekeeper, DENPASAR)}
    assert held[BLANK].first_to_run_out == ("film", monday)
    assert held["film"].first_to_run_out is None


def test_all_blanks_of_an_office_use_up_its_film(world: World) -> None:
    opening(BLANK, 60_000)
    opening(CHILD, 60_000)
    opening("film", 2)
    rate(BLANK, 500)
    rate(CHILD, 1_000)
    found = review()
    friday = TODAY + timedelta(days=2)
    for blank in (BLANK, CHILD):
        assert found[blank]["first_to_run_out"] == {"item": "film", "on_day": friday.isoformat()}


def test_stocks_are_projected_in_parts_that_hold_whole_offices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for office in (BADUNG, DENPASAR):
        for item, quantity in {BLANK: 60_000, CHILD: 60_000, "film": 2, "ribbon": 40}.items():
            deliveries.record_opening(SYSTEM, NOW, uuid4(), office, item, TODAY, quantity, "")
        stated_rates.state(SYSTEM, NOW, office, BLANK, 500, "a newspaper")
    at_once = projections.of_stocks(SYSTEM, NOW)
    # Two stocks at a time: an office's film comes in another part than its blanks.
    few = partial(project_by_part, settings=Settings(chunk=1))
    monkeypatch.setattr(projections, "project_by_part", few)
    parts = list(projections.by_part(SYSTEM, NOW))
    offices_of_parts = [{each.office_code for each in part} for part in parts if part]
    assert offices_of_parts == [{BADUNG}, {DENPASAR}]
    assert [each.facts for part in parts for each in part] == [each.facts for each in at_once]
    assert at_once[0].facts["first_to_run_out"]["item"] == "film"


def test_a_films_own_projection_counts_where_there_is_one(world: World) -> None:
    opening(BLANK, 60_000)
    opening("film", 4)
    rate(BLANK, 500)
    rate("film", 1)
    facts = review()
    assert facts[BLANK]["first_to_run_out"] == {"item": "film", "on_day": facts["film"]["stockout_on"]}


def test_blanks_that_run_out_first_are_named_themselves(world: World) -> None:
    opening(BLANK, 400)
    opening("film", 10)
    rate(BLANK, 500)
    facts = review()[BLANK]
    assert facts["first_to_run_out"] == {"item": BLANK, "on_day": facts["stockout_on"]}


def test_without_demand_nothing_is_said_to_run_out(world: World) -> None:
    opening(BLANK, 400)
    opening("film", 1)
    assert review()[BLANK]["first_to_run_out"] is None


def test_the_office_can_print_what_its_scarcest_item_allows(world: World) -> None:
    opening(BLANK, 2_000)
    opening("ribbon", 1)
    found = balances.printable_cards(balances.of_office(world.storekeeper, DENPASAR), items.active())
    assert set(found) == {BLANK}
    assert (found[BLANK].cards, found[BLANK].limited_by, found[BLANK].unrecorded) == (500, "ribbon", ("film",))
