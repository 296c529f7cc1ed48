"""What goes out whole or to everybody by the API: boards, exports, numbers, suppliers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import uuid4

from inventory.domain.scopes import ApiScope
from inventory.services import deliveries, items
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

BOARD = f"/offices/{DENPASAR}/board"
CHOICE = {
    "on": True,
    "items": [BLANK],
    "precision": "hundreds",
    "few_below": 100,
    "sentence": "Monday to Friday",
    "confirmed": False,
}


def test_a_board_is_public_once_its_manager_turns_it_on(world: World) -> None:
    world.deliver(NOW, TODAY, 1639)
    manager, anybody = Caller(world.app, person="manager"), Caller(world.app)
    assert code_of(anybody.get(f"/boards/{DENPASAR}")) == "board_not_found"
    match = {"If-Match": manager.get(BOARD).headers["ETag"]}
    chosen = manager.send("PUT", BOARD, CHOICE, match)
    assert (chosen.status_code, chosen.json) == (200, CHOICE)
    assert manager.send("PUT", BOARD, CHOICE, match).status_code == 412
    told = anybody.get(f"/boards/{DENPASAR}")
    body: Any = told.json
    assert [(each["item"], each["least"], each["most"]) for each in body["items"]] == [(BLANK, 1600, 1699)]
    assert told.headers["Cache-Control"].startswith("public")
    assert "Set-Cookie" not in told.headers
    assert [each["code"] for each in anybody.get("/boards", search="denpasar").json["data"]] == [DENPASAR]  # type: ignore[index]
    assert code_of(Caller(world.app, make_token()).send("PUT", BOARD, CHOICE, match)) == "not_for_machines"


def test_exports_are_those_of_the_pages(world: World) -> None:
    world.deliver(NOW, TODAY, 10, bast="=HYPERLINK(1)")
    caller = Caller(world.app, make_token(ApiScope.STOCK_READ))
    named = {each["name"] for each in caller.get("/exports").json["data"]}  # type: ignore[index]
    assert {"movements", "deliveries"} <= named
    assert not {"people", "seals"} & named
    [row] = csv.DictReader(io.StringIO(caller.get("/exports/deliveries").text.lstrip("\ufeff")))
    assert row["bast_number"] == "'=HYPERLINK(1)"
    [line] = caller.get("/exports/deliveries", form="jsonl").text.splitlines()
    assert (json.loads(line)["bast_number"], json.loads(line)["received"]) == ("=HYPERLINK(1)", 10)
    assert code_of(caller.get("/exports/people")) == "not_allowed"
    back = caller.get("/exports/movements", **{"from": "2024-05-15", "to": "2024-05-14"})  # type: ignore[arg-type]
    assert fields_of(back) == {"to": "period_backwards"}
    elsewhere = Caller(world.app, make_token(ApiScope.STOCK_READ, office=BADUNG))
    assert elsewhere.get("/exports/movements", form="jsonl").text == ""
    assert elsewhere.get("/exports/movements", under=DENPASAR).status_code == 403


def test_a_number_is_found_where_it_is(world: World) -> None:
    items.keep_numbers(BLANK)
    caller = Caller(world.app, make_token(ApiScope.STOCK_READ, ApiScope.DELIVERIES_WRITE))
    opening = {"item": BLANK, "day": TODAY.isoformat(), "ranges": ["A100001-A100500", "A100600-A100699"]}
    assert caller.post(f"/offices/{DENPASAR}/openings", opening).status_code == 201
    found: Any = caller.get(f"/numbers/{BLANK}/A100007").json
    assert (found["place"], found["office"], len(found["steps"])) == ("store", DENPASAR, 1)
    first: Any = caller.get(f"/offices/{DENPASAR}/numbers/{BLANK}", limit=1).json
    second: Any = caller.get(f"/offices/{DENPASAR}/numbers/{BLANK}", limit=1, cursor=first["next"]).json
    assert [each["first"] for each in first["data"] + second["data"]] == ["A100001", "A100600"]
    assert second["next"] is None
    [gap] = caller.get(f"/offices/{DENPASAR}/numbers").json["data"]  # type: ignore[index]
    assert gap["kind"] == "gap"
    unknown: Any = caller.get(f"/numbers/{BLANK}/B1").json
    assert (unknown["place"], unknown["steps"]) == (None, [])
    elsewhere: Any = Caller(world.app, make_token(ApiScope.STOCK_READ, office=BADUNG)).get(f"/numbers/{BLANK}/A100007")
    assert elsewhere.json["office"] is None
    assert elsewhere.json["steps"][0]["office"] is None


def test_suppliers_and_lead_time(world: World) -> None:
    asked = world.ask(NOW, TODAY, 100)
    paper = {"bast_number": "1", "bast_on": TODAY, "received_on": TODAY, "funding_source": "apbn"}
    one = deliveries.Paper(**paper, supplier="Ditjen Dukcapil", delivery_request_id=asked)
    counted = {BLANK: deliveries.Counted(received=100, asked=100)}
    deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, one, counted)
    caller = Caller(world.app, make_token(ApiScope.STOCK_READ))
    period = {"from": "2024-05-01", "to": "2024-05-31"}
    told: Any = caller.get(f"/offices/{DENPASAR}/suppliers", **period).json  # type: ignore[arg-type]
    assert [(each["name"], each["total"]["fill_rate"]) for each in told["data"]] == [("Ditjen Dukcapil", 1.0)]
    assert caller.get(f"/offices/{DENPASAR}/lead-time").json["setting"] == 14  # type: ignore[index]
