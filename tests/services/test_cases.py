"""What people do with cases: every act in every state for every role, once per form, and how the states change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor, Role
from inventory.domain.alerts import Level
from inventory.domain.cases import Done
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.models import Alert, AlertEvent, CaseAct
from inventory.services import cases, people, reviews
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World

LATER = NOW + timedelta(hours=1)


def low_case(world: World, store: int = 300) -> int:
    """Denpasar holds `store` cards at 100 a day, which is a case; its id."""
    from inventory.services import stated_rates

    world.deliver(NOW, TODAY, store)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 100, "a newspaper")
    review(NOW)
    return db.session.scalars(select(Alert.id).order_by(Alert.id.desc())).first() or 0


def review(now: datetime) -> None:
    run, _ = reviews.review(SYSTEM, lambda: now, "test")
    assert run.status == "done", run.error


def row(alert_id: int) -> Alert:
    db.session.rollback()
    found = db.session.get(Alert, alert_id, populate_existing=True)
    assert found is not None
    return found


def events(alert_id: int) -> list[AlertEvent]:
    db.session.rollback()
    return list(db.session.scalars(select(AlertEvent).where(AlertEvent.alert_id == alert_id).order_by(AlertEvent.id)))


def kinds(alert_id: int) -> list[str]:
    return [event.kind for event in events(alert_id)]


# --- every act in every state for every role ---------------------------------------------------------------------

ACTS: dict[str, Callable[[Actor, UUID, int], Any]] = {
    "acknowledge": lambda actor, form, alert: cases.acknowledge(actor, LATER, form, [alert]),
    "assign": lambda actor, form, alert: cases.assign(actor, LATER, form, alert, None),
    "snooze": lambda actor, form, alert: cases.snooze(actor, LATER, form, alert, TODAY + timedelta(days=3), None),
    "comment": lambda actor, form, alert: cases.comment(actor, LATER, form, alert, "Besok diambil"),
    "resolve": lambda actor, form, alert: cases.resolve(actor, LATER, form, alert, Done.ORDERED, ""),
}
STATES = ("waiting", "acknowledged", "snoozed", "resolved", "relieved")
WHO = ("storekeeper", "manager", "regional", "other_storekeeper", "administrator", "manager above", "system")

# What a manager's act meets in each state; "" where it is done.
TABLE = {
    ("acknowledge", "waiting"): "",
    ("acknowledge", "acknowledged"): "case_acknowledged",
    ("acknowledge", "snoozed"): "case_snoozed",
    ("acknowledge", "resolved"): "case_resolved",
    ("acknowledge", "relieved"): "case_resolved",
    ("assign", "waiting"): "",
    ("assign", "acknowledged"): "",
    ("assign", "snoozed"): "",
    ("assign", "resolved"): "case_resolved",
    ("assign", "relieved"): "case_resolved",
    ("snooze", "waiting"): "",
    ("snooze", "acknowledged"): "",
    ("snooze", "snoozed"): "",
    ("snooze", "resolved"): "case_resolved",
    ("snooze", "relieved"): "case_resolved",
    ("comment", "waiting"): "",
    ("comment", "acknowledged"): "",
    ("comment", "snoozed"): "",
    ("comment", "resolved"): "",
    ("comment", "relieved"): "",
    ("resolve", "waiting"): "",
    ("resolve", "acknowledged"): "",
    ("resolve", "snoozed"): "",
    ("resolve", "resolved"): "case_resolved",
    ("resolve", "relieved"): "case_resolved",
}
# Who may at all, and what the others are told: those who see alerts, and those who do not.
MAY = {
    "storekeeper": NotAllowed,
    "manager": None,
    "regional": NotAllowed,
    "other_storekeeper": NotFound,
    "administrator": NotFound,
    "manager above": None,
    "system": NotAllowed,
}
EVENT_OF = {
    "acknowledge": "acknowledged",
    "assign": "owner",
    "snooze": "snoozed",
    "comment": "comment",
    "resolve": "resolved",
}


def one_case(world: World) -> None:
    low_case(world)


def person_above(world: World) -> Actor:
    people.add(
        SYSTEM,
        NOW,
        email="kepala@bali.test",
        full_name="Kepala Provinsi",
        role=Role.MANAGER,
        office_code="51",
        password_hash="x",
    )
    from inventory.models import Person

    return people.actor_for(db.session.scalars(select(Person).where(Person.email == "kepala@bali.test")).one())


def who(world: World, name: str) -> Actor:
    if name == "system":
        return SYSTEM
    return person_above(world) if name == "manager above" else world.actor(name)


def bring(world: World, alert_id: int, state: str) -> None:
    manager, day = world.actor("manager"), TODAY + timedelta(days=2)
    steps: dict[str, Callable[[], Any]] = {
        "waiting": lambda: None,
        "acknowledged": lambda: cases.acknowledge(manager, NOW, uuid4(), [alert_id]),
        "snoozed": lambda: cases.snooze(manager, NOW, uuid4(), alert_id, day, None),
        "resolved": lambda: cases.resolve(manager, NOW, uuid4(), alert_id, Done.LENT, ""),
        "relieved": lambda: (world.deliver(NOW, TODAY, 90_000), review(NOW + timedelta(minutes=1))),
    }
    steps[state]()


@pytest.mark.filled(by=one_case)
@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize("state", STATES)
def test_each_act_is_done_or_refused_as_the_table_says(world: World, state: str, name: str) -> None:
    alert_id = db.session.scalars(select(Alert.id)).one()
    bring(world, alert_id, state)
    actor, before = who(world, name), kinds(alert_id)
    done = []
    for act, run in ACTS.items():
        refusal = MAY[name] or (Refusal if TABLE[act, state] else None)
        frozen = written(alert_id)
        if refusal is None:
            run(actor, uuid4(), alert_id)
            done.append(EVENT_OF[act])
            assert kinds(alert_id) == [*before, *done]
            last = events(alert_id)[-1]
            assert (last.person_id, last.at, last.from_level) == (actor.person_id, LATER, last.to_level)
            restore(alert_id, frozen)
            continue
        with pytest.raises(refusal) as refused:
            run(actor, uuid4(), alert_id)
        if MAY[name] is None:
            assert refused.value.code == TABLE[act, state]
        assert kinds(alert_id) == [*before, *done]
        assert written(alert_id) == frozen


def written(alert_id: int) -> dict[str, Any]:
    """All that stands in its row, but for what the database works out itself."""
    columns = [column.key for column in Alert.__table__.columns if column.computed is None]
    return {key: getattr(row(alert_id), key) for key in columns}


def restore(alert_id: int, frozen: dict[str, Any]) -> None:
    """The next act finds the state that this one found."""
    db.session.rollback()
    db.session.execute(update(Alert).where(Alert.id == alert_id).values(frozen))
    db.session.commit()


def test_the_table_has_every_act_in_every_state() -> None:
    assert set(TABLE) == {(act, state) for act in ACTS for state in STATES}
    assert set(MAY) == set(WHO)


# --- one act at a time -------------------------------------------------------------------------------------------


def test_many_are_acknowledged_by_one_form_and_those_seen_before_stay(world: World) -> None:
    first = low_case(world)
    db.session.execute(
        insert(Alert).from_select(
            ["office_id", "item_id", "subject", "level", "opened_at", "changed_at", "facts"],
            select(
                Alert.office_id, Alert.item_id, text("'model_worse'"), Alert.level, Alert.opened_at, Alert.changed_at,
                Alert.facts,
            ),
        )
    )  # fmt: skip
    db.session.commit()
    second = db.session.scalars(select(Alert.id).where(Alert.id != first)).one()
    manager, form = world.actor("manager"), uuid4()
    cases.acknowledge(manager, NOW, uuid4(), [second])
    assert cases.acknowledge(manager, LATER, form, [first, second, first]) == 1
    assert cases.acknowledge(manager, LATER, form, [first, second]) == 1, "a repeated form says what it did"
    assert (row(first).acknowledged_at, row(second).acknowledged_at) == (LATER, NOW)
    assert kinds(first) == ["level", "acknowledged"]
    with pytest.raises(Invalid, match="nothing_chosen"):
        cases.acknowledge(manager, LATER, uuid4(), [])
    with pytest.raises(NotFound):
        cases.acknowledge(manager, LATER, uuid4(), [first, 4711])


def many_cases(number: int = 1_200) -> list[int]:
    """As many open cases below Denpasar; their ids."""
    from tests.services.test_desk import _many_alerts

    _many_alerts(number)
    return list(db.session.scalars(select(Alert.id).where(Alert.subject == "model_worse").order_by(Alert.id)))


def acknowledged() -> int:
    db.session.rollback()
    query = select(func.count()).select_from(AlertEvent).where(AlertEvent.kind == "acknowledged")
    return db.session.scalar(query) or 0


def test_more_than_a_thousand_are_acknowledged_by_one_form_and_none_is_left_out(world: World) -> None:
    ids, manager, form = many_cases(), world.actor("manager"), uuid4()
    assert cases.acknowledge(manager, NOW, form, list(reversed(ids))) == 1_200
    unseen = select(func.count()).select_from(Alert).where(Alert.acknowledged_at.is_(None))
    assert db.session.scalar(unseen) == 0
    assert acknowledged() == 1_200
    assert cases.acknowledge(manager, LATER, form, ids) == 1_200, "a repeated form says what it did"
    assert acknowledged() == 1_200
    with pytest.raises(Refusal, match="case_acknowledged"):
        cases.acknowledge(manager, LATER, uuid4(), ids)


def test_of_more_than_a_thousand_all_are_done_or_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, manager = many_cases(), world.actor("manager")
    with pytest.raises(NotFound):
        cases.acknowledge(manager, NOW, uuid4(), [*ids, ids[-1] + 4711])
    assert acknowledged() == 0
    changed = cases._change

    def fail(session: Any, step: Any) -> list[Any]:
        changed(session, step)
        raise RuntimeError("after all of them")

    with monkeypatch.context() as patch:
        patch.setattr(cases, "_change", fail)
        with pytest.raises(RuntimeError):
            cases.acknowledge(manager, NOW, uuid4(), ids)
    db.session.rollback()
    seen = select(func.count()).select_from(Alert).where(Alert.acknowledged_at.is_not(None))
    assert (db.session.scalar(seen), acknowledged()) == (0, 0)


def test_two_who_acknowledge_more_than_a_thousand_at_once_do_each_once(world: World) -> None:
    ids = many_cases()
    calls = [lambda: cases.acknowledge(World(world.app).actor("manager"), NOW, uuid4(), ids) for _ in range(4)]
    outcomes = at_once(world.app, calls)
    assert sorted(str(each) for each in outcomes) == sorted(["1200", *["case_acknowledged"] * 3]), outcomes
    assert acknowledged() == 1_200


def test_a_form_with_another_body_is_refused(world: World) -> None:
    alert_id, form, manager = low_case(world), uuid4(), world.actor("manager")
    cases.comment(manager, NOW, form, alert_id, "Sudah dipesan")
    cases.comment(manager, NOW, form, alert_id, "Sudah dipesan")
    assert kinds(alert_id) == ["level", "comment"]
    assert db.session.scalars(select(CaseAct.kind)).all() == ["comment"]
    with pytest.raises(Refusal, match="request_id_reused"):
        cases.resolve(manager, NOW, form, alert_id, Done.ORDERED, "")
    with pytest.raises(Refusal, match="request_id_reused"):
        cases.comment(manager, NOW, form, alert_id, "Belum dipesan")
    assert row(alert_id).done is None


def test_an_owner_is_somebody_who_may_act_there(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    assert manager.person_id is not None
    assert [each.id for each in cases.owners(manager, alert_id)] == [manager.person_id]
    cases.assign(manager, NOW, uuid4(), alert_id, manager.person_id)
    assert row(alert_id).owner_id == manager.person_id
    assert events(alert_id)[-1].facts == {"owner": "Manager"}
    for stranger in ("storekeeper", "regional", "other_storekeeper"):
        with pytest.raises(Invalid, match="owner_not_allowed"):
            cases.assign(manager, NOW, uuid4(), alert_id, world.actor(stranger).person_id)
    cases.assign(manager, NOW, uuid4(), alert_id, None)
    assert row(alert_id).owner_id is None
    above = person_above(world)
    assert [each.name for each in cases.owners(manager, alert_id)] == ["Kepala Provinsi", "Manager"]
    cases.assign(above, NOW, uuid4(), alert_id, above.person_id)


@pytest.mark.parametrize(
    ("until", "level", "code"),
    [
        (None, None, "snooze_without_end"),
        (TODAY, None, "snooze_over_already"),
        (TODAY + timedelta(days=91), None, "snooze_too_long"),
        (None, Level.CRITICAL, "snooze_level_reached"),
        (None, Level.OUT, ""),
        (TODAY + timedelta(days=1), None, ""),
        (TODAY + timedelta(days=90), Level.OUT, ""),
    ],
)
def test_a_snooze_has_an_end_that_lies_ahead(world: World, until: date | None, level: Level | None, code: str) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    assert row(alert_id).level == "critical"
    if code:
        with pytest.raises(Invalid, match=code):
            cases.snooze(manager, NOW, uuid4(), alert_id, until, level)
        assert (row(alert_id).snoozed_until, row(alert_id).snoozed_level) == (None, None)
        return
    cases.snooze(manager, NOW, uuid4(), alert_id, until, level)
    assert (row(alert_id).snoozed_until, row(alert_id).snoozed_level) == (until, level.value if level else None)
    assert events(alert_id)[-1].facts == {
        "until": until.isoformat() if until else None,
        "level": level.value if level else None,
    }


def test_an_end_that_people_give_says_what_was_done(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    for done, words, code in ((Done.RELIEVED, "x", "done_by_itself"), (Done.OTHER, "  ", "done_needs_words")):
        with pytest.raises(Invalid, match=code):
            cases.resolve(manager, NOW, uuid4(), alert_id, done, words)
    cases.resolve(manager, NOW, uuid4(), alert_id, Done.OTHER, "Kantor ditutup")
    closed, last = row(alert_id), events(alert_id)[-1]
    assert (closed.done, closed.resolved_at, closed.level) == ("other", NOW, "critical")
    assert (last.kind, last.words, last.facts) == ("resolved", "Kantor ditutup", {"done": "other"})


def test_a_comment_has_words(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    for words, code in ((" ", "comment_missing"), ("x" * 501, "text_too_long")):
        with pytest.raises(Invalid, match=code):
            cases.comment(manager, NOW, uuid4(), alert_id, words)
    cases.comment(manager, NOW, uuid4(), alert_id, "x" * 500)


BROKEN = {
    "acknowledged by nobody": "UPDATE alerts SET acknowledged_at = opened_at",
    "seen at no time": "UPDATE alerts SET acknowledged_by_id = 1",
    "open and done": "UPDATE alerts SET done = 'ordered'",
    "resolved without saying how": "UPDATE alerts SET resolved_at = opened_at",
    "done in an unknown way": "UPDATE alerts SET resolved_at = opened_at, done = 'forgotten'",
    "relieved while critical": "UPDATE alerts SET resolved_at = opened_at, done = 'relieved'",
    "safe and open": "UPDATE alerts SET level = 'ok'",
    "resolved and asleep": "UPDATE alerts SET resolved_at = opened_at, done = 'lent', snoozed_until = '2024-06-01'",
    "asleep until safe": "UPDATE alerts SET snoozed_level = 'ok'",
    "reopened less than never": "UPDATE alerts SET reopened = -1",
    "a level that did not change": "UPDATE alert_events SET from_level = to_level",
    "a comment that changes the level": "UPDATE alert_events SET kind = 'comment', words = 'x', person_id = 1",
    "seen by nobody": "UPDATE alert_events SET kind = 'acknowledged', from_level = to_level",
    "a person behind a level": "UPDATE alert_events SET person_id = 1",
    "an empty comment": "UPDATE alert_events SET kind = 'comment', person_id = 1, from_level = to_level",
    "an unknown event": "UPDATE alert_events SET kind = 'forgotten', person_id = 1, from_level = to_level",
}


@pytest.mark.filled(by=one_case)
@pytest.mark.parametrize("what", BROKEN)
def test_the_database_refuses(world: World, what: str) -> None:
    with pytest.raises(IntegrityError):
        db.session.execute(text(BROKEN[what]))
    db.session.rollback()


# --- the review and the cases ------------------------------------------------------------------------------------


def story(alert_id: int) -> list[tuple[str, str, str]]:
    return [(event.kind, event.from_level, event.to_level) for event in events(alert_id)]


def day_after(days: int) -> datetime:
    return NOW + timedelta(days=days)


def test_what_people_resolved_is_opened_again_while_it_is_no_better(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    cases.acknowledge(manager, NOW, uuid4(), [alert_id])
    cases.resolve(manager, NOW, uuid4(), alert_id, Done.ORDERED, "")
    review(day_after(1))
    again = row(alert_id)
    assert (again.resolved_at, again.done, again.reopened, again.acknowledged_at) == (None, None, 1, None)
    assert story(alert_id) == [
        ("level", "ok", "critical"),
        ("acknowledged", "critical", "critical"),
        ("resolved", "critical", "critical"),
        ("reopened", "critical", "critical"),
    ]
    cases.resolve(manager, day_after(1), uuid4(), alert_id, Done.ORDERED, "")
    world.print(day_after(2), TODAY + timedelta(days=2), 300)
    review(day_after(2))
    assert row(alert_id).reopened == 2
    assert story(alert_id)[-2:] == [("reopened", "critical", "critical"), ("level", "critical", "out")]
    assert db.session.scalars(select(Alert.id)).all() == [alert_id], "one case tells the whole story"


def test_what_people_resolved_and_is_over_stays_closed_and_the_next_trouble_is_a_new_case(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    cases.resolve(manager, NOW, uuid4(), alert_id, Done.LENT, "")
    world.deliver(NOW, TODAY, 90_000)
    review(day_after(1))
    review(day_after(2))
    closed = row(alert_id)
    assert (closed.done, closed.level, closed.resolved_at, closed.reopened) == ("lent", "ok", NOW, 0)
    assert story(alert_id)[-1] == ("level", "critical", "ok")
    world.print(day_after(3), TODAY + timedelta(days=3), 90_300)
    review(day_after(3))
    assert (row(alert_id).done, row(alert_id).level) == ("lent", "ok")
    (other,) = db.session.scalars(select(Alert).where(Alert.resolved_at.is_(None))).all()
    assert (other.id > alert_id, other.level, other.reopened) == (True, "out", 0)


def test_a_case_is_relieved_by_itself_awake_or_asleep(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    cases.snooze(manager, NOW, uuid4(), alert_id, TODAY + timedelta(days=9), Level.OUT)
    world.deliver(NOW, TODAY, 90_000)
    review(day_after(1))
    closed = row(alert_id)
    assert (closed.done, closed.level, closed.snoozed_until, closed.snoozed_level) == ("relieved", "ok", None, None)
    assert story(alert_id)[-1] == ("level", "critical", "ok")


def test_a_case_sleeps_until_its_day(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    cases.acknowledge(manager, NOW, uuid4(), [alert_id])
    cases.snooze(manager, NOW, uuid4(), alert_id, TODAY + timedelta(days=2), None)
    review(day_after(1))
    assert cases.state_of(row(alert_id)) == "snoozed"
    # 23:30 in Denpasar of the day before is not yet the day; 00:30 is.
    review(datetime(2024, 5, 16, 15, 30, tzinfo=NOW.tzinfo))
    assert cases.state_of(row(alert_id)) == "snoozed"
    review(datetime(2024, 5, 16, 16, 30, tzinfo=NOW.tzinfo))
    assert cases.state_of(row(alert_id)) == "waiting", "it wants a new look"
    assert story(alert_id)[-1] == ("woken", "critical", "critical")
    review(datetime(2024, 5, 16, 17, 30, tzinfo=NOW.tzinfo))
    assert kinds(alert_id).count("woken") == 1


def test_a_case_sleeps_until_its_level_and_keeps_its_history_of_levels(world: World) -> None:
    alert_id, manager = low_case(world, 2_200), world.actor("manager")
    before = row(alert_id).level
    assert before in ("watch", "low")
    cases.snooze(manager, NOW, uuid4(), alert_id, None, Level.OUT)
    world.print(NOW, TODAY, 2_000)
    review(day_after(1))
    assert (row(alert_id).level, cases.state_of(row(alert_id))) == ("critical", "snoozed")
    world.print(day_after(2), TODAY + timedelta(days=2), 200)
    review(day_after(2))
    assert (row(alert_id).level, cases.state_of(row(alert_id))) == ("out", "waiting")
    assert story(alert_id)[-3:] == [
        ("level", before, "critical"),
        ("level", "critical", "out"),
        ("woken", "out", "out"),
    ]


def test_a_case_that_got_worse_wants_a_new_look_and_one_that_got_better_does_not(world: World) -> None:
    alert_id, manager = low_case(world), world.actor("manager")
    cases.assign(manager, NOW, uuid4(), alert_id, manager.person_id)
    cases.acknowledge(manager, NOW, uuid4(), [alert_id])
    world.print(NOW, TODAY, 300)
    review(day_after(1))
    worse = row(alert_id)
    assert (worse.level, worse.acknowledged_at, worse.acknowledged_by_id) == ("out", None, None)
    assert worse.owner_id == manager.person_id
    cases.acknowledge(manager, day_after(1), uuid4(), [alert_id])
    world.deliver(NOW, TODAY, 300)
    review(day_after(2))
    assert (row(alert_id).level, row(alert_id).acknowledged_at) == ("critical", day_after(1))


def test_an_undone_duty_that_people_resolved_comes_back_too(world: World) -> None:
    world.deliver(NOW, TODAY, 50_000)
    world.send(NOW, TODAY, 20)
    review(day_after(9))
    alert_id = db.session.scalars(select(Alert.id).where(Alert.subject == "overdue_transfer")).one()
    cases.resolve(world.actor("manager"), day_after(9), uuid4(), alert_id, Done.OTHER, "Sudah ditelepon")
    review(day_after(10))
    assert (row(alert_id).resolved_at, row(alert_id).reopened) == (None, 1)
    assert row(alert_id).facts["days_late"] > 2
