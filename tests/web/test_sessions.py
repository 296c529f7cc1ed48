"""Sessions in the browser: the page about them, how they end, and two processes that know of the same ones."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import TimestampSigner
from sqlalchemy import event, select

from inventory.db import db
from inventory.models import LoginSession
from tests.conftest import NOW
from tests.web.client import csrf_token, in_language, log_in, log_in_by_form, log_out
from tests.web.server import Browser, Server
from tests.world import DENPASAR, PASSWORD, PEOPLE

HOME = f"/offices/{DENPASAR}"
PAGE = "/account/sessions"
PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return entered(app)


def entered(app: Flask, name: str = "storekeeper", **environ: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base.update(environ)
    log_in(client, name)
    return client


def is_in(client: FlaskClient) -> bool:
    return client.get(HOME).status_code == 200


def at(app: Flask, after: timedelta) -> None:
    app.config["CLOCK"] = lambda: NOW + after


def press(client: FlaskClient, path: str, **data: str) -> int:
    return client.post(path, data={"csrf_token": csrf_token(client, "/account"), **data}).status_code


def ends(app: Flask) -> list[str | None]:
    with app.app_context():
        return list(db.session.scalars(select(LoginSession.end_reason).order_by(LoginSession.id)))


@pytest.mark.parametrize(("signed", "counts"), [(2, True), (3600, True), (0, True), (-13 * 3600, False)])
def test_a_cookie_counts_whatever_the_clock_says_of_its_second_but_not_for_ever(
    app: Flask, monkeypatch: pytest.MonkeyPatch, signed: int, counts: bool
) -> None:
    """Signed by a server whose clock is ahead by a moment, before the clock was set back by an hour, long ago."""
    with monkeypatch.context() as patched:
        patched.setattr(TimestampSigner, "get_timestamp", lambda _self: int(time.time()) + signed)
        client = entered(app)
    assert is_in(client) is counts


def test_the_page_tells_where_one_is_logged_in(app: Flask, client: FlaskClient) -> None:
    entered(app, HTTP_USER_AGENT=PHONE, REMOTE_ADDR="203.0.113.7")
    entered(app, "manager", REMOTE_ADDR="198.51.100.1")
    in_language(client, "en")
    page = client.get(PAGE).text
    assert "Chrome, Android" in page
    assert "203.0.113.7" in page
    assert "198.51.100.1" not in page, "nobody else's"
    assert page.count("This device") == 1
    assert len(re.findall(r"/account/sessions/\d+/end", page)) == 1


def test_one_is_ended_and_the_other_goes_on(app: Flask, client: FlaskClient) -> None:
    other = entered(app)
    [path] = re.findall(r'action="(/account/sessions/\d+/end)"', client.get(PAGE).text)
    assert press(client, path) == 303
    assert is_in(client)
    assert not is_in(other)
    assert press(client, path) == 303, "twice is once"
    assert ends(app) == [None, "ended"]


def test_nobody_ends_the_session_of_another(app: Flask, client: FlaskClient) -> None:
    manager = entered(app, "manager")
    entered(app, "manager")
    [path] = re.findall(r'action="(/account/sessions/\d+/end)"', manager.get(PAGE).text)
    assert press(client, path) == 404
    assert ends(app) == [None, None, None]


def test_all_others_are_ended_at_once(app: Flask, client: FlaskClient) -> None:
    others = [entered(app) for _ in range(3)]
    manager = entered(app, "manager")
    assert press(client, f"{PAGE}/end-others") == 303
    assert [is_in(each) for each in (client, manager, *others)] == [True, True, False, False, False]


def test_an_idle_browser_logs_in_again(app: Flask, client: FlaskClient) -> None:
    at(app, timedelta(minutes=50))
    assert is_in(client)
    at(app, timedelta(minutes=100))
    assert is_in(client), "there was a page in between"
    at(app, timedelta(minutes=160))
    answer = client.get(HOME)
    assert (answer.status_code, answer.location.split("?")[0]) == (302, "/login")


def test_after_the_hours_of_a_session_one_logs_in_again_however_busy(app: Flask, client: FlaskClient) -> None:
    for minutes in range(0, 12 * 60, 45):
        at(app, timedelta(minutes=minutes))
        assert is_in(client)
    at(app, timedelta(hours=12))
    assert not is_in(client)


def test_a_page_that_sends_by_itself_hears_401_and_keeps_what_it_has(app: Flask, client: FlaskClient) -> None:
    token = csrf_token(client, "/account")
    at(app, timedelta(hours=2))
    headers = {"Accept": "application/json", "X-CSRFToken": token}
    answer = client.get(HOME, headers=headers)
    assert answer.status_code == 401


def test_logging_out_ends_the_session_and_not_only_the_cookie(app: Flask, client: FlaskClient) -> None:
    with client.session_transaction() as session:
        kept = dict(session)
    log_out(client)
    thief = app.test_client()
    with thief.session_transaction() as session:
        session.update(kept)
    assert not is_in(thief)
    assert ends(app) == ["logged_out"]


def test_a_new_password_ends_all_other_sessions(app: Flask) -> None:
    client, other = entered(app), entered(app)
    with client.session_transaction() as session:
        before = session["login"]
    new = "kata sandi yang lain lagi"
    answer = client.post(
        "/change",
        data={
            "password": PASSWORD,
            "new_password": new,
            "new_password_confirm": new,
            "csrf_token": csrf_token(client, "/account"),
        },
    )
    assert answer.status_code == 302
    assert is_in(client)
    assert not is_in(other)
    with client.session_transaction() as session:
        assert session["login"] != before
    assert ends(app) == ["renewed", "credentials_changed", None]
    assert log_in_by_form(app.test_client(), "storekeeper", new).status_code == 302, "and the new password was kept"


def test_who_is_shut_out_is_out_at_the_next_page(app: Flask, client: FlaskClient) -> None:
    administrator = entered(app, "administrator")
    person = re.search(
        r'gudang@denpasar\.test.*?action="(/people/\d+/active)"', administrator.get("/people").text, re.DOTALL
    )
    assert person
    assert press(administrator, person[1], active="0") == 303
    assert not is_in(client)
    assert "shut_out" in ends(app)


def test_an_administrator_logs_somebody_out_everywhere(app: Flask, client: FlaskClient) -> None:
    other, administrator = entered(app), entered(app, "administrator")
    page = administrator.get("/people").text
    person = re.search(r'gudang@denpasar\.test.*?action="(/people/\d+/log-out)"', page, re.DOTALL)
    assert person
    assert press(client, person[1]) == 403
    assert press(administrator, person[1]) == 303
    assert not is_in(client)
    assert not is_in(other)
    assert is_in(administrator) or administrator.get("/people").status_code == 200
    assert press(administrator, "/people/9999/log-out") == 404


def test_a_page_finds_its_reader_in_as_many_statements_as_before(app: Flask, client: FlaskClient) -> None:
    client.get("/help")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", note)
    try:
        client.get("/help")
    finally:
        event.remove(engine, "after_cursor_execute", note)
    about = [each for each in statements if "FROM people" in each or "login_sessions" in each]
    assert len(about) == 1, about
    assert not [each for each in statements if each.startswith(("UPDATE", "INSERT"))]


def test_what_ends_in_one_process_is_over_in_another(
    app: Flask, client: FlaskClient, database_url: str, make_app: Callable[..., Flask]
) -> None:
    elsewhere = make_app(database_url, CLOCK=lambda: NOW)
    other = elsewhere.test_client()
    with client.session_transaction() as session:
        kept = dict(session)
    with other.session_transaction() as session:
        session.update(kept)
    assert is_in(other)
    log_out(client)
    assert not is_in(other)


@pytest.mark.slow
def test_servers_share_what_they_know_of_sessions(database_url: str, tmp_path: Path) -> None:
    """Two servers with two processes each on one database: what ends at one is over at the other."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with (
        Server(database_url, folders[0]) as one,
        Server(database_url, folders[1]) as two,
        Browser(one.port) as owner,
        Browser(two.port) as administrator,
    ):
        owner.log_in()
        cookies = owner.cookies

        def statuses() -> set[int]:
            found = set()
            for port in [one.port, two.port] * 4:
                with Browser(port) as browser:
                    browser.cookies = dict(cookies)
                    found.add(browser.get(HOME)[0])
            return found

        assert statuses() == {200}
        administrator.log_in("administrator")
        page = administrator.get("/people")[1]
        found = re.search(r'gudang@denpasar\.test.*?action="(/people/\d+/active)"', page, re.DOTALL)
        assert found
        assert administrator.post(found[1], {"active": "0"})[0] == 303
        assert statuses() == {302}


def test_settings_of_limits_are_kept(database_url: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, IDLE_MINUTES=5, SESSION_HOURS=1)
    client = entered(app)
    at(app, timedelta(minutes=5))
    assert not is_in(client)
    assert PEOPLE["storekeeper"][0] not in client.get("/login").text
