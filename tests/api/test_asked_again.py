"""When the database asks for the same transaction again: it is given it, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from inventory.db import ATTEMPTS, db, write
from tests.api.client import PROBLEM, Caller, make_token
from tests.api.test_movements import AT_DENPASAR, prints
from tests.api.test_posting_at_once import in_general
from tests.concurrent import audit
from tests.conftest import NOW, TODAY
from tests.world import World

# Only PostgreSQL says so: among the quick tests too.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, ids=["asked_again"])

ASK = """
    CREATE SEQUENCE tries;
    CREATE FUNCTION ask_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') <= {times} THEN RAISE EXCEPTION 'once more' USING ERRCODE = '{state}'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER ask_again BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION ask_again()"""
"""A sequence forgets nothing when a transaction is taken back."""


@pytest.fixture
def served(database_url: str, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An application that answers as a server does."""
    app = make_app(database_url, TESTING=False, CLOCK=lambda: NOW)
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        yield app


def ask(times: int, state: str) -> None:
    write(lambda session: session.execute(text(ASK.format(times=times, state=state))))
    db.session.remove()


def tries() -> int:
    return db.session.scalar(text("SELECT last_value FROM tries")) or 0


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization", "deadlock"])
@pytest.mark.parametrize("way", [nullcontext, in_general], ids=["in one statement", "in a transaction"])
def test_it_is_given_the_same_until_it_takes_it(served: Flask, way: Callable[[], Any], state: str) -> None:
    caller = Caller(served, make_token())
    ask(ATTEMPTS - 1, state)
    with way():
        assert caller.post(AT_DENPASAR, prints()).status_code == 201
    assert tries() == ATTEMPTS
    assert World(served).figures().printed == 18
    audit()


@pytest.mark.parametrize("way", [nullcontext, in_general], ids=["in one statement", "in a transaction"])
def test_it_is_given_up_and_whoever_asked_is_told_to_come_back(served: Flask, way: Callable[[], Any]) -> None:
    caller = Caller(served, make_token())
    ask(10 * ATTEMPTS, "40001")
    with way():
        told = caller.post(AT_DENPASAR, prints(), key="k")
    assert (told.status_code, told.headers["Retry-After"], told.content_type) == (503, "5", PROBLEM)
    assert tries() == ATTEMPTS
    assert World(served).figures().printed == 0
    audit()
    write(lambda session: session.execute(text("DROP TRIGGER ask_again ON movements")))
    assert caller.post(AT_DENPASAR, prints(), key="k").status_code == 201
    assert World(served).figures().printed == 18
