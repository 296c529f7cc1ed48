"""Transfers by the API: the ledger moves as by the pages, once for each key, and only from one's own offices."""

from __future__ import annotations

from typing import Any

from inventory.domain.scopes import ApiScope
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

PATH = f"/offices/{DENPASAR}/transfers"
WRITE, READ = ApiScope.TRANSFERS_WRITE, ApiScope.STOCK_READ


def dispatch(quantity: int, **changes: Any) -> dict[str, Any]:
    return {
        "receiver": BADUNG,
        "purpose": "distribution",
        "dispatched_on": TODAY.isoformat(),
        "expected_on": TODAY.isoformat(),
        "custodian": "I Made Kurir",
        "bast_number": "470/12/2024",
        "lines": [{"item": BLANK, "quantity": quantity}],
        **changes,
    }


def test_what_is_sent_is_in_transit_until_it_is_counted(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    caller = Caller(world.app, make_token(WRITE, READ, office="51"))
    sent = caller.post(PATH, dispatch(40))
    assert sent.status_code == 201, sent.text
    assert (world.figures().store, world.figures().transit) == (60, 40)

    transfer_id = sent.json["id"]  # type: ignore[index]
    receipt = {"day": TODAY.isoformat(), "lines": [{"item": BLANK, "good": 37, "damaged": 2}]}
    received: Any = caller.post(f"/transfers/{transfer_id}/receipt", receipt).json
    assert received["status"] == "received"
    assert received["lines"] == [
        {"item": BLANK, "sent": 40, "received": 37, "damaged": 2, "short": 1, "over": 0, "ranges": []}
    ]
    figures = world.figures()
    assert (figures.store, figures.transit, figures.sent, figures.missing) == (60, 0, 39, 1)
    assert caller.get(f"/transfers/{transfer_id}").json == received
    assert code_of(caller.post(f"/transfers/{transfer_id}/receipt", receipt)) == "transfer_closed"


def test_the_same_key_sends_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    caller = Caller(world.app, make_token(WRITE))
    first, again = (caller.post(PATH, dispatch(40), key="day 1") for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert world.figures().store == 60
    assert code_of(caller.post(PATH, dispatch(41), key="day 1")) == "idempotency_key_reused"


def test_taken_back_it_is_in_the_store_again(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    caller = Caller(world.app, make_token(WRITE))
    made: Any = caller.post(PATH, dispatch(40)).json
    ended = caller.post(
        f"/transfers/{made['id']}/cancellation", {"day": TODAY.isoformat(), "why": "The road is closed"}
    )
    assert ended.json["status"] == "cancelled", ended.text  # type: ignore[index]
    assert world.figures().store == 100


def test_refusals_name_the_field(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    caller = Caller(world.app, make_token(WRITE))
    twice = [{"item": BLANK, "quantity": 1}, {"item": BLANK, "quantity": 2}]
    assert fields_of(caller.post(PATH, dispatch(11))) == {"/lines": "not_enough_stock"}
    assert fields_of(caller.post(PATH, dispatch(1, lines=twice))) == {"/lines": "item_twice"}
    assert fields_of(caller.post(PATH, dispatch(1, expected_on="2024-05-14"))) == {
        "/expected_on": "expected_before_dispatch"
    }
    assert fields_of(caller.post(PATH, dispatch(1, lines=[{"item": BLANK, "quantity": 1.0}]))) == {
        "/lines/0/quantity": "field_type"
    }
    assert fields_of(caller.post(PATH, dispatch(1, status="received"))) == {"/status": "field_unknown"}
    assert world.figures().store == 10


def test_nobody_sends_from_another_office_or_receives_for_it(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    transfer_id = world.send(NOW, TODAY, 5)
    elsewhere = Caller(world.app, make_token(WRITE, READ, office="16"))
    assert elsewhere.post(PATH, dispatch(1)).status_code == 403
    assert elsewhere.get(PATH).status_code == 403
    assert code_of(elsewhere.get(f"/transfers/{transfer_id}")) == "transfer_not_found"
    receipt = {"day": TODAY.isoformat(), "lines": [{"item": BLANK, "good": 5}]}
    for who in (elsewhere, Caller(world.app, make_token(WRITE)), Caller(world.app, person="storekeeper")):
        assert who.post(f"/transfers/{transfer_id}/receipt", receipt).status_code == 403
    assert world.figures().transit == 5


def test_the_list_goes_on_where_it_stopped(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    made = [world.send(NOW, TODAY, 1) for _ in range(5)]
    caller = Caller(world.app, make_token(READ))
    page: Any = caller.get(PATH, limit=2).json
    seen = [each["id"] for each in page["data"]]
    world.send(NOW, TODAY, 1)  # what is newer does not shift what is older
    while page["next"]:
        page = caller.get(PATH, limit=2, cursor=page["next"]).json
        seen += [each["id"] for each in page["data"]]
    assert seen == made[::-1]
    assert caller.get(PATH, status="received").json == {"data": [], "next": None}
