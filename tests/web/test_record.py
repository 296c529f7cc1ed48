"""What the edge writes into the audit: log-ins, log-outs and what was refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.domain.audit import Event, read_facts
from inventory.models import AuditEntry
from inventory.services import audit
from tests.conftest import NOW
from tests.services import test_audit
from tests.web.client import csrf_token, log_in, log_in_by_form
from tests.world import PASSWORD, PEOPLE

ADDRESS = "10.1.2.3"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = ADDRESS
    return client


@pytest.fixture
def person_ids(app: Flask) -> dict[str, int]:
    with app.app_context():
        return {name: test_audit.person_id(name) for name in PEOPLE}


def entries(client: FlaskClient, event: Event) -> list[AuditEntry]:
    with client.application.app_context():
        return test_audit.entries(event)


def only(client: FlaskClient, event: Event) -> AuditEntry:
    [found] = entries(client, event)
    return found


def facts(client: FlaskClient, event: Event) -> list[dict[str, object]]:
    return [read_facts(entry.facts) for entry in entries(client, event)]


def enter(client: FlaskClient, name: str) -> None:
    with client.application.app_context():
        log_in(client, name)


def post_log_in(client: FlaskClient, email: str, password: str) -> int:
    values = {"email": email, "password": password, "csrf_token": csrf_token(client)}
    return client.post("/login", data=values).status_code


def test_a_log_in_and_a_log_out_are_written(client: FlaskClient, person_ids: dict[str, int]) -> None:
    log_in_by_form(client, "storekeeper")
    found = only(client, Event.LOGGED_IN)
    assert (found.person_id, found.actor_name) == (person_ids["storekeeper"], "Storekeeper")
    assert (found.way, found.address, found.at) == ("page", ADDRESS, NOW)
    assert facts(client, Event.LOGGED_IN) == [{"how": ["password"]}]
    client.post("/logout", data={"csrf_token": csrf_token(client, "/offices")})
    assert only(client, Event.LOGGED_OUT).person_id == person_ids["storekeeper"]


def test_a_wrong_password_is_written_about_the_account_and_without_what_was_typed(
    client: FlaskClient, person_ids: dict[str, int]
) -> None:
    post_log_in(client, PEOPLE["storekeeper"][0].upper(), "this is not the password")
    found = only(client, Event.LOG_IN_REFUSED)
    assert (found.person_id, found.about_id, found.address) == (None, person_ids["storekeeper"], ADDRESS)
    assert facts(client, Event.LOG_IN_REFUSED) == [{"how": "password", "reason": "not_let_in"}]
    assert "not the password" not in found.subject + found.facts
    assert entries(client, Event.LOGGED_IN) == []


@pytest.mark.parametrize("email", ["nobody@example.test", PASSWORD, "", "a\x00b"])
def test_an_address_that_nobody_has_is_not_kept(client: FlaskClient, email: str) -> None:
    post_log_in(client, email, "this is not the password")
    found = only(client, Event.LOG_IN_REFUSED)
    assert (found.person_id, found.about_id, found.subject) == (None, None, "")


def test_guesses_do_not_fill_the_disk(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_A_MINUTE", 2)
    for _ in range(4):
        post_log_in(client, PEOPLE["storekeeper"][0], "")
    assert len(entries(client, Event.LOG_IN_REFUSED)) == 3  # the last says that more was left out


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [
        ("storekeeper", "/people", "not_allowed"),
        ("storekeeper", "/offices/51.03/stock-card/ktp-wni", "not_allowed"),
        ("viewer", "/transfers/77", "transfer_not_found"),
        ("manager", "/offices/99.99", "office_not_found"),
    ],
)
def test_who_was_refused_what_is_written(
    client: FlaskClient, person_ids: dict[str, int], name: str, path: str, code: str
) -> None:
    enter(client, name)
    assert client.get(path).status_code in (403, 404)
    found = only(client, Event.REFUSED)
    assert (found.person_id, found.subject, found.address) == (person_ids[name], path, ADDRESS)
    assert facts(client, Event.REFUSED)[0]["refusal"] == code


def test_what_a_form_and_a_phone_are_refused_is_written(client: FlaskClient) -> None:
    enter(client, "administrator")
    values = {"full_name": "A", "email": "a@example.test", "role": "viewer", "office": "99.99", "password": PASSWORD}
    token = csrf_token(client, "/people/new")
    assert client.post("/people/new", data=values | {"csrf_token": token}).status_code == 404
    client.post("/logout", data={"csrf_token": token})
    enter(client, "viewer")
    headers = {"X-CSRFToken": csrf_token(client, "/offices/51.03")}
    assert client.post("/offline/entries", json={}, headers=headers).status_code == 403
    found = [(entry.subject, entry.actor_name) for entry in entries(client, Event.REFUSED)]
    assert found == [("/people/new", "Administrator"), ("/offline/entries", "Viewer")]


def test_a_page_that_there_is_not_and_a_visitor_are_no_refusal(client: FlaskClient) -> None:
    client.get("/people")
    client.get("/board/99.99")
    enter(client, "storekeeper")
    client.get("/nothing-here")
    client.get("/offices/51.71")
    assert entries(client, Event.REFUSED) == []


def test_a_refusal_is_seen_even_when_the_audit_cannot_be_written(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "record_refusal", broken)
    enter(client, "storekeeper")
    assert client.get("/people").status_code == 403


def test_a_password_that_was_changed_is_written(client: FlaskClient, person_ids: dict[str, int]) -> None:
    log_in_by_form(client, "storekeeper")
    new = "kata sandi yang baru sekali"
    values = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
    client.post("/change", data=values | {"csrf_token": csrf_token(client, "/change")})
    assert only(client, Event.PASSWORD_CHANGED).person_id == person_ids["storekeeper"]


def test_what_people_take_along_is_written_with_where_they_sat(client: FlaskClient, person_ids: dict[str, int]) -> None:
    enter(client, "manager")
    client.get("/exports?table=balances&format=csv&office=51.71")
    found = only(client, Event.EXPORTED)
    assert (found.person_id, found.address, found.subject) == (person_ids["manager"], ADDRESS, "balances")
    assert read_facts(found.facts) == {"format": "csv", "rows": 0, "table": "balances"}
