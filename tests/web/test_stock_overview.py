"""The table of offices: links that sort and turn pages, filters, lines that open, and offices beside each other."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask

from inventory.text import LANGUAGES
from inventory.web import pictures
from tests.services.test_stock_overview import spread
from tests.web.test_desk import client_of, links, page_in
from tests.world import BADUNG, DENPASAR

PAGE = "/offices/51/balances"


def lines(page: str) -> list[str]:
    """The codes of the lines, in order; of an office by itself in a tree as "51 itself"."""
    [body] = re.findall(r"<tbody.*?</tbody>", page, re.DOTALL) or [page]
    return [path.split("/")[-2] + (" itself" if path.endswith("itself") else "") for path in paths(body)]


def paths(page: str) -> list[str]:
    return re.findall(r'data-path="([^"]+)"', page)


def words(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())


def heading(page: str, name: str) -> tuple[str, str]:
    """How a column is sorted, and where a click on its heading leads."""
    [(attributes, link)] = re.findall(rf'<th scope="col"([^>]*)><a id="sort-{name}" href="([^"]+)"', page)
    return (re.findall(r'aria-sort="(\w+)"', attributes) or [""])[0], html.unescape(link)


@pytest.mark.filled(by=lambda world: spread(world, 70))
def test_links_sort_turn_pages_and_keep_what_was_asked_for(app: Flask) -> None:
    client = client_of(app, "regional")
    first = page_in(client, "en", f"{PAGE}?all=y").text
    assert heading(first, "level")[0] == "descending"
    assert heading(first, "store")[0] == ""
    by_store = client.get(heading(first, "store")[1]).text
    assert heading(by_store, "store")[0] == "descending"
    assert heading(client.get(heading(by_store, "store")[1]).text, "store")[0] == "ascending"
    assert len(lines(by_store)) == 50
    [on] = [link for link in links(by_store) if "page=2" in link]
    rest = client.get(on).text
    assert heading(rest, "store")[0] == "descending"
    assert not set(lines(rest)) & set(lines(by_store))
    assert "Page 2 of 2" in words(rest)
    [low] = [link for link in links(first) if "level=low" in link]
    assert "item=ktp-wni" in low
    found = client.get(low).text
    assert lines(found)
    assert '<option selected value="low">' in found


@pytest.mark.filled(by=spread)
def test_a_line_leads_further_down_and_opens_in_place(app: Flask) -> None:
    client = client_of(app, "regional")
    page = page_in(client, "en", PAGE).text
    assert sorted(lines(page)) == ["51 itself", BADUNG, DENPASAR]
    down = f"/offices/{DENPASAR}/balances?item=ktp-wni"
    assert down in links(page)
    [opens] = [each for each in re.findall(r'hx-get="([^"]+)"', page) if DENPASAR in each]
    part = client.get(html.unescape(opens) + "&item=ktp-wni&scale=20&sort=-level").text
    below = client.get(down).text
    assert lines(part) == lines(below)
    assert all(path.startswith("00/51/51.71/") for path in paths(part))
    assert set(re.findall(r"<tr class=\"([^\"]+)\"", part)) == {"depth-1"}
    assert "<html" not in part
    assert "Where you are" in below
    assert "/offices/51/balances?item=ktp-wni" in links(below)


@pytest.mark.filled(by=spread)
def test_the_page_says_what_is_now_and_what_is_of_the_review(app: Flask) -> None:
    client = client_of(app, "regional")
    assert "as of the review of May 15, 2024 " in words(page_in(client, "en", PAGE).text)
    assert "menurut tinjauan 15 Mei 2024 " in words(page_in(client, "id", PAGE).text)


@pytest.mark.filled(by=spread)
def test_what_is_worked_out_once_is_worked_out_once_for_each_language(app: Flask) -> None:
    client = client_of(app, "regional")
    for language, said in {"en": "In the store", "id": "Di gudang", "en ": "In the store"}.items():
        page = page_in(client, language.strip(), PAGE).text
        assert f'data-label="{said}"' in page
        assert f">{'the most urgent first' if said == 'In the store' else 'yang paling mendesak'}<" in page


@pytest.mark.filled(by=spread)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_bar_has_its_number_and_every_line_of_days_its_words(app: Flask, language: str) -> None:
    page = page_in(client_of(app, "regional"), language, f"{PAGE}?all=y").text
    bars = re.findall(r'<svg class="cover.*?</svg> <b>([\d.,]+)</b>', page, re.DOTALL)
    assert len(bars) > 10
    trends = re.findall(r'<svg class="trend"[^>]*aria-label="([^"]+)"', page)
    assert len(trends) == len(lines(page))
    assert not re.search(r"%\(| style=| on\w+=", page)


@pytest.mark.filled(by=spread)
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("item=nichts", 404),
        ("item=ktp-wni&level=nichts", 422),
        ("sort=nichts", 422),
        ("page=-1&all=y", 200),
        ("page=999999", 200),
        ("q=" + "a" * 121, 422),
        ("q=%00&all=1", 200),
        ("q=%25", 200),
    ],
)
def test_what_cannot_be_asked_is_refused(app: Flask, query: str, status: int) -> None:
    assert client_of(app, "regional").get(f"{PAGE}?{query}").status_code == status


@pytest.mark.filled(by=spread)
def test_only_those_who_may_see_the_office(app: Flask) -> None:
    viewer = client_of(app, "viewer")
    for path in (PAGE, f"{PAGE}/rows?item=ktp-wni", f"/compare?office={DENPASAR}", "/offices/51/run-outs/timeline"):
        assert viewer.get(path).status_code == 403, path
    assert viewer.get(f"/offices/{BADUNG}/balances").status_code == 200
    assert viewer.get("/compare?office=nowhere").status_code == 404
    assert client_of(app, "administrator").get("/compare").status_code == 403


# --- beside each other -------------------------------------------------------------------------------------------


@pytest.mark.filled(by=spread)
def test_offices_are_added_and_removed(app: Flask) -> None:
    client = client_of(app, "regional")
    empty = page_in(client, "en", "/compare").text
    assert "Choose two to six offices" in empty
    found = client.get(f"/compare?item=ktp-wni&office={DENPASAR}&q=badung").text
    [add] = [link for link in links(found) if f"office={DENPASAR}&office={BADUNG}" in link]
    both = client.get(add).text
    assert "A Kota Denpasar" in words(both)
    assert "B Kabupaten Badung" in words(both)
    assert f"/compare?item=ktp-wni&show=store&office={BADUNG}" in links(both), "leads to what is left without the first"
    districts = "&".join(f"office=51.71.{100 + number}" for number in range(8))
    assert "Only the first 6 are shown" in words(client.get(f"/compare?{districts}").text)


@pytest.mark.filled(by=spread)
def test_the_comparison_draws_stores_or_days_and_tells_them_in_words(app: Flask) -> None:
    client = client_of(app, "regional")
    districts = "&".join(f"office=51.71.{100 + number}" for number in range(6))
    page = page_in(client, "en", f"/compare?item=ktp-wni&{districts}").text
    assert len(re.findall(r'<polyline class="line-\d"', page)) == 6
    [told] = re.findall(r'<desc id="curves-text">(.*?)</desc>', page, re.DOTALL)
    assert len(re.findall(r"from [\d,]+ to [\d,]+\.", told)) == 6
    cover = client.get(f"/compare?item=ktp-wni&show=cover&{districts}").text
    assert 0 < len(re.findall(r'<polyline class="line-\d"', cover)) < 6, "of some nobody knows the use"


# --- geometry ----------------------------------------------------------------------------------------------------


def test_a_bar_ends_at_the_scale_and_marks_beyond_it_are_left_out() -> None:
    assert pictures.bar(5, 20, 10, 25) == pictures.Bar(width=25, goes_on=False, lead=50, reorder=None)
    assert pictures.bar(60, 20, None, 20) == pictures.Bar(width=100, goes_on=True, lead=None, reorder=100)
    assert pictures.bar(-1, 20, None, None).width == 0


def test_a_line_of_days_has_a_corner_where_the_figure_changes() -> None:
    assert pictures.sparkline([0, 0, 10, 10, 5]) == "M0 19h4v-18h4v9"
    assert pictures.sparkline([0]) == "M0 19"


def test_letters_at_the_ends_of_lines_can_be_read() -> None:
    days = [date(2024, 5, 1) + timedelta(days=number) for number in range(10)]
    series: list[list[Any]] = [[100.0] * 10, [99.0] * 10, [0.0] * 10, [None] * 9 + [50.0], [None] * 10]
    found = pictures.curves(days, series)
    assert found is not None
    heights = sorted(each.letter_y for each in found.curves if each)
    assert all(after - before >= pictures.LABEL_HEIGHT for before, after in pairwise(heights))
    assert [each is None for each in found.curves] == [False, False, False, False, True]
    assert pictures.curves(days, [[None] * 10]) is None
