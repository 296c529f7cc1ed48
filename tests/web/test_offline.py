"""The addresses behind working without a network: what is everybody's, what is one person's, and single entries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from inventory.db import db
from inventory.models import Movement
from inventory.services import closings
from tests.conftest import NOW, TODAY
from tests.web.client import in_language, log_in, log_out
from tests.world import BADUNG, BLANK, DENPASAR, PEOPLE, World

STATIC = Path(__file__).resolve().parents[2] / "inventory" / "static"
JSON = {"Accept": "application/json"}


def stock(world: World) -> None:
    world.deliver(NOW, TODAY, 30)
    db.session.remove()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """The storekeeper's phone."""
    client = app.test_client()
    log_in(client, "storekeeper")
    return client


def data(client: FlaskClient) -> Any:
    return client.get("/offline/data", headers=JSON)


def entry(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "person": data(client).json["person"]["id"],
        "kind": "print",
        "office": DENPASAR,
        "item": BLANK,
        "day": TODAY.isoformat(),
        "amounts": {"new": {"quantity": 5, "served_waiting": 1, "ranges": ""}, "lost": {"quantity": 2}},
        "note": "",
        **changes,
    }


def send(client: FlaskClient, body: Any, token: str | None = None) -> Any:
    token = data(client).json["token"] if token is None else token
    return client.post("/offline/entries", json=body, headers=JSON | {"X-CSRFToken": token})


def movements(app: Flask, kind: str = "print") -> int:
    with app.app_context():
        found = db.session.scalar(select(func.count()).select_from(Movement).where(Movement.kind == kind))
        db.session.remove()
    return found or 0


# --- what is everybody's -----------------------------------------------------------------------------------------


def test_the_shell_is_the_same_for_everybody_and_names_nobody(app: Flask, client: FlaskClient) -> None:
    in_language(client, "en")
    mine, nobodys = client.get("/offline"), app.test_client().get("/offline")
    assert mine.data == nobodys.data
    for text in ("Without a network", "Tanpa jaringan", 'lang="id"', 'data-language="en"'):
        assert text in mine.text
    assert "Storekeeper" not in mine.text
    assert "csrf" not in mine.text
    for answer in (mine, nobodys):
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "Set-Cookie" not in answer.headers


def test_the_worker_is_served_from_the_root_and_names_all_that_the_shell_needs(app: Flask) -> None:
    client = app.test_client()
    worker = client.get("/sw.js")
    assert worker.headers["Content-Type"].startswith("text/javascript")
    assert worker.headers["Cache-Control"] == "no-cache"
    assert "worker-src 'self'" in worker.headers["Content-Security-Policy"]
    assert "manifest-src 'self'" in worker.headers["Content-Security-Policy"]
    kept = json.loads(worker.text.split("const SHELL = ")[1].split(";\n")[0])
    shell = client.get("/offline").text
    assert kept[0] == "/offline"
    for address in kept:
        with client.get(address) as found:
            assert found.status_code == 200
        assert address == "/offline" or f'"{address}"' in shell
    assert not any(word in "".join(kept) for word in ("data", "entries", "offices"))


def test_a_change_of_any_part_is_a_new_version(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    def version(changed: str = "") -> str:
        app = make_app("sqlite:///:memory:")
        folder = tmp_path / (changed or "same").replace("/", "-")
        for file in STATIC.rglob("*"):
            if file.is_file():
                copy = folder / file.relative_to(STATIC)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes() + (b"\n/**/" if copy == folder / changed else b""))
        app.static_folder = str(folder)
        return app.test_client().get("/sw.js").text.split('VERSION = "')[1].split('"')[0]

    parts = ("", "outbox.js", "offline.js", "offline.css", "blangko.css", "sw.js", "vendor/pico/pico.min.css")
    versions = [version(part) for part in parts]
    assert len(set(versions)) == len(parts)
    assert version() == versions[0]


