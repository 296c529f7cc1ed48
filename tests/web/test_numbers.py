"""Serial numbers through the pages: typed in the forms, and looked for afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from inventory.db import db
from inventory.services import items
from tests.conftest import NOW, TODAY
from tests.services import numbers as act
from tests.web.client import fields, in_language, log_in, send
from tests.world import BADUNG, BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
NUMBERS, REPORT, FIND = f"{HOME}/numbers/{BLANK}", f"{HOME}/numbers", "/numbers"


@pytest.fixture(autouse=True)
def numbered(app: Flask) -> None:
    with app.app_context():
        items.keep_numbers(BLANK)
        db.session.remove()


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


@pytest.fixture
def keeper(app: Flask) -> FlaskClient:
    return client_of(app, "storekeeper")


def where(app: Flask) -> dict[tuple[str, str], str]:
    with app.app_context():
        found = act.where()
        db.session.remove()
    return found


def deliver(client: FlaskClient, **typed: Any) -> Any:
    said = {"item": BLANK, "bast_number": "470/1/2024", "ranges": "A100001-A101000"}
    return send(client, f"{HOME}/deliveries/new", said | typed)


def record(client: FlaskClient, form: str, **typed: Any) -> Any:
    return send(client, f"{HOME}/{form}", {"item": BLANK} | typed)


def test_a_delivery_counts_what_its_numbers_say(app: Flask, keeper: FlaskClient) -> None:
    assert deliver(keeper, defective_ranges="A100011 s.d. A100012").status_code == 303
    assert where(app)[DENPASAR, "store"] == "A100001–A100010, A100013–A101000"
    assert where(app)[DENPASAR, "spoiled"] == "A100011–A100012"


def test_a_quantity_that_is_typed_must_agree(app: Flask, keeper: FlaskClient) -> None:
    refused = deliver(keeper, received="999")
    assert refused.status_code == 422
    assert "The number ranges hold 1,000 numbers, the quantity says 999." in refused.text
    assert "A100001-A101000</textarea>" in refused.text
    assert deliver(keeper, received="1,000").status_code == 303


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"ranges": "", "received": "5"}, "the numbers of this item are kept, and 5 are needed"),
        ({"ranges": "A1-"}, "is no number or range of numbers"),
        ({"ranges": "A9-A1"}, "runs backwards"),
        ({"ranges": "A1-A5 A5"}, "The number A5 was entered twice."),
        ({"ranges": "A1-A5", "defective_ranges": "A7"}, "Not among the numbers of the whole: A7."),
        ({"item": "kia", "received": "5", "ranges": "A1-A5"}, "The numbers of this item are not kept"),
    ],
)
def test_a_refused_form_says_why_and_keeps_what_was_typed(
    keeper: FlaskClient, typed: dict[str, str], sentence: str
) -> None:
    refused = deliver(keeper, **typed)
    assert refused.status_code == 422
    assert sentence in refused.text
    if typed["ranges"]:
        assert f"{typed['ranges']}</textarea>" in refused.text


def test_every_form_takes_its_numbers(app: Flask, keeper: FlaskClient) -> None:
    assert record(keeper, "opening", ranges="B001-B100").status_code == 303
    assert record(keeper, "consumption", new_ranges="B001-B010", lost_ranges="B020", lost="1").status_code == 303
    assert record(keeper, "spoilage", misprint_ranges="B030, B032").status_code == 303
    assert record(keeper, "returns", ranges="B040-B049", note="recalled").status_code == 303
    assert where(app) == {
        (DENPASAR, "store"): "B011–B019, B021–B029, B031, B033–B039, B050–B100",
        (DENPASAR, "printed"): "B001–B010, B020",
        (DENPASAR, "spoiled"): "B030, B032",
        (DENPASAR, "outside"): "B040–B049",
    }
    refused = record(keeper, "consumption", new_ranges="B001-B003")
    assert refused.status_code == 409
    assert "Not in the store at this office: B001–B003." in refused.text
    with app.app_context():
        act.audit()


def test_forms_do_not_ask_for_numbers_where_none_are_kept(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("UPDATE items SET numbered = false"))
        db.session.commit()
    client = client_of(app, "storekeeper")
    for form in ("deliveries/new", "consumption", "spoilage", "returns", "opening", "transfers/new"):
        page = client.get(f"{HOME}/{form}").text
        assert "textarea" not in page, form
        assert "ranges.js" not in page, form
    assert "The serial numbers of no item are kept." in client.get(FIND).text


def test_a_transfer_names_what_arrived_damaged_and_short(app: Flask, keeper: FlaskClient) -> None:
    deliver(keeper)
    out = {
        "receiver": BADUNG,
        "expected_on": str(TODAY + timedelta(days=1)),
        "custodian": "I Made Kurir",
        "bast_number": "470/12/2024",
        f"ranges-{BLANK}": "A100101-A100200",
    }
    sent = send(keeper, f"{HOME}/transfers/new", out)
    assert sent.status_code == 303, sent.text
    page = str(sent.location)
    assert "A100101–A100200" in keeper.get(page).text

    receiver = client_of(app, "other_storekeeper")
    counted = {
        f"good-{BLANK}": "97",
        f"damaged-ranges-{BLANK}": "A100101",
        f"short-ranges-{BLANK}": "A100102-A100103",
    }
    shown = send(receiver, f"{page}/receive", counted)
    assert "Short: <b>2</b>" in shown.text
    again = {**fields(shown.text), **counted}
    assert receiver.post(f"{page}/receive", data=again).status_code == 303
    found = where(app)
    assert found[BADUNG, "store"] == "A100104–A100200"
    assert found[BADUNG, "spoiled"] == "A100101"
    assert found[DENPASAR, "missing"] == "A100102–A100103"
    assert "Missing" in keeper.get(REPORT).text


def test_a_number_is_found_with_its_whole_way(app: Flask, keeper: FlaskClient) -> None:
    deliver(keeper, bast_number="470/77/2024")
    record(keeper, "consumption", new_ranges="A100500", note="counter 2")
    with app.app_context():
        act.send(World(app), "A100600")
        db.session.remove()
    page = keeper.get(f"{FIND}?item={BLANK}&number=a100500").text
    way = page.partition("Its way")[2]
    assert "printed" in page
    assert way.index("470/77/2024") < way.index("Print: New card") < way.index("counter 2")
    assert "never received" in keeper.get(f"{FIND}?item={BLANK}&number=A999999").text
    assert "is no number" in keeper.get(f"{FIND}?item={BLANK}&number=x").text
    assert keeper.get(f"{FIND}?item={BLANK}&number=x").status_code == 422


def test_of_other_offices_a_reader_learns_no_more_than_that(app: Flask, keeper: FlaskClient) -> None:
    deliver(keeper, bast_number="470/77/2024")
    record(keeper, "consumption", new_ranges="A100500", note="counter 2")
    stranger = client_of(app, "viewer")
    page = stranger.get(f"{FIND}?item={BLANK}&number=A100500").text
    assert "another office" in page
    for secret in ("470/77/2024", "counter 2", "Kota Denpasar", "Storekeeper"):
        assert secret not in page.partition("<main")[2].partition("</main")[0], secret
    assert stranger.get(NUMBERS).status_code == 403
    assert stranger.get(REPORT).status_code == 403
    assert client_of(app, "administrator").get(FIND).status_code == 403


def test_an_office_lists_what_it_holds_by_pages(app: Flask, keeper: FlaskClient) -> None:
    assert "No numbers are held here." in keeper.get(NUMBERS).text
    deliver(keeper)
    odd = ", ".join(f"A{n}" for n in range(100001, 100241, 2))
    record(keeper, "consumption", new_ranges=odd)
    page = keeper.get(NUMBERS).text
    assert "A100001" in page
    assert "Page 1 of 3" in page
    assert page.count("<tr>") == 101
    last = keeper.get(f"{NUMBERS}?page=99").text
    assert "A100240–A101000" in last
    assert "Page 3 of 3" in last
    for strange in ("0", "-1", "x", "9" * 30):
        assert keeper.get(f"{NUMBERS}?page={strange}").status_code == 200
    assert f'href="{NUMBERS}"' in keeper.get(HOME).text


def test_the_report_tells_what_looks_wrong(app: Flask, keeper: FlaskClient) -> None:
    assert "Nothing was found." in keeper.get(REPORT).text
    deliver(keeper, ranges="A100001-A100400, A100501-A101000", bast_number="470/gap")
    deliver(keeper, ranges="A100490-A100500", bast_number="470/known")
    record(keeper, "consumption", new_ranges="A100011-A100020")
    yesterday = str(TODAY - timedelta(days=1))
    with app.app_context():
        act.deliver(World(app), "C001-C010", day=TODAY - timedelta(days=3))
        db.session.remove()
    record(keeper, "consumption", new_ranges="A100021-A100022", day=yesterday)
    page = keeper.get(REPORT).text
    main = page.partition("<main")[2].partition("</main")[0]
    rows = {row.partition("</a>")[0].rpartition(">")[2]: row for row in main.split("<tr>")[2:]}
    assert set(rows) == {"A100401–A100489", "A100001–A100010", "A100021–A100022"}
    assert "known nowhere" in rows["A100401–A100489"]
    assert "470/gap" in rows["A100401–A100489"]
    assert "later ones were printed" in rows["A100001–A100010"]
    assert "before they came" in rows["A100021–A100022"]


def test_the_command_line_chooses_and_reports(app: Flask, keeper: FlaskClient) -> None:
    run = app.test_cli_runner().invoke
    assert "its numbers are kept" in run(args=["items", "number", "kia"]).output
    deliver(keeper, ranges="A100001-A100400, A100501-A101000")
    refused = run(args=["items", "number", "ribbon"])
    assert refused.exit_code == 0
    told = run(args=["ranges", "report", "--office", "51"]).output
    assert "A100401–A100500" in told
    assert "1 found." in told
    assert "0 found." in run(args=["ranges", "report", "--office", "16"]).output
    assert "1 found." in run(args=["ranges", "report"]).output
    assert run(args=["items", "number", "nothing"]).exit_code != 0
    send(keeper, f"{HOME}/opening", {"item": "film", "quantity": "5"})
    unwilling = run(args=["items", "number", "film"])
    assert unwilling.exit_code != 0
    assert "has movements already" in unwilling.output


def test_the_clock_of_a_page_is_the_offices(app: Flask, keeper: FlaskClient) -> None:
    deliver(keeper)
    assert NOW.hour == 3
    assert "11:00 WITA" in keeper.get(f"{FIND}?item={BLANK}&number=A100001").text
