"""A clock that is set back, by an hour, a day or a year, and one that jumps ahead: the order of the books is that of
their entries, nothing runs twice, and nothing waits for a time that only the wrong clock knew."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal, TooMany
from inventory.domain.factors import FREE_TRIES, TryKind
from inventory.domain.lockout import ALLOWANCES, Counter
from inventory.domain.notices import CLAIM_LASTS, LONGEST_PAUSE
from inventory.domain.stocktakes import Counted
from inventory.domain.watchers import AHEAD
from inventory.jobs import run_due
from inventory.models import Heartbeat, JobRun, LoginSession, Message, Movement, StoredProjection
from inventory.services import (
    api_requests,
    factors,
    lockout,
    messages,
    movements,
    reviews,
    seals,
    sessions,
    stocktakes,
    undo,
    verification,
    watchers,
)
from inventory.services.messages import Outgoing
from inventory.services.sessions import Limits, Place
from tests.concurrent import audit
from tests.conftest import NOW, TODAY
from tests.services.test_messages import one_each
from tests.test_schedulers import NIGHTLY, good, runs_of
from tests.world import BLANK, DENPASAR, World

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
SECOND = timedelta(seconds=1)
STEPS = pytest.mark.parametrize(
    "step",
    [
        pytest.param(HOUR, id="an hour", marks=pytest.mark.slow),
        pytest.param(DAY, id="a day"),
        pytest.param(YEAR, id="a year", marks=pytest.mark.slow),
    ],
)
"""How far ahead the clock was before it was set right: what is done then is done at NOW + step, and the rest at NOW."""


def check_books() -> None:
    audit()
    assert verification.verify(SYSTEM).faults == ()


# --- the ledger --------------------------------------------------------------------------------------------------


@STEPS
def test_entries_keep_the_order_in_which_they_came(world: World, step: timedelta) -> None:
    ahead = NOW + step
    world.deliver(ahead, TODAY, 100)
    seen = movements.news(SYSTEM, 0, 10).until
    first = world.print(ahead, TODAY, 10)
    world.print(NOW, TODAY, 20)
    wrong = world.print(NOW + SECOND, TODAY, 5)
    undo.undo(world.storekeeper, NOW + 2 * SECOND, DENPASAR, posting_of(wrong.movements[0].id), 10, "typed twice")
    again = world.print(NOW, TODAY, 10, request=posting_of(first.movements[0].id))
    assert (again.replayed, again.movements[0].id) == (True, first.movements[0].id)
    quantities = db.session.scalars(select(Movement.quantity).order_by(Movement.seq)).all()
    assert quantities == [100, 10, 20, 5, -5]
    # Whoever asks for what is new misses nothing that is dated earlier than what they saw.
    assert [each.quantity for each in movements.news(SYSTEM, seen, 10).movements] == [10, 20, 5, -5]
    assert world.figures().store == 70
    check_books()


def posting_of(movement_id: int) -> UUID:
    return db.session.scalars(select(Movement.request_id).where(Movement.id == movement_id)).one()


@STEPS
def test_seals_are_chained_as_they_were_made(world: World, step: timedelta) -> None:
    world.deliver(NOW, TODAY, 100)
    for now in (NOW, NOW + step, NOW + SECOND, NOW + step / 2, NOW - SECOND):
        world.deliver(max(now, NOW), TODAY, 1)
        assert seals.seal_now(SYSTEM, lambda now=now: now, "test").status == "done"
    chain = seals.chain()
    assert [after.previous for after in chain[1:]] == [before.digest for before in chain[:-1]]
    assert [after.first_id for after in chain[1:]] == [(before.last_id or 0) + 1 for before in chain[:-1]]
    check_books()


def test_no_count_is_held_against_entries_of_a_time_that_is_still_to_come(world: World) -> None:
    """By its time the entry would lie after the count, and be taken for a surplus."""
    world.deliver(NOW - HOUR, TODAY, 100)
    world.print(NOW + HOUR, TODAY, 10)  # the clock was ahead by two hours
    counting = stocktakes.begin(world.storekeeper, NOW, uuid4(), DENPASAR)

    def count(now: datetime) -> str:
        counts = {BLANK: Counted(quantity=90)}
        return stocktakes.count(world.storekeeper, now, uuid4(), counting, counts).status

    with pytest.raises(Refusal) as refused:
        count(NOW)
    assert (refused.value.code, refused.value.facts) == ("clock_behind", {"minutes": 60})
    assert count(NOW + HOUR) == "counted"


def test_clocks_that_differ_by_moments_hold_up_no_count(world: World) -> None:
    world.deliver(NOW + 30 * SECOND, TODAY, 100)
    counting = stocktakes.begin(world.storekeeper, NOW, uuid4(), DENPASAR)
    found = stocktakes.count(world.storekeeper, NOW, uuid4(), counting, {BLANK: Counted(quantity=100)})
    assert found.status == "counting"


# --- jobs --------------------------------------------------------------------------------------------------------


@STEPS
def test_a_job_that_ran_ahead_runs_again_within_a_day_and_no_slot_twice(app: Flask, step: timedelta) -> None:
    job, night = good("job", NIGHTLY), NIGHTLY.latest_slot(NOW)

    def at(now: datetime) -> None:
        app.config["CLOCK"] = lambda: now
        run_due(app, job)

    at(night)
    at(night + step)
    for day in range(1, 6):
        at(night + day * DAY)
        at(night + day * DAY + HOUR)
    slots = [run.slot for run in runs_of(app, "job")]
    assert len(slots) == len(set(slots))
    assert [each for each in slots if each <= night + 5 * DAY] == [night + day * DAY for day in range(6)]


def test_what_ran_on_a_clock_that_was_ahead_is_told_for_as_long_as_it_holds_the_job_up(app: Flask) -> None:
    job, now = good("job", NIGHTLY), NIGHTLY.latest_slot(NOW) + HOUR
    for ahead, told in ((timedelta(hours=23), True), (AHEAD + HOUR, False)):
        with app.app_context():
            done = {"job": "job", "status": "done", "attempts": 1, "counts": {}, "started_at": now, "worker": "w"}
            row = JobRun(slot=now + ahead, finished_at=now, slots_missed=0, **done)
            write(lambda session, row=row: session.add(row))
            assert watchers.state(now, [job]).jobs[0].clock_was_ahead is told
            write(lambda session: session.execute(text("DELETE FROM job_runs")))


@STEPS
def test_a_review_after_the_clock_was_set_back_stands(app: Flask, step: timedelta) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        for now in (NOW + step, NOW):
            run, _found = reviews.review(SYSTEM, lambda now=now: now, "test")
            assert run.status == "done"
        assert db.session.scalars(select(StoredProjection.made_at)).all() == [NOW]
        assert verification.verify(SYSTEM).faults == ()


@pytest.mark.parametrize("step", [3 * HOUR, YEAR], ids=["hours", "a year"])
def test_a_scheduler_that_died_before_the_clock_was_set_back_is_not_taken_for_alive(
    world: World, step: timedelta
) -> None:
    watchers.beat("dead:1", NOW + step, NOW + step, ["job"])
    assert watchers.state(NOW, []).schedulers.alive == 0
    watchers.beat("lives:2", NOW + step, NOW, ["job"])
    assert watchers.state(NOW, []).schedulers.alive == 1
    left = set(db.session.scalars(select(Heartbeat.worker)))
    assert left == ({"dead:1", "lives:2"} if step <= DAY else {"lives:2"})


# --- messages ----------------------------------------------------------------------------------------------------


def deliver(now: datetime, *, fails: bool = False) -> int:
    """How many messages were tried."""
    tried: list[Outgoing] = []

    def send(message: Outgoing) -> None:
        tried.append(message)
        if fails:
            raise messages.SendFailed("not now")

    messages.deliver(lambda: now, send, lambda: 1.0)
    return len(tried)


@STEPS
def test_what_was_to_be_sent_does_not_wait_for_the_time_of_the_wrong_clock(world: World, step: timedelta) -> None:
    one_each(NOW + step)
    assert deliver(NOW) == 3
    assert deliver(NOW) == 0


@STEPS
def test_what_failed_on_the_wrong_clock_is_tried_again_no_later_than_after_the_longest_pause(
    world: World, step: timedelta
) -> None:
    one_each(NOW)
    assert deliver(NOW + step, fails=True) == 3
    tries, now = 0, NOW
    while not (tried := deliver(now)) and now < NOW + LONGEST_PAUSE + 2 * HOUR:
        now += HOUR
        tries += 1
    assert tried == 3, tries
    one = db.session.scalars(select(Message).order_by(Message.id).limit(1)).one()
    assert one.attempts == 2


def test_what_keeps_failing_is_not_tried_without_a_pause(world: World) -> None:
    """What was made ahead is tried at once, but only the first time."""
    one_each(NOW + DAY)
    assert [deliver(NOW, fails=True) for _ in range(3)] == [3, 0, 0]


@STEPS
def test_a_message_whose_sender_died_is_claimed_by_another(world: World, step: timedelta) -> None:
    one_each(NOW)

    def die(_message: Outgoing) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        messages.deliver(lambda: NOW + step, die, lambda: 0.5)
    db.session.rollback()
    assert deliver(NOW + SECOND) == 3
    assert deliver(NOW + CLAIM_LASTS) == 0


# --- requests, sessions, tries -----------------------------------------------------------------------------------


@STEPS
def test_a_key_whose_sender_died_is_taken_over(world: World, step: timedelta) -> None:
    actor = world.storekeeper
    claimed = api_requests.claim(actor, NOW + step, "key", "digest")
    again = api_requests.claim(actor, NOW, "key", "digest")
    assert isinstance(claimed, api_requests.Claim)
    assert isinstance(again, api_requests.Claim)
    assert again.mark != claimed.mark
    for skew in (-SECOND, SECOND):
        with pytest.raises(Refusal, match="request_in_flight"):
            api_requests.claim(actor, NOW + skew, "key", "digest")


LIMITS = Limits(idle=timedelta(minutes=30), absolute=timedelta(hours=12))


def begin(world: World, now: datetime) -> tuple[str, str]:
    key, person_id = uuid4().hex, world.storekeeper.person_id
    assert person_id is not None
    place = Place(address="10.0.0.1", device="Firefox")
    sessions.begin(person_id, now, key, place, old_key="", device=("", uuid4().hex), alone=False)
    uniquifier = db.session.scalar(text("SELECT fs_uniquifier FROM people WHERE id = :id"), {"id": person_id})
    assert uniquifier
    return key, uniquifier


@STEPS
def test_a_session_that_nobody_knows_how_long_it_idled_is_over(world: World, step: timedelta) -> None:
    key, uniquifier = begin(world, NOW)
    write(lambda session: session.execute(update(LoginSession).values(last_seen_at=NOW + step)))
    assert sessions.find(key, uniquifier, NOW + SECOND, LIMITS) is None


def test_a_session_goes_on_when_the_clock_is_set_back_by_some_minutes(world: World) -> None:
    key, uniquifier = begin(world, NOW + timedelta(minutes=5))
    found = sessions.find(key, uniquifier, NOW, LIMITS)
    assert found is not None
    sessions.seen(found[1].id, NOW)
    assert sessions.find(key, uniquifier, NOW + timedelta(minutes=34), LIMITS)
    assert sessions.find(key, uniquifier, NOW + timedelta(minutes=36), LIMITS) is None


@pytest.mark.parametrize("step", [DAY + HOUR, YEAR], ids=["a day and an hour", "a year"])
def test_nobody_is_locked_out_for_longer_than_the_longest_wait(world: World, step: timedelta) -> None:
    def take(now: datetime) -> None:
        given = {"account": "a" * 64, "address": "b" * 64, "device_key": "", "person_id": None}
        lockout.reserve(now, **given)

    for _ in range(ALLOWANCES[Counter.ACCOUNT].tries):
        take(NOW + step)
    with pytest.raises(TooMany):
        take(NOW + step)
    take(NOW)


@STEPS
def test_a_factor_that_was_wrong_too_often_is_not_refused_for_longer_than_the_longest_wait(
    world: World, step: timedelta
) -> None:
    person_id = world.storekeeper.person_id
    assert person_id is not None
    for _ in range(FREE_TRIES):
        factors.reserve_try(person_id, NOW + step, TryKind.CONFIRM)
    with pytest.raises(Refusal, match="factor_tries_many"):
        factors.reserve_try(person_id, NOW + step, TryKind.CONFIRM)
    factors.reserve_try(person_id, NOW, TryKind.CONFIRM)
