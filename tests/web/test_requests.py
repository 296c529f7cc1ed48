"""Delivery requests and hand-overs through their pages, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import Effect
from inventory.services import balances
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
LIST, NEW, HAND_OVER = f"{HOME}/requests", f"{HOME}/requests/new", f"{HOME}/deliveries/hand-over"
ASKED: dict[str, str | list[str]] = {
    "supplier": "Ditjen Dukcapil",
    "needed_by": str(TODAY + timedelta(days=7)),
    f"asked-{BLANK}": "10,000",
    "asked-ribbon": "4",
    "note": "before the election",
}
PAPER: dict[str, str | list[str]] = {"bast_number": "470/12/2024"}


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def storekeeper(app: Flask) -> FlaskClient:
    return client_of(app, "storekeeper")


@pytest.fixture
def manager(app: Flask) -> FlaskClient:
    return client_of(app, "manager")


def figures(app: Flask, item: str = BLANK) -> Effect:
    with app.app_context():
        found = [each.figures for each in balances.of_office(SYSTEM, DENPASAR) if each.item_code == item]
        db.session.remove()
    return found[0] if found else Effect()


def asked(storekeeper: FlaskClient, **typed: Any) -> str:
    """The page of a request that was made."""
    answer = send(storekeeper, NEW, {**ASKED, **typed})
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def row(page: str, item: str) -> list[str]:
    """The figures of an item's row, without the tags."""
    cells = page.partition(f'<th scope="row">{item}</th>')[2].partition("</tr>")[0].split("<td")[1:]
    return [cell.partition(">")[2].partition("</td>")[0].strip() for cell in cells]


def hand_over_of(page: str) -> str:
    return f"{HAND_OVER}?request={page.rpartition('/')[2]}"


def test_from_asking_to_receiving(app: Flask, storekeeper: FlaskClient, manager: FlaskClient) -> None:
    page = asked(storekeeper)
    assert "Waiting for an allotment" in storekeeper.get(LIST).text
    assert f'href="{page}/allot"' not in storekeeper.get(page).text
    waiting = manager.get("/requests").text
    assert "10,000 × Citizen card blank" in waiting
    assert f'href="{page}/allot"' in waiting

    assert fields(manager.get(f"{page}/allot").text)[f"allotted-{BLANK}"] == ["10,000"]
    typed = {f"allotted-{BLANK}": "2,100", "allotted-ribbon": "4", f"cartons-{BLANK}": "2", "note": "the rest in June"}
    assert send(manager, f"{page}/allot", typed).status_code == 303
    assert "No request is waiting." in manager.get("/requests").text
    shown = storekeeper.get(page).text
    assert row(shown, "Citizen card blank")[:4] == ["10,000", "2,100 <small>not whole packs</small>", "0", "2,100"]
    assert "the rest in June" in shown

    form = fields(storekeeper.get(hand_over_of(page)).text)
    assert (form[f"asked-{BLANK}"], form[f"allotted-{BLANK}"], form["supplier"]) == (
        ["10,000"],
        ["2,100"],
        ["Ditjen Dukcapil"],
    )
    came = {f"received-{BLANK}": "2,000", f"defective-{BLANK}": "12", f"note-{BLANK}": "a torn carton"}
    came |= {f"cartons-{BLANK}": "2", "received-ribbon": "5"}
    answer = send(storekeeper, hand_over_of(page), {**PAPER, **came})
    assert answer.status_code == 303, answer.text
    assert figures(app) == Effect(received=2000, store=1988, spoiled=12)
    assert figures(app, "ribbon").store == 5
    record = storekeeper.get(str(answer.location)).text
    blank = ["10,000", "2,100", "2,000", "100", "0", "12", "2", "a torn carton"]
    assert row(record, "Citizen card blank") == blank
    assert row(record, "Ribbon")[:6] == ["4", "4", "5", "0", "1", "0"]
    shown = storekeeper.get(page).text
    assert row(shown, "Citizen card blank")[2:4] == ["2,000", "100"]
    assert f'href="{answer.location}"' in shown

    assert send(storekeeper, f"{page}/close", {"why": "the rest goes elsewhere"}).status_code == 303
    closed = storekeeper.get(page).text
    assert row(closed, "Citizen card blank")[3] == "100"
    assert "the rest goes elsewhere" in closed
    assert f'href="{page}/close"' not in closed


