"""The pages with pictures, on both databases: they say in words and figures what they draw, in both languages."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain import access
from inventory.domain.access import SYSTEM, Action
from inventory.services import reviews, stated_rates, stock_cards
from tests.conftest import NOW, TODAY
from tests.services import test_series as weeks
from tests.services.test_run_out_calendar import _statements
from tests.web.client import in_language, log_in
from tests.world import BADUNG, BLANK, DENPASAR, World

HOME = f"/offices/{DENPASAR}"
CARD, USAGE, HEAT = f"{HOME}/stock-card/{BLANK}", f"{HOME}/usage/{BLANK}", f"{HOME}/heat"


def fill(world: World) -> None:
    weeks.fill(world)
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 60, "Pos Bali, 12/05/2024")
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)


pytestmark = pytest.mark.filled(by=fill)


def reader(app: Flask, name: str = "manager", language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


def said(page: str, id: str) -> str:
    [words] = re.findall(rf'<desc id="{id}">(.*?)</desc>', page, re.DOTALL)
    return " ".join(html.unescape(words).split())


def figures(page: str) -> list[list[str]]:
    """The cells of the rows in the first table that is folded away."""
    table = page.partition("<details>")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_a_long_stock_card_is_turned_page_by_page(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = reader(app)
    whole = client.get(CARD).text
    entries = re.findall(r'<tr id="entry-(\d+)"', whole)
    assert 'rel="next"' not in whole
    monkeypatch.setattr(stock_cards, "PER_PAGE", 5)
    newest = client.get(CARD).text
    assert re.findall(r'<tr id="entry-(\d+)"', newest) == entries[-5:]
    [older] = re.findall(r'href="([^"]+)" rel="next"', newest)
    older_page = client.get(html.unescape(older)).text
    assert re.findall(r'<tr id="entry-(\d+)"', older_page) == entries[-10:-5]
    assert 'rel="prev"' in older_page
    assert client.get(f"{CARD}?page=999999").status_code == client.get(f"{CARD}?page=x").status_code == 200


def test_the_stock_card_draws_the_past_and_what_lies_ahead(app: Flask) -> None:
    page = reader(app).get(CARD).text
    words = said(page, "picture-text")
    assert "From April 5, 2024 to May 15, 2024: 1,029 were left at the end." in words
    assert "1,288 came in on 2 days." in words
    assert "likely to be used up by" in words
    assert "gone " in page
    assert page.count("<polygon") == 3
    assert 'class="arrived"' in page
    assert "Reorder point" in page
    assert "style=" not in page.partition("<main")[2], "the policy allows none"


def test_how_far_back_it_goes_can_be_chosen_and_a_past_card_has_no_days_ahead(app: Flask) -> None:
    client = reader(app)
    assert '<tr><th scope="row">May 15, 2024' in client.get(f"{CARD}?span=30").text
    assert "The past weeks in figures" not in client.get(f"{CARD}?span=30").text
    past = client.get(f"{CARD}?from=2024-04-20&to={TODAY - timedelta(days=1)}&span=30").text
    assert "<polygon" not in past
    assert "From April 15, 2024 to May 14, 2024" in said(past, "picture-text")
    assert client.get(f"{CARD}?span=999999999999").status_code == 200
    assert client.get(f"{CARD}?span=-1&from=x").status_code == 422


def test_who_may_not_see_projections_sees_the_past_alone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "TABLE", {**access.TABLE, Action.VIEW_ALERT: {}})
    page = reader(app).get(CARD)
    assert page.status_code == 200
    assert 'class="past"' in page.text
    assert "<polygon" not in page.text
    assert "/projection/" not in page.text


def test_an_item_that_was_never_kept_has_a_card_without_a_picture(app: Flask) -> None:
    page = reader(app).get(f"{HOME}/stock-card/film")
    assert page.status_code == 200
    assert "<figure" not in page.text


def test_the_closings_for_zooming_are_those_of_the_books(app: Flask) -> None:
    answer = reader(app, "storekeeper").get(f"{CARD}/series.json")
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.get_json()
    assert told["first"] == "2024-04-05"
    assert len(told["store"]) == 41
    assert (told["store"][0], told["store"][-1]) == (900, 1029)
    assert told["arrived"] == [[0, 900], [20, 388]]
    assert told["counted"] == []
    assert reader(app).get(f"{HOME}/stock-card/film/series.json").get_json()["store"] == []


@pytest.mark.parametrize("step", ["week", "day"])
def test_use_is_told_by_reason_in_words_and_figures(app: Flask, step: str) -> None:
    page = reader(app).get(f"{USAGE}?step={step}&from=2024-04-08").text
    words = said(page, "usage-text")
    assert "From April 8, 2024 to May 15, 2024" in words
    assert "spoilage 4 " in words
    assert "damaged" not in words, "what was taken back was not used"
    heads, *rows, sums = figures(page)
    assert heads == [step.capitalize(), "New card", "Lost card", "Spoilage", "Together", "Days open", "Remarks"]
    assert len(rows) == (6 if step == "week" else 38)
    for column in (1, 2, 3, 4):
        assert sum(int(row[column]) for row in rows) == int(sums[column])
    assert rows[0][-1] == "Outreach: SMA Negeri 3"
    assert sum("Pemilihan" in row[-1] for row in rows) == 1
    assert page.count('class="outreach"') == 2, "on its column and in the key"


def test_what_cannot_be_asked_for_is_said(app: Flask) -> None:
    client = reader(app)
    for query in ("step=year", "from=2024-05-02&to=2024-05-01", "step=day&from=2024-01-01", "from=1999-01-01"):
        answer = client.get(f"{USAGE}?{query}")
        assert answer.status_code == 422, query
        assert "<figure" not in answer.text
    assert client.get(f"{HEAT}?item=nothing").status_code == 422
    assert client.get(f"{HEAT}?show=nothing").status_code == 422
    assert client.get(f"{HEAT}?page=-1").status_code == 200
    assert client.get(f"/offices/{BADUNG}/heat").status_code == 403
    assert client.get(f"/offices/{BADUNG}/usage/{BLANK}").status_code == 403
    assert client.get(f"/offices/{BADUNG}/stock-card/{BLANK}/series.json").status_code == 403


@pytest.mark.parametrize("show", ["cover", "stock_out_days", "spoilage"])
def test_weeks_of_offices_have_a_figure_in_every_coloured_cell(app: Flask, show: str) -> None:
    page = reader(app).get(f"{HEAT}?item={BLANK}&show={show}").text
    [row] = re.findall(r"<tr><th scope=\"row\"><a href=\"/offices/51.71\">.*?</tr>", page, re.DOTALL)
    cells = re.findall(r'<td(?: class="(\w+)")?>([^<]*)</td>', row)
    assert len(cells) == 26
    assert all((text == "–") == (step == "") for step, text in cells)
    assert sum(text != "–" for _, text in cells) >= 5
    assert page.count('<th scope="col"') == 27


def test_the_pages_lead_to_each_other_and_speak_indonesian(app: Flask) -> None:
    client = reader(app, language="id")
    for page, wanted in ((HOME, USAGE), (CARD, USAGE), (f"{HOME}/balances", HEAT), (USAGE, CARD)):
        assert f'href="{wanted}' in client.get(page).text, page
    for page in (CARD, USAGE, HEAT):
        shown = client.get(page).text
        for word in ("Week by week", "What it was used for", "The stock over time", "working days", "Spoilage"):
            assert word not in shown, page
    assert "habis " in client.get(CARD).text


def test_a_page_takes_a_bounded_number_of_queries(app: Flask) -> None:
    client = reader(app)
    client.get(CARD)
    with app.app_context():
        counts = {page: len(_statements(lambda page=page: client.get(page))) for page in (CARD, USAGE, HEAT)}
        db.session.remove()
    assert counts[USAGE] <= 24
    assert counts[HEAT] <= 20
    assert counts[CARD] <= 36
    with app.app_context():
        assert len(_statements(lambda: client.get(f"{CARD}?span=1825"))) == counts[CARD]
