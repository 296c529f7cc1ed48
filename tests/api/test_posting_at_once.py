"""A posting over the API whose movement, key and answer are one statement: nobody tells it from the general way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from inventory.db import db
from inventory.domain.scopes import ApiScope
from inventory.models import ApiRequest, Item, Office
from inventory.services import api_requests, consumption, ledger
from tests.api.client import Caller, code_of, make_token
from tests.concurrent import at_once, audit
from tests.conftest import NOW, TODAY
from tests.round_trips import round_trips
from tests.world import BLANK, DENPASAR, World

# Only PostgreSQL writes at once: among the quick tests too.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, ids=["at_once"])

PATH = f"/offices/{DENPASAR}/movements"
NOTES = ("", 'loket "1" — \\ %s %(key)s {0}')


def prints(quantity: int = 18, **changes: Any) -> dict[str, Any]:
    printed = [{"reason": "new", "quantity": quantity, "served_waiting": 1}]
    return {"item": BLANK, "day": TODAY.isoformat(), "printed": printed, **changes}


def spoils(cause: str = "misprint") -> dict[str, Any]:
    spoiled = [{"cause": cause, "quantity": 2}]
    return {"item": BLANK, "day": TODAY.isoformat(), "spoiled": spoiled, "shift": "morning"}


@pytest.fixture
def machine(world: World) -> Caller:
    world.deliver(NOW, TODAY, 100)
    return Caller(world.app, make_token(ApiScope.STOCK_READ, ApiScope.MOVEMENTS_WRITE))


@contextmanager
def in_general() -> Iterator[None]:
    """Inside, everything is posted the general way."""
    with mock.patch.object(ledger, "on_postgresql", return_value=False):
        yield


def kept(key: str) -> dict[str, Any]:
    db.session.rollback()
    row = db.session.execute(select(ApiRequest.__table__).where(ApiRequest.key == key)).mappings().one()
    return dict(row)


@pytest.mark.parametrize(
    "body",
    [prints(), spoils(), *(prints(note=note) for note in NOTES[1:]), prints(happened_at="2024-05-15T10:30:00+08:00")],
    ids=["print", "spoil", "note", "moment"],
)
def test_the_answer_is_that_of_the_general_way(machine: Caller, body: dict[str, Any]) -> None:
    with mock.patch.object(api_requests, "claim", wraps=api_requests.claim) as claim:
        quick = machine.post(PATH, body, key="sekali")
        assert claim.call_count == 0, "its key went with it"
        with in_general():
            general = machine.post(PATH, body, key="dua kali")
        assert claim.call_count == 1
    assert quick.status_code == general.status_code == 201
    own = {"id", "seq", "posting"}
    told: list[Any] = [response.json["movements"][0] for response in (quick, general)]  # type: ignore[index]
    assert [{name: each[name] for name in each if name not in own} for each in told[:1]] == [
        {name: each[name] for name in each if name not in own} for each in told[1:]
    ]
    assert told[1]["seq"] == told[0]["seq"] + 1
    assert machine.get(f"/movements/{told[0]['id']}").json == told[0]
    text = quick.text
    for name in own:
        ours, theirs = (json.dumps({name: each[name]}, separators=(",", ":")).strip("{}") for each in told)
        text = text.replace(ours, theirs)
    assert text == general.text, "letter for letter"
    assert {name: quick.headers[name] for name in api_headers(quick)} == {
        name: general.headers[name] for name in api_headers(quick)
    }
    ours, theirs = kept("sekali"), kept("dua kali")
    same = ("person_id", "state", "status", "headers", "rights", "claimed_at", "done_at")
    assert [ours[name] for name in same] == [theirs[name] for name in same]
    assert (ours["body"], theirs["body"]) == (quick.text, general.text)


def api_headers(response: Any) -> list[str]:
    return [name for name, _ in response.headers if name not in ("X-Request-Id", "Content-Length")]


def test_what_was_done_at_once_is_answered_again_by_either_way(machine: Caller, world: World) -> None:
    first = machine.post(PATH, prints(), key="k")
    again = machine.post(PATH, prints(), key="k")
    with in_general():
        in_turn = machine.post(PATH, prints(), key="k")
    assert first.data == again.data == in_turn.data
    assert [each.headers.get("Idempotency-Replayed") for each in (first, again, in_turn)] == [None, "true", "true"]
    assert code_of(machine.post(PATH, prints(19), key="k")) == "idempotency_key_reused"
    assert code_of(machine.post("/offices/51.03/movements", prints(), key="k")) == "idempotency_key_reused"
    assert world.figures().store == 82


def test_what_was_done_in_general_is_answered_again_at_once(machine: Caller, world: World) -> None:
    with in_general():
        first = machine.post(PATH, prints(), key="k")
    again = machine.post(PATH, prints(), key="k")
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert world.figures().store == 82


def test_a_key_that_is_forgotten_still_posts_once(machine: Caller, world: World) -> None:
    first: Any = machine.post(PATH, prints(), key="k").json
    assert api_requests.clear(NOW + timedelta(days=60)) == 1
    again: Any = machine.post(PATH, prints(), key="k").json
    assert again == first
    assert world.figures().store == 82


def test_somebody_elses_claim_is_not_passed_by(machine: Caller, world: World) -> None:
    assert machine.post(PATH, prints(1), key="mine").status_code == 201
    person_id = kept("mine")["person_id"]
    with in_general(), mock.patch.object(api_requests, "settle"):
        machine.post(PATH, prints(), key="k")
    assert kept("k")["person_id"] == person_id
    assert code_of(machine.post(PATH, prints(), key="k")) == "request_in_flight"
    assert world.figures().store == 81


def test_what_a_rule_refuses_is_refused_in_the_same_words_and_leaves_the_key_free(
    machine: Caller, world: World
) -> None:
    wrong = [
        prints(1000),
        prints(day="2024-05-16"),
        prints(item="tidak-ada"),
        prints(printed=[]),
        prints(printed=[{"reason": "consumed", "quantity": 1}]),
        prints(happened_at="2024-05-15T23:30:00+08:00"),
        prints(printed=[{"reason": "new", "quantity": 1, "ranges": ["A000001-A000001"]}]),
        prints(printed=[{"reason": "new", "quantity": 1}] * 2),
        prints(unknown=1),
    ]
    for body in wrong:
        quick = machine.post(PATH, body, key="k")
        with in_general():
            general = machine.post(PATH, body, key="k")
        assert (quick.status_code, quick.json) == (general.status_code, general.json), body
        assert quick.status_code in (404, 409, 422), quick.text
    assert db.session.scalar(select(func.count()).select_from(ApiRequest)) == 0
    assert machine.post(PATH, prints(), key="k").status_code == 201
    assert world.figures().store == 82


def test_of_many_equal_postings_one_is_recorded(database_url: str, crowded_app: Flask) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        world.deliver(NOW, TODAY, 100)
        token = make_token(ApiScope.STOCK_READ, ApiScope.MOVEMENTS_WRITE)
        callers = [Caller(crowded_app, token) for _ in range(12)]
        outcomes = at_once(crowded_app, [lambda each=each: each.post(PATH, prints(), key="k") for each in callers])
        assert Counter(each.status_code for each in outcomes) == {201: 12}
        assert len({each.data for each in outcomes}) == 1
        assert Counter(each.headers.get("Idempotency-Replayed") for each in outcomes) == {None: 1, "true": 11}
        assert world.figures().store == 82
        audit()


def test_a_posting_takes_two_round_trips(machine: Caller) -> None:
    """Who asks, and the posting with its key and answer: office and item are remembered."""
    machine.post(PATH, prints(1))
    assert round_trips(lambda: machine.post(PATH, prints(1))) == 2
    consumption._remembered.clear()
    assert round_trips(lambda: machine.post(PATH, prints(1))) == 3


@pytest.mark.parametrize(
    ("table", "change", "outcome"),
    [
        (Office, {"path": "00/94/94.72/"}, "not_allowed"),
        (Office, {"code": "51.99"}, "office_not_found"),
        (Office, {"time_zone": "Asia/Jakarta"}, "moment_on_other_day"),
        (Item, {"active": False}, "item_not_found"),
        (Item, {"code": "lain"}, "item_not_found"),
        (Item, {"kind": "consumable", "prints_per_unit": 500}, "reason_not_for_item"),
        (Item, {"numbered": True}, "ranges_missing"),
    ],
    ids=["path", "code", "zone", "inactive", "item code", "consumable", "numbered"],
)
def test_what_is_remembered_and_has_changed_is_seen(
    world: World, table: type[Office] | type[Item], change: dict[str, Any], outcome: str
) -> None:
    """Half past midnight in Denpasar is the day before in Jakarta."""
    world.deliver(NOW, TODAY, 100)
    machine = Caller(world.app, make_token(ApiScope.MOVEMENTS_WRITE, office="51"))
    body = prints(1, happened_at="2024-05-15T00:30:00+08:00")
    assert machine.post(PATH, body).status_code == 201
    code = DENPASAR if table is Office else BLANK
    with db.engine.begin() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.execute(update(table.__table__).where(table.code == code).values(change))  # type: ignore[arg-type]
        connection.exec_driver_sql("SET session_replication_role = origin")
    for _ in range(2):
        assert code_of(machine.post(PATH, body)) == outcome
    assert db.session.scalar(select(func.count()).select_from(ApiRequest)) == 1


def test_where_somebody_may_post_is_asked_each_time(machine: Caller, world: World) -> None:
    assert machine.post(PATH, prints(1)).status_code == 201
    other = Caller(world.app, make_token(ApiScope.MOVEMENTS_WRITE, office="51.03"))
    assert code_of(other.post(PATH, prints(1))) == "not_allowed"
    assert world.figures().store == 99
