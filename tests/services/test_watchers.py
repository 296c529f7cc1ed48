"""Heartbeats, the state of the jobs, and the case that is opened about them; on both databases."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Role
from inventory.domain.alerts import Level, Subject
from inventory.domain.cases import Done
from inventory.domain.errors import NotAllowed
from inventory.domain.schedules import DailyAt
from inventory.domain.watchers import GRACE, SILENT, Watched
from inventory.models import Alert, AlertEvent, Heartbeat, Office, Person
from inventory.services import alerts, people, reviews, runs, watchers
from inventory.services import cases as cases_service
from inventory.services.watchers import JobState, State
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.notices import add_people
from tests.world import PEOPLE, World

DAY = timedelta(days=1)
SCHEDULE = DailyAt(time(1, 30), "Asia/Jakarta")
SEALING = Watched("daily seal", SCHEDULE)
REVIEW = Watched("low-stock review", SCHEDULE, by_hand=reviews.REVIEW_BY_HAND)
SLOT = SCHEDULE.latest_slot(NOW)
SOON = SLOT + timedelta(minutes=10)
DEADLINE = SLOT + DAY + GRACE


def done(job: Watched, slot: datetime, seconds: int = 7, counts: dict[str, Any] | None = None) -> None:
    instants = iter([slot, slot + timedelta(seconds=seconds)])
    assert runs.run_slot(job.name, slot, SCHEDULE, lambda: next(instants), "test", lambda *_: counts or {})


def failed(job: Watched, slot: datetime, times: int = 1) -> None:
    for _ in range(times):
        runs.record_failure(job.name, slot, slot, slot, "test", RuntimeError("no disk"))


def of(job: Watched, now: datetime) -> JobState:
    return watchers.state(now, [job]).jobs[0]


def cases() -> list[alerts.AlertView]:
    db.session.rollback()
    return [each for each in alerts.open_alerts(SYSTEM) if each.subject is Subject.JOB_NOT_RUN]


def case() -> alerts.AlertView:
    [found] = cases()
    return found


def levels() -> list[tuple[str, str]]:
    db.session.rollback()
    rows = db.session.execute(select(AlertEvent.from_level, AlertEvent.to_level).order_by(AlertEvent.id))
    return [(row.from_level, row.to_level) for row in rows]


def resolve(now: datetime, alert_id: int) -> None:
    """A manager of Bali closes the case, though nothing is better."""
    (person_id,) = add_people(now, 1, "51", Role.MANAGER)
    manager = people.actor_for(db.session.get_one(Person, person_id))
    cases_service.resolve(manager, now, uuid4(), alert_id, Done.OTHER, "Sudah dilaporkan")


def count_events() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(AlertEvent)) or 0


# --- heartbeats --------------------------------------------------------------------------------------------------


def test_each_scheduler_has_one_row_and_the_newest_beat_counts(world: World) -> None:
    for second in range(3):
        watchers.beat("a:1", NOW, NOW + timedelta(seconds=second), ["daily seal"])
    watchers.beat("b:2", NOW, NOW + timedelta(seconds=9), ["daily seal", "backtest"])
    rows = db.session.scalars(select(Heartbeat).order_by(Heartbeat.worker)).all()
    assert [(row.worker, row.jobs) for row in rows] == [("a:1", ["daily seal"]), ("b:2", ["daily seal", "backtest"])]
    assert rows[0].beat_at == NOW + timedelta(seconds=2)
    found = watchers.state(NOW + timedelta(seconds=10), []).schedulers
    assert (found.alive, found.beat_at) == (2, NOW + timedelta(seconds=9))


def test_a_scheduler_that_is_silent_is_dead_and_forgotten_a_day_later(world: World) -> None:
    watchers.beat("a:1", NOW, NOW, [])
    assert watchers.state(NOW + SILENT - timedelta(seconds=1), []).schedulers.alive == 1
    assert watchers.state(NOW + SILENT, []).schedulers.alive == 0
    assert watchers.state(NOW + SILENT, []).schedulers.beat_at == NOW
    watchers.beat("b:2", NOW + DAY, NOW + DAY + timedelta(seconds=1), [])
    assert db.session.scalars(select(Heartbeat.worker)).all() == ["b:2"]


def test_two_that_begin_with_the_same_name_at_once_leave_one_row(world: World) -> None:
    calls = [lambda n=n: watchers.beat("a:1", NOW, NOW + timedelta(seconds=n), []) for n in range(6)]
    assert at_once(world.app, calls) == [None] * 6
    assert db.session.scalar(text("SELECT count(*) FROM heartbeats")) == 1


# --- the state ---------------------------------------------------------------------------------------------------


def test_a_job_that_is_done_is_on_time_until_its_period_and_grace_are_over(world: World) -> None:
    done(SEALING, SLOT)
    found = of(SEALING, NOW)
    assert (found.good_slot, found.good_at, found.seconds) == (SLOT, SLOT + timedelta(seconds=7), 7.0)
    assert (found.level, found.missed, found.next_slot) == (Level.OK, 0, SLOT + DAY)
    assert of(SEALING, DEADLINE - timedelta(seconds=1)).level is Level.OK
    late = of(SEALING, DEADLINE + 3 * DAY)
    assert (late.level, late.late_since, late.missed) == (Level.CRITICAL, DEADLINE, 4)


def test_a_failed_slot_is_watched_and_critical_once_it_is_given_up(world: World) -> None:
    done(SEALING, SLOT - DAY)
    failed(SEALING, SLOT, 2)
    found = of(SEALING, SOON)
    assert (found.level, found.failed_attempts, found.error) == (Level.WATCH, 2, "RuntimeError: no disk")
    failed(SEALING, SLOT)
    assert of(SEALING, SOON).level is Level.CRITICAL
    done(SEALING, SLOT + DAY)
    assert of(SEALING, NOW + DAY).level is Level.OK, "the next night is good"
    assert watchers.failures() == {"daily seal": 3}


def test_tries_that_failed_before_a_good_one_stay_counted(world: World) -> None:
    failed(SEALING, SLOT, 2)
    done(SEALING, SLOT)
    assert of(SEALING, NOW).level is Level.OK
    assert watchers.failures() == {"daily seal": 2}


def test_a_job_that_never_ran_is_late_where_there_is_something_to_look_after(world: World) -> None:
    assert of(SEALING, NOW + 9 * DAY).level is Level.OK, "an installation without a movement"
    world.deliver(NOW, TODAY, 10)
    assert of(SEALING, NOW + GRACE - timedelta(seconds=1)).level is Level.OK
    assert of(SEALING, NOW + GRACE).late_since == NOW + GRACE
    later = NOW + 9 * DAY
    watchers.beat("a:1", later, later, [])
    assert of(SEALING, later + timedelta(seconds=1)).level is Level.OK, "a scheduler has just come"


def test_a_review_by_hand_of_everything_counts_and_of_a_part_does_not(world: World) -> None:
    done(REVIEW, SLOT)
    by_hand = Watched(reviews.REVIEW_BY_HAND, SCHEDULE)
    done(by_hand, DEADLINE - timedelta(hours=1), counts={"stocks": 1})
    assert of(REVIEW, DEADLINE).level is Level.CRITICAL
    late = watchers.late(DEADLINE, REVIEW)
    assert late is not None
    assert (late.good_at, late.late_since) == (SLOT + timedelta(seconds=7), DEADLINE)
    done(by_hand, DEADLINE - timedelta(minutes=30), counts={"stocks": 1, "custody": 0})
    assert of(REVIEW, DEADLINE).level is Level.OK
    assert watchers.late(DEADLINE, REVIEW) is None


def test_the_real_review_by_hand_of_everything_is_known_as_such(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    later = NOW + 5 * DAY
    assert watchers.late(later, REVIEW)
    reviews.review(SYSTEM, lambda: later, "test", office_code="51")
    assert watchers.late(later, REVIEW), "one province is not everything"
    later += timedelta(minutes=1)
    reviews.review(SYSTEM, lambda: later, "test")
    assert watchers.late(later, REVIEW) is None


def test_only_those_who_may_see_the_jobs_get_the_overview(world: World) -> None:
    for name in ("administrator", "manager"):
        assert watchers.overview(world.actor(name), NOW, [SEALING]).jobs
    for name in ("storekeeper", "viewer"):
        with pytest.raises(NotAllowed):
            watchers.overview(world.actor(name), NOW, [SEALING])


# --- clocks ------------------------------------------------------------------------------------------------------


def test_a_clock_an_hour_back_changes_nothing(world: World) -> None:
    done(SEALING, SLOT)
    watchers.beat("a:1", NOW, NOW, [])
    assert of(SEALING, NOW - timedelta(hours=1)).level is Level.OK
    assert watchers.state(NOW - timedelta(hours=1), []).schedulers.alive == 1, "its beats lie ahead, and it lives"


def test_a_clock_that_was_ahead_is_seen_and_does_not_pass_for_a_good_run(world: World) -> None:
    """A run of tonight is no proof of last night's: and while it lies ahead no other is made."""
    done(SEALING, SLOT)
    done(SEALING, SLOT + DAY)
    found = of(SEALING, NOW)
    assert (found.level, found.clock_was_ahead, found.good_slot) == (Level.WATCH, True, SLOT)
    assert of(SEALING, NOW + DAY).level is Level.OK, "its night has come"


