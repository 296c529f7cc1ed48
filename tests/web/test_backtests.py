"""The backtest's page, an alert's own past, and the command, on both databases."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import alerts, backtests, reviews
from tests.conftest import NOW, TODAY
from tests.services.test_backtests import SMALL, constant, record, uneven
from tests.web.client import in_language, log_in
from tests.world import BLANK, DENPASAR

PAGE = "/backtest"


@pytest.fixture
def tried(app: Flask) -> int:
    """Two offices with their scores, and the id of Denpasar's alert."""
    with app.app_context():
        record(DENPASAR, uneven(420, 300))
        record(SMALL, constant(420, 12), left=30)
        reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
        backtests.run(SYSTEM, lambda: NOW, "test", on=TODAY)
        found = next(each for each in alerts.open_alerts(SYSTEM) if each.office_code == DENPASAR).id
        db.session.remove()
    return found


def client_of(app: Flask, name: str, language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\xa0", " ")


def test_the_page_says_it_in_words_first(app: Flask, tried: int) -> None:
    page = plain(client_of(app, "manager").get(PAGE).text)
    with app.app_context():
        scores = backtests.overview(SYSTEM).scores
    assert scores is not None
    hits = round(scores["windows"] * scores["methods"]["model"]["cover"][1])
    assert f"In {hits} of {scores['windows']} past windows" in page
    assert page.index(f"In {hits} of") < page.index("Beside what others use") < page.index("Office by office")
    assert "1 stock takes the average instead" in page
    assert "2 stocks were tried, up to May 15, 2024" in page
    assert re.search(r"Denpasar Timur, Citizen card blank Synthetic data Takes the average instead", page)
    assert re.search(r"Kota Denpasar, Citizen card blank Synthetic data Projection ", page)
    assert "Synthetic data" in page


def test_the_page_in_indonesian(app: Flask, tried: int) -> None:
    page = plain(client_of(app, "manager", "id").get(PAGE).text)
    assert "Seberapa sering proyeksi tepat" in page
    assert "Memakai rata-rata" in page
    assert "1 persediaan memakai rata-rata sebagai gantinya" in page
    assert "Dalam rentang 80 %" in page


def test_the_list_is_filtered_by_office_and_says_what_it_does_not_know(app: Flask, tried: int) -> None:
    client = client_of(app, "manager")
    page = client.get(PAGE, query_string={"office": SMALL})
    assert "Denpasar Timur, Citizen" in page.text
    assert "Kota Denpasar, Citizen" not in page.text
    unknown = client.get(PAGE, query_string={"office": "99.99"})
    assert unknown.status_code == 404
    assert "99.99" in unknown.text
    assert client.get(PAGE, query_string={"office": "51.03"}).status_code == 403
    assert client.get(PAGE, query_string={"page": "-1x"}).status_code == 200


def test_pages_are_turned(app: Flask, tried: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "PAGE", 1)
    client = client_of(app, "manager")
    first = client.get(PAGE).text
    assert "Page 1 of 2" in first
    [following] = re.findall(r'href="(/backtest\?[^"]*)" rel="next"', first)
    second = client.get(following.replace("&amp;", "&")).text
    assert "Page 2 of 2" in second
    assert "Denpasar Timur, Citizen" in first
    assert "Kota Denpasar, Citizen" in second


def test_each_alert_shows_its_own_past(app: Flask, tried: int) -> None:
    client = client_of(app, "storekeeper")
    page = plain(client.get(f"/alerts/{tried}").text)
    with app.app_context():
        own = backtests.of_stock(SYSTEM, DENPASAR, BLANK)
    assert own is not None
    section = page[page.index("How often it was right") : page.index("History of this alert")]
    assert f"of {len(own.past)} past windows" in section
    for window in own.past:
        assert f"{window['model']:,} {window['low']:,}–{window['high']:,} {window['demand']:,}" in section
    assert "the average takes its place" not in section
    assert "/backtest" in client.get("/alerts").text


def test_a_stock_whose_average_is_better_says_so(app: Flask, tried: int) -> None:
    with app.app_context():
        other = next(each for each in alerts.open_alerts(SYSTEM) if each.office_code == SMALL).id
    page = plain(client_of(app, "manager").get(f"/alerts/{other}").text)
    assert "lost to the average in this stock's own past: the average takes its place" in page
    assert "more than the average monthly consumption" in page


def test_before_the_first_run_it_says_that_there_is_none(app: Flask) -> None:
    assert "Nothing has been tried yet" in client_of(app, "manager").get(PAGE).text


def flask(app: Flask, *arguments: str) -> Result:
    result = app.test_cli_runner().invoke(args=list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_command_prints_the_scores(app: Flask, tried: int) -> None:
    app.config["CLOCK"] = lambda: NOW.replace(hour=4)
    result = flask(app, "backtest", "--on", str(TODAY))
    assert result.exit_code == 0, result.output
    assert re.search(r"Projection +\d+\.\d %", result.output)
    assert re.search(r"Denpasar Timur \* +ktp-wni .* average$", result.output, re.MULTILINE)
    assert re.search(r"Kota Denpasar \* +ktp-wni .* projection$", result.output, re.MULTILINE)
    assert "2 stocks tried on" in result.output


def test_the_command_prints_json(app: Flask, tried: int) -> None:
    app.config["CLOCK"] = lambda: NOW.replace(hour=4)
    found = json.loads(flask(app, "backtest", "--on", str(TODAY), "--json").output)
    assert found["counts"]["tried"] == 2
    assert (found["worst"][0]["office"], found["worst"][0]["worse"]) == (SMALL, True)
    assert set(found["scores"]["methods"]) == {"model", "average", "naive"}
    app.config["CLOCK"] = lambda: NOW.replace(hour=5)
    below = json.loads(flask(app, "backtest", "--on", str(TODAY), "--office", SMALL, "--json").output)
    assert below["counts"]["tried"] == 1
    assert [each["office"] for each in below["worst"]] == [SMALL]


def test_the_command_refuses_an_office_that_is_not_there(app: Flask) -> None:
    result = flask(app, "backtest", "--office", "99.99")
    assert result.exit_code == 1
    assert "99.99" in result.output


def test_the_command_says_when_there_is_nothing_to_try(app: Flask) -> None:
    result = flask(app, "backtest")
    assert result.exit_code == 0
    assert "needs more history" in result.output
