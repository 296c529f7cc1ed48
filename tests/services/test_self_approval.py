"""Nobody decides on what they did themselves, whatever roles they hold: every act for which a second person is needed,
tried by one person who is storekeeper, manager and administrator of the same office."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import CheckConstraint, insert, select, text
from sqlalchemy.exc import DBAPIError

from inventory import services
from inventory.db import Base, db
from inventory.domain.access import SYSTEM, Actor, Grant, Origin, Role
from inventory.domain.destructions import Part, Witness
from inventory.domain.errors import Refusal
from inventory.domain.proposals import ProposalKind
from inventory.domain.scopes import ApiScope
from inventory.domain.stocktakes import Counted
from inventory.models import Membership, Office, Person
from inventory.security import tokens
from inventory.services import (
    closings,
    deliveries,
    destructions,
    people,
    proposals,
    reversals,
    service_accounts,
    stocktakes,
)
from inventory.services.deliveries import Handover
from inventory.services.destructions import Record
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, PEOPLE, World

OWN = {"own_proposal", "own_count", "own_closing"}
SERVICES = Path(services.__file__).parent
DECIDERS = {"decided_by_id", "approved_by_id", "cleared_by_id", "reopened_by_id"}
"""Columns that hold a second person."""


def both(world: World) -> Actor:
    """Denpasar's storekeeper with every role there is at Denpasar."""
    db.session.rollback()
    person = db.session.scalars(select(Person).where(Person.email == PEOPLE["storekeeper"][0])).one()
    office_id = db.session.scalar(select(Office.id).where(Office.code == DENPASAR))
    for role in (Role.MANAGER, Role.ADMINISTRATOR):
        db.session.execute(insert(Membership).values(person_id=person.id, office_id=office_id, name=role.value))
    db.session.commit()
    db.session.refresh(person)
    actor = people.actor_for(person)
    assert {grant.role for grant in actor.grants} == {Role.STOREKEEPER, Role.MANAGER, Role.ADMINISTRATOR}
    return actor


def above(world: World) -> Actor:
    return Actor(world.actor("regional").person_id, "Above", (Grant(Role.MANAGER, "00/"),))


# --- what one person does, for another to decide on ----------------------------------------------------------------


def delivered(who: Actor, quantity: int = 100) -> int:
    handover = Handover(
        bast_number=f"BAST/{uuid4().hex[:10]}",
        bast_on=TODAY,
        received_on=TODAY,
        asked=None,
        received=quantity,
        defective=0,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
    )
    return deliveries.record(who, NOW, uuid4(), DENPASAR, BLANK, handover).movements[0].id


def proposed(world: World, who: Actor, kind: ProposalKind) -> int:
    movement_id = delivered(who)
    if kind is ProposalKind.REVERSAL:
        return reversals.ask(who, NOW, uuid4(), movement_id, "wrong office")
    cause = "misprint"
    if kind is ProposalKind.WRITE_OFF:
        cause = "obsolete"
    else:
        world.spoil(NOW, TODAY, 5)
    record = Record(
        happened_on=TODAY,
        place="Halaman kantor",
        method="burned",
        witnesses=(Witness("Ni Made Sari", "Sekretaris"), Witness("I Wayan Adi", "Inspektorat")),
        total=5,
        parts=[Part(BLANK, cause, 5)],
    )
    return destructions.propose(who, NOW, uuid4(), DENPASAR, kind, record)


def counted(who: Actor) -> int:
    """A finished count of two cards too few, by one person."""
    delivered(who)
    stocktake_id = stocktakes.begin(who, NOW, uuid4(), DENPASAR)
    for enter in (stocktakes.count, stocktakes.recount):
        enter(who, NOW, uuid4(), stocktake_id, {BLANK: Counted(quantity=98, at=None)})
    return stocktake_id


def closed(who: Actor) -> int:
    """A closed day with a difference; the difference's id."""
    delivered(who)
    closings.close(who, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 99}, {BLANK: 0})
    return closings.open_exceptions(SYSTEM)[0].id


