"""Logging in by the form: what it tells, what it counts, and who gets in while somebody guesses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select, update

from inventory.db import db, write
from inventory.domain.sessions import digest
from inventory.models import KnownDevice, LoginSession, LogInTries, Person
from inventory.security import lockout
from tests.conftest import NOW
from tests.web.client import csrf_token, in_language, log_in, log_in_by_form, log_out
from tests.world import PASSWORD, PEOPLE

OWNER = PEOPLE["storekeeper"][0]
WRONG = "bukan kata sandinya"
DEVICE = "blangko-device"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def administrator(app: Flask) -> FlaskClient:
    client = app.test_client()
    log_in(client, "administrator")
    return client


class Counting:
    """How often a password was held against which hash, without the cost of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[str] = []
        monkeypatch.setattr(lockout, "verify_password", self.verify)

    def verify(self, password: str, kept: str) -> bool:
        self.hashes.append(kept)
        return password == PASSWORD


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def guess(client: FlaskClient, email: str = OWNER, password: str = WRONG, address: str = "203.0.113.9") -> Any:
    data = {"email": email, "password": password, "csrf_token": csrf_token(client)}
    return client.post("/login", data=data, environ_overrides={"REMOTE_ADDR": address})


def shown(answer: Any) -> str:
    """The page without what differs each time and what was typed."""
    page = re.sub(r'name="csrf_token"[^>]*value="[^"]+"', "", answer.text)
    return re.sub(r'(name="email"[^>]*value=")[^"]*', r"\1", page)


def in_language_of(client: FlaskClient, language: str) -> None:
    data = {"language": language, "next": "/login", "csrf_token": csrf_token(client)}
    assert client.post("/language", data=data).status_code == 303


def shut_out(name: str) -> None:
    write(lambda s: s.execute(update(Person).where(Person.email == PEOPLE[name][0]).values(active=False)))


@pytest.fixture
def kinds(app: Flask) -> dict[str, tuple[str, str]]:
    """Log-ins that all fail, for different reasons: e-mail address and password."""
    with app.app_context():
        shut_out("viewer")
        without = update(Person).where(Person.email == PEOPLE["manager"][0]).values(password=None)
        write(lambda s: s.execute(without))
        db.session.remove()
    return {
        "wrong": (OWNER, WRONG),
        "unknown": ("tidak@ada.test", WRONG),
        "unknown, with somebody's password": ("tidak@ada.test", PASSWORD),
        "shut out": (PEOPLE["viewer"][0], PASSWORD),
        "no password of its own": (PEOPLE["manager"][0], PASSWORD),
        "too long": (OWNER, "x" * 5_000),
        "no text": (OWNER, "\x00" * 20),
    }


# --- nothing is told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_log_in_that_fails_looks_the_same(
    app: Flask, kinds: dict[str, tuple[str, str]], counting: Counting, language: str
) -> None:
    pages = {}
    for name, (email, password) in kinds.items():
        client = app.test_client()
        in_language_of(client, language)
        answer = guess(client, email, password)
        pages[name] = (answer.status_code, sorted(answer.headers.keys()), shown(answer))
    assert len({repr(page) for page in pages.values()}) == 1, pages.keys()
    assert len(counting.hashes) == len(kinds), "each is held against one hash, there or not"


def test_every_log_in_that_fails_answers_programs_the_same(
    app: Flask, kinds: dict[str, tuple[str, str]], counting: Counting
) -> None:
    answers = set()
    for email, password in kinds.values():
        client = app.test_client()
        data = {"email": email, "password": password}
        headers = {"Accept": "application/json", "X-CSRFToken": csrf_token(client)}
        answer = client.post("/login", data=data, headers=headers)
        body = answer.get_json()
        answers.add((answer.status_code, repr(body["response"]["field_errors"]), repr(body["response"]["errors"])))
    assert len(answers) == 1


