"""Every field and upload of every form with hostile content: a clear answer, nothing lost, nothing half-written.

The forms are read from the pages, so that a new form or field is in here by being there. `BLANGKO_TEST_CASES` sets how
many requests the long test sends to each kind of database.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from pathlib import Path
from shutil import copy

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services.verification import verify
from tests.files import bomb, csv_file, sheet, workbook
from tests.services.test_imports import USE, use
from tests.web.client import log_in
from tests.web.form_pages import TYPED, Form, Pairs, Route, form_of, forms_on, likely, post, routes
from tests.web.form_pages import token_of as token
from tests.web.test_access import fill

CASES = int(os.environ.get("BLANGKO_TEST_CASES", "400"))
ANSWERS = {200, 201, 302, 303, 400, 403, 404, 409, 413, 415, 422, 429}
KEPT_APART = ("audit", "session", "attempt", "lock", "limit", "alembic", "sqlite", "tries", "tried")
"""Tables of who came and went: a refused request may be noted there."""

HOSTILE = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "x\udfffy",
    "\u202etxt.exe\u202c",
    "\u200f\u200e\ufeff",
    "👩‍👩‍👧‍👦💣",
    "e\u0301\u0300" * 200,
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7*7 }}${7*7}%(x)s%s{0}",
    '=HYPERLINK("http://evil.test")',
    "' OR 1=1 --",
    "../../../etc/passwd",
    "\r\nSet-Cookie: a=b",
    "a" * 501,
    "a" * 100_000,
    "-1",
    "0",
    "-0",
    "1e9",
    "1e999",
    "NaN",
    "Infinity",
    "9" * 30,
    "9" * 5000,
    "1.639",
    "1,639",
    "1,6,3,9",
    "١٢",
    "2147483648",
    "9223372036854775808",
    "0x1f",
    "1_000",
    "0000-01-01",
    "0001-01-01",
    "9999-12-31",
    "2024-02-30",
    "2024-06-31",
    "2024-W20-3",
    "10000-01-01",
    "2024-05-15T00:00:00+99:99",
    "25:61",
    "24:00",
    "true",
    "null",
    "[]",
    "51.03",
    "ktp-wni",
    "A1-A2, A1-A99999999999999999999",
    "A" * 30 + "1-" + "A" * 30 + "9",
    "8f14e45f-ceea-467f-a8d1-1a1b2c3d4e5f",
]
EXTRA = {
    "is_system": "1",
    "office_id": "1",
    "office_code": "51.03",
    "actor_id": "2",
    "person_id": "2",
    "origin": "synthetic",
    "approved_by": "2",
    "approved_by_id": "2",
    "decided_by_id": "2",
    "status": "approved",
    "role": "administrator",
    "path": "00/",
    "id": "1",
    "seq": "1",
    "recorded_at": "2000-01-01T00:00:00Z",
    "version": "99",
    "synthetic": "1",
    "active": "1",
}
GOOD = csv_file(USE, use(new="4"))
FILES = [
    b"",
    b"\x00" * 5000,
    GOOD,
    GOOD[:40],
    GOOD.replace(b";", b"\x00"),
    GOOD.decode().encode("utf-16"),
    GOOD + b"\xff\xfe\xfa",
    b"office;item\n" + b"a" * 300_000,
    b'"' * 50_001,
    b"PK\x03\x04" + b"\x00" * 200,
    workbook(sheet("<row r='1'><c r='A1' t='inlineStr'><is><t>office</t></is></c></row>"))[:300],
    workbook(sheet("<row r='1'><c r='XFD1048576'><v>1e999</v></c></row>")),
    workbook(sheet("<row r='99999999999999'><c r='A1' t='s'><v>99999999999999999999</v></c></row>")),
    bomb(100),
    b"%PDF-1.7\n%%EOF",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"GIF89a\x01\x00\x01\x00",
]
NAMES = [
    "a.csv",
    "",
    "../../etc/passwd",
    "a\x00.csv",
    "x" * 3000 + ".xlsx",
    "=cmd.csv",
    "\ud800.csv",
    "con.xlsx",
    "é.tsv",
]

hostile = st.sampled_from(HOSTILE) | st.text(max_size=60) | st.integers().map(str) | st.dates().map(str)
uploads = st.tuples(st.sampled_from(NAMES), st.sampled_from(FILES) | st.binary(max_size=300))


def quiet(cases: int) -> settings:
    """No shrinking: what is accepted changes the database, and the same request means something else afterwards."""
    return settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


@st.composite
def sent(draw: st.DrawFn, form: Form) -> tuple[Pairs, bool]:
    """The form's fields, some as they should be and some not, and whether they are sent in parts."""
    pairs: Pairs = []
    for each in form.inputs:
        if each.name in ("csrf_token", "request_id"):
            pairs.append((each.name, likely(each)))
            continue
        how = draw(st.sampled_from(["hostile", "likely", "likely", "missing", "repeated", "chosen"]))
        if each.kind == "file":
            pairs.append((each.name, draw(uploads)))
        elif how == "chosen" and each.choices:
            pairs.append((each.name, draw(st.sampled_from(each.choices))))
        elif how != "missing":
            pairs.append((each.name, draw(hostile) if how in ("hostile", "repeated") else likely(each)))
            if how == "repeated":
                pairs.append((each.name, draw(hostile)))
    for name in draw(st.lists(st.sampled_from(sorted(EXTRA)), max_size=4, unique=True)):
        if name not in {each.name for each in form.inputs}:
            pairs.append((name, EXTRA[name]))
    return pairs, form.has_file or draw(st.booleans())


