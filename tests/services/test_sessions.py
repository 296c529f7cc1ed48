"""Sessions: who is found by a key, how long, and how it ends at once and everywhere."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.sessions import KEPT, End
from inventory.models import AuditEntry, KnownDevice, LoginSession, Person
from inventory.services import people, sessions
from inventory.services.sessions import Limits, Place
from tests.concurrent import at_once
from tests.conftest import NOW
from tests.world import PEOPLE, World

LIMITS = Limits(idle=timedelta(minutes=60), absolute=timedelta(hours=12))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PHONE = Place(address="203.0.113.7", device="Chrome, Android")


def person(name: str = "storekeeper") -> Person:
    return db.session.scalars(select(Person).where(Person.email == PEOPLE[name][0])).one()


def begin(key: str, name: str = "storekeeper", now: datetime = NOW, **kwargs: Any) -> None:
    told = {"old_key": "", "device": ("", f"device-{key}"), "alone": False} | kwargs
    sessions.begin(person(name).id, now, key, PHONE, **told)


def lives(key: str, name: str = "storekeeper", now: datetime = NOW) -> bool:
    db.session.rollback()
    found = sessions.find(key, person(name).fs_uniquifier, now, LIMITS)
    return found is not None and found[0].id == person(name).id


def reason(key: str) -> str | None:
    db.session.rollback()
    return db.session.scalar(select(LoginSession.end_reason).where(LoginSession.digest == sessions.digest(key)))


def keep_seen(key: str, until: datetime, name: str = "storekeeper") -> None:
    now = NOW
    while now < until:
        found = sessions.find(key, person(name).fs_uniquifier, now, LIMITS)
        if found:
            sessions.seen(found[1].id, now)
        now += 30 * MINUTE


def test_a_session_is_found_by_its_key_and_its_person_together(world: World) -> None:
    begin("one")
    begin("two", "manager")
    assert lives("one")
    assert lives("two", "manager")
    assert not lives("one", "manager")
    assert not lives("three")
    kept = set(db.session.scalars(select(LoginSession.digest)))
    assert not {"one", "two"} & kept, "keys are kept as digests"


def test_finding_who_is_there_takes_the_statements_that_it_took_without_sessions(world: World) -> None:
    begin("one")
    uniquifier = person().fs_uniquifier
    db.session.rollback()
    db.session.expunge_all()
    statements: list[str] = []
    event.listen(db.engine, "after_cursor_execute", lambda *args: statements.append(args[2]))
    assert sessions.find("one", uniquifier, NOW, LIMITS) is not None
    assert len([each for each in statements if each.startswith("SELECT")]) == 2, "the person, and their roles"


def test_an_idle_session_is_over(world: World) -> None:
    begin("one")
    assert lives("one", now=NOW + 59 * MINUTE)
    assert not lives("one", now=NOW + 60 * MINUTE)


def test_who_comes_back_in_time_stays_until_the_absolute_limit(world: World) -> None:
    begin("one")
    keep_seen("one", NOW + 13 * HOUR)
    assert lives("one", now=NOW + 12 * HOUR - MINUTE)
    assert not lives("one", now=NOW + 12 * HOUR)


def test_being_there_is_written_down_once_a_minute(world: World) -> None:
    begin("one")
    [found] = sessions.mine(world.storekeeper, NOW, LIMITS)
    for after, expected in ((59, 0), (60, 60), (90, 60), (119, 60), (120, 120)):
        sessions.seen(found.id, NOW + timedelta(seconds=after))
        assert sessions.mine(world.storekeeper, NOW, LIMITS)[0].last_seen_at == NOW + timedelta(seconds=expected)


def test_an_older_request_that_ends_later_turns_no_clock_back(world: World) -> None:
    begin("one")
    [found] = sessions.mine(world.storekeeper, NOW, LIMITS)
    sessions.seen(found.id, NOW + 10 * MINUTE)
    sessions.seen(found.id, NOW + 5 * MINUTE)
    assert sessions.mine(world.storekeeper, NOW, LIMITS)[0].last_seen_at == NOW + 10 * MINUTE


def test_nobody_waits_for_a_database_that_is_busy(world: World) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has one writer at a time")
    begin("one")
    [found] = sessions.mine(world.storekeeper, NOW, LIMITS)
    db.session.rollback()
    busy = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    patience: list[int] = []

    def look(_conn: object, cursor: sqlite3.Cursor, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            patience.extend(cursor.connection.execute("PRAGMA busy_timeout").fetchone())

    event.listen(db.engine, "before_cursor_execute", look)
    sessions.seen(found.id, NOW + 5 * MINUTE)
    event.remove(db.engine, "before_cursor_execute", look)
    assert patience == [50], "milliseconds: an import may take minutes"
    busy.rollback()
    busy.close()
    assert sessions.mine(world.storekeeper, NOW, LIMITS)[0].last_seen_at == NOW
    assert db.session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    sessions.seen(found.id, NOW + 5 * MINUTE)
    assert sessions.mine(world.storekeeper, NOW, LIMITS)[0].last_seen_at == NOW + 5 * MINUTE


# --- how it ends -------------------------------------------------------------------------------------------------


def test_logging_out_ends_this_session_alone(world: World) -> None:
    begin("one")
    begin("two")
    sessions.end_by_key(NOW, "one")
    assert (lives("one"), lives("two")) == (False, True)
    assert reason("one") == End.LOGGED_OUT
    sessions.end_by_key(NOW + HOUR, "one", End.ENDED)
    assert reason("one") == End.LOGGED_OUT, "what has ended stays as it ended"


def test_who_is_shut_out_is_out_everywhere_and_stays_so(world: World) -> None:
    begin("one")
    begin("two")
    begin("other", "manager")
    people.set_active(world.actor("administrator"), NOW, person().id, False)
    assert not lives("one")
    assert not lives("two")
    assert lives("other", "manager")
    assert (reason("one"), reason("two")) == (End.SHUT_OUT, End.SHUT_OUT)
    people.set_active(world.actor("administrator"), NOW, person().id, True)
    assert not lives("one"), "being let in again revives nothing"


def test_an_account_that_is_off_has_no_sessions_whatever_the_table_says(world: World) -> None:
    begin("one")
    write(lambda session: session.execute(update(Person).where(Person.id == person().id).values(active=False)))
    assert not lives("one")


def test_a_change_of_credentials_ends_all_others(world: World) -> None:
    begin("one")
    begin("two")
    begin("three", old_key="one", alone=True)
    assert [lives(key) for key in ("one", "two", "three")] == [False, False, True]
    assert (reason("one"), reason("two")) == (End.RENEWED, End.CREDENTIALS_CHANGED)


def test_all_of_a_person_can_be_ended_but_one(world: World) -> None:
    for key in ("one", "two", "three"):
        begin(key)
    begin("other", "manager")
    assert sessions.end_all(person().id, NOW, End.CREDENTIALS_CHANGED, except_="two") == 2
    assert [lives(key) for key in ("one", "two", "three")] == [False, True, False]
    assert lives("other", "manager")
    assert sessions.end_others(world.storekeeper, NOW, "two") == 0
    assert sessions.end_all(person().id, NOW, End.ENDED) == 1


def test_one_ends_ones_own_and_nobody_elses(world: World) -> None:
    begin("one")
    begin("other", "manager")
    [mine] = sessions.mine(world.storekeeper, NOW, LIMITS)
    assert (mine.address, mine.device, mine.started_at) == (PHONE.address, PHONE.device, NOW)
    with pytest.raises(NotFound):
        sessions.end(world.actor("manager"), NOW, mine.id)
    assert lives("one")
    sessions.end(world.storekeeper, NOW, mine.id)
    sessions.end(world.storekeeper, NOW, mine.id)
    assert not lives("one")
    assert sessions.mine(world.storekeeper, NOW, LIMITS) == []


def test_an_administrator_logs_out_their_own_people_only(world: World) -> None:
    begin("one")
    begin("two")
    assert people.log_out(world.actor("administrator"), NOW, person().id) == 2
    assert reason("one") == End.ENDED_BY_ADMINISTRATOR
    begin("three")
    stranger = Actor(person_id=99, name="elsewhere", grants=())
    for actor in (stranger, world.actor("manager"), world.storekeeper):
        with pytest.raises((NotFound, NotAllowed)):
            people.log_out(actor, NOW, person().id)
    assert lives("three")


def test_the_same_session_ends_once_however_many_end_it(world: World) -> None:
    for key in "abcdef":
        begin(key)
    counts = at_once(world.app, [lambda: sessions.end_all(person().id, NOW, End.ENDED)] * 6)
    assert sorted(counts) == [0, 0, 0, 0, 0, 6]


def test_logging_in_beside_being_shut_out_leaves_nobody_in(world: World) -> None:
    """Whichever comes first: a session that begins while its person is shut out is worth nothing."""
    who = person().id
    administrator = world.actor("administrator")
    calls: list[Any] = [lambda n=n: begin(f"key-{n}") for n in range(6)]
    calls.append(lambda: people.set_active(administrator, NOW, who, False).active)
    assert not [each for each in at_once(world.app, calls) if isinstance(each, Exception)]
    assert not any(lives(f"key-{n}") for n in range(6))


def test_what_was_pending_when_somebody_logged_in_is_kept(world: World) -> None:
    """Flask-Security changes the password in the session and logs in before anything is committed."""
    changed = person()
    changed.full_name = "Nama Baru"
    sessions.begin(changed.id, NOW, "one", PHONE, old_key="", device=("", "d"), alone=True)
    db.session.rollback()
    db.session.expire_all()
    assert person().full_name == "Nama Baru"


# --- clearing away -----------------------------------------------------------------------------------------------


def test_sessions_that_nobody_ended_expire_and_old_ones_are_deleted(world: World) -> None:
    begin("one")
    begin("two", now=NOW + 2 * HOUR)
    assert sessions.clear_away(NOW + 2 * HOUR, LIMITS) == 1
    assert (reason("one"), reason("two")) == (End.EXPIRED, None)
    assert sessions.clear_away(NOW + 2 * HOUR, LIMITS) == 0
    assert sessions.clear_away(NOW + 2 * HOUR + KEPT + MINUTE, LIMITS) == 2, "one deleted, the other expired"
    assert db.session.scalar(select(func.count()).select_from(LoginSession)) == 1


def test_a_browser_that_logs_in_again_has_one_session_and_is_one_device(world: World) -> None:
    begin("one", device=("", "d1"))
    begin("two", old_key="one", device=("d1", "d2"))
    assert (lives("one"), lives("two")) == (False, True)
    assert db.session.scalar(select(func.count()).select_from(KnownDevice)) == 1


def test_nobody_ends_the_sessions_of_the_system(world: World) -> None:
    begin("one")
    assert sessions.end_others(SYSTEM, NOW, "") == 0
    assert lives("one")


def test_the_audit_tells_who_ended_sessions(world: World) -> None:
    for key in ("one", "two", "three"):
        begin(key)
    assert sessions.end_others(world.storekeeper, NOW, "one") == 2
    assert people.log_out(world.actor("administrator"), NOW, person().id) == 1
    rows = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "session_ended").order_by(AuditEntry.id))
    found = [(row.actor_name, row.about_id, json.loads(row.facts)) for row in rows]
    assert found == [("Storekeeper", None, {"count": 2}), ("Administrator", person().id, {"count": 1})]
