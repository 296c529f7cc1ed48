"""The public board as anybody gets it: no session, honest caching, and no more than was chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import unescape
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.boards import Choice, Precision
from inventory.services import boards, closings
from tests.conftest import NOW, TODAY
from tests.web.client import fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}/board"
BOARD = f"/board/{DENPASAR}"
WAYS = ("", ".json", ".svg")
SHOWN = Choice(on=True, item_codes=(BLANK,), precision=Precision.TENS, sentence="Cetak <b>Senin</b>–Jumat")


def fill(world: World) -> None:
    world.deliver(NOW, TODAY, 1639)
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 1639}, {BLANK: 0})
    boards.choose(SYSTEM, NOW, uuid4(), DENPASAR, SHOWN, 0)


pytestmark = pytest.mark.filled(by=fill)


@pytest.fixture
def anybody(app: Flask) -> FlaskClient:
    return app.test_client()


def manager_of(app: Flask) -> FlaskClient:
    client = app.test_client()
    log_in(client, "manager")
    in_language(client, "en")
    return client


def change(app: Flask, **changes: Any) -> None:
    with app.app_context():
        choice, version = boards.current(SYSTEM, DENPASAR)
        boards.choose(SYSTEM, NOW, uuid4(), DENPASAR, Choice(**(vars(choice) | changes)), version)
        db.session.remove()


def print_cards(app: Flask, quantity: int) -> None:
    with app.app_context():
        World(app).print(NOW, TODAY, quantity)
        db.session.remove()


def test_a_page_tells_what_was_chosen_in_the_readers_language(anybody: FlaskClient) -> None:
    page = anybody.get(BOARD, headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert '<html lang="en">' in page.text
    for words in ("Kota Denpasar", "available", "at least <b>1,630</b> cards", "Last counted: May 15, 2024 11:00 WITA"):
        assert words in page.text
    assert "1,639" not in page.text
    assert "Cetak &lt;b&gt;Senin&lt;/b&gt;–Jumat" in page.text
    assert page.headers["Vary"].startswith("Accept-Language")
    asked = anybody.get(f"{BOARD}?lang=id", headers={"Accept-Language": "en"})
    assert "sedikitnya <b>1.630</b> keping" in asked.text
    assert "Accept-Language" not in asked.headers.get("Vary", "")
    assert '<html lang="id">' in anybody.get(BOARD, headers={"Accept-Language": "fr"}).text


def test_the_data_are_as_the_readme_promises(anybody: FlaskClient) -> None:
    answer = anybody.get(f"{BOARD}.json")
    assert json.loads(answer.text) == {
        "office": {"code": DENPASAR, "name": "Kota Denpasar"},
        "day": "2024-05-15",
        "time_zone": "Asia/Makassar",
        "precision": "tens",
        "sentence": "Cetak <b>Senin</b>–Jumat",
        "confirmed_at": "2024-05-15T11:00:00+08:00",
        "synthetic": False,
        "items": [
            {
                "code": BLANK,
                "names": {"id": "Blangko KTP-el WNI", "en": "Citizen card blank"},
                "units": {"id": "keping", "en": "cards"},
                "level": "available",
                "least": 1630,
                "most": 1639,
            }
        ],
    }


def test_a_badge_can_be_put_on_any_site_and_says_itself(app: Flask, anybody: FlaskClient) -> None:
    def said(address: str) -> tuple[str, list[str]]:
        drawn = ElementTree.fromstring(anybody.get(address).data)  # noqa: S314  (our own)
        space = "{http://www.w3.org/2000/svg}"
        return str(drawn.findtext(f"{space}title")), [str(each.text) for each in drawn.iter(f"{space}text")]

    title, texts = said(f"{BOARD}.svg?item={BLANK}&lang=id")
    assert title == "Kota Denpasar, Blangko KTP-el WNI: 1.630+ keping (tersedia)"
    assert texts == ["Blangko KTP-el WNI", "1.630+"]
    change(app, precision=Precision.EXACT)
    assert said(f"{BOARD}.svg?lang=en")[1] == ["Citizen card blank", "1,639"]
    change(app, precision=Precision.LEVEL, few_below=2000)
    assert said(f"{BOARD}.svg?lang=en")[1] == ["Citizen card blank", "few"]
    assert said(f"{BOARD}.svg?lang=en")[0] == "Kota Denpasar, Citizen card blank: few"
    assert anybody.get(f"{BOARD}.svg?item=kia").status_code == 404


def test_nothing_of_a_session_is_read_or_set_and_caches_may_keep_it(app: Flask) -> None:
    """Not even of a manager who is logged in: a cache that keeps their page gives it to everybody."""
    client = manager_of(app)
    for way in WAYS:
        answer = client.get(BOARD + way + "?lang=id")
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
        assert answer.headers["Cache-Control"] == "public, max-age=60, stale-while-revalidate=30"
        assert not answer.headers["ETag"].startswith("W/")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers.get("Access-Control-Allow-Origin") == (None if way == "" else "*")
        assert answer.headers.get("Cross-Origin-Resource-Policy") == ("same-origin" if way == "" else "cross-origin")
    assert client.get("/board").headers["Cache-Control"].startswith("public")


@pytest.mark.parametrize("way", WAYS)
def test_whoever_has_it_already_gets_no_body(app: Flask, anybody: FlaskClient, way: str) -> None:
    """And a change that the board does not tell changes no tag: it would tell it after all."""
    address = BOARD + way + "?lang=en"
    first = anybody.get(address)

    def again() -> Any:
        return anybody.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert (again().status_code, again().data) == (304, b"")
    assert again().headers["Cache-Control"] == first.headers["Cache-Control"]
    head = anybody.head(address)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", first.headers["ETag"])
    print_cards(app, 9)
    assert again().status_code == 304, "1,630 is told like 1,639"
    print_cards(app, 1)
    assert again().status_code == 200


def test_an_office_without_a_board_is_like_none(app: Flask, anybody: FlaskClient) -> None:
    change(app, on=False)
    for way in WAYS:
        answers = [anybody.get(f"/board/{code}{way}?lang=id") for code in (DENPASAR, BADUNG, "99.99")]
        for each in answers:
            each.headers.pop("X-Request-Id")  # of each its own
        assert {(each.status_code, each.text, tuple(sorted(each.headers.items()))) for each in answers} == {
            (404, answers[0].text, tuple(sorted(answers[0].headers.items())))
        }
        assert answers[0].headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answers[0].headers
    assert DENPASAR not in anybody.get("/board").text


def test_every_way_asks_the_database_a_few_times_only(app: Flask, anybody: FlaskClient) -> None:
    asked: list[str] = []
    with app.app_context():
        engine = db.engine

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(engine, "before_cursor_execute", note)
    try:
        for address in (*(BOARD + way for way in WAYS), "/board?q=denpasar", "/board/99.99"):
            asked.clear()
            anybody.get(address)
            assert len(asked) <= 2, address
    finally:
        event.remove(engine, "before_cursor_execute", note)


def typed(**changes: Any) -> Mapping[str, Any]:
    said = {"on": "y", "items": [BLANK], "precision": "hundreds", "few_below": "50", "sentence": "Loket 3"}
    return {**said, "do": "save", **changes}


def test_a_manager_looks_first_and_then_saves(app: Flask, anybody: FlaskClient) -> None:
    client = manager_of(app)
    seen = send(client, HOME, typed(do="preview"))
    assert seen.status_code == 200
    assert "at least <b>1,600</b> cards" in seen.text
    assert "Not saved yet" in seen.text
    assert "1,630" in anybody.get(f"{BOARD}?lang=en").text, "looking changes nothing"
    assert send(client, HOME, typed()).status_code == 303
    assert "1,600" in anybody.get(f"{BOARD}?lang=en").text
    page = client.get(HOME).text
    copied = unescape(page.partition('class="embed"')[2].partition(">")[2].partition("</textarea>")[0])
    picture = unescape(copied.partition('src="')[2].partition('"')[0])
    assert picture == f"http://localhost{BOARD}.svg?item={BLANK}&lang=en"
    assert anybody.get(picture).status_code == 200
    assert "Manager" in page


def test_a_refused_form_keeps_what_was_typed(app: Flask) -> None:
    client = manager_of(app)
    old = fields(client.get(HOME).text)
    nothing = send(client, HOME, typed(items=[], sentence="Loket 9"))
    assert nothing.status_code == 422
    assert "Choose at least one item to show." in nothing.text
    assert 'value="Loket 9"' in nothing.text
    assert send(client, HOME, typed(few_below="0")).status_code == 422
    change(app, few_below=3)
    stale = client.post(HOME, data={**old, **typed()})
    assert stale.status_code == 409
    assert "Somebody has changed the board meanwhile." in stale.text
