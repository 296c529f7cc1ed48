"""Accounts: who may make them, see them and shut them out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role, may
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.models import Membership, Office, Person
from inventory.services import people
from inventory.services.people import PersonView
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import NOW
from tests.world import BADUNG, DENPASAR, PEOPLE, World

OTHERS = ("storekeeper", "manager", "regional", "viewer")
MINISTRY_ADMINISTRATOR = Actor(None, "Uji", (Grant(Role.ADMINISTRATOR, "00/"),))


def add(
    actor: Actor,
    *,
    email: str = "baru@denpasar.test",
    full_name: str = "Baru",
    role: Role = Role.STOREKEEPER,
    office: str = DENPASAR,
) -> PersonView:
    return people.add(actor, NOW, email=email, full_name=full_name, role=role, office_code=office, password_hash="hash")


def person(email: str) -> Person:
    return db.session.scalars(select(Person).where(Person.email == email)).one()


def id_of(name: str) -> int:
    return person(PEOPLE[name][0]).id


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Person)) or 0


def test_an_administrator_makes_an_account_with_one_role(world: World) -> None:
    made = add(world.actor("administrator"), full_name="  Ni Luh Sari ")
    assert made.full_name == "Ni Luh Sari"
    assert made.active
    assert made.roles == ((Role.STOREKEEPER, DENPASAR, "Kota Denpasar"),)
    actor = people.actor_for(person("baru@denpasar.test"))
    assert actor.grants == (Grant(Role.STOREKEEPER, "00/51/51.71/"),)
    assert may(actor, Action.POST_MOVEMENT, "00/51/51.71/")


def test_nobody_but_an_administrator_makes_accounts(world: World) -> None:
    before = count()
    for name in OTHERS:
        with pytest.raises(NotAllowed):
            add(world.actor(name))
    assert count() == before


def test_an_administrator_gives_no_role_outside_their_reach(world: World) -> None:
    for office in ("16.09", "00", "94"):
        with pytest.raises(NotAllowed):
            add(world.actor("administrator"), office=office, role=Role.ADMINISTRATOR)


def test_an_account_needs_an_office_that_is_there_and_a_name(world: World) -> None:
    with pytest.raises(NotFound, match="office_not_found"):
        add(SYSTEM, office="99.99")
    with pytest.raises(Invalid, match="name_missing"):
        add(SYSTEM, full_name=" \t")


def test_a_name_that_cannot_be_kept_is_refused(world: World) -> None:
    for name in ("x" * 121, "Ni\x00Luh"):
        with pytest.raises(Invalid):
            add(SYSTEM, full_name=name)


def test_an_address_has_one_account(world: World) -> None:
    before = count()
    with pytest.raises(Refusal) as refused:
        add(SYSTEM, email=PEOPLE["storekeeper"][0])
    assert refused.value.code == "email_taken"
    assert refused.value.facts == {"email": PEOPLE["storekeeper"][0]}
    assert count() == before


def test_an_address_taken_by_many_at_once_has_one_account(world: World) -> None:
    outcomes = at_once(world.app, [lambda: add(SYSTEM)] * 8)
    assert refused_codes(outcomes) == {"email_taken": 7}
    assert len(done(outcomes)) == 1
    roles = select(func.count()).select_from(Membership).where(Membership.person_id == done(outcomes)[0].id)
    assert db.session.scalar(roles) == 1


# --- seeing ------------------------------------------------------------------------------------------------------


def test_an_administrator_sees_the_people_of_their_subtree_by_name(world: World) -> None:
    add(SYSTEM, email="kantor@oku.test", full_name="Aaa", office="16.09")
    names = [view.full_name for view in people.find(world.actor("administrator")).people]
    assert names == ["Administrator", "Manager", "Other Storekeeper", "Regional", "Storekeeper", "Viewer"]
    assert people.find(MINISTRY_ADMINISTRATOR).people[0].full_name == "Aaa"


def test_people_come_in_pages_and_are_found_by_name_address_and_office(world: World) -> None:
    for number in range(people.PAGE + 3):
        add(SYSTEM, email=f"p{number}@oku.test", full_name=f"Petugas {number:03}", office="16.09")
    first, second = (people.find(MINISTRY_ADMINISTRATOR, "petugas", page) for page in (1, 2))
    assert (first.count, first.pages, len(first.people)) == (people.PAGE + 3, 2, people.PAGE)
    assert [each.full_name for each in second.people] == [f"Petugas {people.PAGE + n:03}" for n in range(3)]
    assert people.find(MINISTRY_ADMINISTRATOR, "petugas", 99) == second
    assert people.find(MINISTRY_ADMINISTRATOR, "petugas", -1) == first
    for words in ("P52@OKU", "petugas 052", " Petugas 052\x00"):
        assert [each.email for each in people.find(MINISTRY_ADMINISTRATOR, words).people] == ["p52@oku.test"]
    assert people.find(MINISTRY_ADMINISTRATOR, "16.09").count == people.PAGE + 3
    assert people.find(world.actor("administrator"), "petugas") == people.Found(people=[], count=0, page=1, pages=1)
    for words in ("%", "_", "\\"):
        assert people.find(MINISTRY_ADMINISTRATOR, words).people == []


def test_others_see_no_accounts(world: World) -> None:
    for name in OTHERS:
        actor = world.actor(name)
        assert people.find(actor).people == []
        with pytest.raises(NotFound, match="person_not_found"):
            people.get(actor, id_of("storekeeper"))


def test_an_account_outside_reach_is_as_good_as_not_there(world: World) -> None:
    stranger = add(SYSTEM, email="kantor@oku.test", office="16.09")
    administrator = world.actor("administrator")
    for person_id in (stranger.id, 10**6):
        with pytest.raises(NotFound, match="person_not_found"):
            people.get(administrator, person_id)


# --- shutting out ------------------------------------------------------------------------------------------------


def test_shutting_a_person_out_ends_their_sessions(world: World) -> None:
    administrator, shut_out = world.actor("administrator"), id_of("storekeeper")
    before = person(PEOPLE["storekeeper"][0]).fs_uniquifier
    assert not people.set_active(administrator, NOW, shut_out, False).active
    assert person(PEOPLE["storekeeper"][0]).fs_uniquifier != before
    between = person(PEOPLE["storekeeper"][0]).fs_uniquifier
    assert people.set_active(administrator, NOW, shut_out, True).active
    assert person(PEOPLE["storekeeper"][0]).fs_uniquifier == between


def test_nobody_shuts_themselves_out(world: World) -> None:
    with pytest.raises(Refusal, match="own_account"):
        people.set_active(world.actor("administrator"), NOW, id_of("administrator"), False)
    assert person(PEOPLE["administrator"][0]).active


def test_nobody_but_an_administrator_shuts_people_out(world: World) -> None:
    for name in OTHERS:
        with pytest.raises(NotFound):
            people.set_active(world.actor(name), NOW, id_of("other_storekeeper"), False)
    assert person(PEOPLE["other_storekeeper"][0]).active


def test_a_person_with_a_role_elsewhere_is_shut_out_by_who_manages_both(world: World) -> None:
    both = add(SYSTEM, email="dua@kantor.test", office=BADUNG)
    elsewhere = db.session.scalars(select(Office).where(Office.code == "16.09")).one()
    db.session.add(Membership(person_id=both.id, office_id=elsewhere.id, name=Role.VIEWER.value))
    db.session.commit()
    with pytest.raises(NotAllowed):
        people.set_active(world.actor("administrator"), NOW, both.id, False)
    db.session.expire_all()
    assert person("dua@kantor.test").active
    assert not people.set_active(MINISTRY_ADMINISTRATOR, NOW, both.id, False).active


# --- grants and language -----------------------------------------------------------------------------------------


def test_a_role_at_an_office_that_was_closed_down_gives_nothing(world: World) -> None:
    closed = db.session.scalars(select(Office).where(Office.code == DENPASAR)).one()
    closed.active = False
    db.session.commit()
    assert world.storekeeper.grants == ()
    assert world.actor("regional").grants == (Grant(Role.VIEWER, "00/51/"),)


def test_roles_at_several_offices_are_all_granted(world: World) -> None:
    second = db.session.scalars(select(Office).where(Office.code == BADUNG)).one()
    db.session.add(Membership(person_id=id_of("storekeeper"), office_id=second.id, name=Role.VIEWER.value))
    db.session.commit()
    db.session.expire_all()
    assert set(world.storekeeper.grants) == {
        Grant(Role.STOREKEEPER, "00/51/51.71/"),
        Grant(Role.VIEWER, "00/51/51.03/"),
    }


def test_a_person_keeps_the_language_that_they_chose(world: World) -> None:
    people.set_language(world.storekeeper, "en")
    db.session.expire_all()
    assert person(PEOPLE["storekeeper"][0]).language == "en"
    assert person(PEOPLE["manager"][0]).language is None
    with pytest.raises(NotAllowed):
        people.set_language(SYSTEM, "en")


def test_an_account_remembers_when_it_was_made(world: World) -> None:
    add(SYSTEM)
    db.session.expire_all()
    made = person("baru@denpasar.test").created_at
    assert made == NOW
    assert made.utcoffset() == timedelta(0)
