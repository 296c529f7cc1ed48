"""Postings under keys: carried out once, also when many send the same at once and when a server dies between."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.models import ApiRequest
from inventory.services import api_requests
from inventory.services.api_requests import CLAIM_LASTS, KEPT, Answer, Claim
from tests.concurrent import at_once, refused_codes
from tests.conftest import NOW
from tests.world import World

DIGEST, OTHER = "a" * 64, "b" * 64
ANSWER = Answer(status=201, headers={"Content-Type": "application/json"}, body='{"a": "é"}')


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def claimed(world: World, key: str = "k", after: timedelta = timedelta(0)) -> Claim:
    found = api_requests.claim(world.storekeeper, NOW + after, key, DIGEST)
    assert isinstance(found, Claim)
    return found


def test_of_many_at_once_one_carries_it_out(world: World) -> None:
    actor = world.storekeeper
    outcomes = at_once(world.app, [lambda: api_requests.claim(actor, NOW, "k", DIGEST)] * 20)
    assert Counter(type(each).__name__ for each in outcomes) == {"Claim": 1, "Refusal": 19}
    assert refused_codes(outcomes) == {"request_in_flight": 19}
    [mine] = [each for each in outcomes if isinstance(each, Claim)]
    api_requests.settle(world.storekeeper, mine, NOW, ANSWER)
    answers = at_once(world.app, [lambda: api_requests.claim(actor, NOW, "k", DIGEST)] * 20)
    assert answers == [ANSWER] * 20


def test_another_request_under_the_key_is_refused(world: World) -> None:
    mine = claimed(world)
    for settled in (False, True):
        if settled:
            api_requests.settle(world.storekeeper, mine, NOW, ANSWER)
        with pytest.raises(Invalid, match="idempotency_key_reused"):
            api_requests.claim(world.storekeeper, NOW, "k", OTHER)
    assert isinstance(api_requests.claim(world.actor("manager"), NOW, "k", OTHER), Claim), "another person's key"
    with pytest.raises(NotAllowed):
        api_requests.claim(SYSTEM, NOW, "k", DIGEST)


def test_a_key_that_was_given_up_is_free(world: World) -> None:
    api_requests.give_up(claimed(world))
    assert isinstance(api_requests.claim(world.storekeeper, NOW, "k", OTHER), Claim)


def test_a_crashed_claim_is_taken_over_by_one(world: World) -> None:
    dead = claimed(world)
    actor, late = world.storekeeper, NOW + CLAIM_LASTS
    with pytest.raises(Refusal, match="request_in_flight"):
        api_requests.claim(actor, late - timedelta(seconds=1), "k", DIGEST)
    outcomes = at_once(world.app, [lambda: api_requests.claim(actor, late, "k", DIGEST)] * 12)
    assert refused_codes(outcomes) == {"request_in_flight": 11}
    [heir] = [each for each in outcomes if isinstance(each, Claim)]
    api_requests.settle(actor, dead, late, Answer(status=200, headers={}, body="from the dead"))
    api_requests.give_up(dead)
    with pytest.raises(Refusal, match="request_in_flight"):
        api_requests.claim(actor, late, "k", DIGEST)
    api_requests.settle(actor, heir, late, ANSWER)
    assert api_requests.claim(actor, late, "k", DIGEST) == ANSWER


def test_old_requests_are_forgotten_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_requests, "CLEARED_AT_ONCE", 2)
    for number in range(5):
        api_requests.settle(world.storekeeper, claimed(world, f"k{number}"), NOW, ANSWER)
    api_requests.settle(world.storekeeper, claimed(world, "young", timedelta(days=2)), NOW, ANSWER)
    assert api_requests.clear(NOW + KEPT) == 0
    later = NOW + KEPT + timedelta(seconds=1)
    assert [api_requests.clear(later) for _ in range(4)] == [2, 2, 1, 0]
    assert db.session.scalar(select(func.count()).select_from(ApiRequest)) == 1


def test_fifty_equal_posts_are_recorded_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the API itself: each that did not get in asks again until it has the answer."""
    from tests.api.client import Caller, code_of, make_token
    from tests.api.test_movements import AT_DENPASAR, prints
    from tests.conftest import TODAY

    monkeypatch.setitem(world.app.config, "SETTINGS", replace(world.app.config["SETTINGS"], API_RATE=0))
    world.deliver(NOW, TODAY, 100)
    secret = make_token()
    told: list[Any] = []
    lock = threading.Lock()

    def post() -> None:
        caller = Caller(world.app, secret)
        for _ in range(200):
            response = caller.post(AT_DENPASAR, prints(3), key="once")
            if response.status_code == 201:
                with lock:
                    told.append(response.json)
                return
            assert code_of(response) == "request_in_flight"
            assert int(response.headers["Retry-After"]) > 0
            threading.Event().wait(0.02)
        raise AssertionError("no answer")

    outcomes = at_once(world.app, [post] * 50)
    assert [each for each in outcomes if each is not None] == []
    assert len(told) == 50
    assert all(each == told[0] for each in told)
    assert world.figures().store == 97
