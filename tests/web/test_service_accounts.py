"""The pages on which an administrator makes machines' accounts, shows a token once, and ends both."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.models import Person
from inventory.services import service_accounts
from inventory.services.service_accounts import ServiceAccountView
from tests.api.client import Caller, code_of
from tests.web.client import fields, in_language, log_in, send
from tests.world import DENPASAR

NEW = {
    "name": "Sistem antrean",
    "purpose": "antrean loket",
    "office": DENPASAR,
    "scopes": ["stock:read", "movements:write"],
}


@pytest.fixture
def administrator(app: Flask) -> FlaskClient:
    client = app.test_client()
    log_in(client, "administrator")
    in_language(client, "en")
    return client


def make(client: FlaskClient) -> str:
    """The address of a new account's page."""
    return send(client, "/service-accounts/new", NEW).headers["Location"]


def account_of(app: Flask) -> ServiceAccountView:
    """The one account that there is."""
    with app.app_context():
        [account] = service_accounts.in_reach(SYSTEM)
        return account


def secret_in(page: str) -> str:
    found = re.search(r"blk_[\w-]{43}", page)
    assert found
    return found[0]


def test_a_token_is_shown_once_and_opens_the_api(administrator: FlaskClient, app: Flask) -> None:
    page = make(administrator)
    shown = send(administrator, page, {"name": "server 1", "lasts": "90"})
    assert shown.status_code == 201
    assert shown.headers["Cache-Control"] == "no-store"
    secret = secret_in(shown.text)
    machine = Caller(app, secret)
    told: Any = machine.get("/session").json
    assert (told["kind"], told["name"], told["scopes"]) == ("service", NEW["name"], NEW["scopes"])
    again = administrator.get(page).text
    assert secret not in again
    assert secret[:12] in again
    assert "127.0.0.1" in again, "where it was used last"
    assert account_of(app).last_used_at is not None
    assert NEW["name"] in administrator.get("/service-accounts").text


def test_a_form_sent_twice_makes_one_account_and_one_token(administrator: FlaskClient, app: Flask) -> None:
    form = {**fields(administrator.get("/service-accounts/new").text), **NEW}
    first, second = (administrator.post("/service-accounts/new", data=form) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    page = first.headers["Location"]
    token = {**fields(administrator.get(page).text), "name": "server 1", "lasts": "30"}
    assert administrator.post(page, data=token).status_code == 201
    repeated = administrator.post(page, data=token)
    assert repeated.status_code == 409
    assert "blk_" not in re.sub(r"blk_[\w-]{8}…", "", repeated.text)
    assert len(account_of(app).tokens) == 1


def test_revoking_and_closing_shut_the_machine_out_at_once(administrator: FlaskClient, app: Flask) -> None:
    page = make(administrator)
    machines = [Caller(app, secret_in(send(administrator, page, {"name": n}).text)) for n in ("a", "b")]
    assert [machine.get("/session").status_code for machine in machines] == [200, 200]
    newest = account_of(app).tokens[0]
    assert send(administrator, page, {}, action=f"{page}/tokens/{newest.id}/revoke").status_code == 303
    assert [machine.get("/session").status_code for machine in machines] == [200, 401]
    assert send(administrator, page, {}, action=f"{page}/close").status_code == 303
    assert code_of(machines[0].get("/session")) == "token_not_good"
    closed = administrator.get(page).text
    assert "Make a token" not in closed
    assert account_of(app).closed_at is not None


def test_a_refused_form_keeps_what_was_typed(administrator: FlaskClient) -> None:
    wrong = send(administrator, "/service-accounts/new", NEW | {"office": "99.99"})
    assert wrong.status_code == 404
    assert 'value="99.99"' in wrong.text
    assert NEW["name"] in wrong.text
    none = send(administrator, "/service-accounts/new", NEW | {"scopes": []})
    assert "at least one scope" in none.text
    elsewhere = send(administrator, "/service-accounts/new", NEW | {"office": "16.09"})
    assert elsewhere.status_code == 403


def test_machines_are_no_people_and_cannot_log_in(administrator: FlaskClient, app: Flask) -> None:
    make(administrator)
    assert NEW["name"] not in administrator.get("/people").text
    with app.app_context():
        [machine] = db.session.scalars(select(Person).where(Person.kind == "service"))
    assert machine.email.endswith("@service.invalid")
    client = app.test_client()
    form = fields(client.get("/login").text)
    for password in ("", "kata sandi untuk uji"):
        answer = client.post("/login", data={**form, "email": machine.email, "password": password})
        assert answer.status_code == 200, "the form again"
    assert client.get("/").headers["Location"].startswith("/login")


def test_the_documentation_names_every_operation(app: Flask) -> None:
    client = app.test_client()
    spec: Any = client.get("/api/v1/openapi.json").json
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    for path, methods in spec["paths"].items():
        assert path in page.text
        for method, told in methods.items():
            if method != "parameters":
                assert f'id="{told["operationId"]}"' in page.text
    assert "curl -X POST" in page.text
    assert "Dokumentasi API" in page.text
