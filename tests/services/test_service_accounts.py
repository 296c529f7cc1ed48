"""Machines' accounts: who makes them, who their tokens stand for, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Action, Origin, may
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.models import ApiToken, AuditEntry, Office, Person
from inventory.security import tokens
from inventory.services import people, service_accounts
from inventory.services.service_accounts import ServiceAccountView
from tests.concurrent import at_once
from tests.conftest import NOW
from tests.world import DENPASAR, World

FROM = Origin("api", "10.1.2.3")


def account(world: World, **changes: Any) -> ServiceAccountView:
    said: dict[str, Any] = {
        "name": "Sistem antrean",
        "purpose": "",
        "office_code": DENPASAR,
        "scopes": ["stock:read"],
    } | changes
    return service_accounts.make(world.actor("administrator"), NOW, uuid4(), **said)


def token(world: World, account_id: int, days: int = 30) -> str:
    secret = tokens.new()
    service_accounts.add_token(
        world.actor("administrator"),
        NOW,
        uuid4(),
        account_id,
        name="server",
        expires_at=NOW + timedelta(days=days),
        digest=tokens.digest(secret),
        prefix=secret[:12],
    )
    return secret


def bearer(secret: str, days: float = 0) -> Any:
    return service_accounts.bearer_of(NOW + timedelta(days=days), tokens.digest(secret), FROM)


def test_a_token_stands_for_its_account_until_it_ends(world: World) -> None:
    made = account(world)
    secret = token(world, made.id)
    found = bearer(secret)
    assert (found.actor.person_id, found.actor.name, found.office_code) == (made.id, "Sistem antrean", DENPASAR)
    assert may(found.actor, Action.VIEW_STOCK, "00/51/51.71/51.71.01/")
    assert not may(found.actor, Action.POST_MOVEMENT, "00/51/51.71/")
    assert bearer(secret, 29.9) is not None
    assert bearer(secret, 30) is None
    assert bearer(tokens.new()) is None


@pytest.mark.parametrize(
    "other", [{"name": "Sistem lain"}, {"purpose": "lain"}, {"scopes": ["stock:read", "movements:write"]}]
)
def test_a_request_sent_again_with_another_body_is_refused(world: World, other: dict[str, Any]) -> None:
    said: dict[str, Any] = {"name": "Antrean", "purpose": "", "office_code": DENPASAR, "scopes": ["stock:read"]}
    administrator, request_id = world.actor("administrator"), uuid4()
    made = service_accounts.make(administrator, NOW, request_id, **said)
    assert service_accounts.make(administrator, NOW, request_id, **said) == made
    with pytest.raises(Refusal, match="request_id_reused"):
        service_accounts.make(administrator, NOW, request_id, **said | other)


def test_the_secret_is_kept_nowhere(world: World) -> None:
    secret = token(world, account(world).id)
    [row] = db.session.scalars(select(ApiToken))
    kept = [str(value) for value in vars(row).values()]
    noted = [f"{entry.subject} {entry.facts}" for entry in db.session.scalars(select(AuditEntry))]
    assert any("server" in each for each in noted)
    assert not any(secret[12:] in each or row.digest in each for each in noted)
    assert not any(secret in each for each in kept)


def test_the_use_of_a_token_is_written_at_most_once_a_minute(world: World) -> None:
    made = account(world)
    secret = token(world, made.id)
    for seconds in (0, 59, 61):
        service_accounts.bearer_of(NOW + timedelta(seconds=seconds), tokens.digest(secret), FROM)
        [shown] = service_accounts.get(SYSTEM, made.id).tokens
        assert shown.last_used_at == NOW + timedelta(seconds=61 if seconds == 61 else 0)
    assert shown.last_used_from == "10.1.2.3"


def test_a_closed_office_or_account_shuts_the_machine_out(world: World) -> None:
    made = account(world)
    secret = token(world, made.id)
    write(lambda session: session.execute(update(Office).where(Office.code == DENPASAR).values(active=False)))
    assert bearer(secret) is None
    write(lambda session: session.execute(update(Office).where(Office.code == DENPASAR).values(active=True)))
    assert bearer(secret) is not None
    chief = world.actor("administrator")
    service_accounts.close(chief, NOW, made.id)
    assert bearer(secret) is None
    with pytest.raises(Refusal, match="service_account_closed"):
        token(world, made.id)
    closed = service_accounts.get(chief, made.id)
    assert service_accounts.close(chief, NOW + timedelta(days=1), made.id).closed_at == closed.closed_at == NOW


def test_only_administrators_above_manage_it(world: World) -> None:
    made = account(world)
    for name in ("manager", "storekeeper", "regional", "viewer"):
        actor = world.actor(name)
        with pytest.raises(NotAllowed):
            service_accounts.make(
                actor, NOW, uuid4(), name="x", purpose="", office_code=DENPASAR, scopes=["stock:read"]
            )
        with pytest.raises(NotFound):
            service_accounts.get(actor, made.id)
        with pytest.raises(NotFound):
            service_accounts.close(actor, NOW, made.id)
        assert service_accounts.in_reach(actor) == []
    with pytest.raises(NotAllowed):
        account(world, office_code="16.09")
    with pytest.raises(NotFound):
        service_accounts.revoke(world.actor("administrator"), NOW, made.id, 999)


def test_a_machine_is_in_no_list_of_people_and_has_no_grants(world: World) -> None:
    made = account(world)
    assert made.id not in {person.id for person in people.find(SYSTEM).people}
    person = db.session.get(Person, made.id)
    assert person is not None
    assert (person.password, person.active, people.actor_for(person).grants) == (None, False, ())
    with pytest.raises(NotFound):
        people.set_active(SYSTEM, NOW, made.id, True)


@pytest.mark.parametrize("values", [{"active": True}, {"password": "x"}, {"kind": "robot"}])
def test_the_database_refuses_a_machine_that_could_log_in(world: World, values: dict[str, Any]) -> None:
    made = account(world)
    with pytest.raises(IntegrityError):
        write(lambda session: session.execute(update(Person).where(Person.id == made.id).values(values)))


def test_the_database_refuses_a_token_that_ends_before_it_begins(world: World) -> None:
    made = account(world)
    values = {"person_id": made.id, "name": "x", "prefix": "blk_", "digest": "0" * 64, "request_id": "r"}
    times = {"created_at": NOW, "expires_at": NOW}
    with pytest.raises(IntegrityError):
        write(lambda session: session.execute(insert(ApiToken).values(values | times)))


def test_an_account_that_is_being_closed_gets_no_token(world: World) -> None:
    chief = world.actor("administrator")
    for _ in range(5):
        made = account(world)
        at_once(
            world.app,
            [lambda: token(world, made.id), lambda: service_accounts.close(chief, NOW, made.id)],  # noqa: B023
        )
        found = service_accounts.get(chief, made.id)
        assert found.closed_at is not None
        assert all(each.revoked_at is not None for each in found.tokens)


def test_the_migration_leaves_people_as_they_were(world: World) -> None:
    kinds = db.session.execute(text("SELECT DISTINCT kind FROM people")).scalars().all()
    assert kinds == ["person"]
