"""Allotment plans and their drafts, on both databases; with real connections where two people act at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor, Grant, Role
from inventory.domain.drafts import DRAFT_STATUSES, STEPS
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Effect
from inventory.domain.transfers import Arrived
from inventory.services import (
    allotments,
    balances,
    deliveries,
    drafts,
    items,
    offices,
    reviews,
    stated_rates,
    transfers,
    verification,
)
from inventory.services.allotments import LoanTerms, PlanView, Proposal, SplitTerms
from inventory.services.drafts import DraftView
from tests.concurrent import at_once, audit, done, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

SOUTH, EAST = "51.71.01", "51.71.02"
PATH = "00/51/51.71/"


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def hold(office: str, quantity: int, per_day: int | None, first: date = TODAY - timedelta(days=1)) -> None:
    """An office's stock, and what it says that it prints a working day."""
    deliveries.record_opening(SYSTEM, NOW, uuid4(), office, BLANK, first, quantity, "")
    if per_day is not None:
        stated_rates.state(SYSTEM, NOW, office, BLANK, per_day, "what they say")


def review() -> None:
    reviews.review(SYSTEM, lambda: NOW, "test")


@pytest.fixture
def city(world: World) -> World:
    """Denpasar holds a delivery and prints itself; South is short, East less so."""
    hold(DENPASAR, 10_000, 100)
    hold(SOUTH, 200, 50)
    hold(EAST, 900, 20)
    review()
    return world


def manager(world: World) -> Actor:
    return world.actor("manager")


def propose(world: World, quantity: int = 6_000, **terms: Any) -> Proposal:
    return allotments.propose_split(manager(world), NOW, DENPASAR, BLANK, SplitTerms(quantity=quantity, **terms))


def as_proposed(proposal: Proposal) -> dict[tuple[str, str], int]:
    return {(way.sender_code, way.receiver_code): way.quantity for way in proposal.ways}


def save(
    world: World, proposal: Proposal, planned: dict[tuple[str, str], int] | None = None, request: UUID | None = None
) -> PlanView:
    wanted = as_proposed(proposal) if planned is None else planned
    return allotments.get(manager(world), allotments.save(manager(world), NOW, request or uuid4(), proposal, wanted))


def send(world: World, draft: DraftView, quantity: int | None = None, *, actor: Actor | None = None, **out: Any) -> int:
    return transfers.dispatch(
        actor or world.storekeeper,
        NOW,
        out.pop("request", None) or uuid4(),
        DENPASAR,
        transfers.Dispatch(
            **{
                "receiver_code": draft.receiver_code,
                "purpose": draft.purpose,
                "dispatched_on": TODAY,
                "expected_on": TODAY + timedelta(days=1),
                "sent": {BLANK: quantity or draft.quantity},
                "custodian": "I Made Kurir",
                "bast_number": "470/12/2024",
                "draft_id": draft.id,
                **out,
            }
        ),
    )


def store(office: str) -> Effect:
    return next(each.figures for each in balances.of_office(SYSTEM, office) if each.item_code == BLANK)


# --- proposals ----------------------------------------------------------------------------------------------------


def test_a_split_reaches_the_office_itself_and_those_below_it(city: World) -> None:
    found = propose(city, reserve=500)
    given = {share.code: share.quantity for share in found.shares}
    assert set(given) == {DENPASAR, SOUTH, EAST}
    assert sum(given.values()) + found.left + 500 == 6_000
    assert given[SOUTH] > given[EAST]
    assert all(quantity % 500 == 0 for quantity in given.values())
    assert found.before
    assert found.after
    assert found.even
    assert found.before.first_name == "Denpasar Selatan"
    assert (found.after.first_cover or 0) > (found.before.first_cover or 0)
    assert (found.after.first_on or TODAY) >= (found.even.first_on or TODAY)
    assert as_proposed(found) == {(DENPASAR, SOUTH): given[SOUTH], (DENPASAR, EAST): given[EAST]}
    south = next(share for share in found.shares if share.code == SOUTH)
    # 200 at 50 a working day, from Wednesday 15 May on.
    assert south.cover_before == pytest.approx(4.0, abs=0.2)
    assert south.out_before == date(2024, 5, 20)