def test_what_ran_days_ahead_is_neither_waited_for_nor_passes_for_a_good_run(world: World) -> None:
    done(SEALING, SLOT)
    done(SEALING, SLOT + 9 * DAY)
    found = of(SEALING, NOW)
    assert (found.level, found.clock_was_ahead, found.good_slot) == (Level.OK, False, SLOT)
    assert of(SEALING, DEADLINE).level is Level.CRITICAL
    assert of(SEALING, NOW + 9 * DAY).level is Level.OK


# --- the case ----------------------------------------------------------------------------------------------------


def test_a_failure_opens_a_case_raises_it_and_the_next_good_run_resolves_it(world: World) -> None:
    done(SEALING, SLOT - DAY)
    failed(SEALING, SLOT)
    watchers.watch(SOON, [SEALING])
    opened = case()
    assert (opened.level, opened.item_code, opened.facts["jobs"]) == ("watch", None, ["daily seal"])
    assert opened.facts["attempts"] == 1
    failed(SEALING, SLOT, 2)
    watchers.watch(SOON, [SEALING])
    assert (case().id, case().level, case().facts["attempts"]) == (opened.id, "critical", 3)
    done(SEALING, SLOT + DAY)
    watchers.watch(SOON + DAY, [SEALING])
    assert cases() == []
    assert levels() == [("ok", "watch"), ("watch", "critical"), ("critical", "ok")]


