"""Allotments through their pages, on both databases: worked out, changed by hand, kept, sent by the storekeeper."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import Effect
from inventory.services import balances
from tests.conftest import TODAY
from tests.services.test_allotments import EAST, SOUTH, hold, review
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR

PAGE = f"/offices/{DENPASAR}/allotment"
TO_SOUTH, TO_EAST = f"way-{DENPASAR}-{SOUTH}", f"way-{DENPASAR}-{EAST}"
SENT = {"expected_on": str(TODAY + timedelta(days=1)), "custodian": "I Made Kurir", "bast_number": "470/12/2024"}


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def books(app: Flask) -> None:
    with app.app_context():
        hold(DENPASAR, 10_000, 100)
        hold(SOUTH, 200, 50)
        hold(EAST, 900, None)
        review()
        db.session.remove()


@pytest.fixture
def manager(app: Flask, books: None) -> FlaskClient:
    return client_of(app, "manager")


@pytest.fixture
def storekeeper(app: Flask, books: None) -> FlaskClient:
    return client_of(app, "storekeeper")


def asked(**terms: Any) -> str:
    return f"{PAGE}?{urlencode({'mode': 'split', 'item': BLANK, 'quantity': '6,000', **terms})}"


def kept(manager: FlaskClient, **typed: str) -> str:
    """The page of a plan that was kept."""
    answer = send(manager, asked(), typed)
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def test_a_split_is_worked_out_and_explained(manager: FlaskClient) -> None:
    assert f'href="{PAGE}"' in manager.get(f"/offices/{DENPASAR}").text
    page = manager.get(asked(reserve="500")).text
    assert "6,000 cards to split, 500 kept back." in page
    assert "Denpasar Selatan" in page
    assert "Brought level with the others, as near as whole packs allow" in page
    assert "Not enough data" in page
    assert "The same for each office" in page
    proposed = fields(page)
    assert int(proposed[TO_SOUTH][0].replace(",", "")) % 500 == 0
    assert proposed[TO_EAST] == ["0"]
    assert proposed["quantity"] == ["6,000"]


def test_what_is_left_over_and_a_split_that_sends_nothing_are_explained(manager: FlaskClient) -> None:
    left = manager.get(asked(quantity="6,300")).text
    assert "300 are left over: less than a pack of 500." in left
    too_little = manager.get(asked(quantity="500", pack="1,000")).text
    assert "As proposed nothing is sent to another office." in too_little
    assert "As proposed nothing is sent" not in left


def test_what_is_set_by_hand_is_taken_off(manager: FlaskClient) -> None:
    page = manager.get(asked(**{f"fixed-{EAST}": "700"})).text
    assert fields(page)[TO_EAST] == ["700"]
    assert fields(page)[f"fixed-{EAST}"] == ["700"]


def test_a_plan_becomes_drafts_that_the_storekeeper_sends(
    app: Flask, manager: FlaskClient, storekeeper: FlaskClient
) -> None:
    plan = kept(manager, **{TO_SOUTH: "1,500", TO_EAST: "250"})
    shown = manager.get(plan).text
    assert "The plan is kept." in shown
    assert "1,500" in shown
    assert f'<a href="/offices/{DENPASAR}/transfers">Kota Denpasar</a>' in shown, "the way to where it waits"
    listed = storekeeper.get(f"/offices/{DENPASAR}/transfers").text
    assert "To be sent" in listed
    [south, _east] = re.findall(rf'href="(/offices/{DENPASAR}/transfers/new\?draft=\d+)"', listed)
    form = fields(storekeeper.get(south).text)
    assert form["receiver"] == [SOUTH]
    assert form[f"sent-{BLANK}"] == ["1,500"]
    answer = send(storekeeper, south, SENT)
    assert answer.status_code == 303, answer.text
    with app.app_context():
        found = balances.of_office(SYSTEM, DENPASAR)[0].figures
        db.session.remove()
    assert found == Effect(received=10_000, store=8_500, transit=1_500)
    assert "1,500" not in re.sub(
        r"(?s)<h2>Sent and received.*", "", storekeeper.get(f"/offices/{DENPASAR}/transfers").text
    )
    assert storekeeper.get(south).status_code == 409
    assert 'href="/transfers/1">Sent</a>' in manager.get(plan).text


def test_a_dispatch_sent_again_finds_its_transfer(manager: FlaskClient, storekeeper: FlaskClient) -> None:
    kept(manager, **{TO_SOUTH: "1,500"})
    page = f"/offices/{DENPASAR}/transfers/new?draft=1"
    form: dict[str, Any] = {**fields(storekeeper.get(page).text), **SENT}
    first, again = (storekeeper.post(page, data=form) for _ in range(2))
    assert (first.status_code, first.location) == (again.status_code, again.location) == (303, "/transfers/1")


def test_a_draft_stays_with_its_form_when_that_is_refused(manager: FlaskClient, storekeeper: FlaskClient) -> None:
    kept(manager, **{TO_SOUTH: "1,500"})
    page = f"/offices/{DENPASAR}/transfers/new?draft=1"
    refused = send(storekeeper, page, SENT | {"custodian": " "})
    assert refused.status_code == 422
    assert fields(refused.text)["draft"] == ["1"]
    elsewhere = send(storekeeper, page, SENT | {"receiver": BADUNG})
    assert elsewhere.status_code == 422
    assert "another office or another item" in elsewhere.text


def test_a_plan_that_adds_up_to_too_much_keeps_what_was_typed(manager: FlaskClient) -> None:
    answer = send(manager, asked(reserve="500"), {TO_SOUTH: "5,000", TO_EAST: "501"})
    assert answer.status_code == 409
    assert "Kota Denpasar would give 5,501, but has 5,500 for it." in answer.text
    assert fields(answer.text)[TO_SOUTH] == ["5,000"]
    wrong = send(manager, asked(), {TO_SOUTH: "1e9"})
    assert wrong.status_code == 422
    assert fields(wrong.text)[TO_SOUTH] == ["1e9"]


@pytest.mark.parametrize(
    ("terms", "status", "said"),
    [
        ({"reserve": "6,000"}, 422, "nothing is left to split"),
        ({"quantity": ""}, 422, "at least 1"),
        ({"pack": "0"}, 422, "A pack holds at least one."),
        ({"least": "9,000"}, 409, "The minimum of all offices together"),
        ({"item": "no-such"}, 422, "Not a valid choice"),
        ({"mode": "other"}, 422, "Not a valid choice"),
        ({"fixed-x\x00": "1"}, 200, "Proposal"),
        ({"fixed-99.99": "1"}, 200, "Proposal"),
    ],
)
def test_terms_that_cannot_be_are_refused_in_words(
    manager: FlaskClient, terms: dict[str, str], status: int, said: str
) -> None:
    answer = manager.get(asked(**terms))
    assert answer.status_code == status
    assert said in answer.text


def test_loans_are_worked_out_and_kept(app: Flask, manager: FlaskClient, storekeeper: FlaskClient) -> None:
    terms = {"mode": "loans", "quantity": "", "keep_days": "5", "pack": "100"}
    page = manager.get(asked(**terms))
    assert "Shipments" in page.text
    assert "it lends, and still lasts until" in page.text
    assert TO_SOUTH in fields(page.text)
    answer = manager.post(asked(**terms), data=fields(page.text))
    assert answer.status_code == 303, answer.text
    form = fields(storekeeper.get(f"/offices/{DENPASAR}/transfers/new?draft=1").text)
    assert form["purpose"] == ["loan"]


def test_a_draft_is_dropped_on_the_plans_page(manager: FlaskClient, storekeeper: FlaskClient) -> None:
    plan = kept(manager, **{TO_SOUTH: "1,500"})
    token = {"csrf_token": csrf_token(manager, plan)}
    answer = manager.post("/allotments/drafts/1/drop", data=token)
    assert (answer.status_code, answer.location) == (303, plan)
    assert "The draft is dropped." in manager.get(plan).text
    assert "To be sent" not in storekeeper.get(f"/offices/{DENPASAR}/transfers").text
    assert manager.post("/allotments/drafts/1/drop").status_code == 400


def test_a_draft_whose_transfer_is_cancelled_can_be_sent_again(manager: FlaskClient, storekeeper: FlaskClient) -> None:
    plan = kept(manager, **{TO_SOUTH: "1,500"})
    page = f"/offices/{DENPASAR}/transfers/new?draft=1"
    assert send(storekeeper, page, SENT).status_code == 303
    assert send(storekeeper, "/transfers/1/cancel", {"why": "the car broke down"}).status_code == 303
    assert 'href="/transfers/1">Taken back</a>' in manager.get(plan).text
    assert 'action="/allotments/drafts/1/drop"' in manager.get(plan).text
    listed = storekeeper.get(f"/offices/{DENPASAR}/transfers").text
    assert 'href="/transfers/1">Was sent, and taken back</a>' in listed
    again = send(storekeeper, page, SENT)
    assert (again.status_code, again.location) == (303, "/transfers/2")
    assert 'href="/transfers/2">Sent</a>' in manager.get(plan).text


def test_a_request_that_waits_leads_to_its_split(manager: FlaskClient, storekeeper: FlaskClient) -> None:
    typed: dict[str, str | list[str]] = {f"asked-{BLANK}": "7,500"}
    assert send(storekeeper, f"/offices/{DENPASAR}/requests/new", typed).status_code == 303
    link = f"{PAGE}?request=1"
    assert f'href="{link}"' in manager.get("/requests/1/allot").text
    assert fields(manager.get(link).text)["quantity"] == ["7,500"]
    for odd in ("x", "99999", "0"):
        assert manager.get(f"{PAGE}?request={odd}").status_code == 200
