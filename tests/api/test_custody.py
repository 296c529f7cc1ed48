"""Counting and destroying by the API: a machine counts and proposes, and a person decides on a page."""

from __future__ import annotations

from typing import Any

import pytest

from inventory.domain.scopes import ApiScope
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

STOCKTAKES = f"/offices/{DENPASAR}/stocktakes"
DESTRUCTIONS = f"/offices/{DENPASAR}/destructions"


@pytest.fixture
def counted(world: World) -> World:
    world.deliver(NOW, TODAY, 1640)
    return world


def test_a_count_is_blind_until_all_is_counted(counted: World) -> None:
    caller = Caller(counted.app, make_token(ApiScope.STOCKTAKES_WRITE, ApiScope.STOCK_READ))
    begun: Any = caller.post(STOCKTAKES, {"record_number": "SO/1"}).json
    path = f"/stocktakes/{begun['id']}"
    assert (begun["lines"][0]["waits"], begun["lines"][0]["book"]) == ("count", None)
    counts = {"lines": [{"item": BLANK, "quantity": 1639}]}
    first: Any = caller.post(f"{path}/counts", counts).json
    assert (first["status"], first["lines"][0]["waits"], first["lines"][0]["counted"]) == ("counting", "recount", None)
    second: Any = caller.post(f"{path}/recounts", counts).json
    assert (second["status"], second["lines"][0]["recounted"], second["lines"][0]["book"]) == ("counted", 1639, None)
    assert counted.figures().store == 1640, "nothing is booked before a person approves"
    # Once all is counted, giving it up takes who may approve: never a machine.
    assert caller.post(f"{path}/cancellation", {"why": "x"}).status_code == 403
    manager = Caller(counted.app, person="manager")
    assert manager.post(f"{path}/cancellation", {"why": "x"}).json["status"] == "cancelled"  # type: ignore[index]
    assert [each["id"] for each in caller.get(STOCKTAKES).json["data"]] == [begun["id"]]  # type: ignore[index]


def test_a_count_in_the_future_is_refused_with_its_field(counted: World) -> None:
    caller = Caller(counted.app, make_token(ApiScope.STOCKTAKES_WRITE))
    begun: Any = caller.post(STOCKTAKES, {}).json
    line = {"item": BLANK, "quantity": 1639, "at": "2024-05-15T11:30:00+07:00"}
    late = caller.post(f"/stocktakes/{begun['id']}/counts", {"lines": [line]})
    assert fields_of(late) == {"/lines": "count_in_future"}
    assert code_of(caller.post(STOCKTAKES, {})) == "stocktake_open"


def test_nobody_counts_for_another_office(counted: World) -> None:
    begun = counted.stocktake(NOW)
    elsewhere = Caller(counted.app, make_token(ApiScope.STOCKTAKES_WRITE, ApiScope.STOCK_READ, office=BADUNG))
    assert elsewhere.post(STOCKTAKES, {}).status_code == 403
    assert elsewhere.get(f"/stocktakes/{begun}").status_code in (403, 404)
    counts = {"lines": [{"item": BLANK, "quantity": 1}]}
    assert elsewhere.post(f"/stocktakes/{begun}/counts", counts).status_code in (403, 404)


def record(total: int, quantity: int) -> dict[str, Any]:
    return {
        "happened_on": TODAY.isoformat(),
        "place": "Halaman kantor",
        "method": "burned",
        "witnesses": [
            {"name": "Ni Made Sari", "position": "Sekretaris"},
            {"name": "I Wayan Adi", "position": "Inspektorat"},
        ],
        "total": total,
        "parts": [{"item": BLANK, "cause": "misprint", "quantity": quantity}],
    }


def test_a_destruction_waits_for_a_person(counted: World) -> None:
    counted.spoil(NOW, TODAY, 12)
    caller = Caller(counted.app, make_token(ApiScope.DESTRUCTIONS_WRITE, ApiScope.STOCK_READ))
    # 10,090 destroyed, itemised to 6,090 only: a breakdown equals its total.
    assert fields_of(caller.post(DESTRUCTIONS, record(12, 10))) == {"/total": "breakdown_differs"}
    assert fields_of(caller.post(DESTRUCTIONS, record(13, 13))) == {"/parts": "not_enough_spoiled"}
    made: Any = caller.post(DESTRUCTIONS, record(12, 12)).json
    assert (made["status"], counted.figures().spoiled) == ("proposed", 12)
    assert caller.get(f"/destructions/{made['id']}").json == made
    assert caller.get(f"/offices/{DENPASAR}/spoiled").json == {
        "data": [{"item": BLANK, "cause": "misprint", "quantity": 12}]
    }
    other = Caller(counted.app, person="storekeeper")
    assert code_of(other.post(f"/destructions/{made['id']}/withdrawal", {"why": "x"})) == "not_own_proposal"
    back: Any = caller.post(f"/destructions/{made['id']}/withdrawal", {"why": "Counted wrongly"}).json
    assert (back["status"], back["decision_note"]) == ("withdrawn", "Counted wrongly")
    again = caller.post(f"/destructions/{made['id']}/withdrawal", {"why": "Counted wrongly"})
    assert (again.status_code, again.json) == (201, back), "as after a crash between the deed and its answer"
    assert code_of(caller.post(f"/destructions/{made['id']}/withdrawal", {"why": "Other"})) == "proposal_decided"
    elsewhere = Caller(counted.app, make_token(office=BADUNG))
    assert elsewhere.get(f"/destructions/{made['id']}").status_code == 404
    assert elsewhere.post(DESTRUCTIONS, record(12, 12)).status_code == 403
