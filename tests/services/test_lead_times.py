"""What offices waited for their deliveries, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM, Action
from inventory.domain.errors import NotAllowed
from inventory.services import lead_times, offices, requests
from inventory.services.lead_times import Learnt
from inventory.services.requests import Asking
from tests.conftest import NOW, TODAY
from tests.services.test_suppliers import hand_over
from tests.world import BADUNG, BLANK, DENPASAR, World

MONDAY = date(2024, 3, 18)
"""Of two weeks in which Good Friday (the 29th) is the only day off."""
SETTING = 14


def learnt(world: World, through: date = TODAY) -> Learnt | None:
    return lead_times.of_office(world.actor("manager"), Action.VIEW_STOCK, DENPASAR, through)


def delivered(world: World, asked_on: date, arrived: date, *parts: date) -> int:
    """A request for 1,000 of which 600 arrive on one day and the rest on others; its id."""
    asked = world.ask(NOW, asked_on, 1_000)
    for day in (arrived, *parts):
        hand_over(world, day, 600 if day == arrived else 400, asked=1_000, delivery_request_id=asked)
    return asked


def test_without_deliveries_there_is_nothing_to_learn(world: World) -> None:
    hand_over(world, TODAY, 100, asked=100)
    assert learnt(world) is None
    office = offices.get(SYSTEM, Action.VIEW_STOCK, DENPASAR)
    found = lead_times.of_offices({office.id: SETTING}, TODAY)
    assert found.weights_of([office.id, office.id])[:, SETTING].tolist() == [1.0, 1.0]
    assert lead_times.of_offices({}, TODAY).learnt == {}


def test_a_wait_is_counted_in_working_days_to_the_first_arrival(world: World) -> None:
    # Tuesday to Friday and Monday to Thursday; Easter Monday is a working day here.
    delivered(world, MONDAY, MONDAY + timedelta(days=14), MONDAY + timedelta(days=21))
    delivered(world, MONDAY, MONDAY + timedelta(days=1))
    found = learnt(world)
    assert found is not None
    assert (found.deliveries, found.shortest, found.longest, found.average) == (2, 1, 9, 5.0)
    assert found.low <= found.mean <= found.high
    assert found.mean < SETTING
    assert found.facts == {
        "deliveries": 2,
        "overdue": 0,
        "low": found.low,
        "high": found.high,
        "mean": round(found.mean, 1),
    }


def test_a_past_day_knows_only_what_was_known_then(world: World) -> None:
    delivered(world, MONDAY, MONDAY + timedelta(days=9))
    assert learnt(world, MONDAY - timedelta(days=1)) is None
    assert learnt(world, MONDAY + timedelta(days=8)) is None, "not longer than the setting yet"
    assert learnt(world, MONDAY + timedelta(days=9)) is not None
    assert learnt(world, MONDAY + timedelta(days=9 + lead_times.LOOK_BACK_DAYS)) is None


def test_a_request_open_for_longer_than_the_setting_counts_and_a_cancelled_one_does_not(world: World) -> None:
    asked = world.ask(NOW, MONDAY, 1_000)
    found = learnt(world)
    assert found is not None
    assert (found.deliveries, found.overdue, found.average) == (0, 1, None)
    assert found.mean > SETTING
    requests.cancel(world.storekeeper, NOW, uuid4(), asked, 1, "not needed")
    assert learnt(world) is None


def test_what_was_taken_back_did_not_arrive(world: World) -> None:
    asked = world.ask(NOW, TODAY, 1_000)
    movement = hand_over(world, TODAY, 100, asked=1_000, delivery_request_id=asked)
    found = learnt(world)
    assert found is not None
    assert (found.deliveries, found.longest) == (1, 0)
    world.reverse_receipt(NOW, movement)
    assert learnt(world) is None


def test_only_the_newest_requests_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead_times, "MOST_REQUESTS", 2)
    for days in (3, 2, 1):
        delivered(world, MONDAY - timedelta(days=days), MONDAY)
    found = learnt(world)
    assert found is not None
    assert found.deliveries == 2


@pytest.mark.parametrize("most_in_a_list", [500, 0])
def test_offices_are_learnt_from_each_on_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, most_in_a_list: int
) -> None:
    monkeypatch.setattr(lead_times, "MOST_IN_A_LIST", most_in_a_list)
    delivered(world, MONDAY, MONDAY + timedelta(days=1))
    theirs = Asking(supplier="Ditjen Dukcapil", asked_on=MONDAY, asked={BLANK: 7})
    requests.ask(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, theirs)
    ids: dict[str, Any] = {code: offices.get(SYSTEM, Action.VIEW_STOCK, code).id for code in (DENPASAR, BADUNG)}
    found = lead_times.of_offices(dict.fromkeys(ids.values(), SETTING), TODAY)
    assert {code: found.learnt[ids[code]].deliveries for code in ids} == {DENPASAR: 1, BADUNG: 0}
    assert set(lead_times.of_offices({ids[DENPASAR]: SETTING}, TODAY).learnt) == {ids[DENPASAR]}
    here, there = found.weights_of(list(ids.values())).argmax(axis=1)
    assert here < SETTING < there
    with pytest.raises(NotAllowed):
        lead_times.of_office(world.storekeeper, Action.VIEW_STOCK, BADUNG, TODAY)
