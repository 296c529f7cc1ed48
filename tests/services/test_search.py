"""Search: what each role finds and does not find, however it is written, by index and with few questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, insert, select, text, update

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.ranges import parse_ranges
from inventory.models import Delivery, Item, Office, Transfer
from inventory.services import alerts, deliveries, items, records, reviews, search
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

OKU = "16.09"
FOUND: dict[str, Any] = {}


def fill(world: World) -> None:
    """Denpasar has one of everything, Badung what was sent to it; OKU Selatan has documents of the same numbers."""
    world.deliver(NOW, TODAY, 1639, bast="470.1/2024")
    world.deliver(NOW, TODAY, 10, bast="470/10/2024")
    world.send(NOW, TODAY, 5, bast_number="470/12/2024")
    world.ask(NOW, TODAY, 100)
    world.stocktake(NOW)
    world.spoil(NOW, TODAY, 2)
    world.propose_destruction(NOW, TODAY, 2)
    world.plan_outreach(NOW, TODAY, 40, place="Banjar Kaja, Kelurahan Sesetan")
    items.keep_numbers("kia")
    kept = parse_ranges("A100001-A100400")
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", TODAY, 0, "", ranges=kept)
    world.send(NOW, TODAY, 0, sent={}, ranges={"kia": parse_ranges("A100101-A100200")}, bast_number="480/1")
    FOUND["document"] = records.issue_transfer(SYSTEM, NOW, 1, "").number
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    FOUND["alert"] = next(each.id for each in alerts.open_alerts(SYSTEM) if each.office_code == DENPASAR)
    _deliver_at(OKU, "470.1/2024", "470/13/2024")


def _deliver_at(code: str, *numbers: str) -> None:
    office, item = (
        db.session.scalar(select(table.id).where(table.code == name)) for table, name in ((Office, code), (Item, BLANK))
    )
    said = {"office_id": office, "item_id": item, "bast_on": TODAY, "received": 1, "defective": 0, "supplier": "Pusat"}
    said |= {"funding_source": "apbn", "handed_over_by": "", "taken_over_by": "", "note": "", "recorded_at": NOW}
    db.session.execute(insert(Delivery), [{**said, "bast_number": number} for number in numbers])
    db.session.commit()


pytestmark = pytest.mark.filled(by=fill)


def found(actor: Actor, words: str, **options: Any) -> dict[str, list[str]]:
    return {group.kind: [hit.title for hit in group.hits] for group in search.find(actor, words, **options)}


@pytest.mark.parametrize("typed", ["470.1/2024", "470/1/2024", " 470-1-2024 ", "470 1 2024"])
def test_a_number_is_found_however_it_is_written(world: World, typed: str) -> None:
    """And by its beginning, in the order of the numbers; what is written just so comes first."""
    assert found(world.storekeeper, typed)["deliveries"] == ["470.1/2024"]
    [group, *_] = search.find(world.storekeeper, typed)
    assert (group.kind, group.exact) == ("deliveries", typed.strip() == "470.1/2024")


def test_a_beginning_finds_all_that_begin_so(world: World) -> None:
    assert found(world.storekeeper, "470/") == {
        "deliveries": ["470/10/2024", "470.1/2024"],
        "transfers": ["470/12/2024"],
    }
    assert found(world.actor("regional"), "470/12/2024") == {"transfers": ["470/12/2024"]}


def test_each_role_finds_what_it_may_see_and_nothing_else(world: World) -> None:
    document, alert = FOUND["document"], str(FOUND["alert"])
    own = {"470": {"deliveries", "transfers"}, "a100150": {"numbers"}, document: {"documents"}, "#1": {"records"}}
    own |= {"sesetan": {"outreach"}, "ribbon": {"items"}}
    reached = {
        "storekeeper": own | {"kota denpasar": {"offices"}, "bali": set()},
        "manager": own | {"denpasar sel": {"offices"}, "bali": set()},
        "regional": own | {"kabupaten badung": {"offices"}, "oku": set()},
        "other_storekeeper": {
            "470": {"transfers"},
            "a100150": set(),
            document: set(),
            "#1": set(),
            "sesetan": set(),
            "kota denpasar": set(),
        },
        "administrator": {words: set() for words in own} | {"bali": {"offices"}, "oku": set()},
    }
    for name, expected in reached.items():
        actor = world.actor(name)
        for words, kinds in expected.items():
            got = set(found(actor, words))
            assert (got - {"alerts"} if words == "#1" else got) == kinds, (name, words)
        sees_alert = name in ("storekeeper", "manager", "regional")
        assert ("alerts" in found(actor, alert)) is sees_alert, name
    assert found(SYSTEM, "470/13/2024") == {"deliveries": ["470/13/2024"]}
    assert found(Actor(1, "Nobody", (Grant(Role.VIEWER, "99/"),)), "470") == {}


def test_a_serial_number_is_where_it_is_or_where_it_was(world: World) -> None:
    [here] = search.find(world.storekeeper, "a100050")[0].hits
    assert (here.title, here.state, here.office_code, here.range) == ("A100050", "store", DENPASAR, "A100001–A100100")
    assert here.exact
    assert search.find(world.storekeeper, "A100150")[0].hits[0].state == "transit"
    assert found(world.storekeeper, "A100999") == {}, "never in the books"


def test_a_group_is_cut_and_goes_on_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EACH", 1)
    [group] = [each for each in search.find(world.storekeeper, "470") if each.kind == "deliveries"]
    assert (len(group.hits), group.more) == (1, True)
    monkeypatch.setattr(search, "PAGE", 1)
    assert found(world.storekeeper, "470", kind="deliveries", page=2) == {"deliveries": ["470.1/2024"]}
    assert found(world.storekeeper, "470", kind="deliveries", page=3) == {}
    assert not search.find(world.storekeeper, "470", kind="transfers")[0].more


def test_an_office_that_is_called_just_so_comes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EACH", 1)
    assert found(world.actor("regional"), "DENPASAR TIMUR") == {"offices": ["Denpasar Timur"]}
    [group] = search.find(SYSTEM, "51")
    assert (group.hits[0].office_code, group.exact, group.more) == ("51", True, True)


def test_no_office_is_lost_or_told_twice_between_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is called just so has the last code of all that are found."""
    rename = update(Office).where(Office.code == "51.71.02").values(name="Denpasar")
    db.session.execute(rename)
    db.session.commit()
    everything = found(SYSTEM, "denpasar", kind="offices")["offices"]
    assert everything[0] == "Denpasar"
    monkeypatch.setattr(search, "PAGE", 1)
    pages = [found(SYSTEM, "denpasar", kind="offices", page=number + 1) for number in range(len(everything))]
    assert [page["offices"][0] for page in pages] == everything


