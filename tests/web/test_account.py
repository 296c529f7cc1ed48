"""One's own account: setting second factors up and removing them, and passwords that are taken and refused."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from inventory.db import db
from inventory.domain.audit import Event
from inventory.models import AuthenticatorApp, Person
from inventory.services import factors
from tests.conftest import NOW
from tests.passkey import SoftKey
from tests.services.test_audit import entries
from tests.web.client import fields, log_in, send
from tests.web.factors import asked, at, code, give_app, is_in, person_id, reader, secret_on, setting, token
from tests.web.test_factors import enrol
from tests.world import PASSWORD, PEOPLE

NEW = "sepeda biru di loteng"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    at(app, NOW)
    return reader(app)


def held(app: Flask, name: str) -> int:
    with app.app_context():
        return factors.of_person(person_id(app, name)).number


def change(client: FlaskClient, new: str, *, again: str | None = None, present: str = PASSWORD) -> str:
    typed = {"password": present, "new_password": new, "new_password_confirm": new if again is None else again}
    answer = send(client, "/change", typed)
    return answer.location or answer.text


# --- an app ------------------------------------------------------------------------------------------------------


def test_an_app_is_set_up_by_its_first_code(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    page = client.get("/account/app")
    assert 'src="data:image/svg+xml' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    secret = secret_on(page.text)
    assert secret_on(client.get("/account/app").text) == secret, "opened again it is the same that was scanned"
    wrong = client.post("/account/app", data={**fields(page.text), "code": "000000"})
    assert wrong.status_code == 422
    assert secret_on(wrong.text) == secret
    assert held(app, "storekeeper") == 0
    shown = client.post("/account/app", data={**fields(page.text), "code": code(NOW, secret=secret)})
    assert shown.status_code == 200
    assert len(re.findall(r"<li><code>[-2-9a-z]{34}</code>", shown.text)) == 10
    assert held(app, "storekeeper") == 1
    assert is_in(client)
    with client.session_transaction() as kept:
        assert "app_secret" not in kept


def test_the_secret_cannot_be_read_from_the_cookie(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    secret = secret_on(client.get("/account/app").text)
    with client.session_transaction() as kept:
        said = str(dict(kept))
    import base64

    assert secret.hex() not in said
    assert base64.b64encode(secret).decode() not in said
    assert base64.b32encode(secret).decode() not in said


def test_recovery_codes_are_shown_once_and_made_anew(app: Flask, client: FlaskClient) -> None:
    old = give_app(app, "storekeeper")
    log_in(client, "storekeeper")
    assert "10 are left" in client.get("/account").text
    page = client.get("/account/recovery-codes")
    assert not any(each in page.text for each in old)
    shown = client.post("/account/recovery-codes", data=token(client))
    new = re.findall(r"<li><code>([-2-9a-z]{34})</code>", shown.text)
    assert len(new) == 10
    assert not set(new) & set(old)
    assert shown.headers["Cache-Control"] == "no-store"


def test_a_storekeeper_removes_the_last_one_and_a_manager_does_not(app: Flask, client: FlaskClient) -> None:
    setting(app, SECOND_FACTOR="managers")
    for name, left in (("storekeeper", 0), ("manager", 1)):
        give_app(app, name)
        each = reader(app)
        log_in(each, name)
        with each.session_transaction() as kept:
            kept["second"] = True
        answer = each.post("/account/app/remove", data=token_of(each))
        assert held(app, name) == left
        assert answer.status_code == (409 if left else 303)
        assert is_in(each)
        assert ("only one" in answer.text) is bool(left)


def token_of(client: FlaskClient) -> dict[str, str]:
    return {"csrf_token": fields(client.get("/account/app").text)["csrf_token"][0]}


def test_a_passkey_is_removed_by_its_own_person_only(app: Flask, client: FlaskClient) -> None:
    key = SoftKey()
    log_in(client, "storekeeper")
    enrol(client, key, "kunci biru")
    [found] = re.findall(r"/account/passkeys/(\d+)/remove", client.get("/account").text)
    other = reader(app)
    log_in(other, "other_storekeeper")
    other.post(f"/account/passkeys/{found}/remove", data=token(other))
    assert held(app, "storekeeper") == 1
    assert client.post(f"/account/passkeys/{found}/remove", data=token(client)).status_code == 303
    assert client.post(f"/account/passkeys/{found}/remove", data=token(client)).status_code == 303, "twice is once"
    assert held(app, "storekeeper") == 0


def test_a_passkey_needs_its_name_and_a_true_answer(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    assert enrol(client, SoftKey(), "").status_code == 422
    assert enrol(client, SoftKey("https://elsewhere.test")).status_code == 422
    page = fields(client.get("/account/passkeys").text)
    for answer in ("", "{}", "nonsense", "x" * 30_000):
        assert client.post("/account/passkeys", data={**page, "name": "a", "passkey": answer}).status_code == 422
    assert held(app, "storekeeper") == 0


def test_changes_to_factors_ask_who_is_there(app: Flask, client: FlaskClient) -> None:
    give_app(app, "storekeeper")
    log_in(client, "storekeeper")
    data = token(client)
    paths = ("app", "app/remove", "passkeys", "passkeys/1/remove", "recovery-codes")
    with asked(client):
        for path in paths:
            assert client.post(f"/account/{path}", data=data).status_code == 403, path
        assert client.post("/account/passkeys/options", data=data).status_code == 403
        assert client.get("/account").status_code == 200
    assert held(app, "storekeeper") == 1


# --- other people's ----------------------------------------------------------------------------------------------


def test_an_administrator_takes_a_lost_factor_away(app: Flask, client: FlaskClient) -> None:
    give_app(app, "manager")
    theirs = reader(app)
    log_in(theirs, "manager")
    log_in(client, "administrator")
    path = f"/people/{person_id(app, 'manager')}/second-factor"
    assert path in client.get("/people").text
    answer = send(client, path, {})
    assert answer.status_code == 303
    assert "no second factor any more" in client.get("/people").text
    assert held(app, "manager") == 0
    assert not is_in(theirs)
    assert "has no second factor" in client.get(path).text


def test_nobody_else_does_nor_for_themselves(app: Flask, client: FlaskClient) -> None:
    for name in ("manager", "administrator"):
        give_app(app, name)
    log_in(client, "administrator")
    own = f"/people/{person_id(app, 'administrator')}/second-factor"
    assert "Take the second factor away" not in client.get(own).text
    assert client.post(own, data=token(client)).status_code == 409
    for name in ("storekeeper", "manager", "regional"):
        other = reader(app)
        log_in(other, name)
        path = f"/people/{person_id(app, 'manager')}/second-factor"
        assert other.post(path, data=token(other)).status_code == 403
    assert held(app, "administrator") == held(app, "manager") == 1


def test_the_command_line_helps_the_only_administrator(app: Flask) -> None:
    give_app(app, "administrator")
    run = app.test_cli_runner().invoke(args=["people", "remove-factors", PEOPLE["administrator"][0]])
    assert run.exit_code == 0, run.output
    assert "no second factor any more" in run.output
    assert held(app, "administrator") == 0
    with app.app_context():
        assert entries(Event.FACTOR_REMOVED)[-1].way == "command"
    again = app.test_cli_runner().invoke(args=["people", "remove-factors", "nobody@nowhere.test"])
    assert again.exit_code != 0


# --- passwords ---------------------------------------------------------------------------------------------------


def test_a_good_password_is_taken_and_ends_other_sessions(app: Flask, client: FlaskClient) -> None:
    other = reader(app)
    for each in (client, other):
        log_in(each, "storekeeper")
    assert change(client, NEW) == "/"
    assert is_in(client)
    assert not is_in(other)
    with app.app_context():
        [told] = entries(Event.PASSWORD_CHANGED)
        assert told.person_id == person_id(app, "storekeeper")
        assert told.way == "page"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("s3pEda-b!ru#99", "at least 15 characters"),
        ("sepeda biru di loteng " * 6, "more than 128"),
        ("bhinneka tunggal ika", "Many people would choose"),
        ("qwertyuiopasdfgh", "Many people would choose"),
        ("gudang denpasar test", "Who knows you"),
    ],
)
def test_a_bad_one_is_refused_and_says_why(client: FlaskClient, new: str, said: str) -> None:
    log_in(client, "storekeeper")
    assert said in change(client, new)


def test_administrators_give_no_bad_first_password(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    typed = {"full_name": "Ni Luh Widhiasih", "email": "widhiasih@denpasar.test", "role": "viewer", "office": "51.71"}
    for bad in ("short", "passwordpassword", "luh widhiasih 2024"):
        answer = send(client, "/people/new", {**typed, "password": bad})
        assert answer.status_code == 422, bad
        assert 'value="Ni Luh Widhiasih"' in answer.text, "what was typed stays"
        assert bad not in answer.text
    assert send(client, "/people/new", {**typed, "password": NEW}).status_code == 303


def test_the_command_line_takes_no_bad_password(app: Flask) -> None:
    words = ["people", "add", "baru@denpasar.test", "--name", "Baru", "--role", "viewer", "--office", "51.71"]
    for bad in ("too short", "bhinneka tunggal ika"):
        run = app.test_cli_runner().invoke(args=[*words, "--password", bad])
        assert run.exit_code != 0, bad
    assert app.test_cli_runner().invoke(args=[*words, "--password", NEW]).exit_code == 0


def test_a_password_works_from_every_keyboard(app: Flask, client: FlaskClient) -> None:
    """The same letters, composed by one system and decomposed by another."""
    import unicodedata

    from tests.web.client import log_in_by_form

    new = "crème brûlée à la carte"
    log_in(client, "storekeeper")
    assert change(client, unicodedata.normalize("NFC", new)) == "/"
    for form in ("NFC", "NFD"):
        other = reader(app)
        log_in_by_form(other, "storekeeper", password=unicodedata.normalize(form, new))
        assert is_in(other), form


def test_nothing_secret_of_a_factor_is_left_in_the_clear(app: Flask) -> None:
    give_app(app, "manager")
    with app.app_context():
        kept = db.session.scalars(select(AuthenticatorApp.secret)).one()
        hashes = db.session.scalars(select(Person.password)).all()
    assert kept.startswith("gAAAA"), "encrypted by Fernet"
    assert all(each and each.startswith("$argon2id$") for each in hashes)