def test_what_the_giver_has_beside_the_delivery_is_its_own(city: World) -> None:
    """8,500 of Denpasar's 10,000 are not split: 85 working days of its own."""
    own = next(share for share in propose(city, 1_500).shares if share.is_giver)
    assert own.quantity == 0
    assert own.rule == "enough"
    own = next(share for share in propose(city, 10_000).shares if share.is_giver)
    assert own.quantity > 0


def test_offices_without_a_projection_are_left_out_and_given_what_is_typed(world: World) -> None:
    hold(DENPASAR, 10_000, 100)
    hold(SOUTH, 200, None)
    review()
    found = propose(world, 6_000, fixed={SOUTH: 700})
    assert [(each.code, each.why, each.store, each.quantity) for each in found.left_out] == [
        (SOUTH, "not_enough_data", 200, 700),
        (EAST, "not_reviewed", 0, 0),
    ]
    assert sum(share.quantity for share in found.shares) + found.left + 700 == 6_000
    with pytest.raises(Refusal, match="plan_exceeds_stock"):
        propose(world, 6_000, fixed={SOUTH: 6_001})


def test_an_office_without_any_projection_can_still_plan_by_hand(world: World) -> None:
    hold(DENPASAR, 10_000, None)
    found = propose(world, 6_000, fixed={SOUTH: 500})
    assert found.shares == ()
    assert found.before is None
    assert found.left == 5_500
    plan = save(world, found)
    assert [(draft.receiver_code, draft.quantity) for draft in plan.drafts] == [(SOUTH, 500)]


def test_what_is_under_way_or_planned_is_not_given_twice(city: World) -> None:
    before = {share.code: share.usable for share in propose(city).shares}
    city.send(NOW, TODAY, 300, receiver_code=SOUTH)
    after = {share.code: share.usable for share in propose(city).shares}
    assert after == before | {SOUTH: before[SOUTH] + 300, DENPASAR: before[DENPASAR] - 300}
    save(city, propose(city), {(DENPASAR, EAST): 1_000})
    planned = {share.code: share.usable for share in propose(city).shares}
    assert planned == after | {EAST: after[EAST] + 1_000, DENPASAR: after[DENPASAR] - 1_000}


def test_loans_go_from_who_lasts_long_to_who_runs_out(world: World) -> None:
    hold(DENPASAR, 3_000, 100)
    hold(SOUTH, 20_000, 50)
    hold(EAST, 100, 50)
    review()
    terms = LoanTerms(pack=500)
    found = allotments.propose_loans(manager(world), NOW, DENPASAR, BLANK, terms)
    assert {way.sender_code for way in found.ways} == {SOUTH}
    assert {way.receiver_code for way in found.ways} >= {EAST}
    assert found.before
    assert found.after
    assert (found.before.first_name, found.before.first_on) == ("Denpasar Timur", date(2024, 5, 16))
    assert (found.after.first_on or TODAY) > TODAY + timedelta(days=20)
    assert found.after.unmet < found.before.unmet
    one = replace(terms, most_shipments=1)
    assert len(allotments.propose_loans(manager(world), NOW, DENPASAR, BLANK, one).ways) == 1
    kept = replace(terms, reserve=20_000)
    assert allotments.propose_loans(manager(world), NOW, DENPASAR, BLANK, kept).ways == ()