def test_one_case_holds_all_jobs_that_are_late(world: World) -> None:
    done(SEALING, SLOT)
    done(REVIEW, SLOT)
    watchers.watch(DEADLINE + 2 * DAY, [SEALING, REVIEW])
    facts = case().facts
    assert facts["jobs"] == facts["late"] == ["daily seal", "low-stock review"]
    assert facts["days_late"] == 2
    assert facts["since"] == date(2024, 5, 16).isoformat()
    assert facts["good_on"] == date(2024, 5, 15).isoformat()


def test_a_look_at_what_is_known_writes_nothing(world: World) -> None:
    done(SEALING, SLOT)
    watchers.watch(DEADLINE, [SEALING])
    before = db.session.execute(select(Alert.changed_at, Alert.facts)).all()
    db.session.rollback()
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inventory.services.watchers.write", lambda *_: written.append("written"))
        watchers.watch(DEADLINE + timedelta(seconds=30), [SEALING])
    assert written == []
    assert db.session.execute(select(Alert.changed_at, Alert.facts)).all() == before
    assert levels() == [("ok", "critical")]


def test_many_that_look_at_once_open_one_case(world: World) -> None:
    done(SEALING, SLOT)
    outcomes = at_once(world.app, [lambda: watchers.watch(DEADLINE, [SEALING]) for _ in range(8)])
    assert all(isinstance(each, State) for each in outcomes), outcomes
    assert len(cases()) == 1
    assert levels() == [("ok", "critical")]


