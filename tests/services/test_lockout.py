"""Tries to log in: never more than allowed however many try at once, and never at the owner's cost."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.audit import Event
from inventory.domain.errors import NotFound, TooMany
from inventory.domain.lockout import DEVICE_KEPT, DEVICE_TRIES, Counter, key_of
from inventory.models import AuditEntry, KnownDevice, LogInTries, TriedFrom
from inventory.services import devices, lockout, people
from inventory.services.lockout import Reserved
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import NOW
from tests.world import PEOPLE, World

ACCOUNT, OTHER_ACCOUNT = (key_of("k", Counter.ACCOUNT, name) for name in ("owner", "other"))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def address(number: int = 0) -> str:
    return key_of("k", Counter.ADDRESS, str(number))


def owner() -> int:
    return next(p.id for p in people.find(SYSTEM).people if p.email == PEOPLE["storekeeper"][0])


def attempt(
    now: datetime = NOW, *, account: str = ACCOUNT, number: int = 0, device: str = "", person_id: int | None = None
) -> Reserved:
    found = lockout.reserve(now, account=account, address=address(number), device_key=device, person_id=person_id)
    db.session.rollback()
    return found


def know(device: str, person_id: int, now: datetime = NOW, *, before: str = "") -> None:
    write(lambda session: devices.remember(session, now, person_id, before, device))


def seconds_refused(now: datetime = NOW, **kwargs: Any) -> int:
    with pytest.raises(TooMany) as refused:
        attempt(now, **kwargs)
    assert (refused.value.code, refused.value.status) == ("log_in_locked", 429)
    return int(str(refused.value.facts["seconds"]))


def tries(counter: Counter = Counter.ACCOUNT, key: str = ACCOUNT) -> int:
    found = select(LogInTries.tries).where(LogInTries.counter == counter.value, LogInTries.key == key)
    return db.session.scalar(found) or 0


def exhaust(now: datetime = NOW, *, number: int = 0) -> None:
    for _ in range(10):
        attempt(now, number=number)


# --- unknown devices ---------------------------------------------------------------------------------------------


def test_the_eleventh_try_waits_and_each_wait_is_twice_as_long(world: World) -> None:
    exhaust()
    assert seconds_refused() == 900
    assert seconds_refused(NOW + 14 * MINUTE) == 60
    later = NOW + 15 * MINUTE
    exhaust(later)
    assert seconds_refused(later) == 1800
    assert tries() == 20, "what was refused is not counted, and does not make the wait longer"


def test_what_was_long_ago_is_forgotten(world: World) -> None:
    exhaust()
    exhaust(NOW + 15 * MINUTE)
    quiet = NOW + timedelta(days=1, minutes=50)
    exhaust(quiet)
    assert seconds_refused(quiet) == 900
    assert tries() == 10


def test_of_a_hundred_at_once_ten_are_let_through(world: World) -> None:
    """Ten addresses, many connections: each try waits for the one before it, and sees what that left."""
    outcomes = at_once(world.app, [lambda n=n: attempt(number=n % 10) for n in range(50)])
    outcomes += at_once(world.app, [lambda n=n: attempt(number=n % 10) for n in range(50)])
    assert refused_codes(outcomes) == {"log_in_locked": 90}
    assert len(done(outcomes)) == tries() == 10
    numbers = sorted(number for each in done(outcomes) for counter, _, number in each.counted if counter == "account")
    assert numbers == list(range(1, 11)), "no two were the same try"


def test_one_address_gets_a_hundred_tries_at_whatever_accounts(world: World) -> None:
    for count in range(100):
        attempt(account=key_of("k", Counter.ACCOUNT, str(count)))
    assert seconds_refused(account=OTHER_ACCOUNT) == 3600
    assert tries(key=OTHER_ACCOUNT) == 0, "an account is not charged for what an address may not do"
    attempt(account=OTHER_ACCOUNT, number=1)


def test_a_locked_account_does_not_use_an_address_up(world: World) -> None:
    exhaust()
    for _ in range(3):
        seconds_refused(number=7)
    assert tries(Counter.ADDRESS, address(7)) == 0


def test_accounts_that_do_not_exist_are_counted_the_same(world: World) -> None:
    nobody = key_of("k", Counter.ACCOUNT, "nobody")
    for _ in range(10):
        attempt(account=nobody, person_id=None)
    exhaust()
    assert seconds_refused(account=nobody) == seconds_refused() == 900


# --- the owner ---------------------------------------------------------------------------------------------------


def test_a_right_password_takes_back_its_own_try_and_nobody_elses(world: World) -> None:
    for _ in range(3):
        attempt()
    mine = attempt()
    lockout.give_back(NOW, mine)
    assert tries() == 3
    assert tries(Counter.ADDRESS, address()) == 3


def test_a_right_password_at_the_last_try_begins_no_wait(world: World) -> None:
    for _ in range(9):
        attempt()
    lockout.give_back(NOW, attempt())
    assert tries() == 9
    attempt()
    assert seconds_refused() == 900


def test_who_took_an_earlier_try_does_not_end_the_wait_of_a_later_one(world: World) -> None:
    for _ in range(8):
        attempt()
    mine = attempt()
    attempt(number=1)
    lockout.give_back(NOW, mine)
    assert seconds_refused() == 900


def test_a_known_device_gets_in_while_everybody_else_waits(world: World) -> None:
    person = owner()
    know("mine", person)
    exhaust()
    seconds_refused(person_id=person)
    seconds_refused(person_id=person, device="guessed")
    reserved = attempt(person_id=person, device="mine")
    assert reserved.device_id is not None
    lockout.give_back(NOW, reserved)
    assert seconds_refused(person_id=person) == 900, "the others wait as before"


def test_a_known_device_passes_an_address_that_is_used_up(world: World) -> None:
    """One that many share, or a proxy that was not declared: nobody behind it locks the others out."""
    person = owner()
    know("mine", person)
    for count in range(100):
        attempt(account=key_of("k", Counter.ACCOUNT, str(count)))
    seconds_refused(person_id=person)
    assert attempt(person_id=person, device="mine").device_id is not None


def test_five_wrong_tries_on_a_known_device_make_it_unknown(world: World) -> None:
    person = owner()
    know("mine", person)
    exhaust()
    outcomes = at_once(world.app, [lambda: attempt(person_id=person, device="mine")] * 20)
    assert len(done(outcomes)) == DEVICE_TRIES
    assert refused_codes(outcomes) == {"log_in_locked": 20 - DEVICE_TRIES}
    know("new", person, before="mine")
    assert attempt(person_id=person, device="new").device_id is not None, "after a log-in it is known again"


def test_a_right_password_on_a_known_device_forgets_its_wrong_ones(world: World) -> None:
    person = owner()
    know("mine", person)
    for _ in range(3):
        for _ in range(DEVICE_TRIES - 1):
            attempt(person_id=person, device="mine")
        lockout.give_back(NOW, attempt(person_id=person, device="mine"))
    assert tries() == 0


def test_a_device_is_known_for_its_own_people_only_and_by_its_newest_key(world: World) -> None:
    storekeeper = owner()
    manager = next(p.id for p in people.find(SYSTEM).people if p.email == PEOPLE["manager"][0])
    know("desk", storekeeper)
    assert attempt(person_id=manager, device="desk").device_id is None
    know("desk-2", manager, before="desk")
    for person in (storekeeper, manager):
        assert attempt(person_id=person, device="desk-2").device_id is not None, "a desk that both use"
        assert attempt(person_id=person, device="desk").device_id is None, "what was planted or copied before is dead"
    assert attempt(NOW + DEVICE_KEPT, person_id=manager, device="desk-2").device_id is None


# --- administrators ----------------------------------------------------------------------------------------------


def test_an_administrator_sees_a_lock_and_lifts_it(world: World) -> None:
    person = owner()
    administrator = world.actor("administrator")
    assert lockout.locked(administrator, NOW, {person: ACCOUNT}) == {}
    for number in range(10):
        attempt(number=number % 3)
    lock = lockout.locked(administrator, NOW, {person: ACCOUNT})[person]
    assert (lock.since, lock.until, lock.addresses) == (NOW, NOW + 15 * MINUTE, 3)
    assert lockout.locked(administrator, NOW + 15 * MINUTE, {person: ACCOUNT}) == {}
    lockout.lift(administrator, NOW, person, ACCOUNT)
    assert lockout.locked(administrator, NOW, {person: ACCOUNT}) == {}
    exhaust()
    assert seconds_refused() == 900


def test_nobody_sees_or_lifts_the_locks_of_others(world: World) -> None:
    person = owner()
    exhaust()
    for name in ("storekeeper", "manager", "regional"):
        assert lockout.locked(world.actor(name), NOW, {person: ACCOUNT}) == {}
        with pytest.raises(NotFound):
            lockout.lift(world.actor(name), NOW, person, ACCOUNT)
    assert seconds_refused() == 900


def test_old_tries_and_devices_are_cleared_away(world: World) -> None:
    know("mine", owner())
    exhaust()
    assert lockout.clear_away(NOW + timedelta(days=2)) == 0
    assert lockout.clear_away(NOW + timedelta(days=4), limit=1) == 2
    while lockout.clear_away(NOW + timedelta(days=4)):
        pass
    counts = [db.session.scalar(select(func.count()).select_from(t)) for t in (LogInTries, TriedFrom, KnownDevice)]
    assert counts == [0, 0, 1]
    assert lockout.clear_away(NOW + timedelta(days=401)) == 1


def test_no_table_holds_what_was_typed(world: World) -> None:
    attempt(account=key_of("k", Counter.ACCOUNT, "not-a-name@denpasar.test"))
    columns = {column.name for table in (LogInTries, TriedFrom) for column in table.__table__.columns}
    assert columns == {"counter", "key", "tries", "first_at", "last_at", "free_at", "account_key", "address_key"}
    assert "denpasar" not in " ".join(db.session.scalars(select(LogInTries.key)))


# --- the audit ---------------------------------------------------------------------------------------------------


def events(*wanted: Event) -> list[tuple[str, int | None, dict[str, Any]]]:
    db.session.rollback()
    names = [each.value for each in wanted]
    rows = db.session.scalars(select(AuditEntry).where(AuditEntry.event.in_(names)).order_by(AuditEntry.id))
    return [(row.event, row.about_id, json.loads(row.facts)) for row in rows]


def test_the_audit_tells_of_a_lock_once_and_of_its_lifting(world: World) -> None:
    person = owner()
    for _ in range(10):
        attempt(person_id=person)
    for _ in range(5):
        seconds_refused(person_id=person)
    lockout.lift(world.actor("administrator"), NOW, person, ACCOUNT)
    [locked, unlocked] = events(Event.LOCKED, Event.UNLOCKED)
    assert (locked[0], locked[1]) == ("locked", person)
    assert (locked[2]["attempts"], locked[2]["how"]) == (10, "account")
    assert unlocked[:2] == ("unlocked", person)