def test_the_form_begins_with_what_the_review_suggests(app: Flask, storekeeper: FlaskClient) -> None:
    from inventory.services import reviews, stated_rates

    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 300, "a newspaper")
        _, [found] = reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY, office_code=DENPASAR)
        order = found.projection.facts["suggested_order"]
        db.session.remove()
    assert order > 0
    shown = storekeeper.get(NEW).text
    assert fields(shown)[f"asked-{BLANK}"] == [f"{order:,}"]
    assert fields(shown)["asked-ribbon"] == [""]
    assert "Filled in is what the last review suggests." in shown


@pytest.mark.parametrize(
    ("typed", "status", "field"),
    [
        ({f"asked-{BLANK}": "2.5"}, 422, f"asked-{BLANK}"),
        ({"supplier": " "}, 422, "supplier"),
        ({"asked_on": str(TODAY + timedelta(days=1))}, 422, "asked_on"),
        ({"needed_by": str(TODAY - timedelta(days=1))}, 422, "needed_by"),
        ({f"asked-{BLANK}": "", "asked-ribbon": ""}, 422, ""),
    ],
)
def test_a_refused_request_keeps_what_was_typed(
    storekeeper: FlaskClient, typed: dict[str, str], status: int, field: str
) -> None:
    answer = send(storekeeper, NEW, {**ASKED, **typed})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert not field or f'id="{field}-error"' in answer.text
    kept = fields(answer.text)
    for name, value in {**ASKED, **typed}.items():
        assert kept[name] == [value.strip() if isinstance(value, str) else value]
    assert "Nothing has been asked for yet" in storekeeper.get(LIST).text


def test_a_form_sent_twice_is_done_once(app: Flask, storekeeper: FlaskClient, manager: FlaskClient) -> None:
    form: dict[str, Any] = {**fields(storekeeper.get(NEW).text), **ASKED, "asked-ribbon": ""}
    first, second = (storekeeper.post(NEW, data=form) for _attempt in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location) == (303, first.location)
    page = str(first.location)
    assert storekeeper.post(NEW, data=form | {"note": "other"}).status_code == 409

    answer: dict[str, Any] = fields(manager.get(f"{page}/allot").text) | {f"allotted-{BLANK}": ["500"]}
    for _attempt in range(2):
        assert manager.post(f"{page}/allot", data=answer).status_code == 303
    form = {**fields(storekeeper.get(hand_over_of(page)).text), **PAPER, f"received-{BLANK}": "500"}
    pages = {storekeeper.post(hand_over_of(page), data=form).location for _attempt in range(2)}
    assert len(pages) == 1
    assert figures(app) == Effect(received=500, store=500)
    assert "can no longer be changed" in storekeeper.get(hand_over_of(page)).text


def test_who_decides_upon_a_request_that_changed_sees_it_first(storekeeper: FlaskClient, manager: FlaskClient) -> None:
    page = asked(storekeeper)
    old = fields(storekeeper.get(f"{page}/cancel").text) | {"why": ["not needed"]}
    assert send(manager, f"{page}/allot", {f"allotted-{BLANK}": "500"}).status_code == 303
    refused = storekeeper.post(f"{page}/cancel", data=old)
    assert refused.status_code == 409
    assert "Somebody has changed this request meanwhile." in refused.text
    assert row(refused.text, "Citizen card blank")[1] == "500"
    again = fields(refused.text)
    assert again["why"] == ["not needed"]
    assert storekeeper.post(f"{page}/cancel", data=again).status_code == 303
    assert "Cancelled" in storekeeper.get(page).text
    assert storekeeper.post(f"{page}/cancel", data=again | {"seen": ["x" * 40], "request_id": [ID]}).status_code == 409


ID = "6f1f4b0e-96f7-4d3c-8a53-0f4c4b1d7a10"