def test_a_regency_splits_over_its_districts_in_its_books(world: World) -> None:
    """20,000 over 23 districts, 2,750 kept back, in packs of 500, as a regency reported it."""
    codes = [f"16.09.{number:02}" for number in range(1, 24)]
    rows = [
        {"code": code, "name": f"Kecamatan {code}", "kind": "district", "parent": "16.09", "time_zone": "Asia/Jakarta"}
        for code in codes
    ]
    offices.load(SYSTEM, [row | {"population": ""} for row in rows])
    hold("16.09", 20_000, None)
    for number, code in enumerate(codes):
        hold(code, 40 * (number % 7) + 1, 3 + 2 * number)
    review()
    terms = SplitTerms(quantity=20_000, reserve=2_750)
    found = allotments.propose_split(SYSTEM, NOW, "16.09", BLANK, terms)
    assert len(found.shares) == 23
    assert sum(share.quantity for share in found.shares) == 17_000
    assert found.left == 250
    assert found.after
    assert found.even
    assert found.after.unmet < found.even.unmet
    plan = allotments.get(SYSTEM, allotments.save(SYSTEM, NOW, uuid4(), found, as_proposed(found)))
    assert sum(draft.quantity for draft in plan.drafts) == 17_000
    assert len(drafts.to_send(SYSTEM, "16.09")) == len(plan.drafts)


# --- plans and drafts ---------------------------------------------------------------------------------------------


def test_a_plan_moves_nothing_until_its_drafts_are_sent(city: World) -> None:
    found = propose(city)
    plan = save(city, found)
    assert store(DENPASAR) == Effect(received=10_000, store=10_000)
    waiting = drafts.to_send(city.storekeeper, DENPASAR)
    assert [draft.id for draft in waiting] == [draft.id for draft in plan.drafts]
    south = next(draft for draft in waiting if draft.receiver_code == SOUTH)
    assert south.why["out_before"] == "2024-05-20"
    assert south.why["proposed"] == south.quantity
    transfer_id = send(city, south)
    assert store(DENPASAR) == Effect(received=10_000, store=10_000 - south.quantity, transit=south.quantity)
    sent = next(draft for draft in allotments.get(manager(city), plan.id).drafts if draft.id == south.id)
    assert (sent.status, sent.transfer_id) == ("sent", transfer_id)
    assert south.id not in {draft.id for draft in drafts.to_send(city.storekeeper, DENPASAR)}
    assert verification.verify(SYSTEM).faults == ()


def test_a_draft_is_sent_once(city: World) -> None:
    draft = save(city, propose(city)).drafts[0]
    request = uuid4()
    first = send(city, draft, request=request)
    assert send(city, draft, request=request) == first
    with pytest.raises(Refusal, match="draft_closed"):
        send(city, draft)
    with pytest.raises(Refusal, match="request_id_reused"):
        send(city, draft, request=request, draft_id=None)
    assert store(DENPASAR).transit == draft.quantity


def test_two_storekeepers_who_send_the_same_draft_at_once_make_one_transfer(city: World) -> None:
    second = Actor(city.actor("regional").person_id, "Second", (Grant(Role.STOREKEEPER, PATH),))
    actors = (city.storekeeper, second)
    quantity = 0
    for _ in range(6):
        draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
        quantity += draft.quantity
        calls = [lambda actor=actor, draft=draft: send(city, draft, actor=actor) for actor in actors]
        outcomes = at_once(city.app, calls)
        assert refused_codes(outcomes) == {"draft_closed": 1}
        assert len(done(outcomes)) == 1
        assert store(DENPASAR).transit == quantity
    audit()


def test_of_a_storekeeper_who_sends_and_a_manager_who_drops_one_does(city: World) -> None:
    for _ in range(6):
        draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
        above = manager(city)
        calls = [
            lambda draft=draft: send(city, draft),
            lambda draft=draft, above=above: drafts.drop(above, NOW, draft.id),
        ]
        outcomes = at_once(city.app, calls)
        assert refused_codes(outcomes) == {"draft_closed": 1}
        status = allotments.get(manager(city), draft.plan_id).drafts[0].status
        assert status == ("sent" if outcomes[0] in done(outcomes) else "dropped")
    audit()


def cancel(world: World, transfer_id: int, actor: Actor | None = None) -> int:
    return transfers.cancel(actor or world.storekeeper, NOW, uuid4(), transfer_id, TODAY, "the car broke down")


