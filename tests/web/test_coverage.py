"""Coverage on the pages: figures and equipment entered, flagged in words, and sent in as a file, in both languages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.coverage import CODES, MEASURES, Equipment, Figure
from inventory.models import ReportedFigure
from inventory.services import coverage, coverage_files, offices
from inventory.text import CONTRADICTIONS
from inventory.text import MEASURES as NAMES
from tests.conftest import NOW, TODAY
from tests.domain.test_coverage import published
from tests.files import csv_file
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import BADUNG, DENPASAR, World

LATER = datetime(2024, 6, 3, 3, 0, tzinfo=UTC)
PAGE = f"/offices/{DENPASAR}/coverage"
FIGURES, EQUIPMENT, FILES = f"{PAGE}/figures", f"{PAGE}/equipment", f"{PAGE}/files"
SELATAN, TIMUR = "51.71.01", "51.71.02"
HEADS = ("office_code", "as_of", "measure", "value", "source", "note")
TRIBUN = "Tribun Bali, 2024"


def send_in_figures(actor: Actor, now: datetime = NOW, **more: Any) -> int:
    """A file of Denpasar's figures that waits; its id."""
    row = (DENPASAR, TODAY, "population", 662885, "MENARAnews, Oct 2017", "")
    options: dict[str, Any] = {"group_separator": ".", "max_bytes": 10_000_000}
    data = csv_file(HEADS, row, *more.get("rows", ()))
    found = coverage_files.check(actor, now, uuid4(), DENPASAR, "capaian-mei-2024.csv", data, **options)
    assert found.entry_id is not None
    return found.entry_id


def fill_coverage(world: World) -> int:
    """Denpasar's figures of 2017 and 2023 with one corrected, equipment of its districts, more reports than a page
    holds at a province, and a file that waits; the file's id."""
    known = [each for each in published(DENPASAR) if each.as_of <= TODAY]
    coverage.record(world.storekeeper, NOW, uuid4(), DENPASAR, [*known[:3], replace(known[3], value=1)])
    coverage.record(world.storekeeper, NOW, uuid4(), DENPASAR, known)
    for code, working, broken in ((SELATAN, 2, 1), (TIMUR, 0, 2)):
        said = {"as_of": TODAY, "source": "laporan kecamatan"}
        printer = Equipment(kind="printer", working=working, out_of_order=broken, cards_a_day=60, **said)
        sets = Equipment(kind="enrolment_set", working=1, out_of_order=0, **said)
        coverage.record_equipment(SYSTEM, NOW, uuid4(), code, [printer, sets])
    return send_in_figures(world.storekeeper)


@pytest.fixture
def later(database_url: str, make_app: Callable[..., Flask]) -> Flask:
    """The application after the last published figures."""
    return make_app(database_url, CLOCK=lambda: LATER)


