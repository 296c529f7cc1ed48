"""The monthly report through its page, on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from tests.conftest import NOW, TODAY
from tests.web.client import csrf_token
from tests.web.test_documents import client_of, link_on, pdf_of, press, words_of
from tests.world import DENPASAR, World

REPORTS = f"/offices/{DENPASAR}/reports"
JUNE_1 = NOW + timedelta(days=17)


@pytest.fixture
def clock() -> list[datetime]:
    """The time, to be set."""
    return [NOW]


@pytest.fixture
def office(database_url: str, make_app: Callable[..., Flask], clock: list[datetime]) -> Flask:
    app = make_app(database_url, CLOCK=lambda: clock[0])
    # Nobody is logged out while the clock leaps.
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], SESSION_HOURS=10_000, IDLE_MINUTES=600_000)
    with app.app_context():
        world = World(app)
        world.deliver(NOW, date(2024, 4, 20), 2_000)
        world.print(NOW, TODAY, 361)
        db.session.remove()
    return app


def row(page: str, name: str) -> list[str]:
    """The figures of the first row with this name."""
    found = re.search(rf'<th scope="row">{re.escape(name)}</th>(.*?)</tr>', page, re.DOTALL)
    assert found, f"no row {name}"
    return re.findall(r'<td class="number">(?:<b>)?([^<]*)', found[1])


def month(client: FlaskClient, which: str = "2024-05") -> str:
    return client.get(f"{REPORTS}?month={which}").text


def test_a_month_is_shown_and_can_be_issued_when_it_is_over(office: Flask, clock: list[datetime]) -> None:
    client = client_of(office)
    may = month(client)
    assert "Monthly report: May 2024" in may
    assert row(may, "Opening") == ["2,000"]
    assert row(may, "Print: New card") == ["-361"]
    assert row(may, "Closing") == ["1,639"]
    assert "after May 31, 2024" in may
    assert f'action="{REPORTS}"' not in may
    token = csrf_token(client, "/account")
    early = client.post(REPORTS, data={"csrf_token": token, "month": "2024-05"})
    assert early.status_code == 409
    assert "The month is reported after May 31, 2024" in early.text

    clock[0] = JUNE_1
    paper = pdf_of(client, press(client, f"{REPORTS}?month=2024-05", REPORTS))
    assert "Opening 2,000" in words_of(paper.data)
    assert "Print: New card −361" in words_of(paper.data)
    assert "Closing 1,639" in words_of(paper.data)
    assert "00001/51.71/2024" in month(client)
    assert office.test_client().get("/d/" + link_on(paper.data).rpartition("/")[2]).status_code == 200


def test_late_entries_stand_beside_the_report_and_get_a_supplement(office: Flask, clock: list[datetime]) -> None:
    clock[0] = JUNE_1
    client = client_of(office)
    paper = pdf_of(client, press(client, f"{REPORTS}?month=2024-05", REPORTS))
    assert "Nothing: the books say what the report says." in month(client)
    with office.app_context():
        World(office).spoil(JUNE_1, TODAY, 12)
        db.session.remove()
    changed = month(client)
    assert row(changed, "Spoilage: Misprint") == ["-12"]
    assert re.search(r'"number">1,639</td><td class="number">1,627</td><td class="number">-12</td>', changed)
    assert "Late entries not yet in a document" in changed
    supplement = pdf_of(client, press(client, f"{REPORTS}?month=2024-05", f"{REPORTS}/late"))
    assert "Supplement to report 00001/51.71/2024" in words_of(supplement.data)
    assert "Spoilage: Misprint 12" in words_of(supplement.data)
    after = month(client)
    assert "00002/51.71/2024" in after
    assert "Late entries not yet in a document" not in after
    # The report itself is what it was.
    address = re.search(r'href="(/documents/1\.pdf\?language=en)"', after)
    assert address
    assert client.get(address[1]).data == paper.data


def test_a_page_open_twice_issues_once(office: Flask, clock: list[datetime]) -> None:
    clock[0] = JUNE_1
    client = client_of(office)
    token = csrf_token(client, "/account")
    answers = [client.post(REPORTS, data={"csrf_token": token, "month": "2024-05"}).location for _ in range(2)]
    assert answers[0] == answers[1]
    for after, status in (("1", 409), ("2", 404), ("", 404), ("x", 404), ("9" * 40, 404), ("-1", 404)):
        data = {"csrf_token": token, "month": "2024-05", "after": after}
        assert client.post(f"{REPORTS}/late", data=data).status_code == status, after


@pytest.mark.parametrize("asked", ["", "2024-13", "1999-01", "x", "2024-06", "٢٠٢٤-٠٥"])
def test_a_month_that_cannot_be_is_not_reported(office: Flask, asked: str) -> None:
    client = client_of(office)
    page = client.get(f"{REPORTS}?month={asked}")
    assert page.status_code == 422
    assert "Monthly report: April 2024" in page.text
    token = csrf_token(client, "/account")
    assert client.post(REPORTS, data={"csrf_token": token, "month": asked}).status_code in (409, 422)


def test_the_month_that_is_over_is_shown_first(office: Flask, clock: list[datetime]) -> None:
    client = client_of(office)
    assert "Monthly report: April 2024" in client.get(REPORTS).text
    assert '<option selected value="2024-04">' in client.get(REPORTS).text
    clock[0] = JUNE_1
    assert "Monthly report: May 2024" in client.get(REPORTS).text


def test_an_office_without_entries_has_an_empty_month(app: Flask) -> None:
    client = client_of(app, "regional")
    page = client.get("/offices/51.71.01/reports")
    assert page.status_code == 200
    assert "Nothing was recorded up to the end of this month." in page.text