def test_nothing_that_is_typed_does_harm_or_finds_what_it_should_not(world: World) -> None:
    harmless = ("", "   ", "\x00", "%", "_", "%%%", "\\", "'", "///", "x" * 5000, "#", "#99999999999", "é", "zq\x00zq")
    for typed in (*harmless, "\U0010ffff", "A" * 8 + "9" * 13, "00012/51.71%/2024", "0/0/0000"):
        for actor in (SYSTEM, world.storekeeper):
            assert found(actor, typed) == {}, typed


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.extend([(statement, parameters)] if statement.startswith("SELECT") else [])

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_whatever_is_asked_takes_few_questions(world: World) -> None:
    for actor in (world.storekeeper, world.actor("regional"), SYSTEM):
        for words in ("470", "A100150", "17", "denpasar", FOUND["document"]):
            with statements() as seen:
                search.find(actor, words)
            assert len(seen) <= 16, (words, len(seen))


def test_the_numbers_of_a_country_are_found_by_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among thousands of deliveries and transfers, for people who see a few offices and for those who see many."""
    _many(3_000)
    actor = world.actor("regional")
    for few in (search.FEW_OFFICES, 1):
        monkeypatch.setattr(search, "FEW_OFFICES", few)
        with statements() as seen:
            assert "deliveries" in found(actor, "900/777")
        asked = [each for each in seen if "bast_number" in each[0] and "lower(" in each[0]]
        assert len(asked) == 2
        for statement, parameters in asked:
            plan = _plan(statement, parameters)
            assert "bast_number_key" in plan, plan
            for scan in ("Seq Scan on deliveries", "Seq Scan on transfers", "SCAN deliveries", "SCAN transfers"):
                assert scan not in plan, plan


def _many(count: int) -> None:
    ids = {code: db.session.scalar(select(Office.id).where(Office.code == code)) for code in (DENPASAR, BADUNG, OKU)}
    item = db.session.scalar(select(Item.id).where(Item.code == BLANK))
    codes = (DENPASAR, BADUNG, OKU)
    said = {"item_id": item, "bast_on": TODAY, "received": 1, "defective": 0, "supplier": "Pusat", "note": ""}
    said |= {"funding_source": "apbn", "handed_over_by": "", "taken_over_by": "", "recorded_at": NOW}
    rows = [{**said, "office_id": ids[codes[n % 3]], "bast_number": f"900/{n}/2024"} for n in range(count)]
    db.session.execute(insert(Delivery), rows)
    sent: dict[str, date | datetime | str] = {"purpose": "distribution", "status": "dispatched", "custodian": "K"}
    sent |= {"dispatched_on": TODAY, "expected_on": TODAY + timedelta(days=1), "recorded_at": NOW, "note": ""}
    moved = [
        {
            **sent,
            "request_id": uuid4(),
            "sender_id": ids[codes[n % 3]],
            "receiver_id": ids[codes[(n + 1) % 3]],
            "bast_number": f"900/{n}/2024",
        }
        for n in range(count)
    ]
    db.session.execute(insert(Transfer), moved)
    db.session.commit()
    with db.engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def _plan(statement: str, parameters: Any) -> str:
    explain = "EXPLAIN " if db.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    with db.engine.connect() as connection:
        rows: Sequence[Any] = connection.exec_driver_sql(explain + statement, parameters).all()
    return "\n".join(str(row[-1]) for row in rows)
