"""People with second factors, and their way in through the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, session
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from inventory.db import db
from inventory.domain.factors import code_at, step_at
from inventory.models import Person
from inventory.security import factors as edge
from inventory.services import factors
from tests.conftest import NOW
from tests.web.client import csrf_token, fields
from tests.world import PEOPLE, World

SECRET = b"a secret of 20 bytes"


def code(now: datetime, drift: int = 0, secret: bytes = SECRET) -> str:
    return code_at(secret, step_at(now) + drift)


def give_app(app: Flask, name: str, at: datetime = NOW - timedelta(hours=1)) -> tuple[str, ...]:
    """Set an app up for one of the people of `tests.world`, some time ago; their recovery codes."""
    with app.test_request_context():
        actor = World(app).actor(name)
        codes = factors.add_app(actor, at, edge.key(), SECRET, code(at))
        db.session.remove()
    return codes


def reader(app: Flask) -> FlaskClient:
    """Somebody who reads English."""
    client = app.test_client()
    with client.session_transaction() as kept:
        kept["language"] = "en"
    return client


def first(client: FlaskClient, name: str, next_page: str | None = None) -> str:
    """What a right password leads to, without the password's hash; the way on."""
    with client.application.test_request_context(environ_base=client.environ_base):
        person = db.session.scalars(select(Person).where(Person.email == PEOPLE[name][0])).one()
        answer = edge.after_first(person, next_page)
        entered = dict(session)
    with client.session_transaction() as kept:
        kept.update(entered)
    return answer.location


def at(app: Flask, now: datetime) -> None:
    """Let it be `now`."""
    app.config["CLOCK"] = lambda: now


def setting(app: Flask, **settings: Any) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **settings)


def second(client: FlaskClient, path: str = "/login/second-factor", **typed: str) -> TestResponse:
    """Answer the question for the second factor."""
    page = client.get(path)
    assert page.status_code == 200, (path, page.status_code, page.headers.get("Location"))
    return client.post(path, data={**fields(page.text), **typed})


def is_in(client: FlaskClient) -> bool:
    """Whether somebody is logged in."""
    answer = client.get("/account")
    return answer.status_code == 200 and "/logout" in answer.text


def secret_on(page: str) -> bytes:
    """The secret that a page offers to an authenticator app."""
    import base64

    found = re.search(r"<code class=\"digest\">([A-Z2-7 ]+)</code>", page)
    assert found, page
    letters = found[1].replace(" ", "")
    return base64.b32decode(letters + "=" * (-len(letters) % 8))


def person_id(app: Flask, name: str) -> int:
    with app.app_context():
        return db.session.scalars(select(Person.id).where(Person.email == PEOPLE[name][0])).one()


def token(client: FlaskClient) -> dict[str, str]:
    return {"csrf_token": csrf_token(client, "/account")}


@contextmanager
def asked(client: FlaskClient) -> Iterator[None]:
    """A session of which it was confirmed too long ago who is there."""
    with client.session_transaction() as kept:
        kept["confirmed_at"] = 0
    yield