class Fuzz:
    """Sends forms and looks at what they leave behind."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.clients: dict[str, FlaskClient] = {}
        self.statuses: Counter[int] = Counter()
        self.kept = self.accepted = 0
        self.broken: list[tuple[str, str]] = []

    def client(self, person: str) -> FlaskClient:
        """Somebody's browser; logged in anew where a form, or putting the database back, has ended their session."""
        client = self.clients.setdefault(person, self.app.test_client())
        with client.get("/account") as answer:
            known = answer.status_code == 200
        if not known:
            client = self.clients[person] = self.app.test_client()
            log_in(client, person)
        return client

    def run(self, route: Route, cases: int) -> None:
        client = self.client(route.person)
        form, secret = form_of(client, route), token(client)

        @quiet(cases)
        @given(sent(form))
        def one(drawn: tuple[Pairs, bool]) -> None:
            pairs, multipart = drawn
            pairs = [(name, value) for name, value in pairs if name != "csrf_token"]
            try:
                self.send(client, route, [*pairs, ("csrf_token", secret)], multipart=multipart)
            except Exception as error:
                # All that is wrong in one run, not the first of it: a long run is worth its whole answer.
                self.broken.append((route.address, f"{type(error).__name__}: {error}"[:400]))
                self.before = digest(self.app)

        before = digest(self.app)
        self.before = before
        one()

    def send(self, client: FlaskClient, route: Route, pairs: Pairs, *, multipart: bool) -> None:
        with post(client, route, pairs, multipart=multipart) as answer:
            status, page = answer.status_code, answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
        self.statuses[status] += 1
        assert status in ANSWERS, (route.address, status, pairs)
        after = digest(self.app)
        if status < 400 and after != self.before:
            self.accepted += 1
            if self.accepted % 10 == 0:
                check_books(self.app)
            self.before = after
        assert after == self.before, (route.address, status, "something was written", differing(self.before, after))
        shown = [form for form in forms_on(page, route.address) if form.action == route.address]
        if shown and status in (409, 422):
            self.kept += 1
            lost = lost_from(shown, pairs)
            assert lost == [], (route.address, status, lost)


