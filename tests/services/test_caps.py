"""Day caps, clearing rates and digital identities on both databases: what counts, who said so, and once only."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.services import caps, clearing
from inventory.services.caps import Capping, CapView
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import CROWD, NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

TOMORROW = NOW + timedelta(days=1)


def cap(world: World, most: int = 50, request: UUID | None = None, **changes: Any) -> int:
    capping = Capping(**{"item_code": BLANK, "most_a_day": most, "first_day": TODAY, **changes})
    return caps.add(world.storekeeper, NOW, request or uuid4(), DENPASAR, capping)


def shown(world: World, cap_id: int) -> CapView:
    return caps.get(world.storekeeper, cap_id).cap


def counting() -> list[tuple[int, date, date | None]]:
    found = caps.counting(TODAY - timedelta(days=100), TODAY + timedelta(days=100))
    return [(row.most_a_day, row.first_day, row.last_day) for row in found]


def test_a_cap_counts_until_its_last_day_and_says_who_set_it(world: World) -> None:
    cap_id = cap(world, note="menunggu kiriman")
    assert counting() == [(50, TODAY, None)]
    last = TODAY + timedelta(days=9)
    assert caps.end(world.actor("manager"), TOMORROW, uuid4(), cap_id, 1, last) == cap_id
    assert counting() == [(50, TODAY, last)]
    found = caps.get(world.storekeeper, cap_id)
    assert (found.cap.made_by, found.cap.note, found.cap.version) == ("Storekeeper", "menunggu kiriman", 2)
    assert [(step.step, step.by, step.note) for step in found.steps] == [
        ("added", "Storekeeper", ""),
        ("changed", "Manager", "2024-05-15 – 2024-05-24"),
    ]
    caps.end(world.storekeeper, NOW, uuid4(), cap_id, 2, None)
    assert counting() == [(50, TODAY, None)]


def test_a_cap_may_be_entered_late(world: World) -> None:
    first = TODAY - timedelta(days=40)
    cap(world, first_day=first, last_day=first + timedelta(days=5))
    assert counting() == [(50, first, first + timedelta(days=5))]
    assert caps.counting(TODAY, TODAY) == []


def test_a_cap_that_was_a_mistake_never_counted(world: World) -> None:
    cap_id, request = cap(world), uuid4()
    for _ in range(2):
        assert caps.withdraw(world.storekeeper, NOW, request, cap_id, 1) == cap_id
    assert counting() == []
    assert shown(world, cap_id).withdrawn
    for act in (
        lambda: caps.withdraw(world.storekeeper, NOW, uuid4(), cap_id, 1),
        lambda: caps.end(world.storekeeper, NOW, uuid4(), cap_id, 2, TODAY),
    ):
        with pytest.raises(Refusal, match="cap_withdrawn"):
            act()
    assert [each.id for each in caps.of_office(world.storekeeper, DENPASAR)] == [cap_id]


def test_a_form_that_is_sent_twice_is_one_cap(world: World) -> None:
    request = uuid4()
    assert cap(world, request=request) == cap(world, request=request)
    with pytest.raises(Refusal, match="request_id_reused"):
        cap(world, 60, request=request)
    assert len(counting()) == 1


def test_of_two_who_change_a_cap_one_does(world: World) -> None:
    cap_id = cap(world)
    caps.end(world.storekeeper, NOW, uuid4(), cap_id, 1, TODAY)
    with pytest.raises(Refusal, match="cap_changed"):
        caps.end(world.storekeeper, NOW, uuid4(), cap_id, 1, None)


def test_of_ten_who_change_a_cap_at_once_one_does(database_url: str, make_app: Any) -> None:
    app: Flask = make_app(database_url, CLOCK=lambda: NOW, SQLALCHEMY_ENGINE_OPTIONS=CROWD)
    with app.app_context():
        world = World(app)
        cap_id, actor = cap(world), world.storekeeper
        calls: list[Any] = [lambda: caps.end(actor, NOW, uuid4(), cap_id, 1, TODAY)] * 5
        calls += [lambda: caps.withdraw(actor, NOW, uuid4(), cap_id, 1)] * 5
        outcomes = at_once(app, calls)
        assert len(done(outcomes)) == 1
        assert set(refused_codes(outcomes)) <= {"cap_changed", "cap_withdrawn"}
        assert shown(world, cap_id).version == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"most": 0}, "quantity_not_positive"),
        ({"item_code": "keping"}, "item_not_found"),
        ({"last_day": TODAY - timedelta(days=1)}, "period_backwards"),
        ({"first_day": TODAY + timedelta(days=400)}, "cap_too_far"),
        ({"first_day": date(1999, 1, 1)}, "day_too_early"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal, match=code):
        cap(world, **changes)
    assert caps.of_office(world.storekeeper, DENPASAR) == []


def test_who_may_cap(world: World) -> None:
    cap_id = cap(world)
    capping = Capping(item_code=BLANK, most_a_day=5, first_day=TODAY)
    for name in ("other_storekeeper", "regional", "viewer", "administrator"):
        with pytest.raises(NotAllowed):
            caps.add(world.actor(name), NOW, uuid4(), DENPASAR, capping)
        with pytest.raises(NotAllowed):
            caps.withdraw(world.actor(name), NOW, uuid4(), cap_id, 1)
    with pytest.raises(NotFound, match="cap_not_found"):
        caps.get(world.storekeeper, 99)


# --- clearing and digital identities -----------------------------------------------------------------------------


def state(
    world: World, per_day: int | None, request: UUID | None = None, item: str = BLANK, source: str = "rencana"
) -> int:
    return clearing.state_rate(world.storekeeper, NOW, request or uuid4(), DENPASAR, item, per_day, source)


def test_the_newest_word_on_clearing_counts_and_all_are_kept(world: World) -> None:
    state(world, 40)
    state(world, 25, item="kia")
    state(world, 60, source="rapat 14 Mei")
    found = clearing.rates(world.storekeeper, DENPASAR)
    assert [(each.item_code, each.per_day, each.source, each.stated_on, each.stated_by) for each in found] == [
        (BLANK, 60, "rapat 14 Mei", TODAY, "Storekeeper"),
        ("kia", 25, "rencana", TODAY, "Storekeeper"),
    ]
    state(world, None, source="ditunda")
    assert [each.per_day for each in clearing.rates(world.storekeeper, DENPASAR)] == [None, 25]
    assert [row.per_day for row in clearing.all_rates()] == [25]
    assert db.session.scalar(text("SELECT count(*) FROM clearing_rates")) == 4


def test_the_same_word_sent_twice_is_kept_once(world: World) -> None:
    request = uuid4()
    assert state(world, 40, request) == state(world, 40, request)
    with pytest.raises(Refusal, match="request_id_reused"):
        state(world, 41, request)
    assert len(clearing.all_rates()) == 1


def test_who_may_say_how_fast_the_backlog_is_cleared(world: World) -> None:
    for name in ("other_storekeeper", "regional", "administrator"):
        with pytest.raises(NotAllowed):
            clearing.state_rate(world.actor(name), NOW, uuid4(), DENPASAR, BLANK, 40, "rencana")
    with pytest.raises(Refusal, match="clearing_of_blanks_only"):
        state(world, 40, item="ribbon")
    with pytest.raises(Refusal, match="rate_needs_source"):
        state(world, 40, source=" ")


def test_the_digital_share_is_the_administrators_word(world: World) -> None:
    administrator, request = world.actor("administrator"), uuid4()
    for _ in range(2):
        clearing.state_digital(administrator, NOW, request, DENPASAR, 0.1, "target IKD 30 %")
    clearing.state_digital(administrator, TOMORROW, uuid4(), DENPASAR, 0.05, "diukur sendiri")
    for actor in (administrator, world.storekeeper):
        said = clearing.digital_history(actor, DENPASAR)
        assert [(each.share, each.source, each.stated_by) for each in said] == [
            (0.05, "diukur sendiri", "Administrator"),
            (0.1, "target IKD 30 %", "Administrator"),
        ]
    assert [(row.share, row.source) for row in clearing.all_digital()] == [(0.05, "diukur sendiri")]
    for name in ("storekeeper", "manager", "regional"):
        with pytest.raises(NotAllowed):
            clearing.state_digital(world.actor(name), NOW, uuid4(), DENPASAR, 0.5, "supaya tenang")
    with pytest.raises(NotAllowed):
        clearing.digital_history(world.actor("other_storekeeper"), DENPASAR)
    for share, source, code in ((0.91, "x", "digital_share_range"), (0.1, "", "rate_needs_source")):
        with pytest.raises(Refusal, match=code):
            clearing.state_digital(administrator, NOW, uuid4(), DENPASAR, share, source)
    assert clearing.digital_history(world.actor("viewer"), BADUNG) == []


def test_the_database_keeps_the_rules_too(world: World) -> None:
    cap(world)
    state(world, 40)
    clearing.state_digital(world.actor("administrator"), NOW, uuid4(), DENPASAR, 0.9, "batas atas")
    for statement, name in {
        "UPDATE day_caps SET most_a_day = 0": "most_a_day",
        "UPDATE day_caps SET last_day = '2024-05-14'": "days",
        "UPDATE clearing_rates SET per_day = 0": "per_day",
        "UPDATE clearing_rates SET source = ''": "source",
        "UPDATE digital_shares SET share = 0.95": "share",
        "UPDATE digital_shares SET source = ''": "source",
    }.items():
        with pytest.raises(IntegrityError, match=name):
            db.session.execute(text(statement))
        db.session.rollback()