def now_of(world: World, draft: DraftView) -> DraftView:
    plan = allotments.get(manager(world), draft.plan_id)
    return next(each for each in plan.drafts if each.id == draft.id)


def recalled(world: World) -> DraftView:
    """A draft that was sent, and whose transfer was cancelled."""
    draft = save(world, propose(world), {(DENPASAR, SOUTH): 500}).drafts[0]
    cancel(world, send(world, draft))
    return now_of(world, draft)


def test_a_cancelled_transfer_gives_its_draft_back(city: World) -> None:
    draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
    item, south = items.get(BLANK).id, offices.get(manager(city), Action.VIEW_STOCK, SOUTH).id
    first = send(city, draft)
    assert drafts.planned(item, [south]) == {south: (0, 0)}
    cancel(city, first)
    found = now_of(city, draft)
    assert (found.status, found.transfer_id) == ("recalled", first)
    assert [each.id for each in drafts.to_send(city.storekeeper, DENPASAR)] == [draft.id]
    assert drafts.planned(item, [south]) == {south: (500, 0)}
    assert store(DENPASAR) == Effect(received=10_000, store=10_000)
    second = send(city, found)
    found = now_of(city, draft)
    assert (found.status, found.transfer_id) == ("sent", second)
    # It can come back again and again; the first transfer has nothing to do with it any more.
    with pytest.raises(Refusal, match="transfer_closed"):
        cancel(city, first)
    assert now_of(city, draft).status == "sent"
    cancel(city, second)
    assert now_of(city, draft).status == "recalled"
    assert verification.verify(SYSTEM).faults == ()


def test_a_recalled_draft_can_be_dropped(city: World) -> None:
    draft = recalled(city)
    drafts.drop(manager(city), NOW, draft.id)
    found = now_of(city, draft)
    assert (found.status, found.transfer_id) == ("dropped", draft.transfer_id)
    with pytest.raises(Refusal, match="draft_closed"):
        send(city, found)
    assert drafts.to_send(city.storekeeper, DENPASAR) == []
    assert verification.verify(SYSTEM).faults == ()


def test_a_draft_whose_transfer_arrived_stays_sent(city: World) -> None:
    draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
    transfer_id = send(city, draft)
    transfers.receive(SYSTEM, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=0)})
    with pytest.raises(Refusal, match="transfer_closed"):
        cancel(city, transfer_id)
    assert now_of(city, draft).status == "sent"


def test_a_draft_that_is_cancelled_and_sent_at_once_is_sent_by_one_transfer(city: World) -> None:
    for _ in range(6):
        draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
        first = send(city, draft)
        calls = [lambda first=first: cancel(city, first), lambda draft=draft: send(city, draft)]
        outcomes = at_once(city.app, calls)
        assert outcomes[0] == first
        found = now_of(city, draft)
        if isinstance(outcomes[1], Refusal):
            # It was still sent when the storekeeper tried to send it anew.
            assert refused_codes(outcomes) == {"draft_closed": 1}
            assert (found.status, found.transfer_id) == ("recalled", first)
        else:
            assert (found.status, found.transfer_id) == ("sent", outcomes[1])
            cancel(city, outcomes[1])
        drafts.drop(manager(city), NOW, draft.id)
        assert store(DENPASAR) == Effect(received=10_000, store=10_000)
    audit()
    assert verification.verify(SYSTEM).faults == ()


def test_two_who_send_a_recalled_draft_at_once_make_one_transfer(city: World) -> None:
    for number in range(1, 5):
        draft = recalled(city)
        outcomes = at_once(city.app, [lambda draft=draft: send(city, draft)] * 3)
        assert refused_codes(outcomes) == {"draft_closed": 2}
        assert done(outcomes) == [now_of(city, draft).transfer_id]
        assert store(DENPASAR).transit == 500 * number
    audit()


