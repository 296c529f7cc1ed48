"""Importing and exporting on the pages: a spreadsheet filled in, looked through, corrected and recorded once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.adapters.spreadsheets import read_rows
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.imports import FIELDS, KINDS
from inventory.domain.ledger import Effect
from inventory.services import balances, exports
from inventory.web.exports import TABLES
from tests.conftest import NOW, TODAY
from tests.files import bomb, csv_file
from tests.services.test_imports import USE, use
from tests.web.client import csrf_token, fields, in_language, log_in
from tests.world import BADUNG, BLANK, DENPASAR, World

PAGE = f"/offices/{DENPASAR}/imports"
DAY = TODAY - timedelta(days=10)


def client_of(app: Flask, name: str, language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


@pytest.fixture
def keeper(app: Flask) -> FlaskClient:
    with app.app_context():
        World(app).deliver(NOW, DAY, 2000)
        db.session.remove()
    return client_of(app, "storekeeper")


def figures(app: Flask) -> Effect:
    with app.app_context():
        found = [each.figures for each in balances.of_office(SYSTEM, DENPASAR) if each.item_code == BLANK]
        db.session.remove()
    return found[0] if found else Effect()


def send_in(client: FlaskClient, data: bytes, kind: str = "consumption", name: str = "mei.csv", **more: Any) -> Any:
    form: dict[str, Any] = {key: value[0] for key, value in fields(client.get(PAGE).text).items()}
    return client.post(PAGE, data=form | {"kind": kind, "file": (io.BytesIO(data), name)} | more)


def test_a_file_is_looked_through_and_then_recorded(app: Flask, keeper: FlaskClient) -> None:
    answer = send_in(keeper, csv_file(USE, use(new="1,040"), use(DAY + timedelta(days=1), 5)))
    assert answer.status_code == 303, answer.text
    page = str(answer.location)
    shown = keeper.get(page).text
    assert "All rows are good. Nothing is recorded yet." in shown
    assert '<td class="number">1,045</td>' in shown
    assert figures(app).printed == 0
    form = fields(shown)
    assert keeper.post(page, data=form).status_code == 303
    assert "2 rows are imported." in keeper.get(page).text
    assert keeper.post(page, data=form).status_code == 303
    assert "imported once" in keeper.get(page).text
    assert figures(app) == Effect(received=2000, store=955, printed=1045)
    again = send_in(keeper, csv_file(USE, use(new="1,040"), use(DAY + timedelta(days=1), 5)), name="other.csv")
    assert again.location == page
    assert "mei.csv" in keeper.get(PAGE).text


@pytest.mark.parametrize(
    ("language", "typed", "said"),
    [
        ("en", "1.639", "Enter a whole number. Thousands are grouped like this: 1,639."),
        ("id", "1,639", "Isi bilangan bulat. Ribuan ditulis seperti ini: 1.639."),
    ],
)
def test_every_fault_is_named_in_the_readers_language(
    app: Flask, keeper: FlaskClient, language: str, typed: str, said: str
) -> None:
    in_language(keeper, language)
    page = send_in(keeper, csv_file(USE, use(new=typed), use(office=BADUNG))).location
    shown = keeper.get(page).text
    assert said in shown
    assert ("Baru" if language == "id" else "New") in shown.partition("<tbody>")[2]
    assert '<th scope="row" class="number">3</th>' in shown
    assert f'action="{page}"' not in shown
    assert "<progress" not in shown
    refused = keeper.post(page, data={"csrf_token": csrf_token(keeper, PAGE)})
    assert refused.status_code == 409
    assert figures(app).printed == 0


def test_what_changed_in_between_is_shown_as_faults(app: Flask, keeper: FlaskClient) -> None:
    page = str(send_in(keeper, csv_file(USE, use(new=1999))).location)
    form = fields(keeper.get(page).text)
    with app.app_context():
        World(app).print(NOW, TODAY, 10)
        db.session.remove()
    answer = keeper.post(page, data=form)
    assert answer.status_code == 409
    assert "Faults: 1" in answer.text
    assert figures(app).printed == 10


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01binary", "This is not a table"),
        (csv_file(USE[1:], use()), "The column “Kode kantor” is missing."),
        (csv_file((*USE, "Rusek"), use()), "The column “Rusek” is not one of this kind of file."),
        (csv_file(USE), "Nothing was entered."),
        (bomb(200), "packed so tightly"),
    ],
)
def test_a_file_that_is_no_table_keeps_the_form(app: Flask, keeper: FlaskClient, data: bytes, said: str) -> None:
    answer = send_in(keeper, data)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'id="file-error"' in answer.text
    assert keeper.post(PAGE, data={"csrf_token": csrf_token(keeper, PAGE)}).status_code == 422


def test_a_request_that_is_too_large_gets_a_page_in_the_users_language(
    database_url: str, make_app: Callable[..., Flask]
) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, MAX_UPLOAD_BYTES=50_000)
    client = client_of(app, "storekeeper", "id")
    answer = send_in(client, b"a" * 60_000)
    assert answer.status_code == 413
    assert "terlalu besar" in answer.text
    assert '<html lang="id">' in answer.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["id", "en"])
def test_templates_can_be_filled_in_and_sent_back(app: Flask, keeper: FlaskClient, kind: str, language: str) -> None:
    in_language(keeper, language)
    headings = [field.heading(language) for field in FIELDS[kind]]
    plain = keeper.get(f"{PAGE}/template?kind={kind}&format=csv")
    rows = list(csv.reader(io.StringIO(plain.data.decode("utf-8-sig"))))
    assert rows[0] == headings
    assert rows[1][0].startswith("# ")
    assert "nothing_entered" not in send_in(keeper, plain.data, kind).text
    assert send_in(keeper, plain.data, kind).status_code == 422, "the example is not imported by mistake"
    book = keeper.get(f"{PAGE}/template?kind={kind}&format=xlsx")
    assert [cells for _, cells in read_rows(book.data, len)] == [headings]
    assert keeper.get(f"{PAGE}/template?kind=other").status_code == 422


def test_strangers_neither_see_nor_import(app: Flask, keeper: FlaskClient) -> None:
    page = str(send_in(keeper, csv_file(USE, use())).location)
    stranger = client_of(app, "other_storekeeper")
    assert stranger.get(page).status_code == 403
    assert stranger.post(page, data={"csrf_token": csrf_token(stranger, "/account")}).status_code == 403
    assert stranger.get(PAGE).status_code == 403
    assert client_of(app, "viewer").get(PAGE).status_code == 403
    assert keeper.get("/imports/999").status_code == 404
    assert figures(app).printed == 0


def test_every_table_that_can_be_exported_has_a_name() -> None:
    assert {table.name for table in exports.TABLES} == set(TABLES)


def test_an_export_is_a_file(app: Flask, keeper: FlaskClient) -> None:
    page = keeper.get("/exports").text
    assert 'value="movements"' in page
    assert 'value="people"' not in page
    answer = keeper.get(f"/exports?table=movements&office={DENPASAR}&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [(row["office"], row["quantity"]) for row in rows] == [(DENPASAR, "2000")]
    assert "attachment" in answer.headers["Content-Disposition"]
    book = keeper.get("/exports?table=balances&format=xlsx")
    assert [cells[0] for _, cells in read_rows(book.data, len)] == ["office", DENPASAR]
    book.close()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("table=people&format=csv", 422),
        ("table=movements&format=pdf", 422),
        (f"table=movements&format=csv&office={BADUNG}", 403),
        ("table=movements&format=csv&office=99.99", 404),
        ("table=movements&format=csv&from=2024-05-02&to=2024-05-01", 422),
        ("table=movements&format=csv&from=yesterday", 422),
    ],
)
def test_an_export_that_cannot_be_is_said_on_the_form(app: Flask, keeper: FlaskClient, query: str, status: int) -> None:
    answer = keeper.get(f"/exports?{query}")
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_the_office_leads_to_import_and_export(keeper: FlaskClient) -> None:
    home = keeper.get(f"/offices/{DENPASAR}").text
    assert f'href="{PAGE}"' in home
    assert f'href="/exports?office={DENPASAR}"' in home
