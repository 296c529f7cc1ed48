"""Movements by the API: the same services and rules as the pages, each posting once, told as it is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from inventory.db import db, write
from inventory.domain.scopes import ApiScope
from inventory.models import ApiRequest, Membership, Office
from inventory.services import items, proposals
from tests.api.client import Caller, code_of, fields_of, make_token
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

DAY = TODAY.isoformat()
WRITE = (ApiScope.STOCK_READ, ApiScope.MOVEMENTS_WRITE, ApiScope.MOVEMENTS_REVERSE)
AT_DENPASAR = f"/offices/{DENPASAR}/movements"


def prints(quantity: Any = 18, **changes: Any) -> dict[str, Any]:
    return {"item": BLANK, "day": DAY, "printed": [{"reason": "new", "quantity": quantity}], **changes}


@pytest.fixture
def machine(world: World) -> Caller:
    world.deliver(NOW, TODAY, 100)
    return Caller(world.app, make_token(*WRITE))


def store(caller: Caller, **query: Any) -> int:
    told: Any = caller.get(f"/offices/{DENPASAR}/balances", **query).json
    return next(each["store"] for each in told["data"] if each["item"] == BLANK)


def test_a_days_prints_and_spoils_are_recorded_in_one_go(machine: Caller) -> None:
    body = prints(
        printed=[
            {"reason": "new", "quantity": 18, "served_waiting": 3},
            {"reason": "lost", "quantity": 4},
        ],
        spoiled=[{"cause": "misprint", "quantity": 2}],
        shift="morning",
        happened_at="2024-05-15T10:30:00+08:00",
        note="loket 1",
    )
    response = machine.post(AT_DENPASAR, body)
    assert response.status_code == 201, response.text
    told: Any = response.json
    found = [(m["kind"], m["reason"], m["quantity"], m["served_waiting"], m["shift"]) for m in told["movements"]]
    assert found == [
        ("print", "new", 18, 3, None),
        ("print", "lost", 4, 0, None),
        ("spoil", "misprint", 2, 0, "morning"),
    ]
    first = told["movements"][0]
    assert (first["office"], first["item"], first["day"]) == (DENPASAR, BLANK, DAY)
    assert (first["happened_at"], first["recorded_by"]) == ("2024-05-15T02:30:00Z", "Sistem antrean")
    assert len({m["posting"] for m in told["movements"]}) == 1
    assert machine.get(f"/movements/{first['id']}").json == first
    assert store(machine) == 100 - 24


def test_a_person_posts_with_their_session_and_its_token(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    person = Caller(world.app, person="storekeeper")
    assert person.post(AT_DENPASAR, prints()).status_code == 201
    person.csrf = "wrong"
    assert fields_of(person.post(AT_DENPASAR, prints())) == {"X-CSRFToken": "csrf_token_wrong"}
    assert store(person) == 82


def test_the_same_key_and_body_have_the_same_answer(machine: Caller) -> None:
    first = machine.post(AT_DENPASAR, prints(), key="kunci 1")
    again = machine.post(AT_DENPASAR, prints(), key="kunci 1")
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert store(machine) == 82
    other = machine.post(AT_DENPASAR, prints(19), key="kunci 1")
    assert other.status_code == 422
    assert fields_of(other) == {"Idempotency-Key": "idempotency_key_reused"}
    elsewhere = machine.post(f"/offices/{BADUNG}/movements", prints(), key="kunci 1")
    assert code_of(elsewhere) == "idempotency_key_reused"
    assert store(machine) == 82


def test_a_refusal_leaves_the_key_free(machine: Caller, world: World) -> None:
    refused = machine.post(AT_DENPASAR, prints(101), key="k")
    assert code_of(refused) == "not_enough_stock"
    assert refused.status_code == 409
    world.deliver(NOW, TODAY, 1)
    assert machine.post(AT_DENPASAR, prints(101), key="k").status_code == 201


def test_keys_of_two_accounts_are_two_keys(machine: Caller, world: World) -> None:
    other = Caller(world.app, make_token(*WRITE))
    assert machine.post(AT_DENPASAR, prints(), key="k").status_code == 201
    assert other.post(AT_DENPASAR, prints(5), key="k").status_code == 201
    assert store(machine) == 100 - 23


def test_a_key_that_cannot_be_one_is_refused(machine: Caller) -> None:
    for key in ("", " ", " a", "ü", "x" * 256, "a\tb"):
        headers = {"Idempotency-Key": key} if key else {}
        response = machine.send("POST", AT_DENPASAR, prints(), headers)
        assert response.status_code == 400
        assert list(fields_of(response)) == ["Idempotency-Key"], key


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"printed": [{"reason": "new", "quantity": 1.0}]}, "/printed/0/quantity", "field_type"),
    ({"printed": [{"reason": "new", "quantity": "1"}]}, "/printed/0/quantity", "field_type"),
    ({"printed": [{"reason": "new", "quantity": True}]}, "/printed/0/quantity", "field_type"),
    ({"printed": [{"reason": "new", "quantity": -5}]}, "/printed/0/quantity", "quantity_not_positive"),
    ({"printed": [{"reason": "new", "quantity": 10**12}]}, "/printed/0/quantity", "quantity_too_large"),
    ({"printed": [{"reason": "sold", "quantity": 1}]}, "/printed/0/reason", "field_choice"),
    ({"printed": [{"reason": "new"}]}, "/printed/0/quantity", "field_missing"),
    ({"printed": [{"reason": "new", "quantity": 1, "office_id": 1}]}, "/printed/0/office_id", "field_unknown"),
    ({"printed": {}}, "/printed", "field_type"),
    ({"item": None}, "/item", "field_null"),
    ({"item": "../x"}, "/item", "item_code_format"),
    ({"item": "nix"}, "/item", "item_not_found"),
    ({"day": "2024-02-30"}, "/day", "day_format"),
    ({"day": "0000-01-01"}, "/day", "day_format"),
    ({"day": "9999-12-31"}, "/day", "day_out_of_reach"),
    ({"day": "2024-05-16"}, "/day", "day_in_future"),
    ({"day": "2010-12-31"}, "/day", "day_too_early"),
    ({"day": 20240515}, "/day", "day_format"),
    ({"happened_at": "2024-05-15T10:30:00"}, "/happened_at", "instant_format"),
    ({"happened_at": "9999-12-31T23:59:59-01:00"}, "/happened_at", "day_out_of_reach"),
    ({"happened_at": "2024-05-14T10:30:00+08:00"}, "/happened_at", "moment_on_other_day"),
    ({"happened_at": "2024-05-15T23:30:00+08:00"}, "/happened_at", "moment_in_future"),
    ({"note": "a\x00b"}, "/note", "text_unprintable"),
    ({"note": "x" * 501}, "/note", "text_too_long"),
    ({"recorded_by": "x"}, "/recorded_by", "field_unknown"),
    ({"printed": []}, "/printed", "nothing_entered"),
]


def test_a_wrong_field_is_named(machine: Caller) -> None:
    for changes, field, code in WRONG:
        response = machine.post(AT_DENPASAR, prints(**changes))
        assert response.status_code in (404, 422)
        assert fields_of(response) == {field: code}
    assert store(machine) == 100


def test_a_reason_stands_there_once(machine: Caller) -> None:
    twice = prints(printed=[{"reason": "new", "quantity": 1}, {"reason": "new", "quantity": 2}])
    assert code_of(machine.post(AT_DENPASAR, twice)) == "reason_twice"


def test_a_machine_posts_only_where_and_what_it_was_allowed(machine: Caller, world: World) -> None:
    assert code_of(machine.post(f"/offices/{BADUNG}/movements", prints())) == "not_allowed"
    reader = Caller(world.app, make_token(ApiScope.STOCK_READ))
    refused = reader.post(AT_DENPASAR, prints())
    assert (refused.status_code, code_of(refused)) == (403, "scope_missing")
    told: Any = refused.json
    assert told["facts"] == {"scope": "movements:write"}
    assert store(machine) == 100


def test_a_machine_below_an_office_reaches_the_districts(world: World) -> None:
    machine = Caller(world.app, make_token(*WRITE))
    assert code_of(machine.post(f"/offices/{DENPASAR}.01/movements", prints())) == "not_enough_stock"


def test_an_entry_is_taken_back_once(machine: Caller) -> None:
    told: Any = machine.post(AT_DENPASAR, prints()).json
    movement = told["movements"][0]["id"]
    response = machine.post(f"/movements/{movement}/reversal", {"note": "tercatat dua kali"})
    assert response.status_code == 201
    done: Any = response.json
    assert [(m["quantity"], m["reverses"]) for m in done["movements"]] == [(-18, movement)]
    assert done["proposal"] is None
    assert store(machine) == 100
    assert code_of(machine.post(f"/movements/{movement}/reversal", {"note": "lagi"})) == "already_reversed"
    assert code_of(machine.post("/movements/999999/reversal", {"note": "lagi"})) == "movement_not_found"


def test_the_reversal_of_a_receipt_waits_for_a_person(machine: Caller, world: World) -> None:
    received: Any = machine.get(AT_DENPASAR, kind="receipt").json
    response = machine.post(f"/movements/{received['data'][0]['id']}/reversal", {"note": "kantor lain"})
    assert response.status_code == 202
    told: Any = response.json
    assert told["movements"] == []
    asked = proposals.to_decide(world.actor("manager"), told["proposal"], list(proposals.ProposalKind))
    assert asked.movement_id == received["data"][0]["id"]
    assert store(machine) == 100


def test_blanks_go_back_to_the_supplier(machine: Caller) -> None:
    body = {"item": BLANK, "day": DAY, "quantity": 30, "note": "cacat pabrik"}
    response = machine.post(f"/offices/{DENPASAR}/returns", body)
    assert response.status_code == 201, response.text
    told: Any = response.json
    assert [(m["kind"], m["quantity"]) for m in told["movements"]] == [("return", 30)]
    assert store(machine) == 70


def test_serial_numbers_go_along(world: World) -> None:
    items.keep_numbers("kia")
    numbered = Caller(world.app, make_token(*WRITE, ApiScope.DELIVERIES_WRITE))
    body = {"item": "kia", "day": DAY, "printed": [{"reason": "new", "quantity": 0, "ranges": ["A001-A003"]}]}
    assert code_of(numbered.post(AT_DENPASAR, body)) in ("range_not_here", "not_enough_stock")
    body["printed"][0]["ranges"] = ["A003-A001"]
    assert fields_of(numbered.post(AT_DENPASAR, body)) == {"/printed/0/ranges": "range_backwards"}


def test_a_list_goes_by_days_and_pages(machine: Caller, world: World) -> None:
    for back in (2, 1, 0, 1):
        day = TODAY - timedelta(days=back)
        world.deliver(NOW, day, 10)
        machine.post(AT_DENPASAR, prints(1, day=day.isoformat()))
    whole: Any = machine.get(AT_DENPASAR).json
    order = [(m["day"], m["id"]) for m in whole["data"]]
    assert len(order) == 9
    assert order == sorted(order)
    found, cursor = [], {}
    while True:
        told: Any = machine.get(AT_DENPASAR, limit=2, **cursor).json
        found += [(m["day"], m["id"]) for m in told["data"]]
        if told["next"] is None:
            break
        cursor = {"cursor": told["next"]}
    assert found == order
    some: Any = machine.get(AT_DENPASAR, kind="print", since="2024-05-14", until="2024-05-14", item=BLANK).json
    assert [(m["kind"], m["day"]) for m in some["data"]] == [("print", "2024-05-14")] * 2
    wrong = machine.get(AT_DENPASAR, cursor="WyJ4IiwxXQ")
    assert fields_of(wrong) == {"cursor": "cursor_wrong"}


def test_many_postings_each_have_their_own_result(machine: Caller, world: World) -> None:
    postings = [
        prints(10, office=DENPASAR),
        prints(500, office=DENPASAR),
        prints(1, office=BADUNG),
        prints(5, office=DENPASAR, day="2024-05-14"),
        prints(7, office=DENPASAR),
    ]
    key = str(uuid4())
    response = machine.post("/movements/bulk", {"postings": postings}, key=key)
    assert response.status_code == 200, response.text
    told: Any = response.json
    results = told["results"]
    assert [each["status"] for each in results] == [201, 409, 403, 409, 201]
    assert [each["problem"] and each["problem"]["code"] for each in results] == [
        None,
        "not_enough_stock",
        "not_allowed",
        "day_below_zero",
        None,
    ]
    assert results[2]["problem"]["errors"][0]["field"] == "/postings/2/office"
    assert store(machine) == 100 - 17
    assert machine.post("/movements/bulk", {"postings": postings}, key=key).data == response.data
    assert store(machine) == 100 - 17


def test_a_bulk_that_recorded_nothing_is_not_kept(machine: Caller, world: World) -> None:
    """Whoever is refused without end fills no disk with it; and the key is free."""
    postings = {"postings": [prints(500, office=DENPASAR)] * 3}
    assert machine.post("/movements/bulk", postings, key="k").status_code == 200
    assert db.session.scalar(select(func.count()).select_from(ApiRequest)) == 0
    world.deliver(NOW, TODAY, 400)
    told: Any = machine.post("/movements/bulk", postings, key="k").json
    assert [each["status"] for each in told["results"]] == [201, 409, 409]
    assert db.session.scalar(select(func.count()).select_from(ApiRequest)) == 1


def test_an_answer_is_not_given_again_without_the_right_to_it(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    person = Caller(world.app, person="storekeeper")
    first = person.post(AT_DENPASAR, prints(), key="k")
    elsewhere = db.session.scalar(select(Office.id).where(Office.code == BADUNG))
    storekeeper = Membership.person_id == world.storekeeper.person_id
    write(lambda session: session.execute(update(Membership).where(storekeeper).values(office_id=elsewhere)))
    refused = person.post(AT_DENPASAR, prints(), key="k")
    assert (refused.status_code, code_of(refused)) == (403, "not_allowed")
    here = db.session.scalar(select(Office.id).where(Office.code == DENPASAR))
    write(lambda session: session.execute(update(Membership).where(storekeeper).values(office_id=here)))
    assert person.post(AT_DENPASAR, prints(), key="k").data == first.data
    assert store(person) == 82


def test_one_wrong_field_stops_the_whole_bulk(machine: Caller) -> None:
    body = {"postings": [prints(10, office=DENPASAR), prints("x", office=DENPASAR)]}
    assert fields_of(machine.post("/movements/bulk", body)) == {"/postings/1/printed/0/quantity": "field_type"}
    many = {"postings": [prints(1, office=DENPASAR)] * 201}
    assert fields_of(machine.post("/movements/bulk", many)) == {"/postings": "field_wrong"}
    assert store(machine) == 100


def test_movements_of_other_offices_are_not_shown(machine: Caller, world: World) -> None:
    movement: Any = machine.get(AT_DENPASAR).json
    other = Caller(world.app, make_token(*WRITE, office=BADUNG))
    hidden, absent = (other.get(f"/movements/{each}") for each in (movement["data"][0]["id"], 999_999))
    assert (hidden.status_code, hidden.data) == (404, absent.data), "nobody learns which there are"
    assert code_of(other.get(AT_DENPASAR)) == "not_allowed"
    reversal = other.post(f"/movements/{movement['data'][0]['id']}/reversal", {"note": "x"})
    assert code_of(reversal) == "not_allowed"