def test_the_manifest_can_be_installed(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/manifest.webmanifest")
    assert answer.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(answer.text)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/offline", "/", "standalone")
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    for icon in manifest["icons"]:
        found = client.get(icon["src"])
        assert found.status_code == 200
        assert found.headers["Content-Type"].startswith(icon["type"])
        if icon["type"] == "image/png":
            width, height = (int.from_bytes(found.data[at : at + 4], "big") for at in (16, 20))
            assert f"{width}x{height}" == icon["sizes"]
        found.close()


# --- what is one person's ----------------------------------------------------------------------------------------


@pytest.mark.filled(by=stock)
def test_what_is_taken_along(client: FlaskClient) -> None:
    answer = data(client)
    assert answer.headers["Cache-Control"] == "no-store"
    taken = answer.json
    assert taken["person"]["name"] == "Storekeeper"
    assert taken["as_of"] == NOW.isoformat()
    [office] = taken["offices"]
    assert (office["code"], office["clock"], office["store"]) == (DENPASAR, "WITA", {BLANK: 30})
    assert {
        "code": "ribbon",
        "names": {"id": "Ribbon", "en": "Ribbon"},
        "consumable": True,
        "numbered": False,
    } in taken["items"]
    in_language(client, "en")
    assert data(client).json["language"] == "en"


def test_who_records_nothing_is_told_who_they_are_and_nothing_else(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "manager")
    answer = data(client)
    assert answer.status_code == 403
    assert set(answer.json) == {"state", "code", "sentence", "person"}


def test_nobody_gets_nothing(app: Flask) -> None:
    client = app.test_client()
    assert data(client).status_code == 401
    assert client.post("/offline/entries", json={}, headers=JSON).status_code == 400  # no session, so no token


@pytest.mark.filled(by=stock)
def test_an_entry_is_recorded_once(app: Flask, client: FlaskClient) -> None:
    body = entry(client)
    first, second = send(client, body), send(client, body)
    assert first.json == {"state": "recorded", "id": body["id"], "replayed": False}
    assert second.json == {"state": "recorded", "id": body["id"], "replayed": True}
    assert movements(app) == 2  # one for each reason


@pytest.mark.filled(by=stock)
def test_a_refusal_names_the_entry_and_says_why_in_the_readers_language(app: Flask, client: FlaskClient) -> None:
    body = entry(client, amounts={"new": {"quantity": 31}})
    for language, word in (("id", "di gudang"), ("en", "in the store")):
        in_language(client, language)
        answer = send(client, body)
        assert answer.status_code == 409
        assert (answer.json["state"], answer.json["code"], answer.json["id"]) == (
            "refused",
            "not_enough_stock",
            body["id"],
        )
        assert word in answer.json["sentence"].lower()
    assert movements(app) == 0


@pytest.mark.filled(by=stock)
def test_a_closed_day_needs_a_word_from_a_person(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        closings.close(World(app).storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 30}, {BLANK: 0})
        db.session.remove()
    body = entry(client)
    assert send(client, body).json["code"] == "day_closed_meanwhile"
    assert send(client, body | {"late": True}).json["state"] == "recorded"


@pytest.mark.filled(by=stock)
def test_another_person_on_the_phone_does_not_send_it(app: Flask, client: FlaskClient) -> None:
    body = entry(client)
    log_out(client)
    log_in(client, "other_storekeeper")
    answer = send(client, body)
    assert (answer.status_code, answer.json["code"]) == (403, "entry_of_somebody_else")
    assert movements(app) == 0


@pytest.mark.filled(by=stock)
def test_a_token_of_an_earlier_session_is_told_apart_from_a_refusal(app: Flask, client: FlaskClient) -> None:
    body, token = entry(client), data(client).json["token"]
    log_out(client)
    log_in(client, "storekeeper")
    answer = send(client, body, token)
    assert (answer.status_code, answer.json) == (400, {"state": "stale"})
    assert movements(app) == 0


HOSTILE: list[Any] = [
    None,
    [],
    "entry",
    {},
    {"id": "not an id"},
    {"id": 7},
    {"person": "1"},
    {"person": True},
    {"person": 2**70},
    {"kind": "receipt"},
    {"kind": []},
    {"day": "yesterday"},
    {"day": 20240515},
    {"office": "51.71\x00"},
    {"office": "5" * 41},
    {"office": None},
    {"item": "ktp\ud800"},
    {"item": ""},
    {"amounts": []},
    {"amounts": {"handed_over": {"quantity": 1}}},
    {"amounts": {"new": 5}},
    {"amounts": {"new": {"quantity": 1.5}}},
    {"amounts": {"new": {"quantity": -1}}},
    {"amounts": {"new": {"quantity": "5"}}},
    {"amounts": {"new": {"quantity": 2**40}}},
    {"amounts": {"new": {"quantity": 5, "served_waiting": -1}}},
    {"amounts": {"new": {"quantity": 5, "ranges": ["A1"]}}},
    {"note": "\ud800"},
    {"note": 1},
]


@pytest.mark.filled(by=stock)
def test_what_is_no_entry_is_refused_and_nothing_breaks(app: Flask, client: FlaskClient) -> None:
    for wrong in HOSTILE:
        body = entry(client) | wrong if isinstance(wrong, dict) and wrong else wrong
        answer = send(client, body)
        assert (answer.status_code, answer.json["code"]) == (422, "entry_unreadable"), wrong
        assert answer.json.get("id") == (body.get("id") if isinstance(body, dict) else None)
    for code, wrong in {
        "text_unprintable": {"note": "\x00"},
        "text_too_long": {"note": "x" * 501},
        "quantity_too_large": {"amounts": {"new": {"quantity": 2**31 - 1}}},
        "item_not_found": {"item": "no-such-item"},
        "not_allowed": {"office": BADUNG},
        "office_not_found": {"office": "no-such-office"},
    }.items():
        assert send(client, entry(client) | wrong).json["code"] == code
    assert movements(app) == 0


def test_pages_name_whose_phone_it_is_to_the_outbox(app: Flask, client: FlaskClient) -> None:
    person = data(client).json["person"]["id"]
    page = client.get("/change").text
    assert f'<meta name="person" content="{person}" data-records>' in page
    assert "data-log-out" in page
    other = app.test_client()
    log_in(other, "manager")
    assert "data-records" not in other.get("/change").text
    assert 'name="person"' not in app.test_client().get("/login").text
    assert PEOPLE["storekeeper"][0] not in page
