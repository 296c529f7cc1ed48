"""What is done every few seconds: its last good round, what waits for it, and the case about it; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from inventory import jobs
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Level, Subject
from inventory.domain.schedules import Every
from inventory.domain.watchers import PATIENCE, Watched
from inventory.models import AlertEvent, ChoreRound, Message, NoticeToFanOut, StockCheck
from inventory.services import alerts, chores, messages, notices, watchers
from inventory.services.chores import (
    MESSAGES,
    OLD_LOG_INS,
    OLD_MESSAGES,
    OLD_REQUESTS,
    STOCK_CHECKS,
    WRITTEN_EVERY,
    LastRound,
    Round,
)
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.notices import SENDER, TERMS, MailServer, free_port, raise_alerts
from tests.world import DENPASAR, World

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SENDING = Watched(MESSAGES, Every(10), grace=PATIENCE)
CHECKING = Watched(STOCK_CHECKS, Every(10), grace=PATIENCE)


def last(chore: str = MESSAGES, now: datetime = NOW) -> LastRound:
    db.session.rollback()
    return chores.last_round(chore, now)


def level(now: datetime, chore: Watched = SENDING) -> Level:
    db.session.rollback()
    return watchers.state(now, [], [chore]).jobs[0].level


def cases() -> list[alerts.AlertView]:
    db.session.rollback()
    return [each for each in alerts.open_alerts(SYSTEM) if each.subject is Subject.JOB_NOT_RUN]


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def message(**values: object) -> None:
    """One message that waits at Denpasar's manager, with these values; the others are sent."""
    raise_alerts(NOW, codes=[DENPASAR])
    notices.fan_out(NOW, TERMS)
    first = db.session.scalar(select(func.min(Message.id)))
    db.session.execute(update(Message).where(Message.id != first).values(status="sent", sent_at=NOW))
    db.session.execute(update(Message).where(Message.id == first).values(**values))
    db.session.commit()


# --- rounds ------------------------------------------------------------------------------------------------------


def test_a_good_round_is_written_down_now_and_then(world: World) -> None:
    chores.note(MESSAGES, NOW, Round())
    assert last() == LastRound(good_at=NOW, held_up=None, waiting_since=None)
    chores.note(MESSAGES, NOW + WRITTEN_EVERY - SECOND, Round())
    assert last().good_at == NOW
    chores.note(MESSAGES, NOW + WRITTEN_EVERY, Round())
    assert last().good_at == NOW + WRITTEN_EVERY
    chores.note(MESSAGES, NOW, Round())
    assert last().good_at == NOW, "a clock that was ahead does not count"
    assert last(STOCK_CHECKS).good_at is None


def test_what_holds_it_up_stays_until_a_round_shows_that_it_is_over(world: World) -> None:
    chores.note(MESSAGES, NOW, Round())
    chores.note(MESSAGES, NOW + MINUTE, Round(held_up="x" * 400))
    chores.note(MESSAGES, NOW + 2 * MINUTE, Round(idle=True))
    assert last() == LastRound(good_at=NOW, held_up="x" * 300, waiting_since=None)
    chores.note(MESSAGES, NOW + 3 * MINUTE, Round())
    assert last() == LastRound(good_at=NOW + 3 * MINUTE, held_up=None, waiting_since=None)


def test_many_that_write_at_once_leave_one_row(world: World) -> None:
    calls = [lambda n=n: chores.note(MESSAGES, NOW + n * MINUTE, Round()) for n in range(6)]
    assert at_once(world.app, calls) == [None] * 6
    assert count(ChoreRound) == 1


