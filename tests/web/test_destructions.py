"""The pages of what needs a second person: a record's way from the storekeeper to the manager."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.ledger import Effect
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
LIST, NEW, WRITE_OFF = (f"{HOME}/destructions{end}" for end in ("", "/new", "/write-off"))
RECORD = {
    "place": "Halaman kantor",
    "method": "burned",
    "first_witness": "Ni Made Sari",
    "first_position": "Sekretaris",
    "second_witness": "I Wayan Adi",
    "second_position": "Inspektorat",
}
MISPRINTS = f"part-{BLANK}-misprint"

LogIn = Callable[[str], FlaskClient]


@pytest.fixture
def as_(app: Flask) -> LogIn:
    """A client of one of the people, reading English."""

    def client(name: str) -> FlaskClient:
        made = app.test_client()
        log_in(made, name)
        in_language(made, "en")
        return made

    return client


def prepare(app: Flask) -> int:
    """A delivery of 100 with its receipt's id, and 5 misprints."""
    with app.app_context():
        world = World(app)
        receipt = world.deliver(NOW, TODAY, 100, bast="470/1").movements[0].id
        world.spoil(NOW, TODAY, 5)
        db.session.remove()
    return receipt


def figures(app: Flask) -> Effect:
    with app.app_context():
        found = World(app).figures()
        db.session.remove()
    return found


def decide(client: FlaskClient, path: str, decision: str, **typed: str) -> int:
    page = client.get(path)
    data = {name: values[-1] for name, values in fields(page.text).items()} | typed | {"decision": decision}
    return client.post(f"{path}/decide", data=data).status_code


def test_a_record_goes_from_the_storekeeper_to_the_manager(app: Flask, as_: LogIn) -> None:
    prepare(app)
    storekeeper, manager = as_("storekeeper"), as_("manager")
    answer = send(storekeeper, NEW, RECORD | {MISPRINTS: "5", "total": "5"})
    assert answer.status_code == 303
    page = storekeeper.get(answer.location).text
    assert "Waits for approval" in page
    assert "Ni Made Sari, Sekretaris" in page
    assert figures(app) == Effect(received=100, store=95, spoiled=5)
    assert "Destruction, Kota Denpasar" in manager.get("/proposals").text
    assert decide(manager, "/proposals/1", "approve") == 303
    assert figures(app) == Effect(received=100, store=95, destroyed=5)
    page = storekeeper.get(LIST).text
    assert "Approved" in page
    assert "No spoiled blanks lie here." in page
    assert "Nothing waits for approval" in manager.get("/proposals").text


def test_a_breakdown_that_differs_from_its_total_comes_back_with_what_was_typed(app: Flask, as_: LogIn) -> None:
    prepare(app)
    storekeeper = as_("storekeeper")
    answer = send(storekeeper, NEW, RECORD | {MISPRINTS: "4", "total": "5"})
    assert answer.status_code == 422
    assert "The breakdown adds up to 4, the record says 5. Both must be equal." in answer.text
    assert fields(answer.text)[MISPRINTS] == ["4"]
    assert fields(answer.text)["first_witness"] == ["Ni Made Sari"]
    assert send(storekeeper, NEW, RECORD | {MISPRINTS: "6", "total": "6"}).status_code == 409


def test_a_manager_says_why_a_record_is_not_approved(app: Flask, as_: LogIn) -> None:
    prepare(app)
    storekeeper, manager = as_("storekeeper"), as_("manager")
    send(storekeeper, WRITE_OFF, RECORD | {f"part-{BLANK}-obsolete": "50", "total": "50"})
    assert decide(manager, "/proposals/1", "reject") == 422
    assert decide(manager, "/proposals/1", "reject", why="they are still valid") == 303
    assert "they are still valid" in storekeeper.get("/proposals/1").text
    assert decide(manager, "/proposals/1", "approve") == 409
    assert figures(app).store == 95


def test_a_storekeeper_withdraws_what_was_proposed_by_mistake(app: Flask, as_: LogIn) -> None:
    prepare(app)
    storekeeper = as_("storekeeper")
    send(storekeeper, NEW, RECORD | {MISPRINTS: "5", "total": "5"})
    page = storekeeper.get("/proposals/1").text
    assert "/proposals/1/withdraw" in page
    assert "/proposals/1/decide" not in page
    data = {"csrf_token": csrf_token(storekeeper, "/account"), "request_id": fields(page)["request_id"][0]}
    assert storekeeper.post("/proposals/1/withdraw", data=data).status_code == 422
    assert storekeeper.post("/proposals/1/withdraw", data=data | {"why": "counted again"}).status_code == 303
    assert "Withdrawn" in storekeeper.get("/proposals/1").text


def test_a_receipt_is_taken_back_when_a_second_person_approves(app: Flask, as_: LogIn) -> None:
    storekeeper, manager = as_("storekeeper"), as_("manager")
    with app.app_context():
        receipt = World(app).deliver(NOW, TODAY, 100, bast="470/1").movements[0].id
        db.session.remove()
    page = storekeeper.get(f"/movements/{receipt}/reverse").text
    assert "The whole delivery is reversed" in page
    assert "Ask for the reversal" in page
    answer = send(storekeeper, f"/movements/{receipt}/reverse", {"note": "counted twice"})
    assert (answer.status_code, answer.location) == (303, "/proposals/1")
    assert send(storekeeper, f"/movements/{receipt}/reverse", {"note": "once more"}).status_code == 409
    assert figures(app).store == 100
    assert decide(manager, "/proposals/1", "approve") == 303
    assert figures(app) == Effect()
    card = storekeeper.get(f"{HOME}/stock-card/{BLANK}").text
    assert 'class="undone"' in card
    assert "counted twice" in card


def test_spoilage_is_recorded_and_told_by_shift(app: Flask, as_: LogIn) -> None:
    prepare(app)
    storekeeper = as_("storekeeper")
    assert (
        send(storekeeper, f"{HOME}/spoilage", {"item": BLANK, "defective": "2", "shift": "evening"}).status_code == 303
    )
    page = storekeeper.get(f"{HOME}/spoilage-report").text
    assert "Evening shift" in page
    assert "Not said" in page
    assert storekeeper.get(f"{HOME}/spoilage-report?from=2024-05-02&to=2024-05-01").status_code == 422
