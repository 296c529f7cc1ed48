"""Hand-overs and requests by the API, with what the ledger says of them after."""

from __future__ import annotations

from typing import Any

from inventory.domain.scopes import ApiScope
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

PATH = f"/offices/{DENPASAR}/deliveries"
REQUESTS = f"/offices/{DENPASAR}/requests"
DAY = TODAY.isoformat()


def delivery(received: int, defective: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "bast_number": "470/1639/2024",
        "bast_on": DAY,
        "received_on": DAY,
        "funding_source": "apbn",
        "supplier": "Ditjen Dukcapil",
        "lines": [{"item": BLANK, "received": received, "defective": defective, "asked": 10000}],
        **changes,
    }


def asked(**changes: Any) -> dict[str, Any]:
    return {
        "supplier": "Ditjen Dukcapil",
        "asked_on": DAY,
        "lines": [{"item": BLANK, "asked": 10000}],
        **changes,
    }


def test_a_delivery_is_in_the_books_and_reads_back_as_it_was_recorded(world: World) -> None:
    # Denpasar, September 2023: 10,000 asked, 2,000 got (reported.csv).
    caller = Caller(world.app, make_token(ApiScope.DELIVERIES_WRITE, ApiScope.STOCK_READ))
    made = caller.post(PATH, delivery(2000, defective=3))
    assert made.status_code == 201, made.text
    told: Any = made.json
    assert (world.figures().store, world.figures().spoiled, world.figures().received) == (1997, 3, 2000)
    assert (told["lines"][0]["short"], told["lines"][0]["defective"]) == (8000, 3)
    assert caller.get(f"{PATH}/{told['id']}").json == told
    [listed] = caller.get(PATH).json["data"]  # type: ignore[index]
    assert (listed["id"], listed["bast_number"]) == (told["id"], "470/1639/2024")
    assert fields_of(caller.post(PATH, delivery(1))) == {"/bast_number": "bast_already_recorded"}
    wrong = delivery(5, defective=6, bast_number="2")
    assert fields_of(caller.post(PATH, wrong)) == {"/lines": "defective_exceeds_received"}
    assert world.figures().received == 2000


def test_a_machine_that_may_only_write_is_told_what_it_wrote(world: World) -> None:
    caller = Caller(world.app, make_token(ApiScope.DELIVERIES_WRITE))
    assert caller.post(PATH, delivery(10)).status_code == 201
    assert code_of(caller.get(PATH)) == "scope_missing"


def test_the_opening_stock_comes_first_and_once(world: World) -> None:
    caller = Caller(world.app, make_token(ApiScope.DELIVERIES_WRITE))
    opening = {"item": BLANK, "day": DAY, "quantity": 1639}
    assert caller.post(f"/offices/{DENPASAR}/openings", opening).status_code == 201
    assert world.figures().store == 1639
    assert code_of(caller.post(f"/offices/{DENPASAR}/openings", opening)) == "opening_not_first"


def test_other_offices_hand_overs_are_out_of_reach(world: World) -> None:
    ours = Caller(world.app, make_token(ApiScope.DELIVERIES_WRITE))
    made: Any = ours.post(PATH, delivery(10)).json
    theirs = Caller(world.app, make_token(ApiScope.DELIVERIES_WRITE, ApiScope.STOCK_READ, office=BADUNG))
    assert theirs.post(PATH, delivery(10)).status_code == 403
    assert theirs.get(f"{PATH}/{made['id']}").status_code == 403
    assert code_of(theirs.get(f"/offices/{BADUNG}/deliveries/{made['id']}")) == "delivery_not_found"
    assert world.figures().received == 10


def test_a_request_is_asked_allotted_and_answered(world: World) -> None:
    caller = Caller(world.app, make_token(office=DENPASAR))
    made: Any = caller.post(REQUESTS, asked()).json
    assert made["request"]["status"] == "asked"
    allotment = {"version": made["request"]["version"], "lines": [{"item": BLANK, "allotted": 2000, "cartons": 1}]}
    allotted: Any = caller.post(f"/requests/{made['id']}/allotment", allotment).json
    assert allotted["request"]["lines"][0]["left"] == 2000
    stale = caller.post(f"/requests/{made['id']}/allotment", allotment)
    assert (stale.status_code, fields_of(stale)) == (409, {"/version": "delivery_request_changed"})
    assert caller.post(PATH, delivery(2000, delivery_request_id=made["id"])).status_code == 201
    done: Any = caller.get(f"/requests/{made['id']}").json
    assert (done["request"]["status"], done["deliveries"][0]["received"]) == ("received", 2000)
    ended = {"version": done["request"]["version"], "why": "late"}
    assert code_of(caller.post(f"/requests/{made['id']}/cancellation", ended)) == "delivery_request_closed"


def test_a_request_is_called_off_or_closed_with_a_reason(world: World) -> None:
    caller = Caller(world.app, person="storekeeper")
    for name, status in (("cancellation", "cancelled"), ("closing", "received")):
        made: Any = caller.post(REQUESTS, asked()).json
        silent = caller.post(f"/requests/{made['id']}/{name}", {"version": made["request"]["version"], "why": " "})
        assert fields_of(silent) == {"/why": "field_missing"}
        ended: Any = caller.post(f"/requests/{made['id']}/{name}", {"version": made["request"]["version"], "why": "x"})
        assert ended.json["request"]["status"] == status
    assert [each["status"] for each in caller.get(REQUESTS, status="cancelled").json["data"]] == [  # type: ignore[index]
        "cancelled"
    ]
