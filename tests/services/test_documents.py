"""Documents on both databases: numbered without a gap, never changed, found again, and genuine to anybody who asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.documents import DeliveryRecord, content_of, digest_of, to_facts
from inventory.domain.errors import NotAllowed, NotFound, Refusal
from inventory.domain.transfers import Arrived
from inventory.services import consumption, deliveries, documents, offices, records, seals, transfers
from inventory.services.documents import DocumentView
from inventory.services.offices import OfficeView
from tests.adapters import papers
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import CROWD, NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

BASE = "https://blangko.example.go.id"


def denpasar() -> OfficeView:
    return offices.get(SYSTEM, Action.VIEW_STOCK, DENPASAR)


def issue(subject: str, *, day: date = TODAY, office: str = DENPASAR, base: str = BASE) -> DocumentView:
    view = offices.get(SYSTEM, Action.VIEW_STOCK, office)
    facts = to_facts(papers.delivery())
    return documents.issue(SYSTEM, NOW, view, "delivery", subject, day, facts, base)


def numbers(office: str = DENPASAR) -> list[tuple[int, int]]:
    found = db.session.execute(
        text(
            "SELECT year, number FROM documents JOIN offices ON offices.id = documents.office_id"
            " WHERE offices.code = :code ORDER BY year, number"
        ),
        {"code": office},
    )
    return [(row.year, row.number) for row in found]


def test_numbers_count_up_per_office_and_year_over_all_kinds(world: World) -> None:
    assert [issue(subject).number for subject in ("a", "b")] == ["00001/51.71/2024", "00002/51.71/2024"]
    card = documents.issue(SYSTEM, NOW, denpasar(), "stock_card", "a", TODAY, to_facts(papers.stock_card(3)), BASE)
    assert card.number == "00003/51.71/2024"
    assert issue("c", office=BADUNG).number == "00001/51.03/2024"
    assert issue("d", day=date(2025, 1, 1)).number == "00001/51.71/2025"
    assert issue("e", day=date(2024, 12, 31)).number == "00004/51.71/2024"


def test_the_same_subject_is_the_same_document(world: World) -> None:
    first = issue("a")
    assert issue("a", base="https://elsewhere.example") == first
    assert issue("a", day=TODAY + timedelta(days=400)) == first
    assert issue("b").number == "00002/51.71/2024"


def crowd(app: Flask, make_app: Callable[..., Flask], url: str, calls: list[Callable[[], Any]]) -> list[Any]:
    crowded = make_app(url, CLOCK=lambda: NOW, SQLALCHEMY_ENGINE_OPTIONS=CROWD)
    with crowded.app_context():
        outcomes = at_once(crowded, calls)
        db.session.remove()
        db.engine.dispose()
    assert refused_codes(outcomes) == {}
    return done(outcomes)


def test_sixteen_at_once_get_sixteen_numbers_in_a_row(
    app: Flask, make_app: Callable[..., Flask], database_url: str
) -> None:
    calls = [lambda subject=str(n): issue(subject).number for n in range(16)]
    found = crowd(app, make_app, database_url, calls)
    assert sorted(found) == [f"{n:05}/51.71/2024" for n in range(1, 17)]


def test_sixteen_who_issue_the_same_get_one_document_and_lose_no_number(
    app: Flask, make_app: Callable[..., Flask], database_url: str
) -> None:
    calls: list[Callable[[], Any]] = [lambda: issue("the same") for _ in range(12)]
    calls += [lambda subject=str(n): issue(subject) for n in range(4)]
    found = crowd(app, make_app, database_url, calls)
    assert len({document.id for document in found[:12]}) == 1
    with app.app_context():
        assert issue("after").number == "00006/51.71/2024"
        assert numbers() == [(2024, number) for number in range(1, 7)]


def test_a_document_that_fails_takes_its_number_back(world: World) -> None:
    issue("a")
    with pytest.raises(IntegrityError, match="digest"):
        _broken_insert()
    assert issue("b").number == "00002/51.71/2024"


def _broken_insert() -> None:
    """As `issue` does it, but with a digest that the table refuses."""
    from inventory.db import write
    from inventory.services.documents import _next_number

    def work(session: Any) -> None:
        assert _next_number(session, denpasar().id, 2024) == 2
        session.execute(text(INSERT.format(number=2, token="t" * 22, digest="short", kind="delivery", subject="b")))

    write(work)


INSERT = (
    "INSERT INTO documents (office_id, year, number, kind, subject, day, content, digest, token, issued_at)"
    " SELECT id, 2024, {number}, '{kind}', '{subject}', '2024-05-15', '', '{digest}', '{token}', '2024-05-15'"
    " FROM offices WHERE code = '51.71'"
)
GOOD = {"number": 2, "kind": "delivery", "subject": "x", "digest": "0" * 64, "token": "t" * 22}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"number": 3}, "no gaps"),
        ({"number": 0}, "no gaps|number"),
        ({"number": 1}, "year|UNIQUE"),
        ({"digest": "short"}, "digest"),
        ({"token": "short"}, "token"),
        ({"kind": "letter"}, "kind"),
        ({"subject": ""}, "subject"),
        ({"subject": "a"}, "subject"),
    ],
)
def test_the_database_refuses_a_gap_a_double_and_nonsense(world: World, change: dict[str, Any], why: str) -> None:
    issue("a")
    with pytest.raises(DBAPIError, match=why):
        db.session.execute(text(INSERT.format(**GOOD | change)))
    db.session.rollback()
    db.session.execute(text(INSERT.format(**GOOD)))
    db.session.rollback()


def test_a_document_is_never_changed_and_never_goes_away(world: World) -> None:
    issue("a")
    statements = [
        "UPDATE documents SET content = 'other'",
        "UPDATE documents SET number = 7",
        "DELETE FROM documents",
        {
            "sqlite": "INSERT OR REPLACE INTO documents SELECT * FROM documents",
            "postgresql": "TRUNCATE documents",
        }[db.engine.dialect.name],
    ]
    for statement in statements:
        with pytest.raises(DBAPIError, match=r"append-only|no gaps"):
            db.session.execute(text(statement))
        db.session.rollback()
    assert numbers() == [(2024, 1)]


def test_the_content_is_all_that_the_pages_are_drawn_from(world: World) -> None:
    document = issue("a")
    first = documents.pdf(SYSTEM, document.id, "id")[1]
    row = db.session.execute(text("SELECT content, digest, token FROM documents")).one()
    content = json.loads(row.content)
    assert content["number"] == document.number
    assert content["link"] == f"{BASE}/d/{row.token}"
    assert digest_of(row.content) == row.digest == document.digest
    assert content_of(documents.get(SYSTEM, document.id)[1]) == row.content
    # An office that is renamed later stays on the paper what it was.
    db.session.execute(text("UPDATE offices SET name = 'Kota Lain' WHERE code = '51.71'"))
    db.session.commit()
    assert documents.pdf(SYSTEM, document.id, "id")[1] == first
    assert documents.pdf(SYSTEM, document.id, "en")[1] != first


def test_facts_that_are_no_record_get_no_number(world: World) -> None:
    for facts in ({}, to_facts(papers.stock_card(1))):
        with pytest.raises((TypeError, ValueError)):
            documents.issue(SYSTEM, NOW, denpasar(), "delivery", "a", TODAY, facts, BASE)
    assert numbers() == []


def test_documents_are_for_those_who_see_the_offices_stock(world: World) -> None:
    document = issue("a")
    stranger = world.actor("other_storekeeper")
    with pytest.raises(NotAllowed):
        documents.issue(stranger, NOW, denpasar(), "delivery", "b", TODAY, to_facts(papers.delivery()), BASE)
    for ask in (documents.get, lambda actor, which: documents.pdf(actor, which, "id")):
        with pytest.raises(NotFound, match="document_not_found"):
            ask(stranger, document.id)
        with pytest.raises(NotFound, match="document_not_found"):
            ask(world.storekeeper, document.id + 1)
        ask(world.actor("regional"), document.id)
    with pytest.raises(NotAllowed):
        documents.of_office(stranger, DENPASAR)


def test_the_list_is_paged_newest_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PAGE", 3)
    for n in range(7):
        issue(str(n))
    pages = [documents.of_office(world.storekeeper, DENPASAR, page) for page in (1, 2, 3)]
    assert [[each.subject for each in found] for found, _ in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert {count for _, count in pages} == {3}
    assert documents.of_office(world.storekeeper, DENPASAR, 99) == pages[2]
    assert documents.of_office(world.storekeeper, DENPASAR, 0) == pages[0]
    assert documents.of_office(world.actor("viewer"), BADUNG) == ([], 1)


def test_anybody_with_the_link_can_verify_and_nobody_without(world: World) -> None:
    document = issue("a")
    token = db.session.scalar(text("SELECT token FROM documents"))
    found = documents.verify(token)
    assert (found.number, found.office_code, found.digest, found.intact) == (
        document.number,
        DENPASAR,
        document.digest,
        True,
    )
    assert "Santoso" not in repr(found)
    assert len(token) >= 22
    for wrong in ("", "x", token[:-1], token + "x", token.swapcase(), "%", "x" * 32, "\x00" * 32, "é" * 32):
        with pytest.raises(NotFound, match="document_not_found"):
            documents.verify(wrong)


def test_a_content_that_was_tampered_with_is_told(world: World) -> None:
    issue("a")
    token = db.session.scalar(text("SELECT token FROM documents"))
    drop = {
        "sqlite": "DROP TRIGGER documents_no_update",
        "postgresql": "ALTER TABLE documents DISABLE TRIGGER documents_no_change",
    }[db.engine.dialect.name]
    db.session.execute(text(drop))
    db.session.execute(text("UPDATE documents SET content = replace(content, '3990', '3090')"))
    db.session.commit()
    assert documents.verify(token).intact is False


def test_a_document_says_which_seal_was_the_newest(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    before = documents.get(SYSTEM, issue("a").id)[1]
    seals.seal_now(SYSTEM, lambda: NOW, "test")
    after = documents.get(SYSTEM, issue("b").id)[1]
    head = seals.head()
    assert head is not None
    assert (before.seal_head, after.seal_head) == ("", head.digest)


# --- what is wired -----------------------------------------------------------------------------------------------


def test_a_delivery_has_one_record_with_what_was_counted(world: World) -> None:
    world.deliver(NOW, TODAY - timedelta(days=1), 1_000, defective=7, bast="470/1/2024")
    delivery = deliveries.latest(world.storekeeper, DENPASAR)[0]
    document = records.issue_delivery(world.storekeeper, NOW, delivery.id, BASE)
    assert records.issue_delivery(world.actor("manager"), NOW + timedelta(days=9), delivery.id, BASE) == document
    record = documents.get(world.storekeeper, document.id)[1].record
    assert isinstance(record, DeliveryRecord)
    assert (record.bast_number, record.received_on) == ("470/1/2024", TODAY - timedelta(days=1))
    [line] = record.lines
    assert (line.item.code, line.received, line.defective) == (BLANK, 1_000, 7)
    for actor in (world.actor("other_storekeeper"), world.actor("administrator")):
        with pytest.raises(NotFound, match="delivery_not_found"):
            records.issue_delivery(actor, NOW, delivery.id, BASE)


def test_a_delivery_that_was_reversed_gets_no_record(world: World) -> None:
    posting = world.deliver(NOW, TODAY, 1_000)
    delivery = deliveries.latest(world.storekeeper, DENPASAR)[0]
    world.reverse_receipt(NOW, posting.movements[0].id)
    with pytest.raises(Refusal, match="delivery_reversed"):
        records.issue_delivery(world.storekeeper, NOW, delivery.id, BASE)
    assert numbers() == []


def test_a_transfer_has_a_record_at_each_end_and_for_each_state(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = world.send(NOW, TODAY, 40)
    receiver = world.actor("other_storekeeper")
    sent = records.issue_transfer(world.storekeeper, NOW, transfer_id, BASE)
    assert records.issue_transfer(world.storekeeper, NOW, transfer_id, BASE) == sent
    assert records.issue_transfer(receiver, NOW, transfer_id, BASE).number == "00001/51.03/2024"
    transfers.receive(receiver, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=37, damaged=1)})
    closed = records.issue_transfer(world.storekeeper, NOW, transfer_id, BASE)
    assert closed.number == "00002/51.71/2024"
    under_way, received = (documents.get(SYSTEM, each.id)[1].record for each in (sent, closed))
    assert (under_way.status, under_way.lines[0].received, under_way.receiver.name) == ("dispatched", None, "")
    [line] = received.lines
    assert (received.status, line.sent, line.received, line.damaged, line.short) == ("received", 40, 37, 1, 2)
    assert received.receiver.name
    with pytest.raises(NotFound, match="transfer_not_found"):
        records.issue_transfer(world.actor("administrator"), NOW, transfer_id, BASE)


def test_a_stock_card_is_the_same_document_while_it_says_the_same(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, 30)

    def card(day: date = TODAY) -> DocumentView:
        return records.issue_stock_card(world.storekeeper, NOW, DENPASAR, BLANK, day - timedelta(days=9), day, BASE)

    first = card()
    assert card() == first
    assert card(TODAY - timedelta(days=1)) != first
    consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"misprint": 2})
    second = card()
    assert second.number == "00003/51.71/2024"
    closings = [documents.get(SYSTEM, each.id)[1].record.closing for each in (first, second)]
    assert closings == [70, 68]


def test_the_number_is_of_the_offices_own_year(world: World) -> None:
    # 23:30 on New Year's Eve in Jakarta is already next year in Denpasar and in Jayapura.
    at = datetime(2024, 12, 31, 16, 30, tzinfo=UTC)
    for code, year in (("51.71", 2025), ("16.09", 2024), ("94.71", 2025)):
        document = records.issue_stock_card(SYSTEM, at, code, BLANK, None, None, BASE)
        assert document.number == f"00001/{code}/{year}"
