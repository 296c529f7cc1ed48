"""Exports: each table within the actor's reach, no formulas in cells, and no more in memory than a few rows."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from inventory import models
from inventory.adapters.spreadsheets import read_rows
from inventory.db import Base, db
from inventory.domain.access import SYSTEM, Action, may_somewhere
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.services import allotments, consumption, exports, reviews
from inventory.services.allotments import SplitTerms
from inventory.services.consumption import Printed
from inventory.services.seals import seal_now
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

NOT_EXPORTED = {
    "service_accounts": "which machines there are is the administrators' own list; what they did is under their names",
    "api_tokens": "what opens the API: it stays where it is, hashed as it is",
    "api_requests": "the answers of the last 30 days; what they recorded is in the ledger",
    "escalations": "when a change is passed on unless it is acknowledged; the alerts' events say by whom",
    "message_changes": "which change each message told; the changes themselves are exported",
    "messages": "the outbox: addresses of people belong to them, and what was told is in the alerts",
    "notice_channels": "people's own addresses and the keys of their webhooks",
    "notices_to_fan_out": "what waits a few seconds to be told",
    "imported_days": "the ledger's own note of which days a file filled in; the movements and imports say the same",
    "delivery_request_steps": "who took which step; the requests say what came of them",
    "document_counters": "the last number of each office and year; the documents have them all",
    "figure_entries": "the forms and files by which figures came; the figures themselves are exported",
    "chore_rounds": "when each chore was last done well, one row for each",
    "heartbeats": "which processes live at the moment; gone a day after them",
    "case_acts": "the forms by which people acted on alerts; the history of each alert says what they did",
    "subtree_trends": "sums that each review adds up anew; the stocks behind them are exported",
    "stock_checks": "which stocks still wait for a look, for some seconds each",
    "authenticator_apps": "secrets of second factors; the audit says who set one up",
    "passkeys": "keys of second factors; the audit says who set one up",
    "recovery_codes": "digests of what lets people in; the audit says when one was used",
    "factor_tries": "how often somebody was wrong in a row, until they are right; the audit keeps each",
    "spent_challenges": "what passkeys have signed in the last minutes",
    "known_devices": "digests of what browsers carry; forgotten when nobody logs in from them",
    "log_in_tries": "counters under keyed hashes, which tell nothing and are forgotten after days",
    "log_in_tried_from": "keyed hashes of addresses, kept for days to count them",
    "login_sessions": "where people are logged in belongs to them; the audit says who logged in when",
    "sign_on_identities": "the provider's own names for people, which are of no use without it",
    "memberships": "exported with the people who hold the roles",
}


@pytest.fixture
def full(world: World) -> World:
    """A world in which every table has a row."""
    world.deliver(NOW, TODAY, 100, bast="=1+1")
    world.send(NOW, TODAY, 20, note="@dua dus")
    world.print(NOW, TODAY, {"new": Printed(5)})
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    seal_now(SYSTEM, lambda: NOW, "test")
    found = allotments.propose_split(SYSTEM, NOW, DENPASAR, BLANK, SplitTerms(quantity=50, pack=10))
    allotments.save(SYSTEM, NOW, uuid4(), found, {(DENPASAR, "51.71.01"): 50})
    return world


def rows(actor: Any, name: str, *options: Any) -> list[dict[str, object]]:
    found = exports.read(actor, name, *options)
    return [dict(zip(found.headings, row, strict=True)) for row in found.rows]


def test_every_table_can_be_exported_or_says_why_not() -> None:
    known = {table.name for table in exports.TABLES} | set(NOT_EXPORTED)
    assert set(Base.metadata.tables) == known
    assert models.Movement.__tablename__ in known


def test_every_table_is_read_by_both_formats(full: World) -> None:
    for name in exports.names(SYSTEM):
        found = exports.read(SYSTEM, name)
        lines = list(csv.reader(io.StringIO(b"".join(exports.csv_lines(found)).decode("utf-8-sig"))))
        assert tuple(lines[0]) == found.headings
        assert len(set(found.headings)) == len(found.headings), name
        book = io.BytesIO()
        exports.write_xlsx(exports.read(SYSTEM, name), book)
        assert len(list(read_rows(book.getvalue(), len))) == len(lines), name


def test_no_secret_leaves_with_the_people(full: World) -> None:
    found = exports.read(SYSTEM, "people")
    assert not {"password", "fs_uniquifier"} & set(found.headings)
    assert {row["role"] for row in rows(SYSTEM, "people")} == {"storekeeper", "manager", "viewer", "administrator"}
    every = "".join(
        str(value) for name in exports.names(SYSTEM) for row in rows(SYSTEM, name) for value in row.values()
    )
    assert "argon2" not in every


def test_texts_that_look_like_formulas_are_neutralised(full: World) -> None:
    lines = b"".join(exports.csv_lines(exports.read(SYSTEM, "deliveries"))).decode("utf-8-sig")
    assert ",'=1+1," in lines
    assert ",'@dua dus" in b"".join(exports.csv_lines(exports.read(SYSTEM, "transfers"))).decode("utf-8-sig")
    movement = rows(SYSTEM, "movements")[0]
    assert (movement["office"], movement["item"], movement["quantity"]) == (DENPASAR, BLANK, 100)
    assert movement["effective_on"] == TODAY
    assert movement["recorded_at"] == "2024-05-15T03:00:00+00:00"


@pytest.mark.parametrize("name", ["storekeeper", "other_storekeeper", "manager", "regional", "viewer", "administrator"])
def test_each_sees_what_the_access_table_says(full: World, name: str) -> None:
    actor = full.actor(name)
    for table in exports.TABLES:
        if not may_somewhere(actor, table.action):
            assert table.name not in exports.names(actor)
            with pytest.raises(NotAllowed):
                exports.read(actor, table.name)
    if name in ("other_storekeeper", "viewer"):
        assert [row for row in rows(actor, "movements") if row["office"] == DENPASAR] == []
        assert [row["receiver"] for row in rows(actor, "transfers")] == [BADUNG], "a transfer is seen from either end"
    if name == "administrator":
        with pytest.raises(NotAllowed):
            exports.read(actor, "movements")
        assert {row["code"] for row in rows(actor, "offices")} == {"51", "51.03", "51.71", "51.71.01", "51.71.02"}


def test_an_export_is_narrowed_to_an_office_and_a_period(full: World) -> None:
    day = TODAY - timedelta(days=3)
    full.deliver(NOW, day, 7)
    assert len(rows(SYSTEM, "movements", DENPASAR, day, day)) == 1
    assert rows(SYSTEM, "movements", BADUNG) == []
    assert len(rows(SYSTEM, "movements", "51", TODAY)) == 3
    assert rows(SYSTEM, "job_runs", None, date(2024, 5, 16)) == []
    assert len(rows(SYSTEM, "job_runs", None, TODAY, TODAY)) == 2
    with pytest.raises(Invalid, match="period_backwards"):
        exports.read(SYSTEM, "movements", None, TODAY, day)
    with pytest.raises(NotFound, match="export_unknown"):
        exports.read(SYSTEM, "passwords")
    with pytest.raises(NotAllowed):
        exports.read(full.storekeeper, "movements", BADUNG)


def test_a_long_table_is_read_a_few_rows_at_a_time(world: World) -> None:
    count = 20_000
    start = datetime(2011, 1, 1, tzinfo=UTC).date()
    db.session.execute(
        text(
            "INSERT INTO calendar_days (office_id, day, open, name)"
            " SELECT id, :day, :open, :name FROM offices WHERE code = '51.71'"
        ),
        [{"day": start + timedelta(days=n), "open": False, "name": "libur " + "x" * 80} for n in range(count)],
    )
    db.session.commit()
    tracemalloc.start()
    try:
        read = sum(len(chunk) for chunk in exports.csv_lines(exports.read(SYSTEM, "calendar_days")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read > count * 90
    assert peak < read, "the whole table was in memory at once"


def test_what_is_exported_after_a_change_is_what_is_there(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    consumption.post_printed(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"new": Printed(4)})
    assert [row["store"] for row in rows(world.storekeeper, "balances")] == [6]
    assert Action.VIEW_STOCK in {table.action for table in exports.TABLES}