def test_of_one_who_takes_back_and_one_who_receives_one_does_and_the_draft_says_who(city: World) -> None:
    for _ in range(6):
        draft = save(city, propose(city), {(DENPASAR, SOUTH): 100}).drafts[0]
        transfer_id = send(city, draft)
        came = {BLANK: Arrived(good=100)}
        calls = [
            lambda transfer_id=transfer_id: cancel(city, transfer_id),
            lambda transfer_id=transfer_id, came=came: transfers.receive(
                SYSTEM, NOW, uuid4(), transfer_id, TODAY, came
            ),
        ]
        outcomes = at_once(city.app, calls)
        assert refused_codes(outcomes) == {"transfer_closed": 1}
        expected = "recalled" if outcomes[0] == transfer_id else "sent"
        assert now_of(city, draft).status == expected
    audit()
    assert verification.verify(SYSTEM).faults == ()


def test_what_a_draft_says_is_what_is_sent(city: World) -> None:
    draft = save(city, propose(city)).drafts[0]
    with pytest.raises(Invalid, match="draft_differs"):
        send(city, draft, receiver_code=BADUNG)
    with pytest.raises(NotFound, match="draft_not_found"):
        send(city, draft, draft_id=99_999)
    other = save(city, propose(city), {(DENPASAR, EAST): 500}).drafts[0]
    with pytest.raises(Invalid, match="draft_differs"):
        send(city, draft, draft_id=other.id)
    # How many is for who packs the boxes.
    send(city, draft, draft.quantity - 10)
    assert store(DENPASAR).transit == draft.quantity - 10


def test_a_draft_of_another_office_is_not_found(city: World) -> None:
    plan = save(city, propose(city), {(DENPASAR, SOUTH): 500})
    elsewhere = Actor(None, "South", (Grant(Role.STOREKEEPER, PATH + "51.71.01/"),))
    with pytest.raises(NotAllowed):
        drafts.get(elsewhere, plan.drafts[0].id)
    out = transfers.Dispatch(
        receiver_code=EAST,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=TODAY,
        sent={BLANK: 10},
        custodian="Kurir",
        bast_number="1",
        draft_id=plan.drafts[0].id,
    )
    with pytest.raises(NotFound, match="draft_not_found"):
        transfers.dispatch(elsewhere, NOW, uuid4(), SOUTH, out)


def test_a_draft_can_be_dropped_until_it_is_sent(city: World) -> None:
    plan = save(city, propose(city), {(DENPASAR, SOUTH): 500, (DENPASAR, EAST): 500})
    first, second = plan.drafts
    assert drafts.drop(manager(city), NOW, first.id) == plan.id
    assert drafts.drop(manager(city), NOW, first.id) == plan.id
    with pytest.raises(Refusal, match="draft_closed"):
        send(city, first)
    send(city, second)
    with pytest.raises(Refusal, match="draft_closed"):
        drafts.drop(manager(city), NOW, second.id)
    with pytest.raises(NotAllowed):
        drafts.drop(city.storekeeper, NOW, first.id)
    with pytest.raises(NotFound, match="draft_not_found"):
        drafts.drop(manager(city), NOW, 99_999)


def test_a_plan_saved_again_is_one_plan(city: World) -> None:
    found, request = propose(city), uuid4()
    first = save(city, found, request=request)
    assert save(city, propose(city), as_proposed(found), request=request).id == first.id
    with pytest.raises(Refusal, match="request_id_reused"):
        save(city, found, {(DENPASAR, SOUTH): 500}, request=request)
    actor, wanted = manager(city), as_proposed(found)
    again = uuid4()
    outcomes = at_once(city.app, [lambda: allotments.save(actor, NOW, again, found, wanted)] * 4)
    assert refused_codes(outcomes) == {}
    assert len(set(outcomes)) == 1
    assert len(allotments.of_office(actor, DENPASAR)) == 2


