"""Who asks: a machine by its token and never by a cookie, a person by their session and its token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from inventory.api.rates import Buckets
from inventory.domain.access import SYSTEM, Action, may_somewhere
from inventory.domain.audit import Event, read_facts
from inventory.domain.scopes import ApiScope, scopes_for
from inventory.services import service_accounts
from tests.api.client import ROOT, Caller, apart, code_of, make_token
from tests.api.test_movements import AT_DENPASAR, prints
from tests.conftest import NOW, TODAY
from tests.services.test_audit import entries
from tests.web.client import log_in
from tests.world import PEOPLE, World

BAD = (
    "Bearer",
    "Bearer ",
    "Bearer blk_" + "x" * 43,
    "Bearer blk_short",
    "Bearer blk_" + "x" * 42 + "'",
    "Basic YTpi",
    "blk_" + "x" * 43,
    "Bearer " + "x" * 5000,
)


def test_who_is_not_known_is_told_how_to_be(world: World) -> None:
    caller = Caller(world.app)
    for header in ("", *BAD):
        headers = {"Authorization": header} if header else {}
        response = caller.get("/offices", headers)
        assert response.status_code == 401, header
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert code_of(response) in ("log_in_or_token", "token_not_good")


def test_a_token_counts_and_the_cookie_beside_it_does_not(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    both = Caller(world.app, person="storekeeper")
    assert both.get("/session").json["kind"] == "person"  # type: ignore[index]
    reader = {"Authorization": f"Bearer {make_token(ApiScope.STOCK_READ)}"}
    told: Any = both.get("/session", reader)
    assert (told.json["kind"], told.json["csrf_token"]) == ("service", None)
    assert "Set-Cookie" not in told.headers
    assert "Cookie" not in told.headers.get("Vary", "")
    assert code_of(both.post(AT_DENPASAR, prints(1), **reader)) == "scope_missing", "not with the cookie's rights"
    bad = both.get("/session", {"Authorization": "Bearer blk_" + "x" * 43})
    assert bad.status_code == 401, "a bad token is not mended by a good cookie"


def test_a_person_needs_the_sessions_token_for_what_changes_something(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    person = Caller(world.app, person="storekeeper")
    token, person.csrf = person.csrf, ""
    refused = person.post(AT_DENPASAR, prints(1))
    assert (refused.status_code, code_of(refused)) == (403, "csrf_token_wrong")
    stranger = Caller(world.app, person="other_storekeeper")
    assert code_of(person.post(AT_DENPASAR, prints(1), **{"X-CSRFToken": stranger.csrf})) == "csrf_token_wrong"
    assert person.post(AT_DENPASAR, prints(1), **{"X-CSRFToken": token}).status_code == 201


@pytest.mark.parametrize("name", list(PEOPLE))
def test_the_session_says_who_one_is(world: World, name: str) -> None:
    told: Any = Caller(world.app, person=name).get("/session").json
    actor = world.actor(name)
    assert told["name"] == actor.name
    assert told["roles"] == [PEOPLE[name][1].value]
    assert told["actions"] == [action.value for action in Action if may_somewhere(actor, action)]
    assert [office["code"] for office in told["offices"]] == [PEOPLE[name][2]]


def operations(app: Flask) -> list[tuple[str, str, Action]]:
    """Method, address and action of each operation that asks for one, with Denpasar's things in it."""
    known: dict[str, Any] = {"code": "51.71", "item": "ktp-wni", "movement_id": "1"}
    found = []
    for rule in app.url_map.iter_rules():
        action = getattr(app.view_functions[rule.endpoint], "action", None)
        if (
            not rule.endpoint.startswith("api.")
            or action in (None, Action.SIGN_OUT)
            or set(rule.arguments) - set(known)
        ):
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: known[name] for name in rule.arguments})
        found += [(method, path, action) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]
    return found


def test_each_operation_lets_in_the_scopes_that_it_names_and_no_other(world: World) -> None:
    machines = {scope: Caller(world.app, make_token(scope)) for scope in ApiScope}
    asked = operations(world.app)
    assert len(asked) >= 12
    wrong = []
    for method, path, action in asked:
        for scope, machine in machines.items():
            headers = machine.headers | {"Idempotency-Key": "k", "If-Match": "*"}
            response = apart(lambda m=machine, h=headers: m.client.open(path, method=method, headers=h))  # noqa: B023
            allowed = response.status_code not in (401, 403)
            if allowed is not (scope in scopes_for(action)) or response.status_code >= 500:
                wrong.append((method, path, scope.value, response.status_code))
    assert wrong == []


def test_an_ended_token_is_refused(world: World) -> None:
    machine = Caller(world.app, make_token(days=1))
    assert machine.get("/session").status_code == 200
    world.app.config["CLOCK"] = lambda: NOW + timedelta(days=1)
    assert code_of(machine.get("/session")) == "token_not_good"
    machine.get("/session", {"Authorization": "Bearer blk_" + "x" * 43})
    [entry] = entries(Event.LOG_IN_REFUSED)
    assert (entry.way, read_facts(entry.facts)) == ("api", {"how": "token", "reason": "expired"})
    assert entry.about_id == next(account.id for account in service_accounts.in_reach(SYSTEM))


def test_a_person_without_their_second_factor_is_told_nothing(
    database_url: str, make_app: Callable[..., Flask]
) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, SECOND_FACTOR="everybody")
    person = Caller(app)
    with app.app_context():
        apart(lambda: log_in(person.client, "administrator"))
        refused = person.get("/session")
    assert (refused.status_code, code_of(refused)) == (403, "second_factor_needed")


def test_who_was_refused_what_is_in_the_audit(world: World) -> None:
    """A machine and a person, what is not there, what is out of reach, and each posting of many."""
    machine, person = Caller(world.app, make_token()), Caller(world.app, person="storekeeper")
    machine.get("/offices/51.03/balances")
    machine.get("/offices/99")
    person.get("/offices/51.03/balances")
    machine.post("/movements/bulk", {"postings": [prints(1, office="51.03"), prints(1, office="51.71")]})
    machine.get("/nix")
    machine.post(AT_DENPASAR, prints(1))
    found = [(entry.actor_name, entry.way, read_facts(entry.facts)["refusal"]) for entry in entries(Event.REFUSED)]
    assert found == [
        ("Sistem antrean", "api", "not_allowed"),
        ("Sistem antrean", "api", "office_not_found"),
        ("Storekeeper", "api", "not_allowed"),
        ("Sistem antrean", "api", "not_allowed"),
    ]


def test_a_rate_fills_up_again_steadily() -> None:
    buckets = Buckets()
    assert [buckets.take(1, 60, 100.0) for _ in range(60)] == [0.0] * 60
    assert buckets.take(1, 60, 100.0) == pytest.approx(1.0)
    assert buckets.take(2, 60, 100.0) == 0.0
    assert buckets.take(1, 60, 101.1) == 0.0
    assert buckets.take(1, 60, 101.1) > 0.8
    buckets.charge(2, 100)
    assert buckets.take(2, 60, 101.1) == pytest.approx(41.0, abs=1.5), "what was worth a hundred is waited for"


def test_the_specification_is_for_everybody(world: World) -> None:
    for path in ("/openapi.json", "/docs"):
        client = world.app.test_client()
        first = apart(lambda path=path, client=client: client.get(ROOT + path))
        assert first.status_code == 200
        seen = {"If-None-Match": first.headers["ETag"]}
        assert apart(lambda path=path, client=client: client.get(ROOT + path, headers=seen)).status_code == 304  # noqa: B023