def client_of(app: Flask, name: str = "storekeeper", language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


def publish(app: Flask, code: str = DENPASAR, of: str = DENPASAR) -> None:
    with app.app_context():
        coverage.record(SYSTEM, LATER, uuid4(), code, published(of))
        db.session.remove()


def count(app: Flask) -> int:
    with app.app_context():
        found = db.session.scalar(select(func.count()).select_from(ReportedFigure)) or 0
        db.session.remove()
    return found


def plain(page: str) -> str:
    return " ".join(page.replace("\xa0", " ").split())


# --- the page ----------------------------------------------------------------------------------------------------


SENTENCES = {
    "en": (
        "Enrolled 445,540 and not enrolled 48,523 make 494,063, but eligible are 492,765: they differ by 1,298.",
        "<b>13.72</b>",
        "13.72 % of the stated target: 21,053 of 153,430.",
        "The target is 30.00 % of the 511,434 enrolled.",
        "Aim of 25 % of the enrolled: 106,806 more residents are needed.",
        "Aim of 30 % of the enrolled: 132,378 more residents are needed.",
        "511,434 of 516,875 · May 22, 2024",
        "May 22, 2024 · Tribun Bali, 2024",
        "90.42 %",
        "98.49 %*",
        "Jun 3, 2024 11:00 WITA",
    ),
    "id": (
        "Sudah rekam 445.540 dan belum rekam 48.523 berjumlah 494.063, sedangkan wajib KTP 492.765: selisihnya 1.298.",
        "13,72 % dari target yang dinyatakan: 21.053 dari 153.430.",
        "Target itu 30,00 % dari 511.434 yang sudah rekam.",
        "511.434 dari 516.875 · 22 Mei 2024",
        "90,42 %",
        "3 Jun 2024 11:00 WITA",
    ),
}


@pytest.mark.parametrize("language", ["en", "id"])
def test_denpasars_coverage_is_told_with_days_sources_and_contradictions(later: Flask, language: str) -> None:
    publish(later)
    shown = plain(client_of(later, language=language).get(PAGE).text)
    for sentence in SENTENCES[language]:
        if sentence != "<b>13.72</b>":
            assert sentence in shown
    assert "MENARAnews, Oct 2017" in shown


def test_a_contradiction_stands_beside_its_figures(later: Flask) -> None:
    publish(later)
    shown = plain(client_of(later).get(PAGE).text)
    reports = shown.partition("What was reported")[2]
    rows = [row for row in reports.split("<tr") if "they differ by 1,298" in row]
    assert [name for name in ("Eligible residents", "Enrolled", "Not enrolled") if any(name in row for row in rows)]
    assert len(rows) == 3
    assert all("Sep 30, 2017" in row for row in rows)
    waiting = shown.partition("<h3>Who waits</h3>")[2].partition("</article>")[0]
    assert "Card holders 364,182 and print-ready 42,411 make 406,593" in waiting, "the newest print-ready is of 2017"
    assert "1,298" not in waiting, "the newest not enrolled is not of 2017"


def test_tabanans_villages_are_told(later: Flask) -> None:
    """Pantau Bali, 15 May 2024; kept for Badung here, for the small world has no Tabanan."""
    publish(later, BADUNG, "51.02")
    shown = plain(client_of(later, "other_storekeeper").get(f"/offices/{BADUNG}/coverage").text)
    assert "<b>63.91</b> % of the villages are online" in shown
    assert "85 of 133 · May 15, 2024" in shown
    assert "Pantau Bali, 15 May 2024" in shown
    assert "Contradiction" not in shown


def test_an_office_without_figures_says_so(app: Flask) -> None:
    client = client_of(app)
    shown = client.get(PAGE).text
    assert "No figures are recorded yet" in shown
    assert "No equipment is recorded yet" in shown
    assert f'href="{PAGE}"' in client.get(f"/offices/{DENPASAR}").text


def test_sums_of_the_districts_say_which(later: Flask) -> None:
    with later.app_context():
        figure = Figure(measure="print_ready", value=1200, as_of=date(2024, 5, 22), source="laporan kecamatan")
        coverage.record(SYSTEM, LATER, uuid4(), SELATAN, [figure])
        db.session.remove()
    shown = plain(client_of(later, "manager").get(PAGE).text)
    assert "1,200" in shown
    assert "Sum of the offices below: Denpasar Selatan. Nothing known of: Denpasar Timur." in shown
    assert "1,200" not in client_of(later).get(PAGE).text, "a storekeeper sees the own office"


def test_a_province_names_few_offices_and_links_to_each(later: Flask) -> None:
    """Denpasar's figures and Tabanan's, each one of the offices of a province with more than a line can name."""
    more = ("Buleleng", "Gianyar", "Bangli", "Klungkung")
    rows = [{"code": f"51.{n + 4:02}", "name": f"Kabupaten {name}"} for n, name in enumerate(more)]
    own = {"kind": "regency", "parent": "51", "time_zone": "Asia/Makassar", "population": ""}
    publish(later)
    with later.app_context():
        offices.load(SYSTEM, [row | own for row in rows])
        db.session.remove()
    shown = plain(client_of(later, "regional").get("/offices/51/coverage").text)
    assert "Sum of the offices below: Kota Denpasar. Nothing known of 5 others." in shown
    for code in (DENPASAR, BADUNG, "51.07"):
        assert f'href="/offices/{code}/coverage"' in shown
    assert f'href="/offices/{SELATAN}/coverage"' not in client_of(later).get(PAGE).text, "a storekeeper's own office"


def test_equipment_is_told_per_district_with_the_capacity_left(app: Flask) -> None:
    with app.app_context():
        fill_coverage(World(app))
        db.session.remove()
    shown = plain(client_of(app, "manager").get(PAGE).text)
    assert "2 in order, 3 out of order" in shown
    assert "120 cards a day" in shown
    assert "2 of 3" in shown
    timur = shown.partition("Denpasar Timur</a></th>")[2].partition("</tr>")[0]
    for heading, cell in (
        ("Card printers in order", "0"),
        ("Card printers out of order", '<b class="error">2</b>'),
        ("Cards a day", "0"),
        ("As of", "May 15, 2024"),
        ("Source", "laporan kecamatan"),
    ):
        assert f'data-label="{heading}">{cell}<' in timur
    assert f'href="/offices/{TIMUR}/coverage"' in shown


def test_long_lists_of_reports_have_pages(later: Flask) -> None:
    with later.app_context():
        figures = [
            Figure(measure="enrolled", value=1000 + n, as_of=date(2024, 1 + n // 28, 1 + n % 28), source="laporan")
            for n in range(coverage.REPORTS_A_PAGE + 7)
        ]
        coverage.record(SYSTEM, LATER, uuid4(), DENPASAR, figures)
        db.session.remove()
    client = client_of(later)
    first, second = (client.get(f"{PAGE}?page={n}").text.partition('id="reports"')[2] for n in (1, 2))
    assert first.count('<th scope="row">') == coverage.REPORTS_A_PAGE
    assert second.count('<th scope="row">') == 7
    assert "Page 2 of 2" in second
    for odd in ("0", "99999", "-1", "x", "١", "9" * 40):
        assert client.get(f"{PAGE}?page={odd}").status_code == 200


def test_every_rule_has_its_sentence_and_every_measure_its_name() -> None:
    assert set(CONTRADICTIONS) == set(CODES)
    assert tuple(NAMES) == MEASURES


# --- forms -------------------------------------------------------------------------------------------------------


def test_figures_are_entered_by_a_form(later: Flask) -> None:
    client = client_of(later)
    typed = {"as_of": "2024-05-22", "source": TRIBUN, "enrolled": "511,434", "digital_id": "21,053", "villages": "0"}
    answer = send(client, FIGURES, typed)
    assert answer.status_code == 303, answer.text
    shown = client.get(PAGE).text
    assert "Recorded: 3 new." in shown
    assert "511,434" in shown
    assert "Storekeeper" in shown
    assert count(later) == 3


def test_a_form_sent_twice_is_recorded_once(later: Flask) -> None:
    client = client_of(later)
    form = fields(client.get(FIGURES).text) | {"as_of": ["2024-05-22"], "source": [TRIBUN], "enrolled": ["5"]}
    assert [client.post(FIGURES, data=form).status_code for _ in range(2)] == [303, 303]
    assert count(later) == 1


def test_a_correction_stays_to_be_seen(later: Flask) -> None:
    client = client_of(later)
    for typed in ("511,343", "511,434"):
        send(client, FIGURES, {"as_of": "2024-05-22", "source": TRIBUN, "enrolled": typed})
    shown = plain(client.get(PAGE).text)
    assert "Recorded: 1 corrected." in shown
    undone = shown.partition('<tr class="undone">')[2].partition("</tr>")[0]
    assert "511,343" in undone
    assert "Corrected since" in undone


REFUSED: dict[str, list[tuple[dict[str, str], str]]] = {
    "en": [
        ({"enrolled": "511.434"}, "Enter a whole number. Thousands are grouped like this: 1,639."),
        ({"enrolled": "-5"}, "A quantity cannot be negative."),
        ({"enrolled": "400,000,001"}, "The number is too large: at most 400,000,000 in one entry."),
        ({"enrolled": ""}, "Nothing was entered. Fill in at least one number."),
        ({"as_of": "2024-06-04"}, "has not come yet"),
        ({"as_of": "2010-12-31"}, "is too early"),
        ({"source": ""}, "This field is required."),
        ({"source": "x" * 201}, "200 characters"),
    ],
    "id": [
        ({"enrolled": "511,434"}, "Isi bilangan bulat. Ribuan ditulis seperti ini: 1.639."),
        ({"enrolled": ""}, "Belum ada yang diisi. Isi sedikitnya satu angka."),
    ],
}


@pytest.mark.parametrize("language", REFUSED)
def test_a_refused_form_keeps_what_was_typed(later: Flask, language: str) -> None:
    client = client_of(later, language=language)
    for change, sentence in REFUSED[language]:
        typed = {"as_of": "2024-05-22", "source": TRIBUN, "enrolled": "5", "note": "belum pasti"} | change
        answer = send(client, FIGURES, typed)
        assert answer.status_code == 422, change
        assert sentence in answer.text
        kept = fields(answer.text)
        assert {name: kept[name][0] for name in typed} == typed
    assert count(later) == 0


def test_equipment_is_entered_by_a_form(later: Flask) -> None:
    client = client_of(later)
    typed = {"as_of": "2024-05-22", "source": "own count", "printer_working": "2", "printer_out_of_order": "1"}
    refused = send(client, EQUIPMENT, typed)
    assert refused.status_code == 422
    assert "Say how many cards one working printer can print a day" in refused.text
    assert 'id="cards_a_day-error"' in refused.text
    assert fields(refused.text)["printer_working"] == ["2"]
    assert send(client, EQUIPMENT, typed | {"cards_a_day": "60"}).status_code == 303
    assert "120 cards a day" in client.get(PAGE).text
    again = client.get(EQUIPMENT).text
    assert fields(again)["cards_a_day"] == ["60"]
    assert "Card printers on May 22, 2024: 2 in order, 1 out of order." in again
    nothing = send(client, EQUIPMENT, {"as_of": "2024-05-22", "source": "own count"})
    assert nothing.status_code == 422
    assert "Nothing was entered" in nothing.text
    assert send(client, EQUIPMENT, {"source": "own count", "enrolment_set_out_of_order": "1"}).status_code == 303
    assert "0 in order, 1 out of order" in client.get(PAGE).text


def test_the_links_are_there_for_those_who_may(app: Flask) -> None:
    for name, offered in (("storekeeper", True), ("manager", True), ("regional", False)):
        client = client_of(app, name)
        shown = client.get(PAGE).text
        assert (f'href="{FIGURES}"' in shown) is offered
        assert client.get(FIGURES).status_code == (200 if offered else 403)


# --- files -------------------------------------------------------------------------------------------------------


def upload(client: FlaskClient, data: bytes, name: str = "capaian.csv") -> Any:
    form: dict[str, Any] = {key: value[0] for key, value in fields(client.get(FILES).text).items()}
    return client.post(FILES, data=form | {"file": (io.BytesIO(data), name)})


def row(measure: str = "enrolled", value: object = "511,434", day: str = "2024-05-22") -> tuple[object, ...]:
    return (DENPASAR, day, measure, value, TRIBUN, "")


def rows_file(*rows: tuple[object, ...]) -> bytes:
    return csv_file(HEADS, *rows)


def test_a_file_is_looked_through_and_then_recorded_once(later: Flask) -> None:
    client = client_of(later)
    send(client, FIGURES, {"as_of": "2024-05-22", "source": TRIBUN, "enrolled": "1", "eligible": "516,875"})
    answer = upload(client, rows_file(row(), row("eligible", 516875), row("not_enrolled", 5441)))
    assert answer.status_code == 303, answer.text
    page = str(answer.location)
    shown = plain(client.get(page).text)
    assert "All rows can be read. Nothing is recorded yet." in shown
    corrected = shown.partition("<tbody>")[2].partition("</tr>")[0]
    for said in ("511,434", 'data-label="Before">1</td>', "correction"):
        assert said in corrected
    assert count(later) == 2
    form = fields(client.get(page).text)
    for _ in range(2):
        assert client.post(page, data=form).status_code == 303
        assert "Recorded: 1 new, 1 corrected, 1 already known." in client.get(page).text
    assert count(later) == 4
    assert f'action="{page}"' not in client.get(page).text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("Contradictions: 1", "make 494,063, but eligible are 492,765: they differ by 1,298.", "all the same")),
        ("id", ("Data yang tidak sesuai: 1", "berjumlah 494.063, sedangkan wajib KTP 492.765", "tetap boleh dicatat")),
    ],
)
def test_a_file_that_contradicts_itself_says_so_before_and_is_recorded_as_reported(
    later: Flask, language: str, said: tuple[str, ...]
) -> None:
    """MENARAnews, October 2017: 445,540 enrolled and 48,523 not enrolled of 492,765 eligible."""
    client = client_of(later, language=language)
    values = {"eligible": 492765, "enrolled": 445540, "not_enrolled": 48523}
    page = str(upload(client, rows_file(*(row(name, value, "2017-09-30") for name, value in values.items()))).location)
    shown = plain(client.get(page).text)
    for each in said:
        assert each in shown
    assert client.post(page, data=fields(shown)).status_code == 303
    assert count(later) == 3
    after = plain(client.get(PAGE).text)
    assert said[1] in after
    for value in ("492,765", "445,540", "48,523"):
        assert (value if language == "en" else value.replace(",", ".")) in after


