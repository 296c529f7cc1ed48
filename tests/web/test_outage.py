"""What people and systems are answered while the database does not serve, and that what they typed goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from inventory.db import db
from tests.api.client import PROBLEM, Caller, make_token
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, fields, in_language, log_in, log_in_by_form, send
from tests.world import BLANK, DENPASAR, PASSWORD, PEOPLE, World

HOME = f"/offices/{DENPASAR}"
CONSUMPTION = f"{HOME}/consumption"


@pytest.fixture
def own_app(sqlite_template: Path, tmp_path: Path, make_app: Callable[..., Flask]) -> Flask:
    """An application on a file of its own, which answers as a server does."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "blangko.sqlite3").write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{tmp_path / 'disk' / 'blangko.sqlite3'}"
    app = make_app(url, TESTING=False, CLOCK=lambda: NOW)
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        db.session.remove()
    return app


@pytest.fixture
def storekeeper(own_app: Flask) -> FlaskClient:
    client = own_app.test_client()
    log_in(client, "storekeeper")
    in_language(client, "en")
    return client


@contextmanager
def away(app: Flask, tmp_path: Path) -> Iterator[None]:
    """The disk with the database is not there."""
    with app.app_context():
        db.engine.dispose()
    (tmp_path / "disk").rename(tmp_path / "elsewhere")
    try:
        yield
    finally:
        (tmp_path / "elsewhere").rename(tmp_path / "disk")


def printed(app: Flask) -> int:
    with app.app_context():
        found = World(app).figures().printed
        db.session.remove()
        return found


def test_what_was_typed_waits_on_the_page_and_is_recorded_once(
    own_app: Flask, storekeeper: FlaskClient, tmp_path: Path
) -> None:
    typed = fields(storekeeper.get(CONSUMPTION).text) | {"item": [BLANK], "new": ["7"], "note": ['two "printers" <b>']}
    with away(own_app, tmp_path):
        answer = storekeeper.post(CONSUMPTION, data=typed)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Try again" in answer.text
    kept = fields(answer.text)
    assert {name: kept[name] for name in typed if name != "csrf_token"} == {
        name: values for name, values in typed.items() if name != "csrf_token"
    }
    for _ in range(2):
        assert storekeeper.post(CONSUMPTION, data=kept).status_code == 303
    assert printed(own_app) == 7


def test_every_answer_is_503_and_says_when_to_come_back(
    own_app: Flask, storekeeper: FlaskClient, tmp_path: Path
) -> None:
    with own_app.app_context():
        machine = Caller(own_app, make_token())
    with away(own_app, tmp_path):
        for path in ("/", HOME, f"{HOME}/stock-card/{BLANK}", "/alerts", "/account", "/login", "/no/such/page"):
            answer = storekeeper.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), path
            assert 'lang="en"' in answer.text
        assert own_app.test_client().get("/healthz").status_code == 200
        assert storekeeper.get("/readyz").status_code == 503
        assert storekeeper.get("/static/blangko.css").status_code == 200
        alone = storekeeper.get("/offline/data", headers={"Accept": "application/json"})
        assert (alone.status_code, alone.get_json()) == (503, {"state": "away"})
        told = machine.get("/items")
        assert (told.status_code, told.headers["Retry-After"], told.content_type) == (503, "5", PROBLEM)
        assert told.get_json()["code"] == "not_now"
    assert storekeeper.get(HOME).status_code == 200


def test_the_page_speaks_the_accounts_language(own_app: Flask, storekeeper: FlaskClient, tmp_path: Path) -> None:
    client = own_app.test_client()
    log_in_by_form(client, "storekeeper")  # whose account has learned English meanwhile
    with away(own_app, tmp_path):
        assert '<html lang="en">' in client.get(HOME).text
        assert '<html lang="id">' in own_app.test_client().get("/login").text


def test_passwords_and_what_no_page_of_ours_sent_are_not_kept(
    own_app: Flask, storekeeper: FlaskClient, tmp_path: Path
) -> None:
    client = own_app.test_client()
    token = csrf_token(client)
    with away(own_app, tmp_path):
        typed = {"email": PEOPLE["storekeeper"][0], "password": PASSWORD, "csrf_token": token}
        answer = client.post("/login", data=typed)
        assert answer.status_code == 503
        assert PASSWORD not in answer.text
        assert "<form" not in answer.text
        foreign = storekeeper.post(CONSUMPTION, data={"item": BLANK, "new": "7", "request_id": str(uuid4())})
        assert (foreign.status_code, 'name="new"' in foreign.text) == (503, False)


def test_a_full_disk_and_a_busy_file_keep_nothing_half(
    own_app: Flask, storekeeper: FlaskClient, tmp_path: Path
) -> None:
    file = tmp_path / "disk" / "blangko.sqlite3"
    limits: list[str] = []

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 20")
        for each in limits:
            connection.execute(each)

    with own_app.app_context():
        engine = db.engine
    event.listen(engine, "connect", limit)
    typed = fields(storekeeper.get(CONSUMPTION).text) | {"item": [BLANK], "new": ["7"], "note": ["x" * 200]}

    limits.append("PRAGMA max_page_count = 1")  # it may grow by nothing
    engine.dispose()
    statuses = {fill_up(storekeeper) for _ in range(60)}
    assert 503 in statuses
    assert printed(own_app) == books(own_app)

    limits.clear()
    engine.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        busy = storekeeper.post(CONSUMPTION, data=typed)
        assert busy.status_code == 503
        other.execute("ROLLBACK")
    before = printed(own_app)
    assert storekeeper.post(CONSUMPTION, data=fields(busy.text)).status_code == 303
    assert printed(own_app) == before + 7 == books(own_app)


def fill_up(client: FlaskClient) -> int:
    return send(client, CONSUMPTION, {"item": BLANK, "new": "1", "note": "y" * 300}).status_code


def books(app: Flask) -> int:
    with app.app_context():
        found = db.session.scalar(text("SELECT coalesce(sum(quantity), 0) FROM movements WHERE kind = 'print'"))
        db.session.remove()
        return int(found or 0)


def test_what_failed_after_the_posting_is_found_by_the_same_request(
    own_app: Flask, storekeeper: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks while COMMIT is on its way back: it was recorded, and nobody was told."""
    typed = fields(storekeeper.get(CONSUMPTION).text) | {"item": [BLANK], "new": ["7"]}

    real = Session.commit

    def commit(session: Session) -> None:
        real(session)
        broken = sqlite3.OperationalError("disk I/O error")
        broken.sqlite_errorcode = sqlite3.SQLITE_IOERR  # type: ignore[misc]
        raise OperationalError("COMMIT", {}, broken)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "commit", commit)
        doubt = storekeeper.post(CONSUMPTION, data=typed)
    assert doubt.status_code == 503
    assert printed(own_app) == 7
    assert storekeeper.post(CONSUMPTION, data=fields(doubt.text)).status_code == 303
    assert printed(own_app) == 7
