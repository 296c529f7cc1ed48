"""Number ranges through the ledger, on both databases: quantity and ranges always agree."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ranges import Ranges, parse_ranges
from inventory.domain.transfers import Arrived
from inventory.services import consumption, deliveries, items, ledger, transfers
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.services.numbers import (
    audit,
    deliver,
    figures,
    give_back,
    keep_numbers,
    print_cards,
    reverse,
    send,
    send_back,
    spoil,
    where,
)
from tests.world import BADUNG, BLANK, DENPASAR, World

STORE, PRINTED, SPOILED = (DENPASAR, "store"), (DENPASAR, "printed"), (DENPASAR, "spoiled")
OUTSIDE, TRANSIT, MISSING = (DENPASAR, "outside"), (DENPASAR, "transit"), (DENPASAR, "missing")
THERE = (BADUNG, "store")


@pytest.fixture(autouse=True)
def numbered(world: World) -> None:
    keep_numbers()


def receive(world: World, transfer_id: int, good: int, damaged: str = "", short: str = "", who: str = "") -> None:
    came = Arrived(good=good, damaged_ranges=parse_ranges(damaged), short_ranges=parse_ranges(short))
    actor = world.actor(who or "other_storekeeper")
    transfers.receive(actor, NOW, uuid4(), transfer_id, TODAY, {BLANK: came})


def test_numbers_are_taken_out_of_the_middle_and_laid_together_again(world: World) -> None:
    deliver(world, "A100001-A100500", defective="A100011-A100012")
    first = print_cards(world, "A100100-A100199", 100)
    print_cards(world, "A100200")
    spoil(world, "A100001, A100500")
    assert where() == {
        STORE: "A100002–A100010, A100013–A100099, A100201–A100499",
        PRINTED: "A100100–A100200",
        SPOILED: "A100001, A100011–A100012, A100500",
    }
    assert figures() == {"received": 500, "store": 395, "printed": 101, "spoiled": 4}
    reverse(world, first)
    assert where()[STORE] == "A100002–A100010, A100013–A100199, A100201–A100499"
    assert where()[PRINTED] == "A100200"
    audit()


def test_neighbours_in_one_place_are_one_row(world: World) -> None:
    deliver(world, "A001-A050")
    deliver(world, "A051-A100")
    for number in range(1, 21):
        print_cards(world, f"A{number:03}")
    assert db.session.scalar(text("SELECT count(*) FROM number_ranges")) == 2
    print_cards(world, "A040-A060")
    assert where() == {STORE: "A021–A039, A061–A100", PRINTED: "A001–A020, A040–A060"}
    audit()


@pytest.mark.parametrize(
    ("typed", "quantity", "code"),
    [
        ("A100001-A100010", 9, "ranges_differ"),
        ("A100001-A100010", 11, "ranges_differ"),
        ("", 10, "ranges_missing"),
        ("A100491-A100501", 0, "range_not_here"),
        ("B100001", 0, "range_not_here"),
        ("A00100001", 0, "range_not_here"),
    ],
)
def test_what_does_not_agree_or_is_not_here_is_refused(world: World, typed: str, quantity: int, code: str) -> None:
    deliver(world, "A100001-A100500")
    with pytest.raises(Refusal) as refused:
        print_cards(world, typed, quantity)
    assert refused.value.code == code
    assert where() == {STORE: "A100001–A100500"}
    assert figures() == {"received": 500, "store": 500}
    audit()


def test_the_numbers_that_are_not_here_are_named(world: World) -> None:
    deliver(world, "A001-A010")
    print_cards(world, "A003")
    with pytest.raises(Refusal) as refused:
        print_cards(world, "A001-A012", 8)
    assert refused.value.code == "ranges_differ"
    deliver(world, "B001-B009")
    with pytest.raises(Refusal) as refused:
        print_cards(world, "A001-A012")
    assert refused.value.facts == {"ranges": "A003, A011–A012", "figure": "store"}


def test_an_item_whose_numbers_are_not_kept_takes_none(world: World) -> None:
    handover = deliveries.Handover(
        bast_number="1",
        bast_on=TODAY,
        received_on=TODAY,
        asked=None,
        received=5,
        defective=0,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
    )
    with pytest.raises(Invalid, match="ranges_not_kept"):
        deliveries.record(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", handover, ranges=parse_ranges("A001-A005"))
    deliveries.record(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", handover)
    audit()


def test_several_reasons_take_their_own_numbers_in_one_go(world: World) -> None:
    deliver(world, "A001-A100")
    request = uuid4()
    ranges = {"new": parse_ranges("A001-A010"), "lost": parse_ranges("A020")}
    for _ in range(2):
        posting = world_print(world, request, ranges)
        assert [m.quantity for m in posting.movements] == [10, 1]
    assert posting.replayed
    ranges["lost"] = parse_ranges("A021")
    with pytest.raises(Refusal, match="request_id_reused"):
        world_print(world, request, ranges)
    twice = {"new": parse_ranges("A030-A040"), "lost": parse_ranges("A040")}
    with pytest.raises(Refusal, match="range_not_here"):
        world_print(world, uuid4(), twice)
    assert where()[PRINTED] == "A001–A010, A020"
    audit()


def world_print(world: World, request: UUID, ranges: dict[str, Ranges]) -> ledger.Posting:
    none = {"new": Printed(0), "lost": Printed(0)}
    return consumption.post_printed(
        world.storekeeper,
        NOW,
        request,
        DENPASAR,
        BLANK,
        TODAY,
        none,
        ranges=ranges,
    )


def test_a_number_is_received_once_in_the_whole_country(world: World) -> None:
    deliver(world, "A001-A100")
    for typed in ("A100-A200", "A050", "A000-A101"):
        with pytest.raises(Refusal, match="range_known"):
            deliver(world, typed, who="other_storekeeper", office=BADUNG)
    deliver(world, "A101-A200, A000", who="other_storekeeper", office=BADUNG)
    print_cards(world, "A050")
    with pytest.raises(Refusal, match="range_known"):
        deliver(world, "A050")
    audit()


def test_what_went_back_to_the_supplier_may_come_again(world: World) -> None:
    deliver(world, "A001-A100")
    give_back(world, "A010-A019")
    assert where() == {STORE: "A001–A009, A020–A100", OUTSIDE: "A010–A019"}
    again = deliver(world, "A015-A019, A101-A102", who="other_storekeeper", office=BADUNG)
    assert where() == {STORE: "A001–A009, A020–A100", OUTSIDE: "A010–A014", THERE: "A015–A019, A101–A102"}
    audit()
    world.reverse_receipt(NOW, again.movements[0].id, asked_by="other_storekeeper")
    assert where()[BADUNG, "outside"] == "A015–A019, A101–A102"
    deliver(world, "A012-A017")
    assert where()[STORE] == "A001–A009, A012–A017, A020–A100"
    audit()


def test_a_delivery_is_reversed_with_all_its_numbers(world: World) -> None:
    wrong = deliver(world, "A001-A100", defective="A050-A051")
    reverse(world, wrong)
    assert where() == {OUTSIDE: "A001–A100"}
    assert figures() == {}
    deliver(world, "A001-A100")
    audit()


def test_a_reversal_is_refused_when_the_numbers_have_moved_on(world: World) -> None:
    receipt = deliver(world, "A001-A100")
    deliver(world, "B001-B100")
    print_cards(world, "A001")
    with pytest.raises(Refusal, match="range_moved_on"):
        reverse(world, receipt)
    assert figures() == {"received": 200, "store": 199, "printed": 1}
    audit()


def test_a_reversal_is_refused_when_the_numbers_went_out_and_came_back(world: World) -> None:
    receipt = deliver(world, "A001-A100")
    returned = give_back(world, "A010-A019")
    deliver(world, "A010-A019")
    for posting in (receipt, returned):
        with pytest.raises(Refusal, match="range_moved_on"):
            reverse(world, posting)
    audit()


def test_a_reversal_is_refused_when_a_transfer_took_the_numbers_away_and_back(world: World) -> None:
    receipt = deliver(world, "A001-A100")
    receive(world, send(world, "A010"), 1)
    receive(world, send_back(world, "A010"), 1, who="storekeeper")
    assert where()[STORE] == "A001–A100"
    with pytest.raises(Refusal, match="range_moved_on"):
        reverse(world, receipt)
    audit()


def test_a_return_and_a_print_that_was_undone_do_not_stand_in_the_way(world: World) -> None:
    receipt = deliver(world, "A001-A100")
    reverse(world, give_back(world, "A010-A019"))
    reverse(world, print_cards(world, "A005"))
    transfers.cancel(world.storekeeper, NOW, uuid4(), send(world, "A020"), TODAY, "flooded")
    assert where() == {STORE: "A001–A100"}
    reverse(world, receipt)
    assert where() == {OUTSIDE: "A001–A100"}
    audit()


def test_a_transfer_carries_its_numbers_from_store_to_store(world: World) -> None:
    deliver(world, "A001-A100")
    transfer_id = send(world, "A011-A020, A050")
    assert where() == {STORE: "A001–A010, A021–A049, A051–A100", TRANSIT: "A011–A020, A050"}
    assert transfers.get(world.storekeeper, NOW, transfer_id).lines[0].ranges == parse_ranges("A011-A020, A050")
    with pytest.raises(Refusal, match="range_not_here"):
        print_cards(world, "A011")
    for good, damaged, short in ((11, "A012", ""), (9, "A021", "A014"), (9, "A012", "")):
        with pytest.raises(Invalid):
            receive(world, transfer_id, good, damaged, short)
    receive(world, transfer_id, 8, "A012", "A014, A050")
    assert where() == {
        STORE: "A001–A010, A021–A049, A051–A100",
        THERE: "A011, A013, A015–A020",
        (BADUNG, "spoiled"): "A012",
        MISSING: "A014, A050",
    }
    assert figures() == {"received": 100, "sent": 9, "store": 89, "missing": 2}
    assert figures(BADUNG) == {"received": 9, "store": 8, "spoiled": 1}
    audit()


def test_a_dispatch_of_numbers_sent_again_is_one_transfer(world: World) -> None:
    deliver(world, "A001-A100")
    request = uuid4()
    first = send(world, "A001-A010", request=request)
    assert send(world, "A001-A010", request=request) == first
    with pytest.raises(Refusal, match="request_id_reused"):
        send(world, "A011-A020", request=request)
    audit()


def test_a_cancelled_transfer_brings_its_numbers_back(world: World) -> None:
    deliver(world, "A001-A100")
    transfer_id = send(world, "A001-A010")
    other = send(world, "A011-A020")
    transfers.cancel(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, "flooded")
    assert where() == {STORE: "A001–A010, A021–A100", TRANSIT: "A011–A020"}
    receive(world, other, 10)
    audit()


def test_opening_stock_has_its_numbers(world: World) -> None:
    deliveries.record_opening(
        world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, 0, "", ranges=parse_ranges("A001-A100")
    )
    assert figures() == {"received": 100, "store": 100}
    audit()


def test_large_ranges_are_cut_in_the_history_and_whole_where_they_lie(world: World) -> None:
    deliver(world, "A0000500-A0020499")
    assert db.session.scalar(text("SELECT count(*) FROM number_ranges")) == 1
    assert db.session.scalar(text("SELECT count(*) FROM movement_ranges")) == 21
    print_cards(world, "A0003999-A0004000")
    deliver(world, "B0000001-B0000009")
    with pytest.raises(Refusal, match="range_not_here"):
        print_cards(world, "A0003998-A0004001")
    audit()


# --- choosing to keep numbers ------------------------------------------------------------------------------------


def test_numbers_are_kept_from_the_first_movement_or_never(world: World) -> None:
    assert items.keep_numbers(BLANK).numbered
    handover = deliveries.Handover(
        bast_number="1",
        bast_on=TODAY,
        received_on=TODAY,
        asked=None,
        received=5,
        defective=0,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
    )
    deliveries.record(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", handover)
    with pytest.raises(Refusal, match="item_in_use"):
        items.keep_numbers("kia")
    assert not items.get("kia").numbered
    with pytest.raises(DBAPIError, match="in use"):
        db.session.execute(text("UPDATE items SET numbered = true WHERE code = 'kia'"))
    db.session.rollback()
    deliver(world, "A001")
    with pytest.raises(DBAPIError, match="in use"):
        db.session.execute(text(f"UPDATE items SET numbered = false WHERE code = '{BLANK}'"))
    db.session.rollback()


# --- the database's own statement of the rules -------------------------------------------------------------------

ROW = (
    "INSERT INTO number_ranges (item_id, prefix, width, first, last, office_id, place, transfer_id)"
    " SELECT item_id, {prefix}, {width}, {first}, {last}, office_id, {place}, {transfer} FROM number_ranges LIMIT 1"
)
GOOD_ROW = {"prefix": "'A'", "width": "3", "first": "200", "last": "209", "place": "'store'", "transfer": "NULL"}


@pytest.mark.parametrize(
    "change",
    [
        {"first": "100", "last": "100"},
        {"first": "90", "last": "110"},
        {"first": "0", "last": "300"},
        {"first": "50", "last": "50"},
        {"first": "1", "last": "100"},
        {"first": "210", "last": "209"},
        {"first": "-1", "last": "0"},
        {"last": "1000"},
        {"width": "0"},
        {"width": "13"},
        {"place": "'lost'"},
        {"place": "'transit'"},
        {"transfer": "1"},
    ],
)
def test_the_database_refuses_a_range_that_cannot_be(world: World, change: dict[str, str]) -> None:
    deliver(world, "A001-A100")
    with pytest.raises(DBAPIError):
        db.session.execute(text(ROW.format(**GOOD_ROW | change)))
    db.session.rollback()
    db.session.execute(text(ROW.format(**GOOD_ROW)))
    db.session.rollback()


def test_the_database_refuses_to_change_a_range_or_the_history(world: World) -> None:
    deliver(world, "A001-A100")
    for statement, why in (
        ("UPDATE number_ranges SET last = 50", "cut, not changed"),
        ("UPDATE movement_ranges SET last = 50", "append-only"),
        ("DELETE FROM movement_ranges", "append-only"),
    ):
        with pytest.raises(DBAPIError, match=why):
            db.session.execute(text(statement))
        db.session.rollback()


MORE_HISTORY = (
    "INSERT INTO movement_ranges (request_id, request_line, prefix, width, first, last, item_id)"
    " SELECT request_id, {line}, 'A', 3, {first}, {last}, item_id FROM movement_ranges LIMIT 1"
)
MOVEMENT = (
    "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at, request_id,"
    " request_line, request_digest) SELECT office_id, {item}, seq + 1, 'receipt', 'supplied', {quantity},"
    " effective_on, recorded_at, request_id, 2, '' FROM movements"
)


def test_the_database_refuses_a_movement_whose_quantity_and_ranges_differ(world: World) -> None:
    deliver(world, "A001-A100")
    own = "item_id"
    other = "(SELECT id FROM items WHERE code = 'kia')"
    for history, item, quantity in (
        ([], own, 10),
        ([(200, 208)], own, 10),
        ([(200, 210)], own, 10),
        ([(200, 204), (206, 209)], own, 10),
        ([(200, 209)], other, 10),
    ):
        for first, last in history:
            db.session.execute(text(MORE_HISTORY.format(line=2, first=first, last=last)))
        with pytest.raises(DBAPIError, match="must agree"):
            db.session.execute(text(MOVEMENT.format(item=item, quantity=quantity)))
        db.session.rollback()
    db.session.execute(text(MORE_HISTORY.format(line=2, first=200, last=209)))
    db.session.execute(text(MOVEMENT.format(item=own, quantity=10)))
    db.session.rollback()


def test_the_database_refuses_history_without_a_movement_after_it_and_twice(world: World) -> None:
    deliver(world, "A001-A100")
    with pytest.raises(DBAPIError, match="from its beginning"):
        db.session.execute(text(MORE_HISTORY.format(line=1, first=200, last=209)))
    db.session.rollback()
    db.session.execute(text(MORE_HISTORY.format(line=2, first=200, last=209)))
    with pytest.raises(DBAPIError, match="from its beginning"):
        db.session.execute(text(MORE_HISTORY.format(line=2, first=209, last=210)))
    db.session.rollback()
    db.session.execute(text(MORE_HISTORY.format(line=2, first=200, last=209)))
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()
    audit()


def test_a_late_entry_may_name_earlier_days(world: World) -> None:
    deliver(world, "A001-A100", day=TODAY - timedelta(days=2))
    print_cards(world, "A001-A010", day=TODAY - timedelta(days=1))
    assert where()[PRINTED] == "A001–A010"
    audit()