def approve_record(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = proposed(world, who, ProposalKind.DESTRUCTION)
    return lambda: destructions.approve(by(), NOW, uuid4(), found)


def approve_write_off(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = proposed(world, who, ProposalKind.WRITE_OFF)
    return lambda: destructions.approve(by(), NOW, uuid4(), found)


def approve_reversal(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = proposed(world, who, ProposalKind.REVERSAL)
    return lambda: reversals.approve(by(), NOW, uuid4(), found)


def reject(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = proposed(world, who, ProposalKind.REVERSAL)
    return lambda: proposals.reject(by(), NOW, found, "no")


def look_at_count(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = counted(who)
    return lambda: stocktakes.for_approval(by(), NOW, found)


def approve_count(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = counted(who)
    return lambda: stocktakes.approve(by(), NOW, uuid4(), found, {BLANK: -2})


def cancel_count(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = counted(who)
    return lambda: stocktakes.cancel(by(), NOW, found, "does not suit")


def correct_count(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = counted(who)
    stocktakes.approve(above(world), NOW, uuid4(), found, {BLANK: -2})
    world.print(NOW, TODAY, 1)

    def correct() -> None:
        try:
            stocktakes.correct(by(), NOW, uuid4(), found, {BLANK: 1})
        except Refusal as refusal:
            # Whoever took no part comes as far as the figures.
            if refusal.code != "differences_changed":
                raise

    return correct


def clear(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    found = closed(who)
    return lambda: closings.clear(by(), NOW, uuid4(), found, "found in the drawer")


def reopen(world: World, who: Actor, by: Callable[[], Actor]) -> Any:
    closed(who)
    return lambda: closings.reopen(by(), NOW, DENPASAR, TODAY, "once more")


ACTS: dict[str, tuple[Callable[..., Any], ...]] = {
    "destructions.approve": (approve_record, approve_write_off),
    "reversals.approve": (approve_reversal,),
    "proposals.reject": (reject,),
    "proposals.to_decide": (reject,),
    "deciding.approve": (approve_count,),
    "deciding.cancel": (cancel_count,),
    "deciding.correct": (correct_count,),
    "deciding.for_approval": (look_at_count,),
    "closings.clear": (clear,),
    "closings.reopen": (reopen,),
}
TRIED = sorted({act for acts in ACTS.values() for act in acts}, key=lambda act: act.__name__)
LISTS = {"proposals.waiting", "proposals.count_waiting"}
"""What waits for a decision; reading that decides nothing."""


@pytest.mark.parametrize("act", TRIED, ids=lambda act: act.__name__)
def test_one_person_with_every_role_does_not_decide_on_their_own(world: World, act: Callable[..., Any]) -> None:
    who = both(world)
    with pytest.raises(Refusal) as refused:
        act(world, who, lambda: who)()
    assert refused.value.code in OWN


@pytest.mark.parametrize("act", TRIED, ids=lambda act: act.__name__)
def test_another_person_does(world: World, act: Callable[..., Any]) -> None:
    """So that the refusal above is about who decides and about nothing else."""
    act(world, both(world), lambda: above(world))()


def machine_of(made_by: Actor, token_by: Actor) -> Actor:
    made = service_accounts.make(
        made_by,
        NOW,
        uuid4(),
        name="Sistem antrean",
        purpose="",
        office_code=DENPASAR,
        scopes=[scope.value for scope in ApiScope],
    )
    secret = tokens.new()
    said = {"name": "x", "expires_at": NOW + timedelta(days=9), "digest": tokens.digest(secret), "prefix": secret[:12]}
    service_accounts.add_token(token_by, NOW, uuid4(), made.id, **said)
    found = service_accounts.bearer_of(NOW, tokens.digest(secret), Origin())
    assert found is not None
    return found.actor


@pytest.mark.parametrize(
    ("act", "made"),
    [(approve_record, "account"), (reject, "token"), (approve_count, "token"), (cancel_count, "account")],
)
def test_who_made_a_machine_does_not_decide_on_what_it_did(world: World, act: Callable[..., Any], made: str) -> None:
    who, other = both(world), replace(above(world), grants=(Grant(Role.ADMINISTRATOR, "00/"),))
    machine = machine_of(*((who, other) if made == "account" else (other, who)))
    with pytest.raises(Refusal) as refused:
        act(world, machine, lambda: who)()
    assert refused.value.code in OWN


def test_every_service_that_decides_is_tried() -> None:
    found = set()
    for path in SERVICES.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                code = ast.unparse(node)
                if "Action.APPROVE" in code or "to_decide(" in code:
                    found.add(f"{path.stem}.{node.name}")
    assert found - LISTS == set(ACTS)


# --- the database itself -------------------------------------------------------------------------------------------


def test_every_second_person_is_told_apart_by_a_constraint() -> None:
    """A table with a column for who decided says in a CHECK that it is somebody else."""
    open_ = []
    for table in Base.metadata.tables.values():
        checks = [str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)]
        others = [column.name for column in table.columns if column.name.endswith("_by_id")]
        for name in DECIDERS & set(table.columns.keys()):
            apart = [f"{name} {sign} {other}" for sign in ("<>", "=") for other in others if other != name]
            apart += [f"{other} {sign} {name}" for sign in ("<>", "=") for other in others if other != name]
            if not any(words in check for words in apart for check in checks):
                open_.append((table.name, name))
    assert open_ == []


SQL = {
    "proposals": "UPDATE proposals SET status = 'approved', decided_at = proposed_at, decided_by_id = proposed_by_id",
    "rejection": "UPDATE proposals SET status = 'rejected', decided_at = proposed_at, decided_by_id = proposed_by_id",
    "stocktakes": "UPDATE stocktakes SET status = 'approved', approved_at = opened_at, approved_by_id = opened_by_id,"
    " approval_request_id = request_id",
    "cancelling": "UPDATE stocktakes SET status = 'cancelled', cancelled_at = opened_at, cancel_reason = 'x',"
    " cancelled_by_id = opened_by_id",
    "closings": "UPDATE day_closings SET reopened_at = closed_at, reopened_by_id = closed_by_id, reopen_reason = 'x'",
    "differences": "UPDATE closing_exceptions SET status = 'cleared', cleared_at = CURRENT_TIMESTAMP,"
    " cleared_by_id = closed_by_id, reason = 'x'",
}


@pytest.mark.parametrize("what", SQL)
def test_the_database_refuses_one_person_as_both(world: World, what: str) -> None:
    who = both(world)
    if what in ("proposals", "rejection"):
        proposed(world, who, ProposalKind.REVERSAL)
    elif what in ("stocktakes", "cancelling"):
        counted(who)
        db.session.execute(text("UPDATE stocktake_lines SET book = 100, difference = -2"))
        db.session.commit()
    else:
        closed(who)
    with pytest.raises(DBAPIError) as refused:
        db.session.execute(text(SQL[what]))
    db.session.rollback()
    said = str(refused.value).lower()
    assert any(word in said for word in ("second_person", "two_people", "did not count", "reopened", "cleared")), said


OF_A_MACHINE = {
    "proposals": "UPDATE proposals SET status = 'approved', decided_at = proposed_at, decided_by_id = :person",
    "rejection": "UPDATE proposals SET status = 'rejected', decided_at = proposed_at, decided_by_id = :person",
    "stocktakes": "UPDATE stocktakes SET status = 'approved', approved_at = opened_at, approved_by_id = :person,"
    " approval_request_id = request_id",
}


@pytest.mark.parametrize("made", ["account", "token", "neither"])
@pytest.mark.parametrize("what", OF_A_MACHINE)
def test_the_database_refuses_who_made_the_machine(world: World, what: str, made: str) -> None:
    who, other = both(world), replace(above(world), grants=(Grant(Role.ADMINISTRATOR, "00/"),))
    makers = {"account": (who, other), "token": (other, who), "neither": (other, other)}
    machine = machine_of(*makers[made])
    if what == "stocktakes":
        counted(machine)
        db.session.execute(text("UPDATE stocktake_lines SET book = 100, difference = -2"))
        db.session.commit()
    else:
        proposed(world, machine, ProposalKind.REVERSAL)
    statement = text(OF_A_MACHINE[what]).bindparams(person=who.person_id)
    if made == "neither":
        db.session.execute(statement)
        db.session.rollback()
        return
    with pytest.raises(DBAPIError, match="who made a machine"):
        db.session.execute(statement)
    db.session.rollback()
