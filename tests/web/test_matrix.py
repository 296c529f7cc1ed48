"""Every route × method × role × office: Denpasar's things, asked for by people of every role at Denpasar itself, at an
office below, at a sibling, above, and in another province. What a route asks for it says itself (`.action`); who may
have it says the access table; nothing is listed here by hand, so that a new route is in the matrix by being there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from werkzeug.routing import Rule

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Role, may
from inventory.models import Membership, Office, Person
from inventory.services import offices, people
from tests.conftest import NOW
from tests.web import test_access
from tests.web.client import csrf_token, log_in
from tests.web.test_access import LOGGED_IN, PUBLIC, Target, answer, documented, example_of, expected, methods, places
from tests.world import BADUNG, DENPASAR, World

OFFICES = {"own": DENPASAR, "below": "51.71.01", "sibling": BADUNG, "above": "51", "elsewhere": "16.09"}
"""Where somebody holds a role, as seen from Denpasar."""
CROSS = ("below", "sibling", "elsewhere")
SAYS_NOT_YOURS = {
    *("allotments", "closings", "coverage", "events", "imports", "outreach", "proposals", "requests", "stock_cards"),
    *("documents", "movements", "stocktakes", "transfers"),
}
"""What answers 403 for another office's and 404 for none. Their numbers are one series for the whole country, so that
one that is taken tells nothing about any office; what is new answers 404 for both."""
FOR_ITS_AUTHOR = {"api.destructions.withdraw"}
GONE = 2_000_000_000
"""An id that nothing has."""


TARGETS: dict[str, Target] = {}
"""By the kind of database: of the one that is filled here."""


def fill(world: World) -> None:
    TARGETS[db.engine.dialect.name] = test_access.one_of_each(world)
    for role in Role:
        for place, code in OFFICES.items():
            values = {"full_name": f"{role} {place}", "created_at": NOW, "active": True, "fs_uniquifier": uuid4().hex}
            person_id = db.session.execute(
                insert(Person).values(email=email(role, place), **values).returning(Person.id)
            ).scalar_one()
            office_id = db.session.scalar(select(Office.id).where(Office.code == code))
            db.session.execute(insert(Membership).values(person_id=person_id, office_id=office_id, name=role.value))
    db.session.commit()


def email(role: Role, place: str) -> str:
    return f"{role.value}-{place}@matrix.test"


class Visitor:
    """Somebody with one role at one office, logged in."""

    def __init__(self, app: Flask, role: Role, place: str) -> None:
        self.app, self.role, self.place = app, role, place
        with app.app_context():
            person = db.session.scalars(select(Person).where(Person.email == email(role, place))).one()
            self.actor: Actor = people.actor_for(person)
            self.target = TARGETS[db.engine.dialect.name]
            db.session.remove()
        self.client: FlaskClient = app.test_client()
        log_in(self.client, email(role, place))
        self.token = csrf_token(self.client, "/change")
        self.paths_of_api: dict[str, Any] = self.client.get("/api/v1/openapi.json").get_json()["paths"]

    def ask(self, rule: Rule, method: str, **others: Any) -> Any:
        """The answer to a request without any content but the token; `others` replace Denpasar's things."""
        with self.app.test_request_context():
            url = self.app.url_for(rule.endpoint, **(self.target.fill(rule) | others))
        if rule.endpoint.startswith("api."):
            body = {} if method == "GET" else {"json": example_of(self.paths_of_api, rule, method)}
            headers = {"X-CSRFToken": self.token, "Idempotency-Key": str(uuid4()), "If-Match": '"of another version"'}
            query = required(self.paths_of_api, rule, method)
            return self.client.open(url, method=method, headers=headers, query_string=query, **body)
        return self.client.open(url, method=method, data=None if method == "GET" else {"csrf_token": self.token})

    def wrong(self, rule: Rule, method: str, paths: dict[str, str]) -> tuple[Any, ...] | None:
        """What is wrong with the answer, if anything: a right that the table does not give, or one withheld."""
        wanted = expected(self.app, rule, self.actor, paths)
        if "session_id" in rule.arguments:
            wanted = "refused"  # it is nobody's of these
        with self.ask(rule, method) as response:
            if rule.endpoint in FOR_ITS_AUTHOR and response.status_code == 403:
                return None  # an office's own people, too, unless they proposed it
            if answer(response) != wanted or response.status_code >= 500:
                return (str(self.role), self.place, method, rule.rule, response.status_code, wanted)
        return None


def required(paths_of_api: dict[str, Any], rule: Rule, method: str) -> dict[str, Any]:
    """The parameters that an operation cannot do without, as the documentation gives them."""
    found = paths_of_api.get(documented(rule), {}).get(method.lower(), {}).get("parameters", [])
    return {each["name"]: each["schema"]["example"] for each in found if each.get("in") == "query" and each["required"]}


