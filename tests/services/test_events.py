"""Events and seasons on both databases: who enters what, whom it concerns, and two who change it at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.services import events
from inventory.services.events import Happening
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import CROWD, NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

ENROLMENT = Happening(
    kind="school_enrolment",
    name="PPDB 2024",
    first_day=date(2024, 7, 1),
    last_day=date(2024, 7, 31),
    office_code="51",
    items=("kia",),
)
ELECTION = Happening(
    kind="election", name="Pilkada 2024", first_day=date(2024, 9, 28), last_day=date(2024, 11, 26), factor=1.2
)


def add(actor: Actor, happening: Happening = ENROLMENT) -> int:
    return events.add(actor, NOW, uuid4(), happening)


def names(found: list[events.EventView]) -> list[str]:
    return [each.name for each in found]


def test_an_event_says_what_was_entered_and_concerns_its_subtree(world: World) -> None:
    administrator = world.actor("administrator")
    event_id = add(administrator)
    found = events.get(administrator, event_id)
    event = found.event
    assert (event.kind, event.name, event.first_day, event.last_day) == (
        "school_enrolment",
        "PPDB 2024",
        date(2024, 7, 1),
        date(2024, 7, 31),
    )
    assert (event.office_code, event.items, event.factor, event.version) == ("51", ("kia",), None, 1)
    assert [(step.step, step.by) for step in found.steps] == [("added", "Administrator")]
    assert "PPDB 2024" in names(events.coming(world.storekeeper, NOW, DENPASAR))
    add(administrator, replace(ENROLMENT, office_code=BADUNG, name="PPDB Badung"))
    assert "PPDB Badung" not in names(events.coming(world.storekeeper, NOW, DENPASAR))
    assert "PPDB Badung" in names(events.coming(world.actor("viewer"), NOW, BADUNG))
    assert "PPDB 2024" not in names(events.coming(SYSTEM, NOW, "16.09"))


def test_what_comes_is_told_in_order_with_the_seasons_of_the_moon(world: World) -> None:
    add(SYSTEM, ELECTION)
    add(SYSTEM)
    add(SYSTEM, replace(ENROLMENT, name="PPDB 2023", first_day=date(2023, 7, 1), last_day=date(2023, 7, 31)))
    found = events.coming(world.storekeeper, NOW, DENPASAR)
    assert [(each.kind, each.name, each.first_day) for each in found] == [
        ("school_enrolment", "PPDB 2024", date(2024, 7, 1)),
        ("election", "Pilkada 2024", date(2024, 9, 28)),
        ("ramadan", "2025", date(2025, 3, 1)),
        ("lebaran", "2025", date(2025, 4, 8)),
    ]


def test_the_whole_country_is_for_those_who_manage_it(world: World) -> None:
    administrator = world.actor("administrator")
    with pytest.raises(NotAllowed):
        add(administrator, ELECTION)
    with pytest.raises(NotAllowed):
        add(administrator, replace(ENROLMENT, office_code="16.09"))
    country = add(SYSTEM, ELECTION)
    with pytest.raises(NotAllowed):
        events.remove(administrator, NOW, uuid4(), country, 1)
    mine = add(administrator)
    with pytest.raises(NotAllowed):
        events.change(administrator, NOW, uuid4(), mine, 1, replace(ENROLMENT, office_code=""))
    assert set(names(events.listed(administrator, TODAY))) == {"Pilkada 2024", "PPDB 2024"}
    for name in ("storekeeper", "manager", "regional"):
        with pytest.raises(NotAllowed):
            add(world.actor(name))
        with pytest.raises(NotAllowed):
            events.get(world.actor(name), mine)
    with pytest.raises(NotFound, match="event_not_found"):
        events.get(administrator, 99)


def test_an_event_is_changed_and_removed_once(world: World) -> None:
    administrator = world.actor("administrator")
    event_id, request = add(administrator), uuid4()
    later = replace(ENROLMENT, name="SPMB 2024", items=(BLANK, "kia"), factor=1.5)
    for _ in range(2):
        assert events.change(administrator, NOW, request, event_id, 1, later) == event_id
    with pytest.raises(Refusal, match="request_id_reused"):
        events.change(administrator, NOW, request, event_id, 1, ENROLMENT)
    with pytest.raises(Refusal, match="event_changed"):
        events.change(administrator, NOW, uuid4(), event_id, 1, ENROLMENT)
    event = events.get(administrator, event_id).event
    assert (event.name, event.items, event.factor, event.version) == ("SPMB 2024", (BLANK, "kia"), 1.5, 2)
    removing = uuid4()
    for _ in range(2):
        assert events.remove(administrator, NOW, removing, event_id, 2) == event_id
    with pytest.raises(Refusal, match="event_removed"):
        events.remove(administrator, NOW, uuid4(), event_id, 2)
    with pytest.raises(Refusal, match="event_removed"):
        events.change(administrator, NOW, uuid4(), event_id, 3, ENROLMENT)
    assert events.listed(administrator, TODAY) == []
    assert "SPMB 2024" not in names(events.coming(world.storekeeper, NOW, DENPASAR))
    assert [step.step for step in events.get(administrator, event_id).steps] == ["added", "changed", "removed"]


def test_the_projection_hears_of_every_event_that_touches_its_days(world: World) -> None:
    add(SYSTEM, ELECTION)
    add(SYSTEM)
    removed = add(SYSTEM, replace(ENROLMENT, name="batal"))
    events.remove(SYSTEM, NOW, uuid4(), removed, 1)
    found = {each.name: each for each in events.occurrences(date(2024, 7, 31), date(2024, 9, 28))}
    assert set(found) == {"PPDB 2024", "Pilkada 2024"}
    assert found["PPDB 2024"].path == "00/51/"
    assert len(found["PPDB 2024"].item_ids) == 1
    assert (found["Pilkada 2024"].path, found["Pilkada 2024"].season.factor) == ("", 1.2)
    assert events.occurrences(date(2024, 8, 1), date(2024, 9, 27)) == []
    assert [each.season.kind for each in events.occurrences(date(2032, 12, 31), date(2032, 12, 31))] == ["ramadan"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "lebaran"}, "event_kind_unknown"),
        ({"name": " "}, "event_name_missing"),
        ({"name": "x" * 121}, "text_too_long"),
        ({"last_day": date(2024, 6, 30)}, "period_backwards"),
        ({"factor": 6.0}, "event_factor_range"),
        ({"items": ("keping",)}, "item_not_found"),
        ({"office_code": "99"}, "office_not_found"),
    ],
)
def test_an_event_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal, match=code):
        add(world.actor("administrator"), replace(ENROLMENT, **changes))
    assert events.listed(SYSTEM, TODAY) == []


def test_of_ten_who_change_and_remove_at_once_one_does(database_url: str, make_app: Any) -> None:
    app: Flask = make_app(database_url, CLOCK=lambda: NOW, SQLALCHEMY_ENGINE_OPTIONS=CROWD)
    with app.app_context():
        administrator = World(app).actor("administrator")
        event_id = add(administrator)
        other = replace(ENROLMENT, items=(BLANK,))
        calls: list[Any] = [lambda: events.change(administrator, NOW, uuid4(), event_id, 1, other)] * 5
        calls += [lambda: events.remove(administrator, NOW, uuid4(), event_id, 1)] * 5
        outcomes = at_once(app, calls)
        assert len(done(outcomes)) == 1
        assert set(refused_codes(outcomes)) <= {"event_changed", "event_removed"}
        found = events.get(administrator, event_id)
        assert (found.event.version, len(found.steps), len(found.event.items)) == (2, 2, 1)


def test_the_database_keeps_the_events_rules(world: World) -> None:
    add(SYSTEM)
    for change, name in {
        "kind = 'lebaran'": "kind",
        "name = ''": "name",
        "last_day = '2024-06-30'": "days",
        "factor = 0": "factor",
        "factor = 5.5": "factor",
        "version = 0": "version",
    }.items():
        with pytest.raises(IntegrityError, match=name):
            db.session.execute(text(f"UPDATE events SET {change}"))
        db.session.rollback()


def test_old_events_are_left_out_of_the_list(world: World) -> None:
    old = TODAY - timedelta(days=4 * 366)
    add(SYSTEM, replace(ENROLMENT, name="PPDB 2020", first_day=old, last_day=old))
    assert events.listed(SYSTEM, TODAY) == []