def test_what_people_resolved_stays_so_while_the_trouble_lasts_and_is_new_when_it_comes_back(world: World) -> None:
    """Schedulers look every half minute: nobody could close it, and each look would be one more line."""
    done(SEALING, SLOT)
    watchers.watch(DEADLINE, [SEALING])
    first = case().id
    resolve(DEADLINE, first)
    before = count_events()
    for seconds in range(30, 300, 30):
        watchers.watch(DEADLINE + timedelta(seconds=seconds), [SEALING])
    watchers.watch(DEADLINE + 3 * DAY, [SEALING])
    assert (cases(), count_events()) == ([], before)
    later = SLOT + 4 * DAY
    done(SEALING, later)
    for minutes in range(3):
        watchers.watch(later + timedelta(minutes=minutes), [SEALING])
    assert count_events() == before + 1, "that it is over"
    failed(SEALING, later + DAY, 3)
    for minutes in range(3):
        watchers.watch(later + DAY + timedelta(minutes=minutes), [SEALING])
    assert case().id != first
    assert count_events() == before + 2


def test_what_people_resolved_is_opened_again_when_it_is_worse(world: World) -> None:
    done(SEALING, SLOT - DAY)
    failed(SEALING, SLOT)
    watchers.watch(SOON, [SEALING])
    first = case().id
    resolve(SOON, first)
    failed(SEALING, SLOT)
    watchers.watch(SOON, [SEALING])
    assert cases() == [], "a second try is no worse"
    failed(SEALING, SLOT)
    for _ in range(3):
        watchers.watch(SOON, [SEALING])
    assert (case().id, case().level) == (first, "critical")
    assert levels()[-2:] == [("watch", "watch"), ("watch", "critical")]
    assert count_events() == 4


def test_a_look_at_what_people_resolved_writes_nothing(world: World) -> None:
    done(SEALING, SLOT)
    watchers.watch(DEADLINE, [SEALING])
    resolve(DEADLINE, case().id)
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inventory.services.watchers.write", lambda *_: written.append("written"))
        watchers.watch(DEADLINE + 2 * DAY, [SEALING])
    assert written == []


def test_the_review_neither_opens_nor_closes_the_case(world: World) -> None:
    """It is one of those that are watched: it must not resolve the case while the sealing still fails."""
    failed(SEALING, SLOT)
    watchers.watch(NOW, [SEALING])
    reviews.review(SYSTEM, lambda: NOW, "test")
    assert case().level == "watch"


def test_the_case_is_where_somebody_reads_it(world: World) -> None:
    """People are at Bali and below it: a case at the ministry would be read by nobody."""
    failed(SEALING, SLOT)
    watchers.watch(NOW, [SEALING])
    assert case().office_code == "51"
    assert [each.id for each in alerts.open_alerts(world.actor("regional")) if each.subject is Subject.JOB_NOT_RUN]


def test_without_anybody_the_case_is_at_the_office_without_a_parent(world: World) -> None:
    write(lambda session: session.execute(update(Person).values(active=False)))
    failed(SEALING, SLOT)
    watchers.watch(NOW, [SEALING])
    root = db.session.scalar(select(Office.code).where(Office.parent_id.is_(None)))
    assert case().office_code == root


def test_two_regions_apart_have_a_case_each(world: World) -> None:
    gone = PEOPLE["regional"][0], PEOPLE["administrator"][0]
    write(lambda session: session.execute(update(Person).where(Person.email.in_(gone)).values(active=False)))
    failed(SEALING, SLOT)
    watchers.watch(NOW, [SEALING])
    assert sorted(each.office_code for each in cases()) == ["51.03", "51.71"]


def test_open_alerts_are_counted_by_subject_and_level(world: World) -> None:
    failed(SEALING, SLOT)
    watchers.watch(NOW, [SEALING])
    assert watchers.open_by_subject() == {("job_not_run", "watch"): 1}