def test_a_round_that_fails_is_no_good_one(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chore = next(each for each in jobs.chores_for(app.config["SETTINGS"]) if each.name == MESSAGES)
    with monkeypatch.context() as patch:
        patch.setattr(notices, "fan_out", lambda *_: 1 / 0)
        jobs.do(app, chore)
    assert last().good_at is None
    jobs.do(app, chore)
    assert last().good_at == NOW


# --- late --------------------------------------------------------------------------------------------------------


def test_a_chore_without_a_good_round_is_late_after_its_patience(world: World) -> None:
    assert level(NOW + 9 * PATIENCE) is Level.OK, "an installation without a movement"
    chores.note(MESSAGES, NOW, Round())
    assert level(NOW + PATIENCE) is Level.OK
    assert level(NOW + PATIENCE + timedelta(seconds=10)) is Level.CRITICAL
    chores.note(MESSAGES, NOW + PATIENCE + MINUTE, Round())
    assert level(NOW + PATIENCE + MINUTE) is Level.OK


def test_one_that_never_had_a_round_is_late_where_there_is_something_to_look_after(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    first = timedelta(seconds=10)
    assert level(NOW + first + PATIENCE - SECOND) is Level.OK
    assert level(NOW + first + PATIENCE) is Level.CRITICAL
    hourly = Watched(OLD_MESSAGES, Every(3600), grace=PATIENCE)
    assert level(NOW + 2 * PATIENCE, hourly) is Level.OK, "its first hour has just come"
    assert level(NOW + 3 * PATIENCE, hourly) is Level.CRITICAL


@pytest.mark.parametrize(
    ("values", "since"),
    [
        pytest.param({"next_try_at": NOW}, NOW, id="due and not tried"),
        pytest.param({"next_try_at": NOW + 9 * PATIENCE}, None, id="waits for the end of quiet hours"),
        pytest.param(
            {"next_try_at": NOW + 9 * PATIENCE, "attempts": 9, "last_error": "HTTP 503"}, None, id="keeps failing"
        ),
        pytest.param({"status": "dead"}, None, id="was given up"),
        pytest.param({"status": "sending", "claimed_at": NOW}, NOW, id="was claimed and left"),
    ],
)
def test_rounds_that_are_good_and_leave_messages_lying_are_late_too(
    world: World, values: dict[str, object], since: datetime | None
) -> None:
    message(**values)
    later = NOW + PATIENCE
    chores.note(MESSAGES, later, Round())
    assert last(now=later).waiting_since == since
    assert level(later) is (Level.CRITICAL if since else Level.OK)
    assert level(later - SECOND) is Level.OK


def test_changes_of_which_no_message_is_made_are_waited_for(world: World) -> None:
    raise_alerts(NOW, codes=[DENPASAR])
    later = NOW + PATIENCE
    chores.note(MESSAGES, later, Round())
    assert (last(now=later).waiting_since, level(later)) == (NOW, Level.CRITICAL)
    notices.fan_out(later, TERMS)
    assert level(later) is Level.OK


def test_stocks_that_wait_for_a_look_are_waited_for(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    assert count(StockCheck) == 1
    later = NOW + PATIENCE
    chores.note(STOCK_CHECKS, later, Round())
    assert level(later - SECOND, CHECKING) is Level.OK
    assert level(later, CHECKING) is Level.CRITICAL
    jobs.check_stocks(lambda: later)
    assert level(later, CHECKING) is Level.OK


# --- the case ----------------------------------------------------------------------------------------------------


def test_the_case_opens_once_and_goes_with_the_next_good_round(world: World) -> None:
    chores.note(MESSAGES, NOW, Round())
    late = NOW + 2 * PATIENCE
    for minute in range(5):
        watchers.watch(late + minute * MINUTE, [], [SENDING])
    [case] = cases()
    assert (case.level, case.facts["jobs"], case.facts["late"]) == ("critical", [MESSAGES], [MESSAGES])
    assert count(AlertEvent) == 1
    chores.note(MESSAGES, late + 6 * MINUTE, Round())
    for minute in range(5):
        watchers.watch(late + (7 + minute) * MINUTE, [], [SENDING])
    assert cases() == []
    assert count(AlertEvent) == 2


def test_that_messages_are_not_sent_is_not_told_by_message(world: World) -> None:
    """However often it comes and goes: each of these would be one more that waits."""
    chores.note(MESSAGES, NOW, Round())
    for hour in range(1, 4):
        now = NOW + timedelta(hours=hour)
        watchers.watch(now, [], [SENDING])
        chores.note(MESSAGES, now, Round())
        watchers.watch(now + SECOND, [], [SENDING])
    assert count(AlertEvent) == 6
    assert count(NoticeToFanOut) == 0
    assert notices.fan_out(NOW + timedelta(hours=5), TERMS) == 0
    assert count(Message) == 0


def test_trouble_of_other_jobs_is_told_with_it(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    watchers.watch(NOW + 2 * PATIENCE, [], [SENDING, CHECKING])
    [case] = cases()
    assert case.facts["jobs"] == [MESSAGES, STOCK_CHECKS]
    assert count(NoticeToFanOut) == 1


# --- a real server that is away ----------------------------------------------------------------------------------


def rounds(app: Flask, since: datetime, minutes: int) -> datetime:
    """A round each minute, as the scheduler does them, and a look at the jobs after each; the instant of the last."""
    chore = next(each for each in jobs.chores_for(app.config["SETTINGS"]) if each.name == MESSAGES)
    now = since
    for minute in range(minutes + 1):
        now = since + minute * MINUTE
        app.config["CLOCK"] = lambda now=now: now
        jobs.do(app, chore)
        db.session.rollback()  # what this session read before is not what there is now
        watchers.watch(now, [], [SENDING])
    return now


def test_a_mail_server_that_is_away_opens_one_case_and_its_return_closes_it(app: Flask, world: World) -> None:
    port = free_port()
    away = f"smtp://127.0.0.1:{port}?tls=no"
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], SMTP_URL=away, MAIL_FROM=SENDER)
    rounds(app, NOW, 1)
    raise_alerts(NOW, codes=[DENPASAR])
    waiting = rounds(app, NOW + 2 * MINUTE, 25)
    assert cases() == [], "it may be restarting"
    assert last(now=waiting).held_up is not None
    waiting = rounds(app, waiting + MINUTE, 30)
    [case] = cases()
    assert case.facts["jobs"] == [MESSAGES]
    number = count(AlertEvent)
    assert count(Message) == 3, "those about Denpasar's stock, and none about the messages"
    waiting = rounds(app, waiting + MINUTE, 40)
    assert (count(AlertEvent), count(Message)) == (number, 3)
    with MailServer() as server:
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], SMTP_URL=server.url)
        rounds(app, waiting + MINUTE, 150)
        assert len(server.mails) == 3
    assert cases() == []
    assert count(Message) == 3


def test_an_address_that_is_refused_is_no_trouble_of_the_server(app: Flask, world: World) -> None:
    with MailServer(lambda _: "451 4.2.2 mailbox full") as server:
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], SMTP_URL=server.url, MAIL_FROM=SENDER)
        raise_alerts(NOW, codes=[DENPASAR])
        until = rounds(app, NOW, 70)
        assert server.seen > 3
    assert messages.any_fails()
    assert (last(now=until).held_up, level(until)) == (None, Level.OK)


CLEARED_AWAY = {OLD_MESSAGES, OLD_LOG_INS, OLD_REQUESTS}


def test_all_that_is_done_every_few_seconds_is_watched(app: Flask) -> None:
    watched = {each.name for each in app.extensions["chores"]}
    assert watched == {STOCK_CHECKS, MESSAGES, *CLEARED_AWAY}
    silent = replace(app.config["SETTINGS"], MESSAGES_EVERY_SECONDS=0, CHECK_EVERY_SECONDS=0)
    assert {each.name for each in jobs.chores_for(silent)} == CLEARED_AWAY, "what is switched off is not late"
