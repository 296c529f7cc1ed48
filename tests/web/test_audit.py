"""The pages of the audit: searched within reach, and one's own."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor
from inventory.domain.audit import COMMON, FACTS, Event
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.models import AuditEntry
from inventory.services import audit, audit_trail
from inventory.services.audit_trail import Asked
from inventory.web import audit_words
from tests.conftest import NOW
from tests.services.test_audit import acting, office_id, person_id
from tests.web.client import in_language, log_in
from tests.world import BADUNG, DENPASAR, World


def fill(world: World) -> None:
    """Sixty entries at Denpasar and one at Badung, a minute apart; a log-in of nobody's."""
    storekeeper = acting(world, "storekeeper")
    for number in range(60):
        audit.record(
            NOW + timedelta(minutes=number),
            storekeeper,
            Event.EXPORTED,
            office_id=office_id(DENPASAR),
            subject=f"table {number:02}",
            facts={"table": "movements", "rows": 1639, "format": "csv"},
        )
    audit.record(
        NOW, acting(world, "other_storekeeper"), Event.IMPORTED, office_id=office_id(BADUNG), subject="Badung's"
    )
    audit.record(NOW, Actor(None, ""), Event.LOG_IN_REFUSED, subject="nobody's")
    audit.record(NOW, Actor(None, ""), Event.LOG_IN_REFUSED, subject="tried", about_id=person_id("storekeeper"))


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    with app.app_context():
        log_in(client, name)
    return client


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r"no\. (\d+)</small></th>", page)]


def subjects(actor: Actor, asked: Asked) -> list[str]:
    return [entry.subject for entry in audit_trail.find(actor, asked).entries]


# --- looking -----------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=fill)
def test_pages_hold_fifty_and_go_on_without_a_gap(world: World) -> None:
    seen, before = [], None
    while True:
        page = audit_trail.find(world.actor("manager"), Asked(event=Event.EXPORTED), before)
        assert len(page.entries) <= audit_trail.PAGE
        seen += [entry.subject for entry in page.entries]
        before = page.before
        if before is None:
            break
        # What is written meanwhile does not move the pages.
        audit.record(NOW, acting(world, "storekeeper"), Event.LOGGED_IN)
    assert seen == [f"table {number:02}" for number in reversed(range(60))]


@pytest.mark.filled(by=fill)
def test_entries_are_found_by_person_event_office_period_and_words(world: World) -> None:
    manager, administrator = world.actor("manager"), world.actor("administrator")
    assert subjects(manager, Asked(words="TABLE 07")) == ["table 07"]
    assert subjects(manager, Asked(words="%")) == []
    assert subjects(administrator, Asked(event=Event.IMPORTED)) == ["Badung's"]
    assert subjects(administrator, Asked(office_code=BADUNG, event=Event.IMPORTED)) == ["Badung's"]
    assert subjects(administrator, Asked(office_code=DENPASAR, event=Event.IMPORTED)) == []
    since, until = NOW + timedelta(minutes=10), NOW + timedelta(minutes=12)
    assert subjects(manager, Asked(since=since, until=until)) == ["table 11", "table 10"]
    assert subjects(administrator, Asked(person="other store", event=Event.IMPORTED)) == ["Badung's"]
    assert subjects(manager, Asked(person="gudang@denpasar.test", event=Event.LOG_IN_REFUSED)) == ["tried"]
    assert subjects(manager, Asked(person="gudang@", event=Event.LOG_IN_REFUSED)) == []
    assert subjects(manager, Asked(words="x\x00y")) == []


@pytest.mark.filled(by=fill)
def test_nobody_looks_beyond_their_reach(world: World) -> None:
    manager = world.actor("manager")
    assert subjects(manager, Asked(event=Event.IMPORTED)) == []
    assert subjects(manager, Asked(words="nobody")) == []
    assert subjects(SYSTEM, Asked(words="nobody")) == ["nobody's"]
    for code, error in ((BADUNG, NotAllowed), ("99.99", NotFound)):
        with pytest.raises(error):
            audit_trail.find(manager, Asked(office_code=code))
    for name in ("storekeeper", "viewer", "regional"):
        with pytest.raises(NotAllowed):
            audit_trail.find(world.actor(name), Asked())
    with pytest.raises(Invalid, match="period_backwards"):
        audit_trail.find(manager, Asked(since=NOW, until=NOW))


@pytest.mark.filled(by=fill)
def test_each_finds_what_was_done_under_their_name_and_to_their_account(world: World) -> None:
    found = audit_trail.mine(world.storekeeper)
    assert found.entries[0].subject == "tried"
    assert len(found.entries) == audit_trail.PAGE
    assert {entry.subject for entry in audit_trail.mine(world.actor("viewer")).entries} == {"Viewer"}
    with pytest.raises(NotAllowed):
        audit_trail.mine(SYSTEM)


