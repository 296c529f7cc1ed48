"""Events through the administrator's pages, on both databases."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import TODAY
from tests.web.client import fields, send
from tests.web.test_outreach import client_of, words
from tests.world import DENPASAR

NEW = "/events/new"
TYPED: dict[str, str | list[str]] = {
    "kind": "school_enrolment",
    "name": "PPDB 2024",
    "first_day": "2024-07-01",
    "last_day": "2024-07-31",
    "office": "51",
    "items": ["kia"],
    "factor": "140",
}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return client_of(app, "administrator")


def entered(client: FlaskClient, **typed: Any) -> str:
    answer = send(client, NEW, {**TYPED, **typed})
    assert answer.status_code == 303, answer.text
    found = re.findall(r'href="(/events/\d+)"', client.get("/events").text)
    return found[0]


def test_an_event_is_entered_changed_and_removed(app: Flask, client: FlaskClient) -> None:
    page = entered(client)
    listed = words(client.get("/events").text)
    for said in ("PPDB 2024", "School enrolment", "Jul 1, 2024 – Jul 31, 2024", "Bali", "Child card", "140 % of usual"):
        assert said in listed
    storekeeper = client_of(app, "storekeeper")
    assert "140 % of usual" in words(storekeeper.get(f"/offices/{DENPASAR}/outreach").text)
    offered = fields(client.get(page).text)
    assert (offered["factor"], offered["items"], offered["kind"]) == (["140"], ["kia"], ["school_enrolment"])
    changed = client.post(page, data=offered | {"factor": [""], "name": ["SPMB 2024"]})
    assert changed.status_code == 303
    assert "learnt from history" in words(client.get("/events").text)
    stale = client.post(page, data=offered | {"request_id": ["6f1f4b0e-96f7-4d3c-8a53-0f4c4b1d7a10"]})
    assert stale.status_code == 409
    assert "Somebody has changed this event meanwhile" in stale.text
    assert fields(stale.text)["name"] == ["PPDB 2024"]
    assert send(client, page, {}, action=f"{page}/remove").status_code == 303
    assert "No events are entered yet" in client.get("/events").text
    assert "was removed" in client.get(page).text


def test_the_moons_seasons_stand_beside_them(app: Flask, client: FlaskClient) -> None:
    shown = words(client.get("/events").text)
    assert "Ramadan 2025 Mar 1, 2025 – Mar 30, 2025" in shown
    assert "After Lebaran 2025 Apr 8, 2025 – Apr 21, 2025" in shown
    indonesian = words(client_of(app, "administrator", "id").get("/events").text)
    assert "Setelah Lebaran 2025 8 Apr 2025 – 21 Apr 2025" in indonesian


@pytest.mark.parametrize(
    ("typed", "status", "field"),
    [
        ({"name": " "}, 422, "name"),
        ({"last_day": "2024-06-30"}, 422, "last_day"),
        ({"last_day": "2026-06-30"}, 422, "last_day"),
        ({"office": "99"}, 404, "office"),
        ({"office": "16"}, 403, "office"),
        ({"office": ""}, 403, "office"),
        ({"factor": "600"}, 422, "factor"),
        ({"factor": "banyak"}, 422, "factor"),
        ({"first_day": str(TODAY - timedelta(days=9000))}, 422, "first_day"),
    ],
)
def test_a_refused_event_keeps_what_was_typed(
    client: FlaskClient, typed: dict[str, str], status: int, field: str
) -> None:
    answer = send(client, NEW, {**TYPED, **typed})
    assert answer.status_code == status, answer.text
    assert f'id="{field}-error"' in answer.text
    kept = fields(answer.text)
    for name, value in {**TYPED, **typed}.items():
        assert kept[name] == (value if isinstance(value, list) else [value.strip()]), name
    assert "No events are entered yet" in client.get("/events").text


def test_an_event_sent_twice_is_one(client: FlaskClient) -> None:
    form: dict[str, Any] = {**fields(client.get(NEW).text), **TYPED}
    assert [client.post(NEW, data=form).status_code for _ in range(2)] == [303, 303]
    assert len(re.findall(r'href="/events/\d+"', client.get("/events").text)) == 1


def test_only_administrators_enter_events(app: Flask, client: FlaskClient) -> None:
    page = entered(client)
    for name in ("storekeeper", "manager", "regional"):
        other = client_of(app, name)
        for path in ("/events", NEW, page):
            assert other.get(path).status_code == 403
    assert client.get("/events/999").status_code == 404
