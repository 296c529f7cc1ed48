"""What somebody with a stolen cookie, a shared desk or half of the proof tries at accounts, and does not get."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_security import login_user
from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.audit import Event, read_facts
from inventory.domain.errors import Refusal
from inventory.domain.factors import FREE_TRIES
from inventory.models import Person
from inventory.security import factors as edge
from inventory.security import passwords
from inventory.services import people
from inventory.services.audit import MOST_A_MINUTE
from tests.api.client import code_of
from tests.conftest import NOW, TODAY
from tests.services.test_audit import entries
from tests.web.client import csrf_token, log_in, log_in_by_form, log_out, send
from tests.web.factors import (
    asked,
    at,
    code,
    first,
    give_app,
    is_in,
    person_id,
    reader,
    second,
    secret_on,
    setting,
    token,
)
from tests.web.test_stocktakes import client_of, counted
from tests.world import DENPASAR, PASSWORD, PEOPLE, World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""It is about the edge; what the database does is tested with the services."""

EMAIL = PEOPLE["storekeeper"][0]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    at(app, NOW)
    return reader(app)


def auth_token(app: Flask) -> str | bytes:
    """What Flask-Security would hand out to whoever asks for it."""
    with app.test_request_context():
        return db.session.scalars(select(Person).where(Person.email == EMAIL)).one().get_auth_token()


def test_a_token_of_the_librarys_brings_no_ended_session_back(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    assert client.get("/api/v1/session").status_code == 200
    kept = client.get_cookie("blangko")
    assert kept is not None
    headers = {"Authentication-Token": str(auth_token(app))}
    log_out(client)
    client.set_cookie("blangko", kept.value)
    assert client.get("/api/v1/session", headers=headers).status_code == 401
    assert client.get("/account", headers=headers).status_code in (302, 303)
    assert reader(app).get("/account/sessions", headers=headers).status_code in (302, 303)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/login?include_auth_token", {"email": EMAIL, "password": PASSWORD}),
        ("/login", [1]),
        ("/login", {"email": EMAIL, "password": "x\ud800"}),
        ("/login/passkey", {"passkey": 7}),
        ("/login/passkey", [1, 2]),
    ],
)
def test_json_is_no_form(client: FlaskClient, path: str, body: Any) -> None:
    answer = client.post(path, json=body, headers={"X-CSRFToken": csrf_token(client)})
    assert answer.status_code == (415 if "passkey" not in path else 303)
    assert not is_in(client)


# --- a shared desk -----------------------------------------------------------------------------------------------


