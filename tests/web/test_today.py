"""A storekeeper's today as a page: one form, one posting, what stays when it is refused, and undo."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from inventory.db import db
from inventory.domain.ledger import Effect
from inventory.domain.ranges import parse_ranges
from inventory.models import Movement
from inventory.services import closings, deliveries, items
from tests.conftest import NOW, TODAY
from tests.web.client import fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR, World

PAGE = f"/offices/{DENPASAR}/today"
UNDO = f"{PAGE}/undo"


def stock(world: World) -> None:
    yesterday = timedelta(days=1)
    world.deliver(NOW - yesterday, TODAY - yesterday, 1639)
    deliveries.record_opening(world.storekeeper, NOW - yesterday, uuid4(), DENPASAR, "ribbon", TODAY - yesterday, 4, "")
    items.keep_numbers("kia")
    kept = parse_ranges("A100001-A100010")
    said = (world.storekeeper, NOW - yesterday, uuid4(), DENPASAR, "kia", TODAY - yesterday, 0, "")
    deliveries.record_opening(*said, ranges=kept)
    db.session.remove()


pytestmark = pytest.mark.filled(by=stock)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    client = app.test_client()
    log_in(client, "storekeeper")
    in_language(client, "en")
    return client


def posted(app: Flask) -> list[tuple[str, str, int]]:
    """What was recorded today: kind, reason and quantity."""
    with app.app_context():
        rows = db.session.execute(
            select(Movement.kind, Movement.reason, Movement.quantity)
            .where(Movement.recorded_at >= NOW)
            .order_by(Movement.id)
        )
        found = [(row.kind, row.reason, row.quantity) for row in rows]
        db.session.remove()
    return found


def figures(app: Flask, item: str = BLANK) -> Effect:
    with app.app_context():
        found = World(app).figures(item)
        db.session.remove()
    return found


def test_printing_and_spoilage_are_recorded_by_one_form(app: Flask, client: FlaskClient) -> None:
    answer = send(client, PAGE, {"new": "1,000", "new_waiting": "12", "lost": "3", "misprint": "2"})
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert posted(app) == [("print", "new", 1000), ("print", "lost", 3), ("spoil", "misprint", 2)]
    page = client.get(PAGE).text
    assert "Recorded: 1,005 × Citizen card blank. 634 left." in unescape(page)
    assert "today: 1,000" in page
    assert re.search(r"<b>1,000</b> New card, <b>3</b> Lost card, <b>2</b> Misprint", page)


def test_the_same_form_sent_twice_is_recorded_once(app: Flask, client: FlaskClient) -> None:
    data = {**fields(client.get(PAGE).text), "new": "5", "misprint": "1"}
    assert [client.post(PAGE, data=data).status_code for _ in range(2)] == [303, 303]
    assert len(posted(app)) == 2
    assert "recorded once" in client.get(PAGE).text


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ({"new": "1600", "misprint": "40"}, 409, "in the store"),
        ({"new": "1.5", "misprint": "2"}, 422, "correct the marked fields"),
        ({"new": "", "misprint": ""}, 422, "nothing"),
        ({"new": "5", "new_waiting": "6", "misprint": ""}, 422, "had waited"),
        ({"new": "5", "misprint": "", "day": "2024-05-16"}, 422, "has not come yet"),
    ],
)
def test_what_is_refused_stays_as_it_was_typed(
    app: Flask, client: FlaskClient, typed: dict[str, str], status: int, said: str
) -> None:
    answer = send(client, PAGE, {**typed, "note": "shift pagi"})
    assert answer.status_code == status
    assert said in re.sub(r"\s+", " ", answer.text).lower()
    shown = fields(answer.text)
    assert {name: shown[name][0] for name in typed} == typed
    assert shown["note"] == ["shift pagi"]
    assert posted(app) == []


def test_an_item_is_chosen_and_remembered(app: Flask, client: FlaskClient) -> None:
    assert fields(client.get(PAGE).text)["item"] == [BLANK]
    ribbon = client.get(f"{PAGE}?item=ribbon").text
    assert fields(ribbon)["item"] == ["ribbon"]
    assert "lost" not in fields(ribbon)
    assert fields(client.get(PAGE).text)["item"] == ["ribbon"]
    assert send(client, PAGE, {"consumed": "2", "defective": "1"}).status_code == 303
    assert posted(app) == [("print", "consumed", 2), ("spoil", "defective", 1)]
    for unknown in ("no-such-item", "x" * 300, "\x00"):
        assert fields(client.get(PAGE, query_string={"item": unknown}).text)["item"][0] in (BLANK, "ribbon")
    # Never recorded for another item than the one that was asked for.
    assert send(client, PAGE, {"item": "no-such-item", "consumed": "1"}).status_code == 404
    assert len(posted(app)) == 2


def test_the_numbers_of_cards_count_for_themselves(app: Flask, client: FlaskClient) -> None:
    typed = {"new_ranges": "A100001-A100003", "misprint_ranges": "A100004"}
    assert send(client, f"{PAGE}?item=kia", typed, action=PAGE).status_code == 303
    assert posted(app) == [("print", "new", 3), ("spoil", "misprint", 1)]
    refused = send(client, PAGE, {"new_ranges": "A100003-A100005"})
    assert refused.status_code == 409
    assert "A100003-A100005" in refused.text


def test_a_script_is_told_where_to_go_on_and_gets_the_page_when_it_is_refused(app: Flask, client: FlaskClient) -> None:
    data = {**fields(client.get(PAGE).text), "new": "5"}
    ask = {"Accept": "application/json"}
    assert client.post(PAGE, data=data, headers=ask).json == {"state": "recorded", "next": PAGE}
    refused = client.post(PAGE, data={**data, "request_id": str(uuid4()), "new": "5000"}, headers=ask)
    assert (refused.status_code, refused.mimetype) == (409, "text/html")
    assert client.application.test_client().post(PAGE, data=data, headers=ask).status_code in (400, 401)


def test_a_closed_day_is_said_before_anything_is_entered(app: Flask, client: FlaskClient) -> None:
    assert "late entry" not in client.get(PAGE).text
    with app.app_context():
        left, printed = {BLANK: 1639, "ribbon": 4, "kia": 10}, {BLANK: 0, "kia": 0}
        closings.close(World(app).storekeeper, NOW, uuid4(), DENPASAR, TODAY, left, printed)
        db.session.remove()
    page = client.get(PAGE).text
    assert "late entry" in page
    assert f"{DENPASAR}/closings/{TODAY}" in page


def test_what_waits_to_be_received_is_one_touch_away(app: Flask) -> None:
    with app.app_context():
        transfer = World(app).send(NOW, TODAY, 8)
        db.session.remove()
    client = app.test_client()
    log_in(client, "other_storekeeper")
    page = client.get(f"/offices/{BADUNG}/today").text
    assert f'href="/transfers/{transfer}/receive"' in page
    assert "Kota Denpasar" in page


# --- undo --------------------------------------------------------------------------------------------------------


def undo(client: FlaskClient, page: str = PAGE) -> Any:
    return client.post(UNDO, data={**fields(client.get(page).text)})


def test_ones_newest_entry_is_undone_once(app: Flask, client: FlaskClient) -> None:
    send(client, PAGE, {"new": "5", "misprint": "1"})
    data = fields(client.get(PAGE).text)
    assert [client.post(UNDO, data=data).status_code for _ in range(2)] == [303, 303]
    assert posted(app)[2:] == [("print", "new", -5), ("spoil", "misprint", -1)]
    page = client.get(PAGE).text
    assert "already undone" in page
    assert re.search(r"<del>.*New card", page)
    assert 'name="posting"' not in page
    with app.app_context():
        notes = db.session.scalars(select(Movement.note).where(Movement.reverses_id.is_not(None)))
        assert set(notes) == {"Diurungkan segera setelah dicatat"}
        db.session.remove()


def test_an_undo_that_comes_too_late_says_what_to_do_and_changes_nothing(app: Flask, client: FlaskClient) -> None:
    send(client, PAGE, {"new": "5"})
    data = fields(client.get(PAGE).text)
    app.config["CLOCK"] = lambda: NOW + timedelta(minutes=10)
    page = client.get(PAGE).text
    assert 'name="posting"' not in page
    assert f"/stock-card/{BLANK}?from={TODAY}" in page
    answer = client.post(UNDO, data=data)
    assert answer.status_code == 409
    assert "Reverse it on the stock card" in answer.text
    for wrong in ("", "no id"):
        assert client.post(UNDO, data={**data, "posting": wrong}).status_code == 422
    assert client.post(UNDO, data={**data, "posting": str(uuid4())}).status_code == 404
    assert len(posted(app)) == 1
    assert figures(app).store == 1634


def test_the_page_asks_the_database_the_same_however_much_was_entered(app: Flask, client: FlaskClient) -> None:
    def statements() -> int:
        seen: list[str] = []
        with app.app_context():
            engine = db.engine
        hook = lambda _c, _u, statement, *_: seen.append(statement)  # noqa: E731
        event.listen(engine, "before_cursor_execute", hook)
        try:
            assert client.get(PAGE).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", hook)
        return len(seen)

    send(client, PAGE, {"new": "1"})
    before = statements()
    for number in range(2, 17):
        send(client, PAGE, {"new": str(number), "misprint": "1"})
    assert statements() == before <= 32
    page = client.get(PAGE)
    assert page.text.count("<li>") < 60
    assert len(page.data) < 60_000
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Movement)) == 34
        db.session.remove()


def test_a_session_that_is_over_is_told_so_to_the_page_that_keeps_what_was_typed(client: FlaskClient) -> None:
    typed = {"item": BLANK, "day": TODAY.isoformat(), "new": "5", "request_id": str(uuid4()), "csrf_token": "no more"}
    answer = client.post(PAGE, data=typed, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json) == (400, {"state": "stale"})
    assert client.post(PAGE, data=typed).mimetype == "text/html"


def test_a_part_that_was_reversed_by_itself_is_struck_out(app: Flask, client: FlaskClient) -> None:
    send(client, PAGE, {**fields(client.get(PAGE).text), "new": "5", "lost": "2"})
    with app.app_context():
        lost = db.session.scalar(select(Movement.id).where(Movement.reason == "lost"))
        db.session.remove()
    send(client, f"/movements/{lost}/reverse", {"note": "salah"})
    page = client.get(PAGE).text
    assert re.search(r"<del><b>2</b> Lost card</del>", page)
    assert re.search(r"(?<!<del>)<b>5</b> New card", page)
