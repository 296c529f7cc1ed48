"""The page that says why a projection says so, and what it would say under other circumstances, on both databases."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.demand import fan, project
from inventory.models import StoredProjection
from inventory.services import alerts, items, offices, reviews, what_if
from tests.conftest import NOW, TODAY
from tests.services import test_newcomers as newcomers
from tests.services.test_reviews import usual_history
from tests.web.client import fields, in_language, log_in
from tests.world import BADUNG, BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
PAGE = f"{HOME}/projection/{BLANK}"
FAN = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def fan_of_denpasar() -> dict[str, Any]:
    """What lies ahead, every fourth day, as a review keeps it."""
    inputs = what_if.inputs_of_stock(SYSTEM, NOW, DENPASAR, BLANK)
    projection = project(inputs.history, inputs.ahead, inputs.horizon, inputs.position)
    columns = np.arange(3, 120, 4)
    demand = fan(projection, 0, FAN)[:, columns]
    days = [(inputs.through + timedelta(days=1 + int(column))).isoformat() for column in columns]
    return {"days": days} | {str(name): [int(v) for v in row] for name, row in zip(FAN, demand, strict=True)}


def keep_facts(**more: Any) -> None:
    """Add to what the last review kept of Denpasar's citizen blanks."""
    office = offices.get(SYSTEM, offices.Action.VIEW_STOCK, DENPASAR)
    key = office.id, items.get(BLANK).id

    def put(session: Any) -> None:
        stored = session.get(StoredProjection, key)
        stored.facts = stored.facts | more

    write(put)


def facts_with_all() -> None:
    keep_facts(
        fan=fan_of_denpasar(),
        lead_learnt={"deliveries": 6, "overdue": 0, "low": 9, "high": 21, "mean": 14.2},
        days_rationed=12,
        bursts_a_year=9.4,
        burst_size=310,
        batches={"a_year": 24, "size": 400},
        seasons=[
            {"name": "Tahun ajaran baru", "factor": 1.31, "learnt": True},
            {"name": "Pilkada", "factor": 1.5, "learnt": False},
        ],
        outreach={"days": 3, "prints": 640},
        clearing={"backlog": 4200, "rate": 60, "until": "2024-09-02"},
        digital_factor=0.93,
        digital_source="Ditjen Dukcapil, 2024",
        digital_office="Bali",
        clearing_outdated={"backlog": 42411, "as_of": "2017-09-30"},
        reasons={"new": 121.5, "lost": 60.2, "damaged": 90, "changed_data": 28},
        pooled={"share": 0.35},
        from_average=True,
        backtest={"error": 0.11, "coverage": 0.79, "windows": 18, "average_error": 0.14},
    )


@pytest.fixture
def stocked(app: Flask) -> None:
    with app.app_context():
        usual_history(2_600)
        reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
        db.session.remove()


def reader(app: Flask, name: str = "manager") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, "en")
    return client


def row(shown: str, heading: str) -> list[str]:
    """The cells of the comparison's row with this heading, without their marks."""
    found = re.search(rf'<th scope="row">{re.escape(heading)}</th>(.*?)</tr>', shown, re.S)
    assert found, heading
    cells = re.findall(r"<td[^>]*>(.*?)</td>", found[1], re.S)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]


def test_a_stock_that_raises_no_alert_is_explained_as_well(app: Flask) -> None:
    with app.app_context():
        usual_history(60_000)
        reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
        assert alerts.open_alerts(SYSTEM) == []
        db.session.remove()
    client = reader(app)
    assert PAGE in client.get(HOME).text
    assert PAGE in client.get(f"{HOME}/balances").text
    shown = client.get(PAGE).text
    for words in ("Why it says so", "the store held 60,000", "Which days count", "How often it was right", "Safe"):
        assert words in shown
    assert "The alert</a>" not in shown


def test_an_alert_and_its_stock_lead_to_each_other(app: Flask, stocked: None) -> None:
    client = reader(app)
    assert f'href="{PAGE}"' in client.get("/alerts/1").text
    assert 'href="/alerts/1"' in client.get(PAGE).text


def test_what_is_known_is_told_and_what_is_not_is_not(app: Flask, stocked: None) -> None:
    client = reader(app)
    plain = client.get(PAGE).text
    told = (
        "The lead time is learnt from 6 deliveries:",
        "the next one is expected after 14 working days, in eight cases of ten after 9 to 21.",
        "Left out, printing was rationed",
        "About 9 days a year see a rush, each with about 310 prints on top.",
        "Cards are printed many at a time: on about 24 days a year, about 400 each time.",
        "Tahun ajaran baru: 131 %, learnt from its own past",
        "Pilkada: 150 %, as entered",
        "Outreach is planned on 3 days: about 640 prints on top.",
        "4,200 residents wait for their first card; at 60 a working day on top",
        "they have it by September 2, 2024.",
        "demand counts as 93 % of what it was.",
        "It was stated for Bali and the offices below it.",
        "Source: Ditjen Dukcapil, 2024.",
        "A backlog of 42,411 residents does not count: it was reported as of September 30, 2017, more than a year ago.",
        "New card: 121.5",
        "35 % of this figure comes from the other offices under the same parent office",
        "the simple average to be better, so the average is used.",
        "A simple average would have been off by",
        "Demand lay within the range of eight cases of ten",
    )
    assert [words for words in told if words in plain] == []
    assert "<polygon" in plain, "every projection has a fan"
    with app.app_context():
        facts_with_all()
        db.session.remove()
    shown = " ".join(client.get(PAGE).text.split())
    assert [words for words in told if words not in shown] == []


