"""The first steps: read from the books, and nobody else's."""

from __future__ import annotations

from uuid import uuid4

from inventory.domain.access import Actor, Role
from inventory.services import closings, first_steps
from inventory.services.consumption import Printed
from inventory.services.first_steps import Guide
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World


def guide(world: World, name: str = "storekeeper") -> Guide:
    return next(each for each in first_steps.guides(world.actor(name)))


def done(found: Guide) -> dict[str, bool | None]:
    return {step.name: step.done for step in found.steps}


def test_steps_are_done_by_doing_them(world: World) -> None:
    assert done(guide(world)) == dict.fromkeys(("opening", "consumption", "closing", "stocktake"), False)
    world.deliver(NOW, TODAY, 100)
    assert done(guide(world)) == {"opening": True, "consumption": False, "closing": False, "stocktake": False}
    world.print(NOW, TODAY, {"new": Printed(4)})
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 96}, {BLANK: 4})
    found = guide(world)
    assert done(found) == {"opening": True, "consumption": True, "closing": True, "stocktake": False}
    assert (found.role, found.office_code, found.finished) == (Role.STOREKEEPER, DENPASAR, False)
    assert done(guide(world, "other_storekeeper"))["opening"] is False


def test_a_step_without_a_trace_is_neither_open_nor_done(world: World) -> None:
    found = guide(world, "manager")
    assert found.role is Role.MANAGER
    assert done(found)["look"] is None
    assert done(found)["channel"] is False


def test_nobody_without_a_role_has_steps(world: World) -> None:
    assert first_steps.guides(Actor(person_id=None, name="nobody")) == []
