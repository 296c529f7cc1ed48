"""Every route × role against the access table, generated from the url map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.routing import Rule

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, may, may_somewhere
from inventory.domain.boards import Choice
from inventory.domain.notices import ChannelKind, unsubscribe_token
from inventory.models import LoginSession
from inventory.services import (
    alerts,
    allotments,
    boards,
    channels,
    closings,
    documents,
    offices,
    people,
    records,
    reviews,
    service_accounts,
)
from inventory.services.allotments import SplitTerms
from inventory.services.channels import Allowed
from tests.api.client import make_token
from tests.conftest import NOW, TODAY
from tests.services.test_imports import look
from tests.web.client import csrf_token, log_in
from tests.web.test_coverage import send_in_figures
from tests.world import BADUNG, BLANK, DENPASAR, PEOPLE, World

# Flask's and Flask-Security's own endpoints: what anybody may reach, and what anybody who is logged in may.
PUBLIC = {"static", "security.static", "security.login", "security.logout"}
LOGGED_IN = {
    "security.change_password",
    "api.session.show",
    "factors.confirm",
    "factors.confirm_options",
    *(f"account.{name}" for name in ("index", "second_factor", "add_app", "remove_app", "recovery_codes")),
    *(f"account.{name}" for name in ("add_passkey", "passkey_options", "remove_passkey")),
}

# What is asked of an address that names no office, whoever it belongs to.
OF_NO_OFFICE = {"item", "number", "table"}

PERSONS = (*PEOPLE, "nobody")


class Target(NamedTuple):
    """Things of Denpasar's that the routes can be asked for."""

    movement_id: int
    alert_id: int
    person_id: int
    transfer_id: int
    """On its way to Badung."""
    proposal_id: int
    destruction_id: int
    delivery_id: int
    delivery_request_id: int
    stocktake_id: int
    exception_id: int
    """Of the closing of TODAY, which counted one card too many."""
    import_id: int
    entry_id: int
    """A file of figures that waits."""
    outreach_plan_id: int
    event_id: int
    day_cap_id: int
    document_id: int
    token: str
    """Of the document's public link."""
    plan_id: int
    draft_id: int
    """Of a plan to send blanks to a district."""
    session_id: int
    """Of another log-in of whoever asks."""
    signed: str
    """Of a link that ends messages."""
    account_id: int
    """A machine of Denpasar's, with a token."""
    token_id: int
    passkey_id: int = 1
    """Nobody's: to remove what is not there does nothing."""

    def fill(self, rule: Rule) -> dict[str, Any]:
        file = "js/webauthn.js" if rule.endpoint == "security.static" else "blangko.css"
        known = {
            "code": DENPASAR,
            "item": BLANK,
            "number": "A1",
            "table": "offices",
            "filename": file,
            "day": TODAY,
            **self._asdict(),
        }
        return {name: known[name] for name in rule.arguments}


TARGETS: dict[str, Target] = {}
"""By the kind of database."""


def fill(world: World) -> None:
    TARGETS[db.engine.dialect.name] = one_of_each(world)


def one_of_each(world: World) -> Target:
    delivery = world.deliver(NOW, TODAY, 25).movements[0].delivery_id
    assert delivery is not None
    delivery_request_id = world.ask(NOW, TODAY, 100)
    transfer_id = world.send(NOW, TODAY, 5)
    world.spoil(NOW, TODAY, 2)
    proposal_id = world.propose_destruction(NOW, TODAY, 2)
    movement = world.print(NOW, TODAY, 18).movements[0]
    stocktake_id = world.stocktake(NOW)
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: world.figures().store + 1}, {BLANK: 20})
    exception_id = closings.open_exceptions(SYSTEM)[0].id
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    alert = alerts.open_alerts(SYSTEM)[0]
    outreach_plan_id = world.plan_outreach(NOW, TODAY, 40)
    event_id, day_cap_id = world.event(NOW, TODAY), world.cap(NOW, TODAY, 50)
    import_id = look("opening", (DENPASAR, "kia", TODAY, 5)).id
    entry_id = send_in_figures(SYSTEM)
    person = next(p for p in people.find(SYSTEM).people if p.email == PEOPLE["storekeeper"][0])
    document = records.issue_delivery(SYSTEM, NOW, delivery, "https://blangko.test")
    token = documents.get(SYSTEM, document.id)[1].link.rpartition("/")[2]
    proposal = allotments.propose_split(SYSTEM, NOW, DENPASAR, BLANK, SplitTerms(quantity=500))
    plan_id = allotments.save(SYSTEM, NOW, uuid4(), proposal, {(DENPASAR, "51.71.01"): 500})
    draft_id = allotments.get(SYSTEM, plan_id).drafts[0].id
    manager = world.actor("manager")
    allowed = Allowed(email=True, telegram=False, services=(), private=False)
    channel_id = channels.add(manager, NOW, ChannelKind.EMAIL, "", channels.usual(manager, NOW), allowed)
    boards.choose(SYSTEM, NOW, uuid4(), DENPASAR, Choice(on=True, item_codes=(BLANK,)), 0)
    make_token()
    [account] = service_accounts.in_reach(SYSTEM)
    db.session.remove()
    return Target(
        movement_id=movement.id,
        alert_id=alert.id,
        person_id=person.id,
        transfer_id=transfer_id,
        proposal_id=proposal_id,
        destruction_id=proposal_id,
        delivery_id=delivery,
        delivery_request_id=delivery_request_id,
        stocktake_id=stocktake_id,
        exception_id=exception_id,
        import_id=import_id,
        entry_id=entry_id,
        outreach_plan_id=outreach_plan_id,
        event_id=event_id,
        day_cap_id=day_cap_id,
        document_id=document.id,
        token=token,
        plan_id=plan_id,
        draft_id=draft_id,
        session_id=0,
        signed=unsubscribe_token(world.app.config["SECRET_KEY"], channel_id),
        account_id=account.id,
        token_id=account.tokens[0].id,
    )