def asked(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every route with each of its methods, what ends the session left out: `test_access` asks for that."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "security.logout":
            for method in methods(rule):
                yield rule, method


def paths_of(app: Flask) -> dict[str, str]:
    with app.app_context():
        return {code: offices.get(SYSTEM, Action.VIEW_OFFICE, code).path for code in (DENPASAR, BADUNG)}


@pytest.mark.filled(by=fill)
def test_who_is_of_another_office_is_refused_by_each_route(app: Flask) -> None:
    """Each route and role from one of the other offices, in turn; the slow test below asks from all of them."""
    paths, wrong, covered = paths_of(app), [], Counter[str]()
    visitors = {(role, place): Visitor(app, role, place) for role in Role for place in CROSS}
    for number, (rule, method) in enumerate(asked(app)):
        for shift, role in enumerate(Role):
            visitor = visitors[role, CROSS[(number + shift) % len(CROSS)]]
            if found := visitor.wrong(rule, method, paths):
                wrong.append(found)
            covered[rule.endpoint] += 1
    print(wrong)
    assert wrong == []
    assert set(covered) == set(app.view_functions) - {"security.logout"} - unrouted(app)


def unrouted(app: Flask) -> set[str]:
    return set(app.view_functions) - {rule.endpoint for rule in app.url_map.iter_rules()}


@pytest.mark.slow
@pytest.mark.filled(by=fill)
@pytest.mark.parametrize("place", OFFICES)
def test_each_route_gives_each_role_of_each_office_what_the_access_table_says(app: Flask, place: str) -> None:
    paths, wrong, number = paths_of(app), [], 0
    for role in Role:
        visitor = Visitor(app, role, place)
        for rule, method in asked(app):
            number += 1
            if found := visitor.wrong(rule, method, paths):
                wrong.append(found)
    assert wrong == []
    assert number == len(Role) * sum(1 for _ in asked(app))


@pytest.mark.slow
@pytest.mark.filled(by=fill)
def test_of_another_office_nothing_shows_whether_it_is_there(app: Flask) -> None:
    """A document of an office that one may not see is answered for as one that does not exist, or at the most as one
    that is somebody else's: never with a word about it."""
    told, names = [], ("Denpasar", "BAST/", "470/", "Storekeeper", "SMA Negeri")
    paths = paths_of(app)
    for role in (Role.STOREKEEPER, Role.MANAGER):
        visitor = Visitor(app, role, "elsewhere")
        for rule in app.url_map.iter_rules():
            ids = [name for name in rule.arguments if name.endswith("_id")]
            if not ids or expected(app, rule, visitor.actor, paths) != "refused":
                continue
            for method in methods(rule):
                theirs, gone = visitor.ask(rule, method), visitor.ask(rule, method, **dict.fromkeys(ids, GONE))
                same = (theirs.status_code, plain(theirs.text)) == (gone.status_code, plain(gone.text))
                says_whose = theirs.status_code == 403 and blueprint(rule) in SAYS_NOT_YOURS
                if not (same or says_whose) or any(name in theirs.text for name in names):
                    told.append((str(role), method, rule.rule, theirs.status_code, gone.status_code))

    print(told)
    assert told == []


def blueprint(rule: Rule) -> str:
    return rule.endpoint.removeprefix("api.").rpartition(".")[0]


def plain(page: str) -> str:
    """A page without what differs from request to request: numbers of the address and tokens."""
    return re.sub(r'[0-9]+|value="[^"]*"|content="[^"]*"', "", page)


@pytest.mark.slow
@pytest.mark.filled(by=fill)
def test_pages_without_an_office_in_their_address_show_nothing_of_another_one(app: Flask) -> None:
    """Nor when they are asked for it by a parameter."""
    target = TARGETS["sqlite" if "sqlite" in str(app.config["SQLALCHEMY_DATABASE_URI"]) else "postgresql"]
    ids = "&".join(f"{name}={value}" for name, value in target._asdict().items())
    naming = f"?office={DENPASAR}&code={DENPASAR}&office_code={DENPASAR}&q=Denpasar&table=movements&{ids}&number=A1"
    seen = []
    for role in Role:
        visitor = Visitor(app, role, "elsewhere")
        for rule, method in asked(app):
            if method != "GET" or rule.arguments or rule.endpoint in PUBLIC or open_to_all(app, rule):
                continue
            for query in ("", naming):
                with visitor.client.get(rule.rule + query) as response:
                    page = response.get_data(as_text=True)
                if response.status_code < 400 and any(name in page for name in ("Kota Denpasar", "Denpasar Selatan")):
                    seen.append((str(role), rule.rule + query[:20], response.status_code))
    assert seen == []


def open_to_all(app: Flask, rule: Rule) -> bool:
    """What anybody may read on purpose: the public boards."""
    return rule.endpoint not in LOGGED_IN and getattr(app.view_functions[rule.endpoint], "action", None) is None


@pytest.mark.filled(by=fill)
def test_no_route_gives_less_than_it_asks_for(app: Flask) -> None:
    """The table lets somebody in everywhere: an action that nobody holds would make its routes dead."""
    paths = paths_of(app)
    actors = [Visitor(app, role, place).actor for role in Role for place in ("own", "above", "sibling")]
    dead = []
    for rule, _method in asked(app):
        action = test_access.action_of(app, rule.endpoint)
        if action is not None and rule.arguments:
            ends = [paths[code] for code in places(rule, action)]
            if not any(may(actor, action, path) for actor in actors for path in ends):
                dead.append(rule.rule)
    assert dead == []