def test_a_hash_of_nobodys_costs_what_an_accounts_does(app: Flask) -> None:
    with app.app_context():
        kept = db.session.scalar(select(Person.password).where(Person.email == OWNER)) or ""
    cost = re.match(r"\$argon2id\$v=\d+\$m=(\d+),t=(\d+),p=(\d+)\$", kept)
    assert cost, kept[:20]
    assert app.extensions["nobodys_password"].startswith(cost[0])
    assert int(cost[1]) >= 19_456, "kilobytes: the least that OWASP recommends"
    assert int(cost[2]) >= 2


@pytest.mark.parametrize("email", [OWNER, "tidak@ada.test"])
def test_a_locked_account_answers_429_whether_it_exists_or_not(
    client: FlaskClient, counting: Counting, email: str
) -> None:
    before = [guess(client, email) for _ in range(10)]
    assert {answer.status_code for answer in before} == {200}
    evaluated = len(counting.hashes)
    locked, right = guess(client, email), guess(client, email, PASSWORD)
    for answer in (locked, right):
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
        assert "Terlalu banyak percobaan" in answer.text or "too many tries" in answer.text
    assert shown(locked) == shown(right), "nobody learns by this that a guess was right"
    assert len(counting.hashes) == evaluated == 10
    wrong = re.search(r'role="alert">([^<]+)', before[0].text)
    told = re.search(r'role="alert">([^<]+)', locked.text)
    assert wrong
    assert told
    assert wrong[1].strip() in told[1], "the words of a wrong password, and a hint"


def test_tries_in_other_letters_are_at_the_same_account(client: FlaskClient, counting: Counting) -> None:
    for count in range(10):
        guess(client, OWNER.upper() if count % 2 else OWNER.replace("gudang", "GuDang"))
    assert guess(client).status_code == 429


def test_an_empty_form_counts_nothing(app: Flask, client: FlaskClient) -> None:
    for _ in range(12):
        assert guess(client, OWNER, "").status_code == 200
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(LogInTries)) == 0


# --- the owner gets in -------------------------------------------------------------------------------------------


def test_the_owners_own_device_gets_in_during_an_attack(app: Flask, client: FlaskClient, counting: Counting) -> None:
    assert log_in_by_form(client, "storekeeper").status_code == 302
    log_out(client)
    attacker = app.test_client()
    for _ in range(10):
        guess(attacker)
    assert guess(attacker, password=PASSWORD).status_code == 429
    assert guess(app.test_client(), password=PASSWORD, address="198.51.100.1").status_code == 429
    assert guess(client, password=PASSWORD).status_code == 302
    assert client.get("/offices/51.71").status_code == 200