def test_nothing_of_one_person_is_left_to_the_next_at_the_same_desk(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    theirs = secret_on(client.get("/account/app").text)
    log_out(client)
    with client.session_transaction() as kept:
        assert not {"app_secret", "challenge", "entering", "second", "confirmed_at"} & set(kept)
    with app.test_request_context():
        sealed = edge.factors.sealed(edge.key(), theirs)
    log_in(client, "storekeeper")
    with client.session_transaction() as kept:
        kept["app_secret"] = {"of": person_id(app, "manager"), "it": sealed}
    assert secret_on(client.get("/account/app").text) != theirs, "a secret is one person's"


def test_a_log_in_over_another_forgets_what_that_one_was_offered(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    client.get("/account/app")
    with client.session_transaction() as kept:
        [was] = [kept.get("app_secret")]
        kept["challenge"] = {"for": "new passkey"}
    with app.test_request_context():
        session.update(app_secret=was, challenge={}, entering={})
        login_user(db.session.scalars(select(Person).where(Person.email == PEOPLE["manager"][0])).one())
        assert not {"app_secret", "challenge", "entering"} & set(session)


# --- guesses -----------------------------------------------------------------------------------------------------


def test_guesses_at_the_present_password_are_bounded_whatever_else_is_wrong(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    monkeypatch.setattr(passwords, "verify_password", lambda typed, _kept: bool(looked_at.append(typed)))
    log_in(client, "storekeeper")
    token = csrf_token(client, "/change")
    new = {"new_password": "enam ekor kuda nil", "new_password_confirm": "enam ekor kuda nil"}
    for number in range(20):
        client.post("/change", data={"csrf_token": token, "password": f"guess {number}", **new})
        client.post("/change", data={"csrf_token": token, "password": "x"})
        client.post("/change", data={"csrf_token": token, "password": "x", **new, "new_password_confirm": "y"})
    assert len(looked_at) == FREE_TRIES
    with app.app_context():
        told = [read_facts(row.facts) for row in entries(Event.FACTOR_REFUSED)]
    assert told == [{"factor": "passphrase", "action": "change"}] * FREE_TRIES


def test_who_knows_the_password_holds_the_owners_codes_up_nowhere(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    way = first(client, "manager")
    second(client, way, code=code(NOW))
    thief = reader(app)
    first(thief, "manager")
    for _ in range(6):
        refused = second(thief, way, code="000000")
    assert refused.status_code == 429
    later = NOW + timedelta(seconds=31)
    at(app, later)
    with asked(client):
        assert second(client, "/confirm?next=/alerts", **{"confirm-code": code(later)}).location == "/alerts"
    log_out(client)
    first(client, "manager")
    at(app, later + timedelta(seconds=31))
    assert second(client, way, code=code(later + timedelta(seconds=31))).status_code == 303, "a known device"


def test_recovery_codes_are_bounded_and_the_audit_is_not_flooded(app: Flask, client: FlaskClient) -> None:
    codes = give_app(app, "manager")
    way = first(client, "manager")
    for _ in range(FREE_TRIES):
        assert second(client, way, recovery="-".join(["2222"] * 7)).status_code == 422
    assert second(client, way, recovery=codes[0]).status_code == 429
    token = csrf_token(client, way)
    for _ in range(20):
        client.post("/login/second-factor/passkey", data={"csrf_token": token})
        client.post(way, data={"csrf_token": token, "passkey": "{}"})
    with app.app_context():
        told = entries(Event.FACTOR_REFUSED)
        assert len(told) == MOST_A_MINUTE + 1, "the last one says that more was left out"


# --- passwords that somebody else knows --------------------------------------------------------------------------


def given(app: Flask, name: str) -> None:
    with app.app_context():
        people.set_password(SYSTEM, NOW, person_id(app, name), passwords.hash_password(PASSWORD))
        db.session.remove()


@pytest.mark.parametrize("way", ["page", "command"])
def test_a_first_password_is_changed_before_anything_is_done(app: Flask, client: FlaskClient, way: str) -> None:
    setting(app, SECOND_FACTOR="everybody")
    made = {"email": "baru@denpasar.test", "role": "manager", "office": DENPASAR, "password": "kuda nil di kolam"}
    if way == "page":
        setting(app, SECOND_FACTOR="offered")
        administrator = reader(app)
        log_in(administrator, "administrator")
        assert send(administrator, "/people/new", {"full_name": "Baru", **made}).status_code == 303
        setting(app, SECOND_FACTOR="everybody")
    else:
        words = [word for key in ("role", "office", "password") for word in (f"--{key}", made[key])]
        run = app.test_cli_runner().invoke(args=["people", "add", made["email"], "--name", "Baru", *words])
        assert run.exit_code == 0, run.output
    log_in(client, made["email"])
    for path in ("/", f"/offices/{DENPASAR}", "/account", "/account/app", "/account/sessions"):
        assert client.get(path).location == "/change", path
    assert code_of(client.get("/api/v1/offices")) == "password_to_change"
    assert "knows it" in client.get("/change").text
    new = {"new_password": "enam ekor kuda nil", "new_password_confirm": "enam ekor kuda nil"}
    assert send(client, "/change", {"password": made["password"], **new}).location == "/"
    assert client.get("/account").location == "/account/second-factor", "and now the second factor"
    with app.app_context():
        assert not db.session.scalars(select(Person.password_given).where(Person.email == made["email"])).one()


def test_who_signs_on_elsewhere_never_learnt_a_first_password(app: Flask, client: FlaskClient) -> None:
    given(app, "storekeeper")
    log_in(client, "storekeeper")
    assert client.get("/account").location == "/change"
    with client.session_transaction() as kept:
        kept["by_sign_on"] = True
    assert client.get("/account").status_code == 200


def test_an_administrator_gives_a_new_password_and_so_does_the_command_line(app: Flask, client: FlaskClient) -> None:
    theirs = reader(app)
    log_in(theirs, "manager")
    log_in(client, "administrator")
    path = f"/people/{person_id(app, 'manager')}/password"
    assert path in client.get("/people").text
    assert send(client, path, {"password": "denpasar kepala"}).status_code == 422
    assert send(client, path, {"password": "kuda nil di kolam"}).status_code == 303
    assert not is_in(theirs)
    assert log_in_by_form(reader(app), "manager", "kuda nil di kolam").location == "/"
    own = f"/people/{person_id(app, 'administrator')}/password"
    assert client.get(own).location == "/account"
    other = reader(app)
    log_in(other, "storekeeper")
    assert other.post(path, data=token(other)).status_code == 403
    words = ["people", "set-password", PEOPLE["manager"][0], "--password", "enam ekor kuda nil"]
    assert app.test_cli_runner().invoke(args=words).exit_code == 0
    log_in(theirs, "manager")
    assert theirs.get("/account").location == "/change"
    with app.app_context():
        assert [row.way for row in entries(Event.PASSWORD_GIVEN)] == ["page", "command"]
        assert {row.about_id for row in entries(Event.PASSWORD_GIVEN)} == {person_id(app, "manager")}
        with pytest.raises(Refusal, match="own_password"):
            people.set_password(World(app).actor("administrator"), NOW, person_id(app, "administrator"), "x")


def test_a_password_is_changed_by_who_was_confirmed_lately(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    data = token(client)
    with asked(client):
        assert client.get("/change").location == "/confirm?next=/change"
        held = client.post("/change", data=data | {"password": PASSWORD})
        assert (held.status_code, held.location) == (303, "/confirm?next=/change")


# --- declining is deciding ---------------------------------------------------------------------------------------


def test_a_counted_stocktake_is_declined_by_who_was_confirmed_lately(app: Flask) -> None:
    with app.app_context():
        World(app).deliver(NOW - timedelta(hours=2), TODAY, 1639)
        db.session.remove()
    page = counted(client_of(app, "storekeeper"), "1600")
    approver = client_of(app, "manager")
    data = token(approver)
    with asked(approver):
        assert approver.get(f"{page}/cancel").location.startswith("/confirm?")
        assert approver.post(f"{page}/cancel", data=data | {"why": "x"}).status_code == 403
        headers = {"X-CSRFToken": data["csrf_token"], "Idempotency-Key": "a"}
        path = "/api/v1/stocktakes/1/cancellation"
        assert code_of(approver.post(path, json={"why": "x"}, headers=headers)) == "fresh_factor_needed"
    log_in(approver, "manager")
    assert send(approver, f"{page}/cancel", {"why": "wrong store"}).status_code == 303


# --- what the audit tells of log-ins that were refused -----------------------------------------------------------


def test_refused_log_ins_tell_how_and_whose(app: Flask, client: FlaskClient) -> None:
    token = csrf_token(client)
    client.post("/login", data={"csrf_token": token, "email": EMAIL.upper(), "password": "x"})
    client.post("/login/passkey", data={"csrf_token": token, "passkey": "{}"})
    with app.app_context():
        told = [(row.about_id, read_facts(row.facts)) for row in entries(Event.LOG_IN_REFUSED)]
    assert told == [
        (person_id(app, "storekeeper"), {"how": "password", "reason": "not_let_in"}),
        (None, {"how": "passkey", "reason": "passkey_wrong"}),
    ]
