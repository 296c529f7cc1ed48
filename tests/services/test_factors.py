"""Second factors: each code once, tries counted before they are looked at, and nobody's but one's own."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from inventory.adapters import passkeys as signatures
from inventory.adapters.passkeys import Site
from inventory.db import db, write
from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.audit import Event, read_facts
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.factors import MOST_PASSKEYS, RECOVERY_CODES, TryKind, code_at, step_at
from inventory.domain.sessions import End
from inventory.models import AuthenticatorApp, FactorTry, LoginSession, Passkey, Person, RecoveryCode, SpentChallenge
from inventory.services import factors, passkeys, people
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import NOW
from tests.passkey import SoftKey
from tests.services.test_audit import entries
from tests.world import BADUNG, World

KEY = Fernet.generate_key()
SECRET = b"a secret of 20 bytes"
SITE = Site("localhost", "http://localhost")
STEPS = (Event.FACTOR_ADDED, Event.FACTOR_REMOVED, Event.FACTOR_CONFIRMED, Event.FACTOR_REFUSED, Event.RECOVERY_USED)
LATER = NOW + timedelta(minutes=5)


def code(now: datetime, drift: int = 0) -> str:
    return code_at(SECRET, step_at(now) + drift)


def with_app(actor: Actor, now: datetime = NOW) -> tuple[str, ...]:
    return factors.add_app(actor, now, KEY, SECRET, code(now))


def with_passkey(actor: Actor, key: SoftKey, name: str = "ponsel", now: datetime = NOW) -> tuple[str, ...]:
    assert actor.person_id is not None
    challenge, handle = secrets.token_bytes(32), passkeys.handle_of(actor.person_id)
    known = passkeys.of_person(actor.person_id)
    options = signatures.ask_for_new(SITE, challenge, handle, "a@b.test", "A", known)
    return passkeys.add(actor, now, SITE, challenge, handle, name, key.create(options))


def asked(challenge: bytes, verified: bool = True) -> dict[str, Any]:
    return signatures.ask_for_signature(SITE, challenge, [], verified=verified)


def challenge(number: int) -> bytes:
    return bytes([number]) * 32


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as caught:
        work()
    return caught.value.code


def id_of(actor: Actor) -> int:
    assert actor.person_id is not None
    return actor.person_id


def session_of(actor: Actor) -> str:
    db.session.rollback()
    return db.session.scalars(select(Person.fs_uniquifier).where(Person.id == actor.person_id)).one()


# --- authenticator apps ------------------------------------------------------------------------------------------


def test_an_app_counts_once_a_code_of_it_was_seen(world: World) -> None:
    manager = world.actor("manager")
    assert refusal(lambda: factors.add_app(manager, NOW, KEY, SECRET, "000000")) == "code_wrong"
    assert not factors.has_any(id_of(manager))
    before = session_of(manager)
    codes = with_app(manager)
    assert len(set(codes)) == RECOVERY_CODES
    assert factors.has_any(id_of(manager))
    assert factors.of_person(id_of(manager)).app_added_at == NOW
    assert session_of(manager) != before, "the sessions that were open go on without the factor"


def test_the_secret_is_kept_encrypted_and_recovery_codes_as_digests(world: World) -> None:
    codes = with_app(world.actor("manager"))
    db.session.rollback()
    kept = db.session.scalars(select(AuthenticatorApp.secret)).one()
    assert SECRET.decode() not in kept
    assert factors.opened(KEY, kept) == SECRET
    assert factors.opened(Fernet.generate_key(), kept) is None
    digests = "".join(db.session.scalars(select(RecoveryCode.digest)))
    assert not any(code in digests or code.replace("-", "") in digests for code in codes)


def test_the_code_that_set_an_app_up_is_used_up(world: World) -> None:
    manager = world.actor("manager")
    with_app(manager)
    assert refusal(lambda: factors.check(manager, NOW, KEY, code(NOW))) == "code_wrong"
    assert factors.check(manager, NOW, KEY, code(NOW, 1)) == "code"


def test_a_code_works_once(world: World) -> None:
    manager = world.actor("manager")
    with_app(world.actor("manager"))
    assert factors.check(manager, LATER, KEY, f" {code(LATER)[:3]} {code(LATER)[3:]} ") == "code"
    assert refusal(lambda: factors.check(manager, LATER, KEY, code(LATER))) == "code_wrong"
    assert refusal(lambda: factors.check(manager, LATER, KEY, code(LATER, -1))) == "code_wrong", "an earlier one"
    assert factors.of_person(id_of(manager)).app_used_at == LATER


def test_of_many_who_come_with_one_code_at_once_one_gets_in(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        with_app(World(crowded_app).actor("manager"))
    outcomes = at_once(crowded_app, [lambda: factors.check(manager, LATER, KEY, code(LATER))] * 4)
    assert done(outcomes) == ["code"]
    assert refused_codes(outcomes)["code_wrong"] == 3


def test_two_codes_at_once_do_not_bring_an_older_one_back(crowded_app: Flask) -> None:
    """The later code's step stays, whichever of the two transactions comes last."""
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        with_app(World(crowded_app).actor("manager"))
    at_once(crowded_app, [lambda d=drift: factors.check(manager, LATER, KEY, code(LATER, d)) for drift in (-1, 1)])
    with crowded_app.app_context():
        assert db.session.scalars(select(AuthenticatorApp.last_step)).one() == step_at(LATER) + 1
        for drift in (-1, 0, 1):
            assert refusal(lambda d=drift: factors.check(manager, LATER, KEY, code(LATER, d))) == "code_wrong"


