"""Verification of what people hold in their hands: drafts of allotment plans, and documents as they were issued."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.documents import content_of, digest_of, to_facts
from inventory.domain.transfers import Arrived
from inventory.services import allotments, deliveries, documents, drafts, offices, reviews, stated_rates, transfers
from inventory.services.allotments import SplitTerms
from inventory.services.drafts import DraftView
from tests.adapters import papers
from tests.conftest import NOW, TODAY
from tests.services.test_verification import seal, verify, write_past_the_ledger
from tests.world import BADUNG, BLANK, DENPASAR, World

SOUTH, EAST = "51.71.01", "51.71.02"
YESTERDAY = TODAY - timedelta(days=1)


def check_is_found_and_left_alone(world: World, check: str, words: str, statements: tuple[str, ...]) -> None:
    write_past_the_ledger(world.app, *statements, checks=PLAN_CHECKS)
    found = verify()
    said = [fault.what for fault in found.faults if fault.check == check]
    assert any(words in what for what in said), found.faults
    assert verify() == found


# --- drafts ------------------------------------------------------------------------------------------------------


def fill_plans(world: World) -> None:
    """Two plans that split a delivery: one draft arrived, one was recalled, one waits, one is dropped."""
    for office, quantity, per_day in ((DENPASAR, 20_000, 100), (SOUTH, 200, 50), (EAST, 300, 20)):
        deliveries.record_opening(SYSTEM, NOW, uuid4(), office, BLANK, YESTERDAY, quantity, "")
        stated_rates.state(SYSTEM, NOW, office, BLANK, per_day, "what they say")
    reviews.review(SYSTEM, lambda: NOW, "test")
    to_south, to_east = _plan(world, reserve=500)
    transfers.receive(SYSTEM, NOW, uuid4(), _send(world, to_south), TODAY, {BLANK: Arrived(good=to_south.quantity - 3)})
    transfers.cancel(world.storekeeper, NOW, uuid4(), _send(world, to_east), TODAY, "the car broke down")
    _waits, dropped = _plan(world)
    drafts.drop(world.actor("manager"), NOW, dropped.id)


def _plan(world: World, reserve: int = 0) -> tuple[DraftView, DraftView]:
    manager = world.actor("manager")
    proposal = allotments.propose_split(manager, NOW, DENPASAR, BLANK, SplitTerms(quantity=6_000, reserve=reserve))
    planned = {(way.sender_code, way.receiver_code): way.quantity for way in proposal.ways}
    assert all(planned.values()), "both need some"
    plan = allotments.get(manager, allotments.save(manager, NOW, uuid4(), proposal, planned))
    by_code = {draft.receiver_code: draft for draft in plan.drafts}
    return by_code[SOUTH], by_code[EAST]


def _send(world: World, draft: DraftView) -> int:
    out = transfers.Dispatch(
        receiver_code=draft.receiver_code,
        purpose=draft.purpose,
        dispatched_on=TODAY,
        expected_on=TODAY,
        # A box more or less than was planned is no fault.
        sent={BLANK: draft.quantity - 10},
        custodian="I Made Kurir",
        bast_number="470/12/2024",
        draft_id=draft.id,
    )
    return transfers.dispatch(world.storekeeper, NOW, uuid4(), DENPASAR, out)


PLAN_CHECKS = (
    *(("allotment_lines", f"ck_allotment_lines_{name}") for name in ("sent", "closed", "quantity", "two_offices")),
    *(("allotment_plans", f"ck_allotment_plans_{name}") for name in ("quantity", "reserve", "pack", "split")),
)
LINES = "UPDATE allotment_lines SET"
PLANS = "UPDATE allotment_plans SET"
OF_SENT, OF_WAITING = "WHERE status = 'sent'", "WHERE status = 'draft'"
OFFICE = "(SELECT id FROM offices WHERE code = '51.03')"
GROUNDS = '{"rule": "%s", "quantity": 750, "proposed": 750}'
DRAFT_CORRUPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "draft said to be sent": (
        "it is sent, and it has no transfer",
        (f"{LINES} status = 'sent', closed_at = '2024-05-15 00:00:00' {OF_WAITING}",),
    ),
    "sent draft said to wait": (
        "it is draft, and transfer 1 is received",
        (f"{LINES} status = 'draft', closed_at = NULL {OF_SENT}",),
    ),
    "sent draft said to be recalled": (
        "it is recalled, and transfer 1 is received",
        (f"{LINES} status = 'recalled', closed_at = NULL {OF_SENT}",),
    ),
    "recalled draft said to be sent": (
        "it is sent, and transfer 2 is cancelled",
        (f"{LINES} status = 'sent', closed_at = '2024-05-15 00:00:00' WHERE status = 'recalled'",),
    ),
    "transfer said to be cancelled": (
        "it is sent, and transfer 1 is cancelled",
        ("UPDATE transfers SET status = 'cancelled'",),
    ),
    "transfer taken away": ("there is no transfer 1", ("DELETE FROM transfers WHERE id = 1",)),
    "transfer sent elsewhere": ("between other offices", (f"UPDATE transfers SET receiver_id = {OFFICE}",)),
    "transfer of another item": (
        "carries another item",
        ("UPDATE transfer_lines SET item_id = (SELECT id FROM items WHERE code = 'kia')",),
    ),
    "sent by somebody else": ("by whom, transfer 1 was dispatched", (f"{LINES} closed_by_id = NULL {OF_SENT}",)),
    "edited quantity": ("were planned", (f"{LINES} quantity = quantity - 500 {OF_SENT}",)),
    "no whole packs": ("no whole packs of 500", (f"{LINES} quantity = 750, why = '{GROUNDS % 'least'}' {OF_WAITING}",)),
    "quantity edited with its grounds": (
        "not what was asked for",
        (f"{LINES} quantity = 750, why = '{GROUNDS % 'fixed'}' {OF_WAITING}",),
    ),
    "draft of nothing": ("sends nothing", (f"{LINES} quantity = 0 {OF_WAITING}",)),
    "draft to its sender": ("its own sender", (f"{LINES} receiver_id = sender_id {OF_WAITING}",)),
    "draft from another office": ("takes from another office", (f"{LINES} sender_id = {OFFICE} {OF_WAITING}",)),
    "draft to another office": ("not what was asked for", (f"{LINES} receiver_id = {OFFICE} {OF_WAITING}",)),
    "draft without its plan": ("there is no such plan", ("DELETE FROM allotment_plans",)),
    "deleted draft": ("not what was asked for", (f"DELETE FROM allotment_lines {OF_WAITING}",)),
    "less to split": ("there are 500 to split", (f"{PLANS} quantity = 1000 WHERE reserve = 500",)),
    "no reserve": ("not what was asked for", (f"{PLANS} reserve = 0",)),
    "another planner": ("not what was asked for", (f"{PLANS} made_by_id = NULL",)),
}


def test_plans_and_drafts_kept_by_the_services_agree(world: World) -> None:
    fill_plans(world)
    statuses = db.session.scalars(text("SELECT status FROM allotment_lines ORDER BY status")).all()
    assert statuses == ["draft", "dropped", "recalled", "sent"]
    assert verify().faults == ()


@pytest.mark.parametrize("name", DRAFT_CORRUPTIONS)
def test_drafts_written_past_the_services_are_found_and_left_alone(world: World, name: str) -> None:
    fill_plans(world)
    check_is_found_and_left_alone(world, "drafts", *DRAFT_CORRUPTIONS[name])


# --- documents ---------------------------------------------------------------------------------------------------


def fill_documents(world: World) -> None:
    """Two documents of an office before and after a seal, and one of another office."""
    world.deliver(NOW, YESTERDAY, 100)
    _issue("a")
    seal()
    _issue("b")
    _issue("a", BADUNG)


def _issue(subject: str, code: str = DENPASAR) -> None:
    office = offices.get(SYSTEM, Action.VIEW_STOCK, code)
    facts = to_facts(papers.delivery())
    documents.issue(SYSTEM, NOW, office, "delivery", subject, TODAY, facts, "https://blangko.example.go.id")


DOCUMENTS = "UPDATE documents SET"
DOCUMENT_CORRUPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "edited content": (
        "does not have the digest",
        (f"{DOCUMENTS} content = replace(content, 'Kota Denpasar', 'Kota Lain') WHERE id = 2",),
    ),
    "edited digest": ("does not have the digest", (f"{DOCUMENTS} digest = '{'f' * 64}' WHERE id = 3",)),
    "content that is none": (
        "cannot be read",
        (f"{DOCUMENTS} content = '[1]', digest = '{digest_of('[1]')}' WHERE id = 1",),
    ),
    "another day": ("listed under another", (f"{DOCUMENTS} day = '2024-05-14' WHERE id = 1",)),
    "another kind": ("listed under another", (f"{DOCUMENTS} kind = 'transfer' WHERE id = 1",)),
    "another office": (
        "listed under another",
        (f"{DOCUMENTS} office_id = {OFFICE}, number = 2, subject = 'c' WHERE id = 1",),
    ),
    "another link": ("listed under another", (f"{DOCUMENTS} token = '{'t' * 32}' WHERE id = 1",)),
    "another moment": ("listed under another", (f"{DOCUMENTS} issued_at = '2024-05-14 01:00:00' WHERE id = 1",)),
    "deleted document": ("1 documents have the numbers 2 to 2", ("DELETE FROM documents WHERE id = 1",)),
    "deleted last document": ("and 2 were given out", ("DELETE FROM documents WHERE id = 2",)),
    "all of an office deleted": ("there are no documents, and 1", ("DELETE FROM documents WHERE id = 3",)),
    "edited counter": ("and 7 were given out", ("UPDATE document_counters SET last = 7 WHERE last = 2",)),
}


def test_documents_as_they_were_issued_agree(world: World) -> None:
    fill_documents(world)
    assert verify().faults == ()


@pytest.mark.parametrize("name", DOCUMENT_CORRUPTIONS)
def test_documents_written_past_the_services_are_found_and_left_alone(world: World, name: str) -> None:
    fill_documents(world)
    check_is_found_and_left_alone(world, "documents", *DOCUMENT_CORRUPTIONS[name])


def test_a_document_forged_with_its_digest_is_told_by_what_the_list_says(world: World) -> None:
    fill_documents(world)
    _view, paper = documents.get(SYSTEM, 1)
    forged = content_of(paper).replace('"number":"00001/', '"number":"00009/')
    literal = forged.replace(":", r"\:")
    statement = f"{DOCUMENTS} content = '{literal}', digest = '{digest_of(forged)}' WHERE id = 1"
    check_is_found_and_left_alone(world, "documents", "listed under another", (statement,))


def test_history_sealed_anew_is_told_by_the_documents_of_its_time(world: World) -> None:
    """No head was kept elsewhere, but papers were issued under one."""
    fill_documents(world)
    write_past_the_ledger(world.app, "UPDATE movements SET note = 'forged'", "DELETE FROM seals", checks=PLAN_CHECKS)
    seal()
    faults = verify().faults
    assert [(fault.check, fault.row) for fault in faults] == [("documents", f"document 00002/{DENPASAR}/2024")]
    assert "which is not in the chain" in faults[0].what