@pytest.mark.parametrize(
    ("planned", "error"),
    [
        ({}, "nothing_entered"),
        ({(DENPASAR, SOUTH): 0}, "nothing_entered"),
        ({(DENPASAR, SOUTH): -5}, "quantity_not_positive"),
        ({(DENPASAR, DENPASAR): 5}, "same_office"),
        ({(SOUTH, EAST): 5}, "not_the_giver"),
        ({(DENPASAR, SOUTH): 6_001}, "plan_exceeds_stock"),
        ({(DENPASAR, SOUTH): 3_000, (DENPASAR, EAST): 3_001}, "plan_exceeds_stock"),
        ({(DENPASAR, "51.99"): 5}, "office_not_found"),
        ({(DENPASAR, BADUNG): 5}, "not_allowed"),
    ],
)
def test_what_cannot_be_planned_is_refused(city: World, planned: dict[tuple[str, str], int], error: str) -> None:
    with pytest.raises(Refusal, match=error):
        save(city, propose(city), planned)
    assert allotments.of_office(manager(city), DENPASAR) == []


def test_a_plan_of_loans_lends_no_more_than_is_there(world: World) -> None:
    hold(DENPASAR, 1_000, 10)
    hold(SOUTH, 1, 50)
    hold(EAST, 1, 50)
    review()
    found = allotments.propose_loans(manager(world), NOW, DENPASAR, BLANK, LoanTerms(pack=100, reserve=200))
    with pytest.raises(Refusal, match="plan_exceeds_stock"):
        save(world, found, {(DENPASAR, SOUTH): 500, (DENPASAR, EAST): 301})
    with pytest.raises(Invalid, match="lends_and_borrows"):
        save(world, found, {(DENPASAR, SOUTH): 100, (SOUTH, EAST): 100})
    plan = save(world, found, {(DENPASAR, SOUTH): 500, (DENPASAR, EAST): 300})
    assert {draft.purpose for draft in plan.drafts} == {"loan"}
    due = TODAY + timedelta(days=30)
    send(world, plan.drafts[0], due_on=due)
    assert store(DENPASAR).transit == plan.drafts[0].quantity


def test_only_who_allots_plans(city: World) -> None:
    terms = SplitTerms(quantity=500)
    for name in ("storekeeper", "other_storekeeper", "regional", "viewer", "administrator"):
        with pytest.raises(NotAllowed):
            allotments.propose_split(city.actor(name), NOW, DENPASAR, BLANK, terms)
        with pytest.raises(NotAllowed):
            allotments.save(city.actor(name), NOW, uuid4(), propose(city), {(DENPASAR, SOUTH): 500})
        with pytest.raises(NotAllowed):
            allotments.of_office(city.actor(name), DENPASAR)
    with pytest.raises(NotAllowed):
        allotments.propose_loans(manager(city), NOW, "51", BLANK, LoanTerms())
    with pytest.raises(NotFound, match="plan_not_found"):
        allotments.get(manager(city), 99_999)


# --- the same, said by the database -------------------------------------------------------------------------------


def test_the_database_lets_a_draft_be_sent_once_and_by_its_own_transfer(city: World) -> None:
    first, second = save(city, propose(city), {(DENPASAR, SOUTH): 500, (DENPASAR, EAST): 500}).drafts
    transfer_id = send(city, first)
    of_first, of_second = f"WHERE id = {first.id}", f"WHERE id = {second.id}"
    closed = "status = 'sent', closed_at = '2024-05-15 00:00:00', transfer_id ="
    statements = {
        f"UPDATE allotment_lines SET {closed} {transfer_id} {of_second}": IntegrityError,  # the transfer of another
        f"UPDATE allotment_lines SET {closed} NULL {of_second}": IntegrityError,
        f"UPDATE allotment_lines SET status = 'draft', closed_at = NULL, transfer_id = NULL {of_first}": DBAPIError,
        f"DELETE FROM allotment_lines {of_second}": DBAPIError,
        f"UPDATE allotment_lines SET receiver_id = sender_id {of_second}": IntegrityError,
        f"UPDATE allotment_lines SET quantity = 0 {of_second}": IntegrityError,
        f"UPDATE allotment_lines SET status = 'dropped' {of_second}": IntegrityError,
        "UPDATE allotment_plans SET quantity = NULL": IntegrityError,
        "UPDATE allotment_plans SET reserve = quantity": IntegrityError,
        "UPDATE allotment_plans SET pack = 0": IntegrityError,
    }
    for statement, error in statements.items():
        with pytest.raises(error):
            db.session.execute(text(statement))
        db.session.rollback()