def test_after_five_wrong_codes_none_is_looked_at_for_a_while(world: World) -> None:
    manager = world.actor("manager")
    recovery = with_app(world.actor("manager"))
    for _ in range(5):
        assert refusal(lambda: factors.check(manager, LATER, KEY, "000000")) == "code_wrong"
    with pytest.raises(Refusal) as caught:
        factors.check(manager, LATER, KEY, code(LATER))
    assert caught.value.code == "factor_tries_many"
    assert caught.value.facts["minutes"] == 1 or caught.value.facts["minutes"] == 2
    assert factors.check(manager, LATER, KEY, recovery[0]) == "recovery", "the owner is not locked out"
    soon = LATER + timedelta(minutes=1)
    assert factors.check(manager, soon, KEY, code(soon)) == "code"
    assert not db.session.scalars(select(FactorTry)).all(), "a right code forgets the wrong ones"


def test_each_further_wrong_code_doubles_the_wait(world: World) -> None:
    manager, now = world.actor("manager"), LATER
    with_app(world.actor("manager"))
    for _ in range(4):
        refusal(lambda: factors.check(manager, now, KEY, "000000"))
    for minutes in (1, 2, 4):
        assert refusal(lambda at=now: factors.check(manager, at, KEY, "000000")) == "code_wrong"
        early = now + timedelta(minutes=minutes, seconds=-1)
        assert refusal(lambda at=early: factors.check(manager, at, KEY, "000000")) == "factor_tries_many"
        now += timedelta(minutes=minutes)


def test_a_wait_is_forgotten_after_a_day(world: World) -> None:
    manager = world.actor("manager")
    with_app(world.actor("manager"))
    for now in (LATER, LATER + timedelta(days=1, minutes=5)):
        for _ in range(5):
            assert refusal(lambda at=now: factors.check(manager, at, KEY, "000000")) == "code_wrong"
        assert refusal(lambda at=now: factors.check(manager, at, KEY, "000000")) == "factor_tries_many"
        soon = now + timedelta(seconds=61)
        assert refusal(lambda at=soon: factors.check(manager, at, KEY, "000000")) == "code_wrong"


