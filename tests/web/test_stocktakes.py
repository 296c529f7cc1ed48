"""Stocktakes through their pages, on both databases: blind for who counts, in numbers for who approves."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.ledger import Effect
from tests.conftest import NOW, TODAY
from tests.web.client import fields, in_language, log_in, send
from tests.world import BLANK, DENPASAR, World

LIST = f"/offices/{DENPASAR}/stocktakes"
COUNT = f"count-{BLANK}"


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def counter(app: Flask) -> FlaskClient:
    with app.app_context():
        World(app).deliver(NOW - timedelta(hours=2), TODAY, 1639)
        db.session.remove()
    return client_of(app, "storekeeper")


@pytest.fixture
def approver(app: Flask) -> FlaskClient:
    return client_of(app, "manager")


def figures(app: Flask) -> Effect:
    with app.app_context():
        return World(app).figures()


def opened(counter: FlaskClient) -> str:
    """The page of a stocktake that has just been opened."""
    answer = send(counter, f"{LIST}/new", {"note": "monthly"})
    assert answer.status_code == 303, answer.text
    return str(answer.location).removesuffix("/count")


def counted(counter: FlaskClient, quantity: str) -> str:
    """The page of a stocktake whose count, made twice, waits for approval."""
    page = opened(counter)
    assert send(counter, f"{page}/count", {COUNT: quantity}).location == f"{page}/recount"
    assert send(counter, f"{page}/recount", {COUNT: quantity}).location == page
    return page


def numbers_in(page: str) -> str:
    return re.sub(r'name="(csrf_token|request_id)"[^>]*value="[^"]*"|<svg.*?</svg>|/stocktakes/\d+', "", page)


def test_a_count_differs_is_made_again_approved_and_booked(
    app: Flask, counter: FlaskClient, approver: FlaskClient
) -> None:
    page = counted(counter, "1,636")
    assert figures(app).store == 1639
    shown = approver.get(f"{page}/approve")
    assert shown.status_code == 200
    for number in ("1,639", "1,636", "<b>-3</b>"):
        assert number in shown.text
    answer = approver.post(f"{page}/approve", data=fields(shown.text))
    assert (answer.status_code, answer.location) == (303, page)
    assert figures(app) == Effect(received=1639, store=1636, missing=3)
    assert "<b>-3</b>" in counter.get(page).text
    card = counter.get(f"/offices/{DENPASAR}/stock-card/{BLANK}").text
    assert f'<a href="{page}">Missing at a count</a>' in card


@pytest.mark.parametrize("typed", [None, "1,636", "abc", "-5"])
def test_the_counting_page_does_not_give_the_book_away(counter: FlaskClient, typed: str | None) -> None:
    page = opened(counter)
    shown = counter.get(f"{page}/count").text
    if typed == "1,636":
        answer = send(counter, f"{page}/count", {COUNT: typed})
        shown = counter.get(answer.location).text + counter.get(page).text
        assert "once more" in shown
    elif typed is not None:
        answer = send(counter, f"{page}/count", {COUNT: typed})
        assert answer.status_code == 422
        assert fields(answer.text)[COUNT] == [typed]
        shown += answer.text
    for leak in ("1639", "1,639", "1636", "1,636", ">3<", "-3", "+3"):
        assert leak not in numbers_in(shown).replace("such as 1,639", ""), leak


def test_the_count_is_not_shown_to_who_counts_until_it_is_approved(counter: FlaskClient) -> None:
    page = counted(counter, "1,636")
    shown = counter.get(page).text
    assert "1,639" not in shown
    assert f'href="{page}/approve"' not in shown
    assert counter.get(f"{page}/approve").status_code == 403


def test_who_counted_does_not_approve(app: Flask, counter: FlaskClient, approver: FlaskClient) -> None:
    page = opened(counter)
    send(counter, f"{page}/count", {COUNT: "1,636"})
    send(approver, f"{page}/recount", {COUNT: "1,636"})
    assert f'href="{page}/approve"' not in approver.get(page).text
    refused = approver.get(f"{page}/approve")
    assert refused.status_code == 409
    assert "Somebody else has to approve or cancel it." in refused.text
    assert "1,639" not in refused.text
    assert figures(app).store == 1639


def test_differences_that_changed_are_shown_again(app: Flask, counter: FlaskClient, approver: FlaskClient) -> None:
    page = counted(counter, "1,636")
    before = fields(approver.get(f"{page}/approve").text)
    late = {"item": BLANK, "new": "2", "at": "10:30"}
    assert send(counter, f"/offices/{DENPASAR}/consumption", late).status_code == 303
    shown = approver.post(f"{page}/approve", data=before)
    assert shown.status_code == 409
    assert "the differences have changed" in shown.text
    assert "<b>-1</b>" in shown.text
    assert figures(app).missing == 0
    assert approver.post(f"{page}/approve", data=fields(shown.text)).status_code == 303
    assert figures(app) == Effect(received=1639, store=1636, printed=2, missing=1)


@pytest.mark.parametrize("shown", ["", "nonsense", "ktp-wni:x", "ktp-wni:-2", "film:1"])
def test_a_page_that_was_tampered_with_books_nothing(
    app: Flask, counter: FlaskClient, approver: FlaskClient, shown: str
) -> None:
    page = counted(counter, "1,636")
    assert send(approver, f"{page}/approve", {"shown": shown}).status_code == 409
    assert figures(app).missing == 0


def test_the_time_of_day_is_asked_only_while_it_matters(counter: FlaskClient) -> None:
    use = f"/offices/{DENPASAR}/consumption"
    assert "at" not in fields(counter.get(use).text)
    opened(counter)
    assert "at" in fields(counter.get(use).text)
    assert "at" in fields(counter.get(f"/offices/{DENPASAR}/spoilage").text)
    refused = send(counter, use, {"item": BLANK, "new": "2", "at": "11:30"})
    assert refused.status_code == 422
    assert 'id="at-error"' in refused.text


def test_a_count_of_earlier_today_keeps_its_time(app: Flask, counter: FlaskClient) -> None:
    page = opened(counter)
    refused = send(counter, f"{page}/count", {COUNT: "1,639", f"at-{BLANK}": "11:30"})
    assert refused.status_code == 422
    assert f'id="at-{BLANK}-error"' in refused.text
    app.config["CLOCK"] = lambda: NOW + timedelta(hours=2)
    counter = client_of(app, "storekeeper")
    assert send(counter, f"{page}/count", {COUNT: "1,639", f"at-{BLANK}": "12:15"}).location == page
    assert "12:15 WITA" in counter.get(page).text


def test_a_count_sent_twice_is_saved_once(counter: FlaskClient) -> None:
    page = opened(counter)
    form: dict[str, Any] = {**fields(counter.get(f"{page}/count").text), COUNT: "1,636"}
    for _attempt in range(2):
        answer = counter.post(f"{page}/count", data=form)
        assert (answer.status_code, answer.location) == (303, f"{page}/recount")
    assert counter.post(f"{page}/count", data=form | {COUNT: "1,637"}).status_code == 409


def test_what_came_late_is_corrected(app: Flask, counter: FlaskClient, approver: FlaskClient) -> None:
    page = counted(counter, "1,636")
    assert send(approver, f"{page}/approve", {}).status_code == 303
    assert f'href="{page}/correct"' not in approver.get(page).text
    send(counter, f"/offices/{DENPASAR}/consumption", {"item": BLANK, "lost": "3", "at": "10:00"})
    assert "no longer fit" in counter.get(page).text
    assert f'href="{page}/correct"' not in counter.get(page).text
    assert f'href="{page}/correct"' in approver.get(page).text
    assert send(approver, f"{page}/correct", {"note": "the evening list"}).status_code == 303
    assert figures(app) == Effect(received=1639, store=1636, printed=3)
    assert "nothing to correct" in approver.get(f"{page}/correct").text


def test_a_stocktake_is_cancelled_with_a_reason(app: Flask, counter: FlaskClient, approver: FlaskClient) -> None:
    page = counted(counter, "1,636")
    assert send(counter, f"{page}/cancel", {"why": " "}).status_code == 422
    assert send(counter, f"{page}/cancel", {"why": "does not suit me"}).status_code == 403
    assert send(approver, f"{page}/cancel", {"why": "wrong room"}).status_code == 303
    assert "wrong room" in counter.get(LIST).text
    assert "can no longer be changed" in approver.get(f"{page}/cancel").text
    assert figures(app).store == 1639


def test_only_one_stocktake_is_open(counter: FlaskClient) -> None:
    opened(counter)
    refused = send(counter, f"{LIST}/new", {"note": "another"})
    assert refused.status_code == 409
    assert "open already" in refused.text
    assert fields(refused.text)["note"] == ["another"]


def test_strangers_find_nothing(app: Flask, counter: FlaskClient) -> None:
    page = opened(counter)
    for name in ("other_storekeeper", "viewer", "administrator"):
        assert client_of(app, name).get(page).status_code == 403
    assert counter.get("/stocktakes/999").status_code == 404
    assert counter.get(f"/stocktakes/{10**30}").status_code == 404
