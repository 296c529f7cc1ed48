"""The daily closing through its pages, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from tests.conftest import NOW, TODAY
from tests.web.client import fields, in_language, log_in, send
from tests.world import BLANK, DENPASAR, World

LIST = f"/offices/{DENPASAR}/closings"
NEW, DAY = f"{LIST}/new", f"{LIST}/{TODAY}"
LEFT, PRINTED = f"left-{BLANK}", f"printed-{BLANK}"


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def keeper(app: Flask) -> FlaskClient:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 1679)
        world.print(NOW, TODAY, 40)
        db.session.remove()
    return client_of(app, "storekeeper")


@pytest.fixture
def manager(app: Flask) -> FlaskClient:
    return client_of(app, "manager")


def test_a_day_that_agrees_is_closed(keeper: FlaskClient) -> None:
    answer = send(keeper, NEW, {LEFT: "1,639", PRINTED: "40"})
    assert (answer.status_code, answer.location) == (303, DAY)
    shown = keeper.get(DAY).text
    assert "everything agrees with the book" in shown
    assert f'href="{DAY}"' in keeper.get(LIST).text


def test_the_book_is_not_shown_before_the_count(keeper: FlaskClient) -> None:
    refused = send(keeper, NEW, {LEFT: "", PRINTED: "x"})
    assert refused.status_code == 422
    assert f'id="{LEFT}-error"' in refused.text
    assert f'id="{PRINTED}-error"' in refused.text
    assert fields(refused.text)[PRINTED] == ["x"]
    for page in (keeper.get(NEW).text, refused.text):
        assert "1639" not in page
        assert "1,639" not in page.replace("such as 1,639", "")


def test_a_difference_is_cleared_by_another_person(keeper: FlaskClient, manager: FlaskClient) -> None:
    assert send(keeper, NEW, {LEFT: "1,638", PRINTED: "41"}).status_code == 303
    assert "There are differences" in keeper.get(DAY).text
    assert "/clear" not in keeper.get(DAY).text
    clear = next(
        part.split('"')[0] for part in manager.get(DAY).text.split('href="') if part.startswith("/closing-exceptions")
    )
    assert keeper.get(clear).status_code == 403
    assert send(manager, clear, {"reason": " "}).status_code == 422
    form: dict[str, Any] = {**fields(manager.get(clear).text), "reason": "one card lay in the printer"}
    for _attempt in range(2):
        assert manager.post(clear, data=form).location == DAY
    shown = keeper.get(DAY).text
    assert "one card lay in the printer" in shown
    assert "cleared already" in manager.get(clear).text
    assert manager.get("/closings").text.count("Kota Denpasar") == 1


def test_what_comes_late_stands_after_the_closing(app: Flask, keeper: FlaskClient) -> None:
    send(keeper, NEW, {LEFT: "1,636", PRINTED: "40"})
    assert "After closing" not in keeper.get(DAY).text
    send(keeper, f"/offices/{DENPASAR}/consumption", {"item": BLANK, "lost": "3"})
    shown = keeper.get(DAY).text
    assert "After closing" in shown
    assert "Later entries have made it vanish." in shown
    assert "Open" in shown


def test_a_day_is_closed_once_until_it_is_opened_again(keeper: FlaskClient, manager: FlaskClient) -> None:
    form: dict[str, Any] = {**fields(keeper.get(NEW).text), LEFT: "1", PRINTED: "40"}
    for _attempt in range(2):
        assert keeper.post(NEW, data=form).location == DAY
    again = send(keeper, NEW, {LEFT: "1,639", PRINTED: "40"})
    assert again.status_code == 409
    assert "is closed already" in again.text
    assert keeper.get(f"{DAY}/reopen").status_code == 403
    assert send(manager, f"{DAY}/reopen", {"reason": ""}).status_code == 422
    assert send(manager, f"{DAY}/reopen", {"reason": "a slip"}).status_code == 303
    assert keeper.get(DAY).status_code == 409
    assert send(keeper, NEW, {LEFT: "1,639", PRINTED: "40"}).location == DAY


def test_days_left_out_are_listed_for_those_above(app: Flask, keeper: FlaskClient) -> None:
    assert "Has never closed a day" in client_of(app, "regional").get("/closings").text
    send(keeper, NEW, {LEFT: "1,639", PRINTED: "40"})
    app.config["CLOCK"] = lambda: NOW + timedelta(days=2)
    listed = client_of(app, "regional").get("/closings").text
    assert "Kota Denpasar" in listed
    assert "May 16, 2024" in listed
    assert f"{NEW}?day=2024-05-16" in client_of(app, "storekeeper").get("/closings").text
    assert "Kota Denpasar" not in client_of(app, "viewer").get("/closings").text


@pytest.mark.parametrize("day", ["2024-13-01", "2024-05-1", "today", "9999-99-99"])
def test_what_is_no_day_is_not_found(keeper: FlaskClient, day: str) -> None:
    assert keeper.get(f"{LIST}/{day}").status_code == 404


def test_an_office_without_a_book_has_nothing_to_close(app: Flask) -> None:
    page = client_of(app, "other_storekeeper").get("/offices/51.03/closings/new")
    assert page.status_code == 200
    assert "holds nothing yet" in page.text