def test_a_cancellation_needs_its_reason_and_comes_before_anything_came(
    storekeeper: FlaskClient, manager: FlaskClient
) -> None:
    page = asked(storekeeper)
    assert send(storekeeper, f"{page}/cancel", {"why": " "}).status_code == 422
    answer = send(storekeeper, hand_over_of(page), {**PAPER, f"received-{BLANK}": "5"})
    assert answer.status_code == 303
    assert f'href="{page}/cancel"' not in storekeeper.get(page).text
    refused = send(storekeeper, f"{page}/cancel", {"why": "too late"})
    assert refused.status_code == 409
    assert "Blanks have already come on this request" in refused.text


@pytest.mark.parametrize(
    ("typed", "status", "field"),
    [
        ({f"received-{BLANK}": ""}, 422, ""),
        ({f"received-{BLANK}": "", f"note-{BLANK}": "wet"}, 422, f"received-{BLANK}"),
        ({f"received-{BLANK}": "-1"}, 422, f"received-{BLANK}"),
        ({f"received-{BLANK}": "5", f"defective-{BLANK}": "6"}, 422, f"defective-{BLANK}"),
        ({"bast_number": " "}, 422, "bast_number"),
        ({"received_on": str(TODAY + timedelta(days=1))}, 422, "received_on"),
        (
            {"received_on": str(TODAY - timedelta(days=3)), "bast_on": str(TODAY - timedelta(days=3))},
            422,
            "received_on",
        ),
        ({f"cartons-{BLANK}": "0"}, 422, ""),
    ],
)
def test_a_refused_hand_over_keeps_what_was_typed(
    app: Flask, storekeeper: FlaskClient, typed: dict[str, str], status: int, field: str
) -> None:
    page = asked(storekeeper)
    sent = {**PAPER, f"received-{BLANK}": "5", **typed}
    answer = send(storekeeper, hand_over_of(page), sent)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert not field or f'id="{field}-error"' in answer.text
    kept = fields(answer.text)
    for name, value in sent.items():
        assert kept[name] == [value.strip() if isinstance(value, str) else value]
    assert figures(app) == Effect()


def test_several_items_on_one_record_without_a_request(app: Flask, storekeeper: FlaskClient) -> None:
    typed = {f"received-{BLANK}": "20", f"asked-{BLANK}": "30", "received-film": "2"}
    answer = send(storekeeper, HAND_OVER, {**PAPER, **typed, "supplier": "  PT Pita "})
    assert answer.status_code == 303, answer.text
    record = storekeeper.get(str(answer.location)).text
    assert row(record, "Citizen card blank")[:5] == ["30", "–", "20", "10", "0"]
    assert "Film" in record
    assert "PT Pita" in storekeeper.get(f"{HOME}/deliveries/new").text.partition("<datalist")[2]
    again = send(storekeeper, HAND_OVER, {**PAPER, "received-film": "2"})
    assert again.status_code == 409
    assert 'id="bast_number-error"' in again.text
    assert figures(app, "film").store == 2


def test_strangers_see_nothing(app: Flask, storekeeper: FlaskClient) -> None:
    page = asked(storekeeper)
    data = {"csrf_token": csrf_token(storekeeper, NEW)}
    assert storekeeper.get(f"{page}/allot").status_code == 403
    assert storekeeper.post(f"{page}/allot", data=data).status_code == 403
    assert storekeeper.get("/requests").status_code == 403
    other = client_of(app, "other_storekeeper")
    for path in (page, f"{page}/cancel", LIST, NEW, f"{HOME}/deliveries/1"):
        assert other.get(path).status_code == 403
    theirs = f"/offices/{BADUNG}/deliveries/hand-over?request={page.rpartition('/')[2]}"
    assert other.get(theirs).status_code == 403
    for path in ("/requests/999", f"/requests/{10**30}", f"{HAND_OVER}?request=abc", f"{HOME}/deliveries/999"):
        assert storekeeper.get(path).status_code == 404


def test_the_home_page_leads_to_the_requests(storekeeper: FlaskClient) -> None:
    home = storekeeper.get(HOME).text
    assert f'href="{LIST}"' in home
    assert f'href="{NEW}"' in home