def test_many_wrong_codes_at_once_are_counted_one_by_one(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        with_app(World(crowded_app).actor("manager"))
    outcomes = at_once(crowded_app, [lambda: factors.check(manager, LATER, KEY, "000000")] * 20)
    found = refused_codes(outcomes)
    assert found == {"code_wrong": 5, "factor_tries_many": 15}


def test_another_phone_takes_the_place_of_the_first(world: World) -> None:
    manager = world.actor("manager")
    with_app(manager)
    other = b"another secret, long"
    again = factors.add_app(manager, LATER, KEY, other, code_at(other, step_at(LATER)))
    assert again == (), "the recovery codes are still good"
    later = LATER + timedelta(minutes=5)
    assert refusal(lambda: factors.check(manager, later, KEY, code(later))) == "code_wrong"
    assert factors.check(manager, later, KEY, code_at(other, step_at(later))) == "code"


def test_the_system_has_no_second_factor(world: World) -> None:
    with pytest.raises(NotAllowed):
        with_app(SYSTEM)


# --- recovery codes ----------------------------------------------------------------------------------------------


def test_each_recovery_code_works_once(world: World) -> None:
    manager = world.actor("manager")
    codes = with_app(world.actor("manager"))
    for used, each in enumerate(codes, start=1):
        typed = each.upper().replace("-", " ")
        assert factors.check(manager, NOW, KEY, typed) == "recovery"
        assert factors.of_person(id_of(manager)).codes_left == RECOVERY_CODES - used
        assert refusal(lambda c=each: factors.check(manager, NOW, KEY, c)) == "code_wrong"


def test_of_many_who_come_with_one_recovery_code_at_once_one_gets_in(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        codes = with_app(World(crowded_app).actor("manager"))
    outcomes = at_once(crowded_app, [lambda: factors.check(manager, NOW, KEY, codes[3])] * 8)
    assert done(outcomes) == ["recovery"]
    found = refused_codes(outcomes)
    assert found.total() == 7
    assert set(found) <= {"code_wrong", "factor_tries_many"}, "wrong ones are bounded, too"


def test_a_recovery_code_is_good_for_its_own_person_only(world: World) -> None:
    codes = with_app(world.actor("manager"))
    assert refusal(lambda: factors.check(world.actor("administrator"), NOW, KEY, codes[0])) == "code_wrong"


def test_new_recovery_codes_take_the_place_of_the_old(world: World) -> None:
    manager = world.actor("manager")
    old = with_app(manager)
    new = factors.renew_recovery_codes(manager, NOW)
    assert not set(old) & set(new)
    assert refusal(lambda: factors.check(manager, NOW, KEY, old[0])) == "code_wrong"
    assert factors.check(manager, NOW, KEY, new[0]) == "recovery"


def test_recovery_codes_stand_in_for_something(world: World) -> None:
    assert refusal(lambda: factors.renew_recovery_codes(world.storekeeper, NOW)) == "no_factor_yet"


def test_renewed_twice_at_once_one_set_is_good(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        with_app(manager)
    sets = done(at_once(crowded_app, [lambda: factors.renew_recovery_codes(manager, NOW)] * 4))
    assert len(sets) == 4
    with crowded_app.app_context():
        assert factors.of_person(id_of(manager)).codes_left == RECOVERY_CODES
        good = [codes for codes in sets if _works(manager, codes[0])]
    assert len(good) == 1


def _works(actor: Actor, typed: str) -> bool:
    try:
        return bool(factors.check(actor, NOW, KEY, typed))
    except Invalid:
        return False


# --- passkeys ----------------------------------------------------------------------------------------------------


def test_a_passkey_is_kept_and_what_it_signs_is_known(world: World) -> None:
    manager, key = world.actor("manager"), SoftKey()
    assert len(with_passkey(manager, key)) == RECOVERY_CODES
    owner = passkeys.check(LATER, SITE, challenge(1), key.sign(asked(challenge(1))), of=None, verified=True)
    assert owner == manager.person_id
    [found] = factors.of_person(id_of(manager)).passkeys
    assert (found.name, found.added_at, found.last_used_at) == ("ponsel", NOW, LATER)


@pytest.mark.parametrize("odd", [{"transports": 5}, {"id": 7}, {"id": "AAAA"}])
def test_an_odd_answer_of_a_new_passkey_does_no_harm(world: World, odd: dict[str, Any]) -> None:
    me, key, asked_with = world.actor("manager"), SoftKey(), challenge(1)
    said = json.loads(key.create(signatures.ask_for_new(SITE, asked_with, b"h" * 32, "a@b.test", "A", [])))
    said["response" if "transports" in odd else "id"] = said["response"] | odd if "transports" in odd else odd["id"]
    if "transports" in odd:
        passkeys.add(me, NOW, SITE, asked_with, b"h" * 32, "ponsel", json.dumps(said))
        assert passkeys.of_person(id_of(me))[0].transports == ()
    else:
        with pytest.raises(Invalid, match="passkey_wrong"):
            passkeys.add(me, NOW, SITE, asked_with, b"h" * 32, "ponsel", json.dumps(said))


def test_a_signature_counts_once(world: World) -> None:
    """Also by a key that does not count: it is the challenge that is used up."""
    key = SoftKey(counts=False)
    with_passkey(world.actor("manager"), key)
    answer = key.sign(asked(challenge(1)))
    take = lambda: passkeys.check(NOW, SITE, challenge(1), answer, of=None, verified=True)  # noqa: E731
    assert take() == world.actor("manager").person_id
    assert refusal(take) == "passkey_wrong"


def test_of_many_who_come_with_one_signature_at_once_one_gets_in(crowded_app: Flask) -> None:
    key = SoftKey(counts=False)
    with crowded_app.app_context():
        with_passkey(World(crowded_app).actor("manager"), key)
    answer = key.sign(asked(challenge(1)))
    work = lambda: passkeys.check(NOW, SITE, challenge(1), answer, of=None, verified=True)  # noqa: E731
    outcomes = at_once(crowded_app, [work] * 8)
    assert len(done(outcomes)) == 1
    assert refused_codes(outcomes) == {"passkey_wrong": 7}


def test_a_copied_key_gives_itself_away(world: World) -> None:
    manager, key = world.actor("manager"), SoftKey()
    with_passkey(manager, key)
    take = lambda n: passkeys.check(  # noqa: E731
        NOW, SITE, challenge(n), key.sign(asked(challenge(n))), of=None, verified=True
    )
    take(1)
    take(2)
    key.count = 0  # the copy goes on from where it was taken
    assert refusal(lambda: take(3)) == "passkey_wrong"


@pytest.mark.parametrize(
    "change",
    ["another challenge", "another site", "another origin", "not verified", "another key", "another person", "handle"],
)
def test_a_signature_for_something_else_is_refused(world: World, change: str) -> None:
    manager, key = world.actor("manager"), SoftKey()
    with_passkey(manager, key)
    options, of = asked(challenge(1)), manager
    if change == "another challenge":
        options = asked(challenge(2))
    elif change == "another site":
        options["rpId"] = "evil.test"
    elif change == "another origin":
        key.origin = "http://localhost.evil.test"
    elif change == "another key":
        fresh = SoftKey()
        fresh.credential_id, fresh.handle = key.credential_id, key.handle
        key = fresh
    elif change == "another person":
        of = world.actor("administrator")
    answer = key.sign(options, verified=change != "not verified", handle=b"x" * 32 if change == "handle" else None)
    with pytest.raises(Invalid, match="passkey_wrong"):
        passkeys.check(NOW, SITE, challenge(1), answer, of=of, verified=True)


def test_as_a_second_factor_to_be_there_is_enough(world: World) -> None:
    manager, key = world.actor("manager"), SoftKey()
    with_passkey(manager, key)
    answer = key.sign(asked(challenge(1), verified=False), verified=False)
    assert passkeys.check(NOW, SITE, challenge(1), answer, of=manager, verified=False)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        "not json",
        '{"response": {}}',
        '{"id": 1, "rawId": 2, "response": {"a": []}}',
        "[" * 9000,
    ],
)
def test_what_cannot_be_read_is_refused(world: World, answer: str) -> None:
    assert refusal(lambda: passkeys.check(NOW, SITE, challenge(1), answer, of=None, verified=True)) == ("passkey_wrong")
    manager = world.actor("manager")
    with pytest.raises(Invalid, match="passkey_wrong"):
        passkeys.add(manager, NOW, SITE, challenge(1), b"h" * 32, "ponsel", answer)


def test_a_removed_passkey_and_one_of_somebody_shut_out_are_refused(world: World) -> None:
    manager, key, other = world.actor("manager"), SoftKey(), SoftKey()
    with_passkey(manager, key)
    with_passkey(manager, other, "kunci biru")
    take = lambda n, by: passkeys.check(  # noqa: E731
        NOW, SITE, challenge(n), by.sign(asked(challenge(n))), of=None, verified=True
    )
    first, _second = factors.of_person(id_of(manager)).passkeys
    factors.remove_passkey(manager, NOW, first.id, must=True)
    assert refusal(lambda: take(1, key)) == "passkey_wrong"
    assert take(2, other) == manager.person_id
    people.set_active(SYSTEM, NOW, id_of(manager), False)
    assert refusal(lambda: take(3, other)) == "passkey_wrong"


def test_passkeys_are_bounded_and_named_apart(world: World) -> None:
    manager = world.actor("manager")
    for number in range(MOST_PASSKEYS):
        with_passkey(manager, SoftKey(), f"kunci {number}")
    assert refusal(lambda: with_passkey(manager, SoftKey(), "satu lagi")) == "passkeys_many"
    one = factors.of_person(id_of(manager)).passkeys[0]
    factors.remove_passkey(manager, NOW, one.id, must=True)
    assert refusal(lambda: with_passkey(manager, SoftKey(), "kunci 5")) == "passkey_known"
    assert refusal(lambda: with_passkey(manager, SoftKey(), "   ")) == "passkey_name"
    handles = set(db.session.scalars(select(Passkey.handle)))
    assert len(handles) == 1, "all of a person's keys know them by the same"


def test_challenges_that_no_longer_count_are_cleared_away(world: World) -> None:
    key = SoftKey()
    with_passkey(world.actor("manager"), key)
    later = NOW + timedelta(hours=1)
    passkeys.check(later, SITE, challenge(1), key.sign(asked(challenge(1))), of=None, verified=True)
    assert [row.spent_at for row in db.session.scalars(select(SpentChallenge))] == [later]


# --- removing ----------------------------------------------------------------------------------------------------


def test_who_must_have_a_factor_keeps_one(world: World) -> None:
    manager = world.actor("manager")
    with_app(manager)
    assert refusal(lambda: factors.remove_app(manager, NOW, must=True)) == "last_factor"
    with_passkey(manager, SoftKey())
    factors.remove_app(manager, NOW, must=True)
    [key] = factors.of_person(id_of(manager)).passkeys
    assert refusal(lambda: factors.remove_passkey(manager, NOW, key.id, must=True)) == "last_factor"
    factors.remove_passkey(manager, NOW, key.id, must=False)
    left = factors.of_person(id_of(manager))
    assert (left.any, left.codes_left) == (False, 0), "recovery codes go with what they stood in for"


def test_the_last_two_removed_at_once_leave_one(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        manager = World(crowded_app).actor("manager")
        with_app(manager)
        with_passkey(manager, SoftKey())
        [key] = factors.of_person(id_of(manager)).passkeys
    outcomes = at_once(
        crowded_app,
        [
            lambda: factors.remove_app(manager, NOW, must=True),
            lambda: factors.remove_passkey(manager, NOW, key.id, must=True),
        ],
    )
    assert refused_codes(outcomes) == {"last_factor": 1}
    with crowded_app.app_context():
        assert factors.of_person(id_of(manager)).number == 1


def test_removed_twice_is_removed_once_and_nobody_elses_is(world: World) -> None:
    manager, administrator = world.actor("manager"), world.actor("administrator")
    with_passkey(manager, SoftKey())
    [key] = factors.of_person(id_of(manager)).passkeys
    before = session_of(manager)
    factors.remove_passkey(administrator, NOW, key.id, must=False)
    assert factors.of_person(id_of(manager)).number == 1
    factors.remove_passkey(manager, NOW, key.id, must=False)
    after = session_of(manager)
    assert after != before
    factors.remove_passkey(manager, NOW, key.id, must=False)
    assert session_of(manager) == after


def test_an_administrator_takes_lost_factors_away(world: World) -> None:
    manager, administrator = world.actor("manager"), world.actor("administrator")
    codes = with_app(manager)
    with_passkey(manager, SoftKey())
    assert factors.of_managed(administrator, id_of(manager)).number == 2
    before = session_of(manager)
    lasting = LoginSession(person_id=id_of(manager), digest="a" * 64, started_at=NOW, last_seen_at=NOW)
    write(lambda session: session.add(lasting))
    factors.take_away(administrator, NOW, id_of(manager))
    db.session.rollback()
    assert db.session.scalars(select(LoginSession.end_reason)).one() == End.CREDENTIALS_CHANGED
    assert factors.of_person(id_of(manager)) == factors.of_person(id_of(world.storekeeper))
    assert session_of(manager) != before
    assert refusal(lambda: factors.check(manager, NOW, KEY, codes[0])) == "code_wrong"


def test_nobody_takes_their_own_or_those_of_people_out_of_reach(world: World) -> None:
    administrator, manager = world.actor("administrator"), world.actor("manager")
    with_app(manager)
    assert refusal(lambda: factors.take_away(administrator, NOW, id_of(administrator))) == "own_factors"
    for name in ("storekeeper", "regional", "manager"):
        with pytest.raises(NotFound):
            factors.take_away(world.actor(name), NOW, id_of(manager))
        with pytest.raises(NotFound):
            factors.of_managed(world.actor(name), id_of(manager))
    elsewhere = Actor(id_of(administrator), "Elsewhere", (Grant(Role.ADMINISTRATOR, "00/51/51.03/"),))
    with pytest.raises(NotFound):
        factors.take_away(elsewhere, NOW, id_of(manager))
    db.session.execute(
        text(
            "INSERT INTO memberships (person_id, office_id, name) SELECT :p, id, 'viewer' FROM offices WHERE code = :c"
        ),
        {"p": id_of(manager), "c": BADUNG},
    )
    db.session.commit()
    with pytest.raises(NotAllowed):
        factors.take_away(elsewhere, NOW, id_of(manager))
    assert factors.has_any(id_of(manager))


# --- what the audit says -----------------------------------------------------------------------------------------


def test_the_audit_tells_each_step(world: World) -> None:
    manager, administrator, key = world.actor("manager"), world.actor("administrator"), SoftKey()
    codes = with_app(manager)
    with_passkey(manager, key)
    refusal(lambda: factors.check(manager, LATER, KEY, "000000", "confirm"))
    factors.check(manager, LATER, KEY, code(LATER), "confirm")
    factors.check(manager, LATER, KEY, codes[0])
    passkeys.check(NOW, SITE, challenge(1), key.sign(asked(challenge(1))), of=manager, verified=True)
    refusal(lambda: passkeys.check(NOW, SITE, challenge(2), "{}", of=manager, verified=True))
    factors.remove_app(manager, NOW, must=False)
    factors.renew_recovery_codes(manager, NOW)
    factors.take_away(administrator, NOW, id_of(manager))
    told = [(row.event, row.person_id, row.about_id, row.subject, read_facts(row.facts)) for row in entries(*STEPS)]
    me, app, by_key = manager.person_id, {"factor": "app"}, {"factor": "passkey", "action": "log_in"}
    assert told == [
        ("factor_added", me, None, "", app),
        ("factor_added", me, None, "ponsel", {"factor": "passkey"}),
        ("factor_refused", me, None, "", {"factor": "code", "action": "confirm"}),
        ("factor_confirmed", me, None, "", {"factor": "code", "action": "confirm"}),
        ("recovery_used", me, None, "", {"left": RECOVERY_CODES - 1}),
        ("factor_confirmed", me, None, "", by_key),
        ("factor_refused", me, None, "", by_key),
        ("factor_removed", me, None, "", app),
        ("factor_added", me, None, "", {"factor": "recovery"}),
        ("factor_removed", administrator.person_id, me, "Manager", {"factor": "all", "reason": "lost"}),
    ]


# --- passphrases' tries, and what the database itself refuses ----------------------------------------------------


def test_tries_of_passphrases_and_codes_are_counted_apart(world: World) -> None:
    person = id_of(world.storekeeper)
    for _ in range(5):
        factors.reserve_try(person, NOW, TryKind.PASSPHRASE)
    assert refusal(lambda: factors.reserve_try(person, NOW, TryKind.PASSPHRASE)) == "passphrase_tries_many"
    factors.reserve_try(person, NOW, TryKind.CODE)
    factors.forget_tries(person, TryKind.PASSPHRASE)
    factors.reserve_try(person, NOW, TryKind.PASSPHRASE)


@pytest.mark.parametrize(
    "values",
    [{"last_step": -1}, {"sign_count": -1}, {"name": ""}, {"wrong": 0}, {"kind": "guess"}],
)
def test_the_database_refuses_what_cannot_be(world: World, values: dict[str, Any]) -> None:
    manager = world.actor("manager")
    with_app(manager)
    with_passkey(manager, SoftKey())
    for kind in TryKind:
        factors.reserve_try(id_of(manager), NOW, kind)
    factors.reserve_try(id_of(manager), NOW, TryKind.CODE)
    [column] = values
    table = next(t for t in (AuthenticatorApp, Passkey, FactorTry) if column in t.__table__.columns)
    with pytest.raises(IntegrityError):
        db.session.execute(update(table).values(values))
    db.session.rollback()