def test_the_device_has_a_key_of_its_own_that_says_nothing(app: Flask, client: FlaskClient, counting: Counting) -> None:
    answer = log_in_by_form(client, "storekeeper")
    [cookie] = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith(f"{DEVICE}=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    key = client.get_cookie(DEVICE)
    assert key
    assert len(key.value) >= 43
    with app.app_context():
        assert db.session.scalars(select(KnownDevice.digest)).all() == [digest(key.value)]
    log_out(client)
    log_in_by_form(client, "storekeeper")
    after = client.get_cookie(DEVICE)
    assert after
    assert after.value != key.value, "a key that somebody planted or copied dies at the next log-in"
    with app.app_context():
        assert db.session.scalars(select(KnownDevice.digest)).all() == [digest(after.value)]


def test_in_production_the_devices_cookie_is_bound_to_the_host(app: Flask, counting: Counting) -> None:
    app.config.update(SESSION_COOKIE_NAME="__Host-blangko", SESSION_COOKIE_SECURE=True)
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login", base_url="https://localhost").text)
    assert token
    data = {"email": OWNER, "password": PASSWORD, "csrf_token": token[1]}
    answer = client.post("/login", data=data, base_url="https://localhost", headers={"Referer": "https://localhost/"})
    assert answer.status_code == 302
    [cookie] = [each for each in answer.headers.getlist("Set-Cookie") if "-device=" in each]
    assert cookie.startswith("__Host-blangko-device=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


def test_a_device_that_guesses_five_times_is_a_stranger(app: Flask, client: FlaskClient, counting: Counting) -> None:
    log_in_by_form(client, "storekeeper")
    log_out(client)
    attacker = app.test_client()
    for _ in range(10):
        guess(attacker)
    for _ in range(5):
        assert guess(client).status_code == 200
    assert guess(client, password=PASSWORD).status_code == 429


def test_a_mistyped_password_costs_the_owner_nothing(app: Flask, client: FlaskClient, counting: Counting) -> None:
    log_in_by_form(client, "storekeeper")
    log_out(client)
    for _ in range(3):
        for _ in range(2):
            assert guess(client).status_code == 200
        assert guess(client, password=PASSWORD).status_code == 302
        log_out(client)
    with app.app_context():
        assert db.session.scalars(select(LogInTries.tries)).all() in ([], [0, 0])


# --- administrators ----------------------------------------------------------------------------------------------


def test_an_administrator_sees_the_lock_and_lifts_it(
    app: Flask, administrator: FlaskClient, counting: Counting
) -> None:
    in_language(administrator, "en")
    assert "Too many wrong passwords" not in administrator.get("/people").text
    attacker = app.test_client()
    for count in range(10):
        guess(attacker, address=f"203.0.113.{count % 4}")
    page = administrator.get("/people").text
    assert "Too many wrong passwords, from 4 addresses: new devices wait until" in page
    person = re.search(r'action="(/people/\d+/unlock)"', page)
    assert person
    token = csrf_token(administrator, "/account")
    assert administrator.post(person[1], data={"csrf_token": token}).status_code == 303
    assert "Too many wrong passwords" not in administrator.get("/people").text
    assert guess(attacker).status_code == 200
    assert administrator.post("/people/9999/unlock", data={"csrf_token": token}).status_code == 404


def test_a_lock_ends_by_itself(app: Flask, client: FlaskClient, counting: Counting) -> None:
    for _ in range(10):
        guess(client)
    app.config["CLOCK"] = lambda: NOW + timedelta(minutes=15)
    assert guess(client, password=PASSWORD).status_code == 302


# --- what a log-in renews ----------------------------------------------------------------------------------------


def test_a_log_in_renews_what_the_browser_carried_before(app: Flask, client: FlaskClient, counting: Counting) -> None:
    planted = csrf_token(client)
    log_in_by_form(client, "storekeeper")
    assert client.post("/language", data={"language": "en", "csrf_token": planted}).status_code == 400
    with client.session_transaction() as session:
        first = session["login"]
    log_out(client)
    log_in_by_form(client, "storekeeper")
    with client.session_transaction() as session:
        assert session["login"] != first
    with app.app_context():
        rows = {row.digest: row.end_reason for row in db.session.scalars(select(LoginSession))}
    assert rows[digest(first)] == "logged_out"
    assert list(rows.values()).count(None) == 1


def test_a_cookie_without_its_row_is_worth_nothing(app: Flask, client: FlaskClient) -> None:
    """Signed by ourselves or not: a leaked signing key alone logs nobody in."""
    log_in(client, "storekeeper")
    assert client.get("/offices/51.71").status_code == 200
    with app.app_context():
        write(lambda session: session.execute(delete(LoginSession)))
    assert client.get("/offices/51.71").status_code == 302
    with client.session_transaction() as session:
        del session["login"]
    assert client.get("/offices/51.71").status_code == 302


@pytest.mark.slow
def test_the_bench_tells_medians_and_ratios_of_log_ins() -> None:
    from inventory.bench import log_ins

    figures = {figure.figure: figure for figure in log_ins.measure(tries=2)}
    assert len(figures) == 8
    assert all(figure.value > 0 for figure in figures.values())