def steps_of_a_draft(draft: DraftView, transfer_id: int) -> dict[str, str]:
    """SQL that puts a draft into each state, as far as the constraints of one row allow; `transfer_id` sends it."""
    closed = "closed_at = '2024-05-15 00:00:00'"
    states = {
        "draft": "closed_at = NULL, transfer_id = NULL",
        "sent": f"{closed}, transfer_id = {transfer_id}",
        "recalled": f"closed_at = NULL, transfer_id = {draft.transfer_id or transfer_id}",
        "dropped": f"{closed}, transfer_id = {draft.transfer_id or 'NULL'}",
    }
    assert set(states) == set(DRAFT_STATUSES)
    return {
        status: f"UPDATE allotment_lines SET status = '{status}', {values} WHERE id = {draft.id}"
        for status, values in states.items()
    }


@pytest.mark.parametrize("status", DRAFT_STATUSES)
def test_the_database_knows_the_steps_of_the_domain_and_no_others(city: World, status: str) -> None:
    draft, other = save(city, propose(city), {(DENPASAR, SOUTH): 500, (DENPASAR, EAST): 500}).drafts
    assert draft.receiver_code == SOUTH
    if status in ("sent", "recalled"):
        first = send(city, draft)
        if status == "recalled":
            cancel(city, first)
    if status == "dropped":
        drafts.drop(manager(city), NOW, draft.id)
    draft = now_of(city, draft)
    assert draft.status == status
    # A transfer that would fit, and that sent nothing yet.
    fitting = send(city, draft, draft_id=None)
    for following, statement in steps_of_a_draft(draft, fitting).items():
        if following in STEPS[status]:
            db.session.execute(text(statement))
        elif following != status or status != "draft":
            with pytest.raises(DBAPIError, match="a draft takes no such step"):
                db.session.execute(text(statement))
        db.session.rollback()
    for change in ("quantity = 400", f"receiver_id = (SELECT id FROM offices WHERE code = '{EAST}')"):
        if status != "draft":
            with pytest.raises(DBAPIError, match="a draft takes no such step"):
                db.session.execute(text(f"UPDATE allotment_lines SET {change} WHERE id = {draft.id}"))
            db.session.rollback()
    with pytest.raises(DBAPIError, match="a draft is never deleted"):
        db.session.execute(text(f"DELETE FROM allotment_lines WHERE id = {other.id}"))
    db.session.rollback()


def test_the_database_closes_no_transfer_that_leaves_its_draft_at_odds(city: World) -> None:
    draft = save(city, propose(city), {(DENPASAR, SOUTH): 500}).drafts[0]
    transfer_id = send(city, draft)
    close = f"UPDATE transfers SET status = '%s', closed_at = '2024-05-15 00:00:00' WHERE id = {transfer_id}"
    recall = f"UPDATE allotment_lines SET status = 'recalled', closed_at = NULL WHERE id = {draft.id}"
    drop = f"UPDATE allotment_lines SET status = 'dropped', closed_at = '2024-05-15 00:00:00' WHERE id = {draft.id}"
    refused = {
        (close % "cancelled",): "leaves its draft at odds",
        (recall, close % "received"): "leaves its draft at odds",
        (close % "received", recall): "a draft takes no such step",
        # Recalled, but its transfer is still under way.
        (recall, drop): "a draft takes no such step",
    }
    for (*before, last), words in refused.items():
        for statement in before:
            db.session.execute(text(statement))
        with pytest.raises(DBAPIError, match=words):
            db.session.execute(text(last))
        db.session.rollback()
    for statement in (recall, close % "cancelled", drop):
        db.session.execute(text(statement))
    db.session.rollback()
