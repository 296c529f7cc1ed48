"""`flask import` and `flask export`: the same rules as on the pages, for many offices, with an exit code."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from inventory.bench import Figure
from inventory.db import db
from inventory.domain.ledger import Effect
from tests.conftest import NOW, TODAY
from tests.files import csv_file
from tests.services.test_imports import GOT, HAD, USE, use
from tests.world import BADUNG, BLANK, DENPASAR, World

DAY = TODAY - timedelta(days=10)


def run(app: Flask, *arguments: object) -> Any:
    result = app.test_cli_runner().invoke(args=[str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def figures(app: Flask) -> Effect:
    with app.app_context():
        found = World(app).figures()
        db.session.remove()
    return found


def test_three_files_fill_the_ledger_of_many_offices(app: Flask, tmp_path: Path) -> None:
    files = {
        "opening": csv_file(HAD, (DENPASAR, BLANK, DAY, "1.639"), (BADUNG, BLANK, DAY, 40)),
        "deliveries": csv_file(GOT, (DENPASAR, BLANK, "470/1", DAY, DAY, "2.000", 12, "apbn", "Ditjen Dukcapil")),
        "consumption": csv_file(USE, use(DAY, 225), use(DAY, 30, office=BADUNG)),
    }
    for kind, data in files.items():
        file = tmp_path / f"{kind}.csv"
        file.write_bytes(data)
        before = figures(app)
        looked = run(app, "import", kind, file, "--dry-run", "--language", "id")
        assert (looked.exit_code, figures(app)) == (0, before)
        assert "Nothing was imported yet." in looked.stdout
        done = run(app, "import", kind, file, "--language", "id")
        assert done.exit_code == 0, done.output
        assert "rows imported on 2024-05-15 03:00 UTC" in done.stdout
    assert figures(app) == Effect(received=3639, store=3402, printed=225, spoiled=12)
    again = run(app, "import", "consumption", tmp_path / "consumption.csv", "--language", "id")
    assert again.exit_code == 0
    assert figures(app).printed == 225


def test_faults_are_listed_and_end_in_an_error(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "use.csv"
    file.write_bytes(csv_file(USE, use(new="-5"), use(office="99.99")))
    result = run(app, "import", "consumption", file)
    assert result.exit_code == 1
    assert "row 2, new: A quantity cannot be negative." in result.stderr
    assert "row 3, office: There is no office “99.99”." in result.stderr
    assert "Nothing was imported: 2 faults." in result.stderr
    file.write_bytes(b"\x00")
    assert run(app, "import", "consumption", file).exit_code == 1


def test_a_file_beyond_the_limit_is_not_read(database_url: str, make_app: Any, tmp_path: Path) -> None:
    app = make_app(database_url, CLOCK=lambda: NOW, MAX_UPLOAD_BYTES=2000)
    file = tmp_path / "large.csv"
    file.write_bytes(b"a" * 2001)
    result = run(app, "import", "consumption", file)
    assert result.exit_code == 1
    assert "The file is too large" in result.stderr


def test_tables_are_listed_and_written(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 7)
        db.session.remove()
    assert "movements" in run(app, "export").stdout.split()
    rows = list(csv.DictReader(io.StringIO(run(app, "export", "balances").stdout.lstrip("\ufeff"))))
    assert [(row["office"], row["store"]) for row in rows] == [(DENPASAR, "7")]
    file = tmp_path / "movements.xlsx"
    assert run(app, "export", "movements", "--format", "xlsx", "--output", file).exit_code == 0
    assert file.read_bytes()[:2] == b"PK"
    assert run(app, "export", "passwords").exit_code == 1


@pytest.mark.parametrize(
    ("value", "at_most", "met"), [(2, False, True), (0.5, False, False), (0.5, True, True), (2, True, False)]
)
def test_a_figure_says_whether_it_is_what_it_must_be(value: float, at_most: bool, met: bool) -> None:
    figure = Figure("x", value, must=1, at_most=at_most)
    assert figure.as_json() == {
        "figure": "x",
        "value": value,
        "must": 1,
        "aim": None,
        "at_most": at_most,
        "met": met,
    }