def lost_from(forms: list[Form], pairs: Pairs) -> list[tuple[str, str, str]]:
    """What was typed into fields that are there again with something else in them."""
    typed: dict[str, str] = {}
    times = Counter(name for name, _value in pairs)
    for name, value in pairs:
        if isinstance(value, str):
            typed.setdefault(name, value)
    fields = [each for form in forms for each in form.inputs if each.kind in TYPED and each.name in typed]
    return [
        (each.name, typed[each.name][:60], each.value[:60])
        for each in fields
        if not re.search("[\ud800-\udfff]", typed[each.name])  # no text at all: the server keeps its bytes escaped
        and plain(each.value) != plain(typed[each.name])
        # A day that was sent twice is shown with both.
        and not (times[each.name] > 1 and plain(each.value).startswith(plain(typed[each.name])))
        and not any(plain(other.value) == plain(typed[each.name]) for other in fields if other.name == each.name)
    ]


def plain(words: str) -> str:
    """Without what a browser or a form trims."""
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in words).split())


def digest(app: Flask) -> dict[str, str]:
    """Of every table's content, by its name."""
    with app.app_context():
        found = {}
        for name in sorted(db.metadata.tables):
            if not any(part in name for part in KEPT_APART):
                rows = sorted(repr(tuple(row)) for row in db.session.execute(text(f'SELECT * FROM "{name}"')))
                found[name] = hashlib.sha256("\n".join(rows).encode("utf-8", "replace")).hexdigest()
        db.session.remove()
    return found


def differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


class Restored:
    """Puts an SQLite database back as it was; a PostgreSQL one goes on from where it is."""

    def __init__(self, app: Flask, folder: Path) -> None:
        self.app, self.copy = app, folder / "as-it-was.sqlite3"
        with app.app_context():
            self.file = db.engine.url.database if db.engine.dialect.name == "sqlite" else None
            db.session.remove()
            if self.file:
                with db.engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                db.engine.dispose()
                copy(self.file, self.copy)

    def __call__(self) -> None:
        if self.file:
            with self.app.app_context():
                db.session.remove()
                db.engine.dispose()
            for rest in ("-wal", "-shm"):
                Path(self.file + rest).unlink(missing_ok=True)
            copy(self.copy, self.file)


def check_books(app: Flask) -> None:
    with app.app_context():
        found = verify(SYSTEM)
        db.session.remove()
    assert found.faults == [] or found.faults == (), found.faults
    assert count(app, "SELECT count(*) FROM movements WHERE origin = 'synthetic'") == 0


def count(app: Flask, query: str) -> int:
    with app.app_context():
        found = db.session.scalar(text(query))
        db.session.remove()
    return int(found or 0)


def fuzz(app: Flask, folder: Path, cases: int, each: int = 1) -> Fuzz:
    restore, run = Restored(app, folder), Fuzz(app)
    for route in routes(app)[::each]:
        run.run(route, cases)
        restore()
    print(*run.broken, sep="\n")
    assert run.broken == []
    return run


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.filled(by=fill)
def test_a_few_hostile_requests_to_each_form(app: Flask, tmp_path: Path) -> None:
    """Every sixth form; the long test below takes all of them."""
    run = fuzz(app, tmp_path, 2, each=6)
    check_books(app)
    assert sum(run.statuses.values()) >= 20
    assert run.kept > 4


# On PostgreSQL nothing is put back between forms, and one that shuts its own sender out ends the run.
@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.filled(by=fill)
def test_many_hostile_requests_to_each_form(app: Flask, tmp_path: Path) -> None:
    run = fuzz(app, tmp_path, max(2, CASES // len(routes(app)) + 1))
    print(
        f"{sum(run.statuses.values())} requests: {dict(run.statuses)}; {run.accepted} accepted, {run.kept} shown again"
    )
    assert sum(run.statuses.values()) >= CASES
    assert run.accepted > 0