def test_a_file_that_agrees_with_what_is_on_record_has_no_contradictions(later: Flask) -> None:
    client = client_of(later)
    page = str(upload(client, rows_file(row(), row("eligible", 516875))).location)
    assert "Contradictions" not in client.get(page).text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("“stok” is not one of the figures that are kept.", "Measure", "Faults: 2")),
        ("id", ("“stok” bukan data yang dicatat di sini.", "Data", "Isi bilangan bulat")),
    ],
)
def test_every_bad_row_is_shown_and_nothing_is_recorded(later: Flask, language: str, said: tuple[str, ...]) -> None:
    client = client_of(later, language=language)
    answer = upload(client, rows_file(row(value="5"), row("stok", 1), row("eligible", "1x")))
    assert answer.status_code == 422
    for each in said:
        assert each in answer.text
    assert '<th scope="row" class="number">3</th>' in answer.text
    assert 'name="file"' in answer.text
    assert count(later) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01binary", "This is not a table"),
        (csv_file(HEADS[1:], row()[1:]), "The column “Kode kantor” is missing."),
        (csv_file(HEADS), "Nothing was entered."),
    ],
)
def test_a_file_that_is_no_table_is_said_on_the_form(later: Flask, data: bytes, said: str) -> None:
    answer = upload(client_of(later), data)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'id="file-error"' in answer.text
    client = client_of(later)
    assert client.post(FILES, data={"csrf_token": csrf_token(client, FILES)}).status_code == 422


@pytest.mark.parametrize("language", ["id", "en"])
def test_the_template_can_be_filled_in_and_sent_back(later: Flask, language: str) -> None:
    client = client_of(later, language=language)
    plain_file = client.get(f"{FILES}/template")
    rows = list(csv.reader(io.StringIO(plain_file.data.decode("utf-8-sig"))))
    assert len(rows[0]) == 6
    assert rows[1][0].startswith("# ")
    assert upload(client, plain_file.data).status_code == 422, "the example is not taken for a row"
    filled = plain_file.data + csv_file(row(value=5), separator=",")
    assert upload(client, filled).status_code == 303


def test_strangers_neither_see_nor_record_a_file(app: Flask) -> None:
    with app.app_context():
        entry = send_in_figures(SYSTEM)
        db.session.remove()
    page = f"/coverage-files/{entry}"
    stranger = client_of(app, "other_storekeeper")
    assert stranger.get(page).status_code == 403
    assert stranger.post(page, data={"csrf_token": csrf_token(stranger, "/account")}).status_code == 403
    assert client_of(app).get("/coverage-files/999").status_code == 404
    assert count(app) == 0
