"""Outreach plans on both databases: what they say, the calendar that follows them, and two who act at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.reports import Month
from inventory.services import calendars, offices, outreach
from inventory.services.outreach import Planning, PlanView
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import NOW, TODAY
from tests.services.test_outreach import TEAM, team_of
from tests.world import BLANK, DENPASAR, World

SATURDAY, SUNDAY = date(2024, 5, 18), date(2024, 5, 19)
NEXT_SATURDAY = date(2024, 5, 25)
FRIDAY = date(2024, 5, 17)
WAISAK = date(2024, 5, 23)
PLANNING = Planning(day=SATURDAY, place="SMA Negeri 1", expected={BLANK: 200})


def shown(world: World, plan_id: int) -> PlanView:
    return outreach.get(world.storekeeper, plan_id).plan


def change(world: World, plan_id: int, seen: int, request: UUID | None = None, **changes: Any) -> int:
    return outreach.change(world.storekeeper, NOW, request or uuid4(), plan_id, seen, replace(PLANNING, **changes))


def call_off(world: World, plan_id: int, seen: int = 1, request: UUID | None = None, why: str = "hujan") -> int:
    return outreach.call_off(world.storekeeper, NOW, request or uuid4(), plan_id, seen, why)


def is_open(day: date) -> bool:
    office = offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR)
    return calendars.of_offices([(office.id, office.settings.working_days)], day, day)[office.id].is_open(day)


def own_days() -> list[tuple[date, bool, str]]:
    return offices.calendar_days(SYSTEM, DENPASAR, TODAY)


def test_a_plan_says_all_that_was_entered(world: World) -> None:
    team_of(world)
    planning = replace(
        PLANNING,
        expected={BLANK: 200, "kia": 40, "ktp-wna": 0},
        team_code=TEAM,
        team="dua petugas",
        starts=time(8),
        ends=time(12, 30),
        note="bawa genset",
    )
    plan_id = outreach.plan(world.storekeeper, NOW, uuid4(), DENPASAR, planning)
    found = outreach.get(world.storekeeper, plan_id)
    plan = found.plan
    assert (plan.day, plan.place, plan.starts, plan.ends) == (SATURDAY, "SMA Negeri 1", time(8), time(12, 30))
    assert (plan.team_code, plan.team, plan.note) == (TEAM, "Jemput bola, dua petugas", "bawa genset")
    assert (plan.status, plan.version, plan.made_by) == ("planned", 1, "Storekeeper")
    assert [(line.item_code, line.expected, line.actual) for line in plan.lines] == [
        (BLANK, 200, None),
        ("kia", 40, None),
    ]
    assert [(step.step, step.by, step.at) for step in found.steps] == [("added", "Storekeeper", NOW)]


def test_a_plan_opens_the_office_on_a_closed_day_and_calling_it_off_closes_it(world: World) -> None:
    assert not is_open(SATURDAY)
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    assert is_open(SATURDAY)
    assert own_days() == [(SATURDAY, True, "SMA Negeri 1")]
    assert shown(world, plan_id).office_open
    call_off(world, plan_id)
    assert not is_open(SATURDAY)
    assert own_days() == []
    assert not shown(world, plan_id).office_open


def test_a_holiday_opens_too_and_an_open_day_needs_nothing(world: World) -> None:
    assert not is_open(WAISAK)
    world.plan_outreach(NOW, WAISAK, 100)
    plan_id = world.plan_outreach(NOW, FRIDAY, 100)
    assert is_open(WAISAK)
    assert [day for day, _, _ in own_days()] == [WAISAK]
    call_off(world, plan_id)
    assert is_open(FRIDAY)


def test_a_day_stays_open_while_another_plan_needs_it(world: World) -> None:
    first, second = (
        world.plan_outreach(NOW, SATURDAY, 200),
        world.plan_outreach(NOW, SATURDAY, 50, place="Pasar Badung"),
    )
    call_off(world, first)
    assert is_open(SATURDAY)
    call_off(world, second)
    assert not is_open(SATURDAY)


def test_a_day_that_was_held_stays_open(world: World) -> None:
    held, other = world.plan_outreach(NOW, SATURDAY, 200), world.plan_outreach(NOW, SATURDAY, 50)
    later = NOW + timedelta(days=4)
    outreach.record_held(world.storekeeper, later, uuid4(), held, 1, {BLANK: 187})
    call_off(world, other)
    assert is_open(SATURDAY)


def test_what_somebody_has_said_of_a_day_stands(world: World) -> None:
    administrator = world.actor("administrator")
    offices.add_calendar_day(administrator, NOW, DENPASAR, SATURDAY, open_=True, name="Layanan Sabtu")
    call_off(world, world.plan_outreach(NOW, SATURDAY, 200))
    assert own_days() == [(SATURDAY, True, "Layanan Sabtu")]

    plan_id = world.plan_outreach(NOW, SUNDAY, 200)
    offices.add_calendar_day(administrator, NOW, DENPASAR, SUNDAY, open_=True, name="Tetap buka")
    call_off(world, plan_id)
    assert is_open(SUNDAY), "said by somebody after it was planned"

    plan_id = world.plan_outreach(NOW, NEXT_SATURDAY, 200)
    offices.add_calendar_day(administrator, NOW, DENPASAR, NEXT_SATURDAY, open_=False, name="Banjir")
    assert not shown(world, plan_id).office_open
    call_off(world, plan_id)
    assert (NEXT_SATURDAY, False, "Banjir") in own_days()


def test_nothing_is_planned_on_a_day_on_which_somebody_closed_the_office(world: World) -> None:
    offices.add_calendar_day(world.actor("administrator"), NOW, DENPASAR, FRIDAY, open_=False, name="Pindah kantor")
    with pytest.raises(Refusal, match="office_closed_on_day") as caught:
        world.plan_outreach(NOW, FRIDAY, 200)
    assert caught.value.facts == {"day": FRIDAY, "name": "Pindah kantor"}
    assert outreach.of_month(world.storekeeper, DENPASAR, Month(2024, 5)) == []
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    with pytest.raises(Refusal, match="office_closed_on_day"):
        change(world, plan_id, 1, day=FRIDAY)
    assert shown(world, plan_id).day == SATURDAY
    assert is_open(SATURDAY)


def test_a_plan_that_moves_takes_its_open_day_along(world: World) -> None:
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    assert change(world, plan_id, 1, day=SUNDAY, expected={"kia": 30}, place="Banjar Kaja") == plan_id
    assert not is_open(SATURDAY)
    assert is_open(SUNDAY)
    plan = shown(world, plan_id)
    assert (plan.version, plan.place, [(line.item_code, line.expected) for line in plan.lines]) == (
        2,
        "Banjar Kaja",
        [("kia", 30)],
    )
    assert [step.step for step in outreach.get(world.storekeeper, plan_id).steps] == ["added", "changed"]


def test_a_change_of_what_was_not_seen_is_refused(world: World) -> None:
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    change(world, plan_id, 1, expected={BLANK: 300})
    with pytest.raises(Refusal, match="outreach_changed"):
        change(world, plan_id, 1, expected={BLANK: 400})
    with pytest.raises(Refusal, match="outreach_changed"):
        call_off(world, plan_id, 1)
    with pytest.raises(Refusal, match="outreach_changed"):
        outreach.record_held(world.storekeeper, NOW + timedelta(days=9), uuid4(), plan_id, 1, {})
    assert shown(world, plan_id).lines[0].expected == 300
    assert is_open(SATURDAY)


def test_a_plan_is_closed_once(world: World) -> None:
    plan_id = world.plan_outreach(NOW, TODAY, 200)
    outreach.record_held(world.storekeeper, NOW, uuid4(), plan_id, 1, {BLANK: 0})
    assert shown(world, plan_id).status == "held"
    assert shown(world, plan_id).lines[0].actual == 0
    for act in (lambda: call_off(world, plan_id, 2), lambda: change(world, plan_id, 2)):
        with pytest.raises(Refusal, match="outreach_closed"):
            act()
    with pytest.raises(Refusal, match="outreach_closed"):
        outreach.record_held(world.storekeeper, NOW, uuid4(), plan_id, 2, {})


def test_an_outreach_is_not_held_before_its_day(world: World) -> None:
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    with pytest.raises(Invalid, match="outreach_not_yet"):
        outreach.record_held(world.storekeeper, NOW, uuid4(), plan_id, 1, {})
    with pytest.raises(Invalid, match="outreach_items_differ"):
        outreach.record_held(world.storekeeper, NOW + timedelta(days=3), uuid4(), plan_id, 1, {"kia": 4})
    assert shown(world, plan_id).status == "planned"
    outreach.record_held(world.storekeeper, NOW + timedelta(days=3), uuid4(), plan_id, 1, {})
    assert (shown(world, plan_id).status, shown(world, plan_id).lines[0].actual) == ("held", None)


def test_a_form_that_is_sent_twice_is_recorded_once(world: World) -> None:
    requests = [uuid4() for _ in range(4)]
    plan_id = world.plan_outreach(NOW, SATURDAY, 200, request=requests[0])
    assert world.plan_outreach(NOW, SATURDAY, 200, request=requests[0]) == plan_id
    with pytest.raises(Refusal, match="request_id_reused"):
        world.plan_outreach(NOW, SATURDAY, 201, request=requests[0])
    assert change(world, plan_id, 1, requests[1], place="SMP 2") == change(
        world, plan_id, 1, requests[1], place="SMP 2"
    )
    assert call_off(world, plan_id, 2, requests[2]) == call_off(world, plan_id, 2, requests[2]) == plan_id
    with pytest.raises(Refusal, match="outreach_closed"):
        call_off(world, plan_id, 2, requests[3])
    assert len(outreach.of_month(world.storekeeper, DENPASAR, Month(2024, 5))) == 1
    assert [step.step for step in outreach.get(world.storekeeper, plan_id).steps] == ["added", "changed", "called_off"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"place": ""}, "outreach_place_missing"),
        ({"place": "x" * 121}, "text_too_long"),
        ({"day": TODAY - timedelta(days=1)}, "outreach_day_range"),
        ({"day": TODAY + timedelta(days=367)}, "outreach_day_range"),
        ({"expected": {}}, "nothing_entered"),
        ({"expected": {"keping": 4}}, "item_not_found"),
        ({"expected": {BLANK: -4}}, "quantity_not_positive"),
        ({"starts": time(9)}, "outreach_hours"),
        ({"team_code": "51.03"}, "outreach_team_unknown"),
        ({"team_code": "a\x00b"}, "outreach_team_unknown"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal, match=code):
        outreach.plan(world.storekeeper, NOW, uuid4(), DENPASAR, replace(PLANNING, **changes))
    assert own_days() == []


def test_a_team_plans_at_its_office(world: World) -> None:
    team = team_of(world)
    with pytest.raises(Invalid, match="outreach_of_team"):
        outreach.plan(team, NOW, uuid4(), TEAM, PLANNING)
    assert [each.code for each in outreach.teams(world.storekeeper, DENPASAR)] == [TEAM]


def test_who_may_plan_and_who_may_look(world: World) -> None:
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    for name in ("other_storekeeper", "regional", "viewer", "administrator"):
        actor = world.actor(name)
        with pytest.raises(NotAllowed):
            outreach.plan(actor, NOW, uuid4(), DENPASAR, PLANNING)
        with pytest.raises(NotAllowed):
            outreach.call_off(actor, NOW, uuid4(), plan_id, 1, "hujan")
    assert outreach.get(world.actor("regional"), plan_id).plan.id == plan_id
    for name in ("other_storekeeper", "viewer", "administrator"):
        with pytest.raises(NotAllowed):
            outreach.get(world.actor(name), plan_id)
    outreach.plan(world.actor("manager"), NOW, uuid4(), "51.71.01", PLANNING)
    with pytest.raises(NotFound, match="outreach_not_found"):
        outreach.get(world.storekeeper, plan_id + 99)


def test_a_month_is_shown_by_day_and_no_other(world: World) -> None:
    for day in (NEXT_SATURDAY, SATURDAY, date(2024, 6, 1)):
        world.plan_outreach(NOW, day, 10)
    found = outreach.of_month(world.storekeeper, DENPASAR, Month(2024, 5))
    assert [plan.day for plan in found] == [SATURDAY, NEXT_SATURDAY]


@pytest.fixture
def crowded(crowded_app: Flask) -> Flask:
    return crowded_app


def test_of_ten_who_change_a_plan_at_once_one_does(crowded: Flask) -> None:
    with crowded.app_context():
        world = World(crowded)
        plan_id, actor = world.plan_outreach(NOW, SATURDAY, 200), world.storekeeper

        def changing(number: int) -> Any:
            planning = replace(PLANNING, day=SUNDAY, expected={BLANK: 300 + number})
            return lambda: outreach.change(actor, NOW, uuid4(), plan_id, 1, planning)

        outcomes = at_once(crowded, [changing(number) for number in range(10)])
        assert refused_codes(outcomes) == {"outreach_changed": 9}
        assert done(outcomes) == [plan_id]
        assert shown(world, plan_id).version == 2
        assert len(shown(world, plan_id).lines) == 1
        assert (is_open(SATURDAY), is_open(SUNDAY)) == (False, True)


def test_of_ten_who_call_a_plan_off_at_once_one_does(crowded: Flask) -> None:
    with crowded.app_context():
        world = World(crowded)
        plan_id, actor = world.plan_outreach(NOW, SATURDAY, 200), world.storekeeper
        calls = [lambda: outreach.call_off(actor, NOW, uuid4(), plan_id, 1, "hujan")] * 10
        assert refused_codes(at_once(crowded, calls)) == {"outreach_closed": 9}
        assert [step.step for step in outreach.get(actor, plan_id).steps] == ["added", "called_off"]
        assert not is_open(SATURDAY)


def test_the_calendar_is_right_whoever_comes_first(crowded: Flask) -> None:
    """Plans for one day are made and called off at once: it is open if, and only if, one still stands."""
    with crowded.app_context():
        world = World(crowded)
        actor = world.storekeeper
        for round_ in range(6):
            day = SATURDAY + timedelta(weeks=round_)
            planning = replace(PLANNING, day=day)
            there = [world.plan_outreach(NOW, day, 10) for _ in range(3)]
            calls: list[Any] = [
                lambda plan_id=plan_id: outreach.call_off(actor, NOW, uuid4(), plan_id, 1, "hujan") for plan_id in there
            ]
            calls += [lambda planning=planning: outreach.plan(actor, NOW, uuid4(), DENPASAR, planning)] * 2
            made = [each for each in done(at_once(crowded, calls)) if each not in there]
            assert len(made) == 2
            assert is_open(day), day
            at_once(crowded, [lambda each=each: call_off(World(crowded), each) for each in made])
            assert not is_open(day), day


def test_the_database_keeps_the_plans_rules(world: World) -> None:
    plan_id = world.plan_outreach(NOW, SATURDAY, 200)
    broken = {
        "UPDATE outreach_plans SET status = 'dropped'": "status",
        "UPDATE outreach_plans SET status = 'held'": "closed",
        "UPDATE outreach_plans SET starts = '08:00:00'": "hours",
        "UPDATE outreach_plans SET starts = '08:00:00', ends = '08:00:00'": "hours",
        "UPDATE outreach_plans SET place = ''": "place",
        "UPDATE outreach_plans SET team_id = office_id": "team",
        "UPDATE outreach_plan_lines SET expected = 0": "expected",
        "UPDATE outreach_plan_lines SET actual = -1": "actual",
        "UPDATE calendar_days SET open = false": "by_plan",
        "UPDATE plan_steps SET step = 'forgotten'": "step",
    }
    for statement, name in broken.items():
        with pytest.raises(IntegrityError, match=name):
            db.session.execute(text(statement))
        db.session.rollback()
    call_off(world, plan_id)
    for statement in ("UPDATE outreach_plans SET place = 'Pantai'", "DELETE FROM outreach_plans"):
        with pytest.raises(DBAPIError, match="closed once and never deleted"):
            db.session.execute(text(statement))
        db.session.rollback()
