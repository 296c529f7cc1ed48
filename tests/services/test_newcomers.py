"""An office with a few days of its own: its projection, drawn from its relatives, counts wherever a projection does."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.facts import is_known
from inventory.domain.ledger import Kind, Line
from inventory.models import StoredProjection
from inventory.services import allotments, items, ledger, offices, reviews, what_if
from inventory.services.allotments import SplitTerms
from inventory.services.what_if import Changes
from tests.conftest import NOW, TODAY
from tests.services.test_reviews import working_days
from tests.world import BLANK, DENPASAR, World

SOUTH, EAST = "51.71.01", "51.71.02"
YOUNG = 9
"""Days of which a newcomer has recorded prints."""


def history(office: str, item: str, days: int, mean: int, left: int) -> None:
    noise = random.Random(f"{office} {item}")
    prints = {day: max(1, round(noise.gauss(mean, mean**0.5))) for day in working_days(days=400)[-days:]}
    first = min(prints) - timedelta(days=1)
    common: dict[str, Any] = {
        "office_id": offices.get(SYSTEM, offices.Action.VIEW_STOCK, office).id,
        "item_id": items.get(item).id,
    }
    opening = Line(
        **common, kind=Kind.RECEIPT, reason="opening", quantity=sum(prints.values()) + left, effective_on=first
    )
    used = [
        Line(**common, kind=Kind.PRINT, reason="new", quantity=quantity, effective_on=day)
        for day, quantity in prints.items()
    ]
    ledger.post(SYSTEM, NOW, uuid4(), [opening, *used], origin="synthetic")


@pytest.fixture
def family(world: World) -> World:
    """Denpasar and its district of South have printed for months; East, a district beside South, for two weeks."""
    history(DENPASAR, BLANK, 150, 100, 12_000)
    history(SOUTH, BLANK, 150, 60, 3_000)
    history(EAST, BLANK, YOUNG, 40, 300)
    return world


def review() -> dict[tuple[str, str], dict[str, Any]]:
    _, found = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    return {(each.projection.office_code, each.projection.item_code): each.projection.facts for each in found}


def test_a_newcomer_has_a_projection_and_says_so(family: World) -> None:
    facts = review()[EAST, BLANK]
    assert (facts["known"], facts["enough"], facts["from_stated_rate"]) == (True, False, False)
    assert 0 < facts["pooled"]["share"] < 1
    assert 36 < facts["level_per_day"] < 62, "between its own days and those of its relatives"
    assert facts["stockout_on"] is not None


def test_a_newcomer_takes_part_in_an_allotment(family: World) -> None:
    review()
    terms = SplitTerms(quantity=6_000)
    found = allotments.propose_split(family.actor("manager"), NOW, DENPASAR, BLANK, terms)
    given = {share.code: share.quantity for share in found.shares}
    assert set(given) == {DENPASAR, SOUTH, EAST}
    assert found.left_out == ()
    assert given[EAST] > 0


def keep(facts: dict[str, Any]) -> None:
    """East's stored facts, as an earlier version kept them."""
    east = offices.get(SYSTEM, offices.Action.VIEW_STOCK, EAST).id

    def put(session: Any) -> None:
        session.scalars(select(StoredProjection).where(StoredProjection.office_id == east)).one().facts = facts

    write(put)


def test_facts_of_before_it_was_kept_whether_there_is_a_projection_still_count(family: World) -> None:
    facts = review()[EAST, BLANK]
    old = {name: value for name, value in facts.items() if name != "known"}
    nothing = old | dict.fromkeys(("level_per_day", "mean_horizon", "stockout_on", "reorder_point"))
    terms = SplitTerms(quantity=6_000)
    for kept, left_out in ((old, ()), (nothing, ((EAST, "not_enough_data"),))):
        keep(kept)
        db.session.remove()
        found = allotments.propose_split(family.actor("manager"), NOW, DENPASAR, BLANK, terms)
        assert tuple((each.code, each.why) for each in found.left_out) == left_out


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ({"known": True, "level_per_day": None}, True),
        ({"known": False, "level_per_day": 3.0}, False),
        ({"enough": True, "level_per_day": 0.0}, True),
        ({"enough": False, "from_stated_rate": True, "level_per_day": 12.0}, True),
        ({"enough": False, "from_stated_rate": False, "level_per_day": 12.0}, True),
        ({"enough": False, "from_stated_rate": False, "level_per_day": None}, False),
        ({}, False),
    ],
)
def test_whether_there_is_a_projection(facts: dict[str, Any], known: bool) -> None:
    assert is_known(facts) is known


def test_what_runs_out_first_is_noted_for_a_newcomer_by_its_own_projection(family: World) -> None:
    for office, left in ((SOUTH, 400), (EAST, 3)):
        history(office, "film", 150 if office == SOUTH else YOUNG, 2, left)
    found = review()
    film, blanks = found[EAST, "film"], found[EAST, BLANK]
    assert (film["known"], film["enough"]) == (True, False)
    # Three films would last 4,500 prints, over a month of them; they are used up two a day.
    assert blanks["first_to_run_out"] == {"item": "film", "on_day": film["stockout_on"]}
    assert film["stockout_on"] < blanks["stockout_on"]


def test_a_newcomer_is_tried_out_beside_its_relatives(family: World) -> None:
    facts = review()[EAST, BLANK]
    later = NOW + timedelta(days=1)
    for actor in (SYSTEM, family.actor("manager")):
        found = what_if.try_out(actor, later, EAST, BLANK, Changes(cap=10))
        assert found is not None
        assert found.before.suggested == facts["suggested_order"]
        assert found.after.needed < found.before.needed
    alone = what_if.inputs_of_stock(SYSTEM, later, EAST, BLANK)
    beside = what_if.inputs_of_stock(SYSTEM, later, EAST, BLANK, relatives=True)
    assert [len(alone.stocks), len(beside.stocks)] == [1, 2], "South is its relative; Denpasar, above it, is none"


def test_nobody_to_borrow_from_is_nothing_to_try_out(world: World) -> None:
    history(EAST, BLANK, YOUNG, 40, 300)
    assert not review()[EAST, BLANK]["known"]
    assert what_if.try_out(SYSTEM, NOW, EAST, BLANK, Changes()) is None