# --- the pages ---------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=fill)
def test_the_page_shows_what_was_asked_for_and_goes_on(app: Flask) -> None:
    client = client_of(app, "manager")
    first = client.get("/audit?event=exported&person=storekeeper")
    assert first.status_code == 200
    assert len(numbers(first.text)) == 50
    older = re.search(r'href="(/audit\?[^"]*before=\d+[^"]*)"', first.text)
    assert older
    second = client.get(older[1].replace("&amp;", "&"))
    assert len(numbers(second.text)) == 10
    assert not set(numbers(first.text)) & set(numbers(second.text))
    assert 'rel="next"' not in second.text


@pytest.mark.filled(by=fill)
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?before=0", 200),
        ("?before=99999999999999999999", 200),
        ("?before=x", 200),
        ("?event=nothing", 422),
        ("?event=&office=99.99", 404),
        ("?event=&office=51.03", 403),
        ("?event=&from=2024-05-16&to=2024-05-15", 422),
        ("?event=&from=2024-02-30", 422),
        ("?event=&to=9999-12-31", 200),
        ("?event=&from=0000-00-00", 422),
        ("?event=&words=%00", 200),
        ("?event=&person=%27%22%3Cscript%3E", 200),
    ],
)
def test_whatever_is_asked_for_has_an_answer(app: Flask, query: str, status: int) -> None:
    answer = client_of(app, "manager").get(f"/audit{query}")
    assert answer.status_code == status
    assert "<script>" not in answer.text


@pytest.mark.filled(by=fill)
def test_an_entry_reads_as_a_sentence_in_both_languages(app: Flask) -> None:
    client = client_of(app, "manager")
    in_language(client, "en")
    english = client.get("/audit?event=exported").text
    in_language(client, "id")
    indonesian = client.get("/audit?event=exported").text
    assert "Mengambil tabel: Catatan buku persediaan, 1.639 baris." in indonesian
    assert "Took out a table: Ledger entries, 1,639 rows." in english
    assert "10.1.2.3" in english


@pytest.mark.filled(by=fill)
def test_everybody_has_a_page_of_their_own(app: Flask) -> None:
    for name in ("storekeeper", "viewer", "administrator"):
        page = client_of(app, name).get("/audit/mine")
        assert page.status_code == 200
        assert numbers(page.text)
    page = client_of(app, "storekeeper").get("/audit/mine").text
    assert "Seseorang mencoba masuk dan tidak diizinkan." in page
    assert "Badung" not in page


def test_the_pages_write_nothing(app: Flask) -> None:
    def count() -> int:
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(AuditEntry)) or 0

    client = client_of(app, "manager")
    before = count()
    for path in ("/audit", "/audit/mine", "/offices", f"/offices/{DENPASAR}"):
        assert client.get(path).status_code == 200
    assert count() == before


# --- the words ---------------------------------------------------------------------------------------------------


def test_every_event_has_a_name_and_a_sentence(app: Flask) -> None:
    assert set(audit_words.EVENTS) == set(audit_words.SENTENCES) == set(Event)
    said = {name for names in FACTS.values() for name in names} | COMMON
    assert said == set(audit_words.FACTS)
    with app.test_request_context():
        for event in Event:
            entry = an_entry(event.value)
            assert audit_words.sentence(entry).endswith((".", "."))
            assert audit_words.details(entry) == []
        assert audit_words.sentence(an_entry("of a later version")) == "of a later version: "


def an_entry(event: str) -> audit_trail.EntryView:
    nothing = dict.fromkeys(("actor_name", "way", "address", "request_id", "subject"), "")
    return audit_trail.EntryView(
        id=1,
        at=NOW,
        event=event,
        is_person=False,
        about_name=None,
        office_code=None,
        office_name=None,
        facts={},
        **nothing,
    )


def test_whoever_may_look_is_in_the_table() -> None:
    from inventory.domain.access import TABLE, Role

    assert set(TABLE[Action.VIEW_AUDIT]) == {Role.MANAGER, Role.ADMINISTRATOR}


def test_times_among_the_facts_read_like_times_elsewhere(app: Flask) -> None:
    with app.test_request_context(), force_locale("en"):
        assert audit_words.value("expires", "2024-06-14T03:00:00+00:00") == "Jun 14, 2024 10:00 WIB"
        assert audit_words.value("day", "2024-05-15") == "May 15, 2024"
        assert audit_words.value("name", "2024-05-15/BAST") == "2024-05-15/BAST"
