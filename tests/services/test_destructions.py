"""What takes blanks off the books without a resident's card: records, their second person, and deadlines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.destructions import Part, Witness
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Effect, Kind, Line
from inventory.domain.offices import OfficeSettings
from inventory.domain.proposals import ProposalKind
from inventory.domain.ranges import parse_ranges
from inventory.domain.stocktakes import Counted
from inventory.services import (
    consumption,
    deliveries,
    destructions,
    items,
    ledger,
    offices,
    proposals,
    reversals,
    stocktakes,
    verification,
)
from inventory.services.destructions import Record
from tests.concurrent import at_once, audit, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)
WITNESSES = (Witness("Ni Made Sari", "Sekretaris"), Witness("I Wayan Adi", "Inspektorat"))


def record(*parts: Part, **changes: Any) -> Record:
    total = sum(part.quantity for part in parts)
    whole = Record(happened_on=TODAY, place="Halaman", method="burned", witnesses=WITNESSES, total=total, parts=parts)
    return replace(whole, **changes)


def propose(world: World, said: Record, kind: str = "destruction", request: UUID | None = None) -> int:
    return destructions.propose(world.storekeeper, NOW, request or uuid4(), DENPASAR, ProposalKind(kind), said)


def spoil(world: World, **by_cause: int) -> None:
    """Denpasar has 100 blanks, and spoils some of them."""
    world.deliver(NOW, YESTERDAY, 100)
    consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, YESTERDAY, by_cause)


def second_manager(world: World) -> Actor:
    return replace(world.actor("manager"), person_id=world.actor("regional").person_id, name="Another")


# --- destruction -------------------------------------------------------------------------------------------------


def test_a_destruction_moves_nothing_until_another_person_approves_it(world: World) -> None:
    spoil(world, misprint=5, encoding_failure=2)
    made = propose(world, record(Part(BLANK, "misprint", 4), Part(BLANK, "encoding_failure", 2)))
    assert world.figures() == Effect(received=100, store=93, spoiled=7)
    posting = destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    assert [(m.kind, m.reason, m.quantity, m.proposal_id) for m in posting.movements] == [
        (Kind.DESTROY, "destroyed", 6, made)
    ]
    assert world.figures() == Effect(received=100, store=93, spoiled=1, destroyed=6)
    assert destructions.spoiled(world.storekeeper, DENPASAR) == {(BLANK, "misprint"): 1}
    seen = destructions.get(world.actor("regional"), made)
    assert (seen.total, seen.proposal.status, seen.proposal.decided_by) == (6, "approved", "Manager")
    audit()


def test_nobody_approves_their_own_record(world: World) -> None:
    spoil(world, misprint=5)
    path = offices.get(world.actor("manager"), consumption.Action.VIEW_STOCK, DENPASAR).path
    both = replace(world.storekeeper, grants=(Grant(Role.STOREKEEPER, path), Grant(Role.MANAGER, path)))
    made = propose(world, record(Part(BLANK, "misprint", 5)))
    with pytest.raises(NotAllowed, match="own_proposal"):
        destructions.approve(both, NOW, uuid4(), made)
    with pytest.raises(NotAllowed, match="own_proposal"):
        proposals.reject(both, NOW, made, "no")
    with pytest.raises(NotAllowed, match="not_allowed"):
        destructions.approve(world.actor("other_storekeeper"), NOW, uuid4(), made)
    assert world.figures().destroyed == 0


def test_the_database_itself_asks_for_the_second_person(world: World) -> None:
    spoil(world, misprint=5)
    made = propose(world, record(Part(BLANK, "misprint", 5)))
    own = f"UPDATE proposals SET status = 'approved', decided_by_id = proposed_by_id, decided_at = '{NOW}'"
    with pytest.raises(DBAPIError, match="second_person"):
        db.session.execute(text(own))
    db.session.rollback()
    office, item = offices.get(world.storekeeper, consumption.Action.VIEW_STOCK, DENPASAR), items.get(BLANK)
    line = Line(
        office_id=office.id, item_id=item.id, kind=Kind.DESTROY, reason="destroyed", quantity=5, effective_on=TODAY
    )
    for posted, references in (
        (line, {}),
        (line, {"proposal_id": made}),  # proposed, and not approved
        (replace(line, kind=Kind.SPOIL, reason="obsolete"), {}),
    ):
        with pytest.raises(DBAPIError, match="second person"):
            ledger.post(world.storekeeper, NOW, uuid4(), [posted], document=lambda _session, said=references: said)
    assert world.figures() == Effect(received=100, store=95, spoiled=5)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"total": 10_090}, "breakdown_differs"),
        ({"parts": ()}, "nothing_entered"),
        ({"parts": (Part(BLANK, "missing", 5),)}, "cause_unknown"),
        ({"parts": (Part(BLANK, "misprint", 0), Part(BLANK, "defective", 5))}, "quantity_not_positive"),
        ({"witnesses": WITNESSES[:1]}, "witness_missing"),
        ({"witnesses": (WITNESSES[0], Witness("I Wayan Adi", ""))}, "witness_missing"),
        ({"witnesses": (WITNESSES[0], Witness(" ni made  SARI", "Saksi"))}, "witnesses_same"),
        ({"place": "  "}, "place_missing"),
        ({"method": "thrown away"}, "method_unknown"),
        ({"happened_on": TODAY + timedelta(days=1)}, "day_in_future"),
        ({"parts": (Part(BLANK, "misprint", 6),), "total": 6}, "not_enough_spoiled"),
        ({"parts": (Part(BLANK, "defective", 1),), "total": 1}, "not_enough_spoiled"),
    ],
)
def test_a_record_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    spoil(world, misprint=5)
    with pytest.raises(Refusal, match=code):
        propose(world, record(Part(BLANK, "misprint", 5), **changes))
    assert destructions.of_office(world.storekeeper, DENPASAR) == []


def test_the_total_of_a_record_and_its_breakdown_are_told_apart(world: World) -> None:
    """10,090 destroyed and itemised to 6,090 is what an office once published."""
    spoil(world, misprint=60)
    with pytest.raises(Invalid) as refused:
        propose(world, record(Part(BLANK, "misprint", 60), total=100))
    assert refused.value.facts == {"total": 100, "breakdown": 60}


def test_a_cause_cannot_be_destroyed_twice(world: World) -> None:
    spoil(world, misprint=5, defective=5)
    first, second = (propose(world, record(Part(BLANK, "misprint", 4))) for _ in range(2))
    destructions.approve(world.actor("manager"), NOW, uuid4(), first)
    with pytest.raises(Refusal, match="not_enough_spoiled") as refused:
        destructions.approve(world.actor("manager"), NOW, uuid4(), second)
    assert refused.value.facts == {"reason": "misprint", "available": 1, "asked": 4}
    assert world.figures().destroyed == 4
    assert proposals.get(world.storekeeper, second).waiting


def test_a_repeated_proposal_and_a_repeated_approval_count_once(world: World) -> None:
    spoil(world, misprint=5)
    request, said = uuid4(), record(Part(BLANK, "misprint", 5))
    made = propose(world, said, request=request)
    assert propose(world, said, request=request) == made
    with pytest.raises(Refusal, match="request_id_reused"):
        propose(world, replace(said, place="Gudang"), request=request)
    request = uuid4()
    assert not destructions.approve(world.actor("manager"), NOW, request, made).replayed
    assert destructions.approve(world.actor("manager"), NOW, request, made).replayed
    with pytest.raises(Refusal, match="proposal_decided"):
        destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    with pytest.raises(Refusal, match="proposal_decided"):
        proposals.reject(world.actor("manager"), NOW, made, "too late")
    with pytest.raises(Refusal, match="proposal_decided"):
        proposals.withdraw(world.storekeeper, NOW, made, "too late")
    assert world.figures().destroyed == 5


def test_what_is_approved_and_rejected_at_once_ends_one_way(world: World) -> None:
    spoil(world, misprint=10)
    manager, other = world.actor("manager"), second_manager(world)
    for _ in range(5):
        made = propose(world, record(Part(BLANK, "misprint", 2)))
        before = world.figures().destroyed
        calls = [lambda made=made: destructions.approve(manager, NOW, uuid4(), made)] * 3
        calls += [lambda made=made: proposals.reject(other, NOW, made, "no")] * 3
        assert refused_codes(at_once(world.app, calls)) == {"proposal_decided": 5}
        after = world.figures().destroyed - before
        assert after == (2 if proposals.get(world.storekeeper, made).status == "approved" else 0)
    audit()


def test_two_records_of_one_cause_cannot_both_take_the_last_ones(world: World) -> None:
    spoil(world, misprint=30, defective=60)
    manager = world.actor("manager")
    for _ in range(4):
        left = destructions.spoiled(world.storekeeper, DENPASAR)[BLANK, "misprint"]
        made = [propose(world, record(Part(BLANK, "misprint", left // 2 + 1))) for _ in range(2)]
        calls = [lambda each=each: destructions.approve(manager, NOW, uuid4(), each) for each in made]
        assert refused_codes(at_once(world.app, calls)) == {"not_enough_spoiled": 1}
    audit()


def test_a_proposal_is_turned_down_or_taken_back_with_a_reason(world: World) -> None:
    spoil(world, misprint=5)
    first, second = (propose(world, record(Part(BLANK, "misprint", 5))) for _ in range(2))
    with pytest.raises(Invalid, match="decision_needs_reason"):
        proposals.reject(world.actor("manager"), NOW, first, " ")
    proposals.reject(world.actor("manager"), NOW, first, "count again")
    with pytest.raises(NotAllowed, match="not_own_proposal"):
        proposals.withdraw(world.actor("manager"), NOW, second, "mine")
    proposals.withdraw(world.storekeeper, NOW, second, "typed twice")
    seen = [proposals.get(world.storekeeper, each) for each in (first, second)]
    assert [(each.status, each.decided_by, each.decision_note) for each in seen] == [
        ("rejected", "Manager", "count again"),
        ("withdrawn", "Storekeeper", "typed twice"),
    ]
    assert world.figures() == Effect(received=100, store=95, spoiled=5)


def test_a_decided_proposal_is_neither_changed_nor_deleted(world: World) -> None:
    spoil(world, misprint=5)
    made = propose(world, record(Part(BLANK, "misprint", 5)))
    proposals.reject(world.actor("manager"), NOW, made, "no")
    for statement in ("UPDATE proposals SET note = 'x'", "DELETE FROM proposals"):
        with pytest.raises(DBAPIError):
            db.session.execute(text(statement))
        db.session.rollback()


def test_an_office_sees_its_own_records_alone(world: World) -> None:
    spoil(world, misprint=5)
    made = propose(world, record(Part(BLANK, "misprint", 5)))
    for stranger in ("viewer", "other_storekeeper"):
        with pytest.raises(NotFound, match="proposal_not_found"):
            destructions.get(world.actor(stranger), made)
        assert proposals.waiting(world.actor(stranger)) == []
    assert [each.id for each in proposals.waiting(world.actor("manager"))] == [made]
    assert proposals.count_waiting(world.actor("manager")) == 1
    assert proposals.waiting(world.storekeeper) == []


# --- write-off ---------------------------------------------------------------------------------------------------


def test_obsolete_blanks_are_written_off_by_the_same_way(world: World) -> None:
    world.deliver(NOW, YESTERDAY, 64)
    with pytest.raises(Invalid, match="obsolete_needs_write_off"):
        consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"obsolete": 64})
    made = propose(world, record(Part(BLANK, "obsolete", 64)), "write_off")
    posting = destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    assert world.figures() == Effect(received=64, spoiled=64)
    with pytest.raises(Refusal, match="part_of_document"):
        ledger.reverse(world.storekeeper, NOW, uuid4(), posting.movements[0].id, "wrong")
    made = propose(world, record(Part(BLANK, "obsolete", 64)))
    destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    assert world.figures() == Effect(received=64, destroyed=64)
    audit()


def test_a_write_off_of_more_than_the_store_holds_is_refused_when_it_would_take_effect(world: World) -> None:
    world.deliver(NOW, YESTERDAY, 64)
    made = propose(world, record(Part(BLANK, "obsolete", 64)), "write_off")
    world.print(NOW, TODAY, 1)
    with pytest.raises(Refusal, match="not_enough_stock"):
        destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    assert proposals.get(world.storekeeper, made).waiting
    assert world.figures().store == 63


# --- reversal of a receipt ---------------------------------------------------------------------------------------


def test_a_receipt_is_reversed_by_two_persons_alone(world: World) -> None:
    receipt = world.deliver(NOW, TODAY, 10, defective=1).movements[0]
    for one in (world.storekeeper, world.actor("manager")):
        with pytest.raises(Refusal, match="needs_second_person"):
            ledger.reverse(one, NOW, uuid4(), receipt.id, "wrong office")
    asked = reversals.ask(world.actor("manager"), NOW, uuid4(), receipt.id, "wrong office")
    with pytest.raises(Refusal, match="reversal_already_asked"):
        reversals.ask(world.storekeeper, NOW, uuid4(), receipt.id, "wrong office")
    with pytest.raises(NotAllowed, match="own_proposal"):
        reversals.approve(world.actor("manager"), NOW, uuid4(), asked)
    assert world.figures() == Effect(received=10, store=9, spoiled=1)
    posting = reversals.approve(second_manager(world), NOW, uuid4(), asked)
    assert {m.proposal_id for m in posting.movements} == {asked}
    assert world.figures() == Effect()
    audit()


def test_the_database_refuses_a_receipt_taken_back_on_another_ones_approval(world: World) -> None:
    first, second = (world.deliver(NOW, TODAY, 10).movements[0] for _ in range(2))
    world.reverse_receipt(NOW, first.id)
    take_back = (
        "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at,"
        " request_id, request_line, request_digest, reverses_id, proposal_id)"
        " SELECT office_id, item_id, 99, kind, reason, -quantity, effective_on, recorded_at, request_id, 99, '', id,"
        f" (SELECT max(id) FROM proposals) FROM movements WHERE id = {second.id}"
    )
    with pytest.raises(DBAPIError, match="second person"):
        db.session.execute(text(take_back))
    db.session.rollback()


def test_only_a_receipt_is_asked_to_be_reversed(world: World) -> None:
    receipt = world.deliver(NOW, TODAY, 10).movements[0]
    printed = world.print(NOW, TODAY, 5).movements[0]
    with pytest.raises(Invalid, match="not_a_receipt"):
        reversals.ask(world.storekeeper, NOW, uuid4(), printed.id, "typed twice")
    with pytest.raises(Invalid, match="reversal_needs_reason"):
        reversals.ask(world.storekeeper, NOW, uuid4(), receipt.id, "  ")
    with pytest.raises(NotAllowed):
        reversals.ask(world.actor("other_storekeeper"), NOW, uuid4(), receipt.id, "not mine")
    assert not reversals.needs_approval(world.storekeeper, printed.id)
    assert reversals.needs_approval(world.storekeeper, receipt.id)


# --- deadlines and causes ----------------------------------------------------------------------------------------


def test_spoiled_blanks_are_overdue_after_the_offices_own_deadline(world: World) -> None:
    long_ago = TODAY - timedelta(days=40)
    world.deliver(NOW, long_ago, 100)
    for day, count in ((long_ago, 3), (TODAY - timedelta(days=12), 4)):
        consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, day, {"misprint": count})
    (late,) = destructions.overdue(NOW)
    assert (late.spoiled, late.oldest_on, late.due_on) == (7, long_ago, TODAY - timedelta(days=10))
    made = propose(world, record(Part(BLANK, "misprint", 3)))
    assert len(destructions.overdue(NOW)) == 1, "proposed is not destroyed"
    destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    assert destructions.overdue(NOW) == [], "the oldest went first"
    settings = OfficeSettings(destroy_within_days=11)
    offices.change_settings(world.actor("administrator"), NOW, DENPASAR, settings)
    (late,) = destructions.overdue(NOW)
    assert (late.spoiled, late.oldest_on) == (4, TODAY - timedelta(days=12))
    offices.change_settings(world.actor("administrator"), NOW, DENPASAR, replace(settings, destroy_within_days=12))
    assert destructions.overdue(NOW) == []


def test_spoilage_is_told_by_cause_and_shift(world: World) -> None:
    world.deliver(NOW, YESTERDAY, 100)
    for shift, count in (("morning", 3), ("evening", 2), (None, 1), ("morning", 4)):
        consumption.post_spoiled(
            world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"misprint": count, "defective": 1}, shift=shift
        )
    with pytest.raises(Invalid, match="shift_unknown"):
        consumption.post_spoiled(
            world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"misprint": 1}, shift="midnight"
        )
    rows = destructions.spoilage(world.actor("regional"), DENPASAR, YESTERDAY, TODAY)
    assert {(cause, shift): count for _, cause, shift, count in rows} == {
        ("misprint", "morning"): 7,
        ("misprint", "evening"): 2,
        ("misprint", None): 1,
        ("defective", "morning"): 2,
        ("defective", "evening"): 1,
        ("defective", None): 1,
    }
    with pytest.raises(Invalid, match="period_backwards"):
        destructions.spoilage(world.actor("regional"), DENPASAR, TODAY, YESTERDAY)


# --- items whose numbers are kept --------------------------------------------------------------------------------


def test_a_destruction_and_a_write_off_name_their_numbers(world: World) -> None:
    items.keep_numbers("kia")
    actor, kept = world.storekeeper, parse_ranges("A101-A150")
    deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, "kia", YESTERDAY, 0, "", ranges=kept)
    spoiled = {"misprint": parse_ranges("A101-A105")}
    consumption.post_spoiled(actor, NOW, uuid4(), DENPASAR, "kia", TODAY, {}, ranges=spoiled)
    with pytest.raises(Invalid, match="ranges_missing"):
        propose(world, record(Part("kia", "misprint", 5)))
    with pytest.raises(Invalid, match="ranges_differ"):
        propose(world, record(Part("kia", "misprint", 5, parse_ranges("A101-A104"))))
    wrong = propose(world, record(Part("kia", "misprint", 5, parse_ranges("A102-A106"))))
    with pytest.raises(Refusal, match="range_not_here"):
        destructions.approve(world.actor("manager"), NOW, uuid4(), wrong)
    right = propose(world, record(Part("kia", "misprint", 0, parse_ranges("A101-A105")), total=5))
    destructions.approve(world.actor("manager"), NOW, uuid4(), right)
    obsolete = propose(world, record(Part("kia", "obsolete", 45, parse_ranges("A106-A150"))), "write_off")
    destructions.approve(world.actor("manager"), NOW, uuid4(), obsolete)
    assert verification.verify(SYSTEM).faults == ()
    assert world.figures("kia") == Effect(received=50, spoiled=45, destroyed=5)


def test_a_count_of_an_item_with_numbers_names_those_that_differ(world: World) -> None:
    items.keep_numbers("kia")
    actor, manager, kept = world.storekeeper, world.actor("manager"), parse_ranges("A101-A150")
    deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, "kia", YESTERDAY, 0, "", ranges=kept)

    def counted(quantity: int) -> int:
        made = world.stocktake(NOW)
        for enter in (stocktakes.count, stocktakes.recount):
            enter(actor, NOW, uuid4(), made, {"kia": Counted(quantity=quantity)})
        return made

    made = counted(48)
    with pytest.raises(Invalid, match="ranges_missing"):
        stocktakes.approve(manager, NOW, uuid4(), made, {"kia": -2})
    gone = {"kia": parse_ranges("A110, A120")}
    stocktakes.approve(manager, NOW, uuid4(), made, {"kia": -2}, gone)
    assert world.figures("kia") == Effect(received=50, store=48, missing=2)
    later = NOW + timedelta(minutes=5)
    found = {"kia": parse_ranges("A130")}
    made = stocktakes.begin(actor, later, uuid4(), DENPASAR)
    for enter in (stocktakes.count, stocktakes.recount):
        enter(actor, later, uuid4(), made, {"kia": Counted(quantity=49)})
    with pytest.raises(Refusal, match="range_not_here"):
        stocktakes.approve(manager, later, uuid4(), made, {"kia": 1}, found)
    stocktakes.approve(manager, later, uuid4(), made, {"kia": 1}, {"kia": parse_ranges("A120")})
    assert world.figures("kia") == Effect(received=50, store=49, missing=1)
    assert verification.verify(SYSTEM).faults == ()