def methods(rule: Rule) -> Iterator[str]:
    yield from sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def action_of(app: Flask, endpoint: str) -> Action | None:
    return getattr(app.view_functions[endpoint], "action", None)


def expected(app: Flask, rule: Rule, actor: Actor | None, paths: dict[str, str]) -> str:
    """ "in", "log in first" or "refused", from the access table alone, for somebody who is known or for nobody."""
    action = action_of(app, rule.endpoint)
    if rule.endpoint.startswith("sign_on."):
        return "refused"  # without a provider there is no such page
    if rule.endpoint in PUBLIC or (rule.endpoint not in LOGGED_IN and action is None):
        return "in"
    if actor is None:
        return "log in first"
    if rule.endpoint in LOGGED_IN:
        return "in"
    assert action is not None
    if rule.arguments <= OF_NO_OFFICE or "session_id" in rule.arguments:
        return "in" if may_somewhere(actor, action) else "refused"
    return "in" if any(may(actor, action, paths[code]) for code in places(rule, action)) else "refused"


def documented(rule: Rule) -> str:
    """The path of a route of the API as its documentation writes it."""
    return re.sub(r"<(?:[^:<>]*:)?([a-z_]+)>", r"{\1}", rule.rule)


def example_of(paths_of_api: dict[str, Any], rule: Rule, method: str) -> Any:
    """The body that the documentation gives as an example."""
    return paths_of_api[documented(rule)][method.lower()]["requestBody"]["content"]["application/json"]["example"]


def places(rule: Rule, action: Action) -> tuple[str, ...]:
    """The offices of which one has to allow it: a transfer has two ends, and is seen from either."""
    if "transfer_id" not in rule.arguments:
        return (DENPASAR,)
    ends = {Action.SEND_TRANSFER: (DENPASAR,), Action.RECEIVE_TRANSFER: (BADUNG,)}
    return ends.get(action, (DENPASAR, BADUNG))


def answer(response: Any) -> str:
    location = response.headers.get("Location", "")
    if response.status_code == 401 or (response.status_code in (302, 303) and location.startswith("/login?")):
        return "log in first"
    return "refused" if response.status_code in (403, 404) else "in"


def test_every_endpoint_says_what_it_asks_for(app: Flask) -> None:
    silent = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in PUBLIC | LOGGED_IN and not hasattr(app.view_functions[rule.endpoint], "action")
    }
    assert silent == set()


@pytest.mark.filled(by=fill)
@pytest.mark.parametrize("name", PERSONS)
def test_each_route_gives_what_the_access_table_says(app: Flask, name: str) -> None:
    with app.app_context():
        target = TARGETS[db.engine.dialect.name]
        actor = None if name == "nobody" else World(app).actor(name)
        paths = {code: offices.get(SYSTEM, Action.VIEW_OFFICE, code).path for code in (DENPASAR, BADUNG)}
    client = app.test_client()
    if name != "nobody":
        log_in(app.test_client(), name)
        with app.app_context():
            target = target._replace(session_id=db.session.scalars(select(func.max(LoginSession.id))).one())
        log_in(client, name)
    data = {"csrf_token": csrf_token(client, "/login" if name == "nobody" else "/change")}
    # The API takes the token as a header, and what its own documentation gives as an example.
    headers = {"X-CSRFToken": data["csrf_token"], "If-Match": '"of another version"'}
    paths_of_api = client.get("/api/v1/openapi.json").get_json()["paths"]
    wrong = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.endpoint == "security.logout"):
        for method in methods(rule):
            with app.test_request_context():
                url = app.url_for(rule.endpoint, **target.fill(rule))
            sent: dict[str, Any] = {"data": data if method == "POST" else None, "headers": headers}
            if rule.endpoint.startswith("api.") and method != "GET":
                sent = {"json": example_of(paths_of_api, rule, method)}
                sent["headers"] = headers | {"Idempotency-Key": str(uuid4())}
            response = client.open(url, method=method, **sent)
            wanted = expected(app, rule, actor, paths)
            response.close()
            if answer(response) != wanted or response.status_code >= 500:
                wrong.append((method, url, response.status_code, wanted))
    assert wrong == []
