"""The page of who runs out, by day: numbers, drill-down, picture, reach."""

from __future__ import annotations

import html
import re
from datetime import date
from typing import Any

import pytest
from flask import Flask

from inventory.services.run_out_calendar import DayAhead
from inventory.services.run_out_timeline import Span
from inventory.web.pictures import BOTTOM, HEIGHT, LEFT, RIGHT, SPAN_WIDTH, TOP, WIDTH, SpanBar, span_bar
from inventory.web.run_outs import picture
from tests.services.test_run_out_calendar import expect, on
from tests.web.test_desk import client_of, links, page_in
from tests.world import BADUNG, DENPASAR


def expected(app: Flask, *args: Any, **kwargs: Any) -> None:
    with app.app_context():
        expect(*args, **kwargs)


def cells(page: str, heading: str) -> list[str]:
    """The texts of the row that begins so."""
    [row] = [each for each in re.findall(r"<tr.*?</tr>", page, re.DOTALL) if heading in each.partition("</th>")[0]]
    return [re.sub(r"<[^>]+>", "", each).strip() for each in re.findall(r"<td.*?</td>", row, re.DOTALL)]


def test_the_days_and_the_offices_are_counted_and_lead_further_down(app: Flask) -> None:
    expected(app, DENPASAR, on(2), early=on(1), late=on(5))
    expected(app, "51.71.01", on(2))
    expected(app, BADUNG, on(9))
    client = client_of(app, "regional")
    page = page_in(client, "en", "/offices/51/run-outs").text
    assert cells(page, "Thu 16 May") == ["0", "0", "0 – 1"]
    assert cells(page, "Fri 17 May") == ["2", "2", "0 – 2"]
    assert cells(page, "Kota Denpasar</a>") == ["0", "2", "2", "0", "2"]
    assert cells(page, "Kabupaten Badung, Citizen") == ["Low", "May 24, 2024", ""]
    assert "expected to run out within a week: 2" in page
    assert f"/offices/{DENPASAR}/run-outs" in links(page)
    [day] = [each for each in links(page) if each.endswith(f"day={on(2)}#stocks")]
    assert len(re.findall(r'href="/offices/[\d.]+/projection/', client.get(day).text)) == 2
    below = client.get(f"/offices/{DENPASAR}/run-outs").text
    assert cells(below, "Kota Denpasar itself")[1] == "1"
    assert cells(below, "Denpasar Selatan</a>")[1] == "1"


def test_the_picture_says_in_words_what_it_shows(app: Flask) -> None:
    expected(app, DENPASAR, on(3))
    page = page_in(client_of(app, "manager"), "en", "/run-outs").text
    [words] = re.findall(r"<desc[^>]*>(.*?)</desc>", page, re.DOTALL)
    said = " ".join(html.unescape(words).split())
    assert said.startswith("Of 1 offices 0 are without stock now; expected to run out within a week: 1.")
    assert "1 on May 18, 2024" in said


def test_one_item_alone_and_kept_in_the_links(app: Flask) -> None:
    expected(app, DENPASAR, on(3))
    expected(app, "51.71.01", on(4), item="kia")
    client = client_of(app, "manager")
    page = page_in(client, "en", f"/offices/{DENPASAR}/run-outs?item=kia").text
    assert "Denpasar Selatan, Child" in page
    assert "Citizen card blank</a>" not in page
    assert "/offices/51.71.01/run-outs?item=kia" in links(page)


@pytest.mark.parametrize("query", ["item=nichts", "day=gestern", "day=1000-01-01"])
def test_what_cannot_be_is_said(app: Flask, query: str) -> None:
    assert client_of(app, "manager").get(f"/run-outs?{query}").status_code == 422


def test_nobody_looks_beyond_their_reach(app: Flask) -> None:
    expected(app, BADUNG, on(3))
    expected(app, DENPASAR, on(3))
    manager = client_of(app, "manager")
    assert manager.get(f"/offices/{BADUNG}/run-outs").status_code == 403
    assert manager.get("/offices/99/run-outs").status_code == 404
    assert "Badung" not in manager.get("/run-outs").text
    assert client_of(app, "administrator").get("/run-outs").status_code == 403


def test_without_a_review_the_page_says_what_to_do(app: Flask) -> None:
    client = client_of(app, "manager")
    assert "next nightly review" in page_in(client, "en", "/run-outs").text
    assert "peninjauan malam berikutnya" in page_in(client, "id", "/run-outs").text


def days(*offices: int) -> tuple[DayAhead, ...]:
    then = [sum(offices[: number + 1]) for number in range(len(offices))]
    return tuple(
        DayAhead(day=date(2024, 5, 15 + number), offices=count, by_then=sum_, at_least=sum_ // 2, at_most=sum_ * 2)
        for number, (count, sum_) in enumerate(zip(offices, then, strict=True))
    )


def test_everything_lies_within_the_picture() -> None:
    found = picture(days(0, 3, 40, 0, 700, 1, 0, 0, 2, 0, 0, 0, 0, 5))
    assert found is not None
    places = [tuple(map(float, pair.split(","))) for pair in f"{found.line} {found.band}".split()]
    places += [(each.x, each.y) for each in found.columns]
    places += [(each.x + each.width, each.y + each.height) for each in found.columns]
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in places)
    assert max(found.columns, key=lambda each: each.height).offices == 700
    assert [figure for _, figure in found.figures][:2] == [0, 500]


def test_there_is_no_picture_of_nothing() -> None:
    assert picture(days(*[0] * 14)) is None


def test_the_weeks_tell_each_stock_and_lead_back_to_the_days(app: Flask) -> None:
    expected(app, DENPASAR, on(20), early=on(10), late=on(90))
    expected(app, "51.71.01", None, level="out")
    client = client_of(app, "regional")
    page = page_in(client, "en", "/offices/51/run-outs/timeline").text
    assert cells(page, "Kota Denpasar, Citizen") == ["Low", "", "25 May", "4 Jun", "13 Aug", ""]
    assert cells(page, "Denpasar Selatan, Citizen")[3] == "Now"
    assert page.index("Denpasar Selatan") < page.index("Kota Denpasar, Citizen")
    assert 'aria-label="likely on June 4, 2024"' in page
    assert "/offices/51/run-outs" in links(page)
    assert "/offices/51/run-outs/timeline" in links(client.get("/offices/51/run-outs").text)
    assert client.get("/run-outs/timeline?item=kia").status_code == 200
    assert client.get("/run-outs/timeline?item=nichts").status_code == 422


def test_a_span_lies_within_its_weeks() -> None:
    def drawn(early: int | None, likely: int | None, late: int | None) -> SpanBar:
        days = [None if each is None else on(each) for each in (early, likely, late)]
        span = Span(
            office_code="51",
            office_name="Bali",
            item_code="kia",
            level="low",
            early=days[0],
            likely=days[1],
            late=days[2],
            arrivals=((on(7), 40),),
        )
        return span_bar(span, on(0), on(55))

    inside = drawn(7, 14, 27)
    assert (inside.left, inside.width, inside.likely, inside.goes_on) == (70.0, 210.0, 140.0, False)
    assert inside.arrivals == ((70.0, on(7), 40),)
    for span in (drawn(7, 14, None), drawn(7, 14, 80), drawn(-3, 2, 99)):
        assert span.left is not None
        assert (span.left + span.width, span.goes_on) == (SPAN_WIDTH, True)
    beyond = drawn(60, 70, 80)
    assert (beyond.left, beyond.likely) == (None, None)
    assert drawn(None, None, None).left is None
