"""Outreach: a team takes blanks out, prints with its residents, and brings the rest back; all of it is its office's."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.transfers import Arrived
from inventory.services import consumption, offices, projections, transfers
from inventory.services.consumption import Printed
from inventory.services.projections import StockProjection
from inventory.services.transfers import Dispatch
from tests.conftest import NOW, TODAY
from tests.services.test_reviews import usual_history
from tests.world import BLANK, DENPASAR, World

TEAM = "51.71.01.TIM1"


def team_of(world: World) -> Actor:
    """A team below Denpasar's own office, and its member."""
    row = {"code": TEAM, "name": "Jemput bola", "kind": "outreach", "parent": DENPASAR}
    offices.load(SYSTEM, [row | {"time_zone": "Asia/Makassar", "population": ""}])
    path = offices.get(SYSTEM, offices.Action.VIEW_STOCK, TEAM).path
    return Actor(world.actor("other_storekeeper").person_id, "Tim", (Grant(Role.STOREKEEPER, path),))


def out(world: World, sender: Actor, from_code: str, to_code: str, quantity: int) -> int:
    said = Dispatch(
        receiver_code=to_code,
        purpose="outreach",
        dispatched_on=TODAY,
        expected_on=TODAY,
        sent={BLANK: quantity},
        custodian="Tim jemput bola",
        bast_number=f"470/{uuid4().hex[:6]}",
    )
    return transfers.dispatch(sender, NOW, uuid4(), from_code, said)


def projected() -> StockProjection:
    (found,) = [each for each in projections.of_stocks(SYSTEM, NOW) if each.office_code == DENPASAR]
    return found


def test_a_teams_blanks_and_prints_are_its_offices(world: World) -> None:
    usual_history(5_000)
    team = team_of(world)
    before = projected()
    transfer_id = out(world, world.storekeeper, DENPASAR, TEAM, 300)
    assert projected().facts["with_teams"] == 300, "on its way to the team"
    transfers.receive(team, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=300)})
    now = projected()
    assert now.facts["due"] == [[None, 300]], "they are there already"
    assert (now.facts["store"], now.facts["with_teams"]) == (before.facts["store"] - 300, 300)
    assert now.facts["usable"] + now.facts["inbound"] == before.facts["usable"] + before.facts["inbound"]
    consumption.post_printed(team, NOW, uuid4(), TEAM, BLANK, TODAY, {"new": Printed(180)})
    back = out(world, team, TEAM, DENPASAR, 120)
    transfers.receive(world.storekeeper, NOW, uuid4(), back, TODAY, {BLANK: Arrived(good=120)})
    after = projected()
    assert (after.facts["store"], after.facts["with_teams"]) == (before.facts["store"] - 180, 0)
    assert [each.office_code for each in projections.of_stocks(SYSTEM, NOW)] == [DENPASAR], "the team has no alert"


def test_a_teams_prints_raise_its_offices_projected_demand(world: World) -> None:
    usual_history(5_000)
    team = team_of(world)
    before = projected().facts["level_per_day"]
    transfers.receive(
        team, NOW, uuid4(), out(world, world.storekeeper, DENPASAR, TEAM, 4_000), TODAY, {BLANK: Arrived(good=4_000)}
    )
    for _ in range(4):
        consumption.post_printed(team, NOW, uuid4(), TEAM, BLANK, TODAY, {"new": Printed(1_000)})
    tomorrow = NOW + timedelta(days=1)
    (after,) = [each for each in projections.of_stocks(SYSTEM, tomorrow) if each.office_code == DENPASAR]
    assert after.facts["level_per_day"] > before