def test_the_picture_has_its_words_and_its_figures(app: Flask, stocked: None) -> None:
    with app.app_context():
        keep_facts(fan=fan_of_denpasar())
        db.session.remove()
    shown = reader(app).get(PAGE).text
    assert shown.count("<polygon") == 3
    assert 'role="img" aria-labelledby="picture-title picture-text"' in shown
    said = shown.partition('<desc id="picture-text">')[2].partition("</desc>")[0]
    assert "On May 15, 2024 2,600 were free." in said
    assert "likely to be used up by" in said
    figures = shown.partition("The days ahead in figures</summary>")[2].partition("</table>")[0]
    assert figures.count("<tr>") == 31
    assert "style=" not in shown.partition("<main")[2]


def test_before_the_first_review_it_says_so(app: Flask) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        db.session.remove()
    client = reader(app, "storekeeper")
    assert "Not reviewed yet." in client.get(PAGE).text
    assert "There is nothing to project from yet" in client.get(f"{PAGE}?cap=10").text


def test_trying_out_shows_both_sides_and_writes_nothing(app: Flask, stocked: None) -> None:
    client = reader(app, "regional")
    assert "If so" not in client.get(PAGE).text
    assert "If so" not in client.get(f"{PAGE}?outreach=&late_days=&cap=&order=").text
    saturday = TODAY + timedelta(days=3)
    shown = client.get(f"{PAGE}?outreach=1,500&outreach_on={saturday}&order=500").text
    now, if_so = row(shown, "Out of stock, if nothing comes")
    assert now != if_so
    before, after = (int(cell.replace(",", "")) for cell in row(shown, "Suggested order"))
    assert after >= before + 1_000
    assert row(shown, "Ordered today")[1] == "500"
    assert fields(shown)["outreach"] == ["1,500"]
    assert fields(shown)["outreach_on"] == [str(saturday)]
    late = client.get(f"{PAGE}?late_days=10").text
    next_days = row(late, "Next delivery")
    assert next_days[0] != next_days[1]


def test_under_a_cap_requests_are_left_waiting(app: Flask, stocked: None) -> None:
    shown = reader(app).get(f"{PAGE}?cap=100").text
    assert row(shown, "Requests left waiting then")[0] == "0"
    assert int(row(shown, "Requests left waiting then")[1].replace(",", "")) > 3_000
    assert row(shown, "Prints until then")[1] == "1,900"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("outreach=100", "Choose the day of the outreach."),
        ("outreach=100&outreach_on=2024-05-01", "Choose a day from"),
        ("late_days=121", "From 0 to 120 working days."),
        ("cap=-4", "negative"),
        ("order=1e9", "whole number"),
    ],
)
def test_what_cannot_be_tried_is_said_and_kept(app: Flask, stocked: None, query: str, sentence: str) -> None:
    answer = reader(app).get(f"{PAGE}?{query}")
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "If so" not in answer.text
    name, _, typed = query.split("&")[-1].partition("=")
    assert fields(answer.text)[name] == [typed]


def test_others_stocks_and_unknown_items_are_refused(app: Flask) -> None:
    client = reader(app, "storekeeper")
    assert client.get(f"/offices/{BADUNG}/projection/{BLANK}").status_code == 403
    assert client.get(f"{HOME}/projection/nothing").status_code == 404
    # An item that the office never held has nothing to try out.
    assert client.get(f"{HOME}/projection/kia").status_code == 200
    assert client.get(f"{HOME}/projection/kia?cap=5").status_code == 404


def test_the_days_of_a_review_stay_readable_in_the_past(app: Flask, stocked: None) -> None:
    shown = reader(app).get(PAGE).text
    assert "The stock, past and ahead" in shown
    first = date(2024, 3, 17)
    assert (TODAY - first).days == 59
    assert "17 Mar" in shown or "Mar 17" in shown


def test_a_newcomers_page_says_where_its_figure_comes_from(app: Flask) -> None:
    with app.app_context():
        newcomers.history(newcomers.SOUTH, BLANK, 150, 60, 3_000)
        newcomers.history(newcomers.EAST, BLANK, newcomers.YOUNG, 40, 300)
        facts = newcomers.review()[newcomers.EAST, BLANK]
        db.session.remove()
    page = f"/offices/{newcomers.EAST}/projection/{BLANK}"
    share, days = round(100 * facts["pooled"]["share"]), facts["days_used"]
    client = reader(app)
    shown = " ".join(client.get(page, query_string={"cap": 10}).text.split())
    assert f"The office has only {days} open days of its own on record: {share} % of this figure comes from" in shown
    assert "not enough days" not in shown
    assert row(shown, "Suggested order")[0] == f"{facts['suggested_order']:,}"
    in_language(client, "id")
    shown = " ".join(client.get(page).text.split())
    assert f"baru punya catatan {days} hari buka: {share} % dari angka ini berasal dari" in shown
    assert "belum cukup" not in shown.lower()
