"""The ledger's rules on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.ledger import Effect
from inventory.services import balances, consumption, ledger, stock_cards
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)


def test_a_delivery_and_a_days_printing_move_the_balance(world: World) -> None:
    world.deliver(NOW, TODAY, 1000, defective=10)
    world.print(NOW, TODAY, {"new": Printed(40, served_waiting=15), "lost": Printed(3), "damaged": Printed(7)})
    world.spoil(NOW, TODAY, 2)
    assert world.figures() == Effect(received=1000, store=938, printed=50, spoiled=12)


def test_a_request_sent_again_finds_its_movements(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    request = uuid4()
    first = world.print(NOW, TODAY, 100, request=request)
    again = world.print(NOW + timedelta(minutes=1), TODAY, 100, request=request)
    assert again.replayed
    assert again.movements == first.movements
    assert world.figures().store == 0


def test_a_request_id_with_another_body_is_refused(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    request = uuid4()
    world.print(NOW, TODAY, 10, request=request)
    with pytest.raises(Refusal, match="request_id_reused"):
        world.print(NOW, TODAY, 11, request=request)
    assert world.figures().store == 90


def test_a_delivery_sent_again_is_one_delivery(world: World) -> None:
    request = uuid4()
    world.deliver(NOW, TODAY, 100, request=request, bast="470/1")
    again = world.deliver(NOW, TODAY, 100, request=request, bast="470/1")
    assert again.replayed
    assert world.figures().received == 100
    with pytest.raises(Refusal, match="bast_already_recorded"):
        world.deliver(NOW, TODAY, 100, bast="470/1")


def test_more_than_there_is_cannot_be_printed(world: World) -> None:
    world.deliver(NOW, TODAY, 5)
    with pytest.raises(Refusal) as refused:
        world.print(NOW, TODAY, 6)
    assert refused.value.code == "not_enough_stock"
    assert refused.value.facts == {"item": BLANK, "figure": "store", "available": 5, "asked": 6}
    assert world.figures() == Effect(received=5, store=5)


def test_a_back_dated_print_may_not_empty_a_later_day(world: World) -> None:
    monday, tuesday, wednesday = (TODAY - timedelta(days=n) for n in (2, 1, 0))
    world.deliver(NOW, monday, 100)
    world.print(NOW, tuesday, 90)
    world.deliver(NOW, wednesday, 100)
    with pytest.raises(Refusal) as refused:
        world.print(NOW, monday, 20)
    assert refused.value.code == "day_below_zero"
    assert refused.value.facts["day"] == tuesday
    assert refused.value.facts["closing"] == -10
    world.print(NOW, monday, 10)
    assert balances.as_of(world.storekeeper, DENPASAR, BLANK, tuesday).store == 0


def test_a_print_dated_before_the_delivery_is_refused(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    with pytest.raises(Refusal, match="day_below_zero"):
        world.print(NOW, YESTERDAY, 1)


def test_reversing_a_receipt_whose_blanks_are_used_is_refused(world: World) -> None:
    receipt = world.deliver(NOW, YESTERDAY, 100).movements[0]
    world.print(NOW, TODAY, 60)
    with pytest.raises(Refusal, match="not_enough_stock"):
        world.reverse_receipt(NOW, receipt.id)
    assert world.figures().store == 40


def test_reversing_a_receipt_that_covered_an_earlier_day_is_refused(world: World) -> None:
    receipt = world.deliver(NOW, YESTERDAY, 100).movements[0]
    world.print(NOW, YESTERDAY, 60)
    world.deliver(NOW, TODAY, 100)
    with pytest.raises(Refusal, match="day_below_zero"):
        world.reverse_receipt(NOW, receipt.id)


def test_a_reversal_counts_on_the_day_of_its_original_and_only_once(world: World) -> None:
    world.deliver(NOW, YESTERDAY, 100)
    wrong = world.print(NOW, YESTERDAY, {"new": Printed(30, served_waiting=5)}).movements[0]
    request = uuid4()
    undo = ledger.reverse(world.storekeeper, NOW, request, wrong.id, "typed twice")
    assert [(m.quantity, m.served_waiting, m.effective_on) for m in undo.movements] == [(-30, -5, YESTERDAY)]
    assert balances.as_of(world.storekeeper, DENPASAR, BLANK, YESTERDAY).store == 100
    assert ledger.reverse(world.storekeeper, NOW, request, wrong.id, "typed twice").replayed
    with pytest.raises(Refusal, match="already_reversed"):
        ledger.reverse(world.storekeeper, NOW, uuid4(), wrong.id, "again")
    with pytest.raises(Refusal, match="reversal_of_reversal"):
        ledger.reverse(world.storekeeper, NOW, uuid4(), undo.movements[0].id, "and back")
    with pytest.raises(Refusal, match="request_id_reused"):
        ledger.reverse(world.storekeeper, NOW, request, wrong.id, "another reason")


def test_reversing_one_entry_leaves_the_others_alone(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    first, second = (world.print(NOW, TODAY, 10).movements[0] for _ in range(2))
    ledger.reverse(world.storekeeper, NOW, uuid4(), first.id, "typed twice")
    card = stock_cards.read(world.storekeeper, NOW, DENPASAR, BLANK, None, None)
    by_seq = {line.seq: line for line in card.lines}
    assert by_seq[first.seq].reversed_by_seq == 4
    assert by_seq[second.seq].reversed_by_seq is None
    assert card.closing == 90


def test_a_delivery_is_reversed_whole_and_its_number_is_free_again(world: World) -> None:
    posting = world.deliver(NOW, TODAY, 100, defective=4, bast="470/7")
    undone = world.reverse_receipt(NOW, posting.movements[1].id)
    assert len(undone.movements) == 2
    assert world.figures() == Effect()
    world.deliver(NOW, TODAY, 90, bast="470/7")
    assert world.figures().store == 90


def test_balances_are_known_as_of_a_day_and_as_known_at_an_instant(world: World) -> None:
    monday = TODAY - timedelta(days=2)
    monday_noon = NOW - timedelta(days=2)
    world.deliver(monday_noon, monday, 100)
    world.print(monday_noon, monday, 10)
    world.print(NOW, monday, 5)
    world.print(NOW, TODAY, 20)
    as_of = balances.as_of(world.storekeeper, DENPASAR, BLANK, monday)
    known = balances.as_known_at(world.storekeeper, DENPASAR, BLANK, monday, monday_noon)
    assert (as_of.store, known.store, world.figures().store) == (85, 90, 65)
    assert balances.as_of(world.storekeeper, DENPASAR, BLANK, monday - timedelta(days=1)) == Effect()


@pytest.mark.parametrize(
    ("office", "zone_hours"),
    [("16.09", 7), (DENPASAR, 8), ("94.71", 9)],
    ids=["Jakarta", "Makassar", "Jayapura"],
)
def test_a_business_day_is_the_offices_own(world: World, office: str, zone_hours: int) -> None:
    from inventory.domain.access import SYSTEM
    from inventory.services import offices

    found = offices.get(SYSTEM, offices.Action.VIEW_STOCK, office)
    first_at_nine = datetime(2024, 6, 1, 9, tzinfo=UTC) - timedelta(hours=zone_hours)
    late = datetime(2024, 6, 1, 23, 30, tzinfo=UTC) - timedelta(hours=zone_hours)
    midnight = datetime(2024, 6, 2, 0, 0, tzinfo=UTC) - timedelta(hours=zone_hours)
    assert found.today(first_at_nine) == found.today(late) == date(2024, 6, 1)
    assert found.today(midnight) == date(2024, 6, 2)


def test_tomorrow_is_refused_on_the_offices_own_clock(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    almost_midnight = datetime(2024, 5, 15, 15, 59, tzinfo=UTC)
    with pytest.raises(Invalid, match="day_in_future"):
        world.print(almost_midnight, date(2024, 5, 16), 1)
    world.print(almost_midnight + timedelta(minutes=1), date(2024, 5, 16), 1)


def test_a_storekeeper_posts_in_their_own_office_only(world: World) -> None:
    with pytest.raises(NotAllowed):
        consumption.post_printed(world.storekeeper, NOW, uuid4(), BADUNG, BLANK, TODAY, {"new": Printed(1)})
    with pytest.raises(NotAllowed):
        consumption.post_printed(world.actor("manager"), NOW, uuid4(), DENPASAR, BLANK, TODAY, {"new": Printed(1)})


def test_sequence_numbers_have_no_gaps(world: World) -> None:
    world.deliver(NOW, TODAY, 10, defective=1)
    for _ in range(3):
        world.print(NOW, TODAY, 1)
        with pytest.raises(Refusal):
            world.print(NOW, TODAY, 100)
    seqs = db.session.scalars(text("SELECT seq FROM movements ORDER BY seq")).all()
    assert seqs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE movements SET quantity = 1", "DELETE FROM movements", "UPDATE movements SET note = 'x'"],
)
def test_the_database_refuses_to_change_a_movement(world: World, statement: str) -> None:
    world.deliver(NOW, TODAY, 10)
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(text(statement))
    db.session.rollback()


@pytest.mark.parametrize(
    "figure", ["store", "transit", "printed", "spoiled", "destroyed", "missing", "received", "sent"]
)
def test_the_database_refuses_a_blank_unaccounted_for(world: World, figure: str) -> None:
    world.deliver(NOW, TODAY, 10)
    with pytest.raises(IntegrityError, match="law"):
        db.session.execute(text(f"UPDATE balances SET {figure} = {figure} + 1"))
    db.session.rollback()


@pytest.mark.parametrize("figure", ["store", "transit", "printed", "spoiled", "destroyed", "received", "sent"])
def test_the_database_refuses_a_negative_figure(world: World, figure: str) -> None:
    world.deliver(NOW, TODAY, 10)
    # The law itself is kept, so that it is the sign that is refused.
    change = {"received": "missing = -11, received = -1", "sent": "missing = 1, sent = -1"}.get(
        figure,
        f"store = 10, missing = missing + 1, {figure} = -1" if figure != "store" else "missing = 11, store = -1",
    )
    with pytest.raises(IntegrityError, match=f"{figure}_not_negative"):
        db.session.execute(text(f"UPDATE balances SET {change}"))
    db.session.rollback()


def test_the_database_refuses_a_reversal_that_is_not_its_original_taken_back(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    world.print(NOW, TODAY, 10)
    copy = (
        "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at,"
        " request_id, request_line, request_digest, reverses_id)"
        " SELECT office_id, item_id, 99, kind, reason, {quantity}, effective_on, recorded_at, request_id, 99, '', id"
        " FROM movements WHERE kind = 'print'"
    )
    with pytest.raises(DBAPIError, match="take back exactly"):
        db.session.execute(text(copy.format(quantity=-9)))
    db.session.rollback()
    db.session.execute(text(copy.format(quantity=-10)))
    db.session.rollback()
