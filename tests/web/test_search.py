"""The page of the search, and the keys that lead to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.conftest import NOW, Filling
from tests.services.test_search import FOUND, fill
from tests.web.client import in_language, log_in
from tests.web.serving import serving
from tests.world import DENPASAR, PASSWORD, PEOPLE

HOME = f"/offices/{DENPASAR}"


@pytest.mark.filled(by=fill)
def test_what_is_found_leads_there_and_an_empty_page_says_what_there_is(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "manager")
    in_language(client, "en")
    words = ("470", FOUND["document"], "A100050", "A100150", "sesetan", "ribbon", "#1", str(FOUND["alert"]), "51.71")
    leads: set[str] = set()
    for each in words:
        page = client.get("/search", query_string={"q": each})
        assert page.status_code == 200
        found = page.text.partition("<h1>")[2].partition("<dialog")[0]
        leads |= {part.partition('"')[0].replace("&amp;", "&") for part in found.split('<li><a href="')[1:]}
    assert {url.split("/")[1].split("?")[0] for url in leads} >= {
        *(
            "offices",
            "numbers",
            "transfers",
            "documents",
            "requests",
            "stocktakes",
            "destructions",
            "alerts",
            "outreach",
        )
    }
    assert f"{HOME}/deliveries/1" in leads
    assert f"{HOME}/run-outs?item=ribbon" in leads
    for url in sorted(leads):
        answer = client.get(url)
        assert answer.status_code == 200, url
        answer.close()

    nothing = client.get("/search?q=%00<b>zq%25</b>")
    assert "Nothing was found for “&lt;b&gt;zq%&lt;/b&gt;”" in nothing.text
    assert "What can be searched for" in nothing.text
    assert "What can be searched for" in client.get("/search").text
    assert client.get("/search", query_string={"q": "x" * 4000, "in": "nonsense", "page": "-1"}).status_code == 200
    assert "All that was found" not in client.get("/search?q=470&in=deliveries&page=1").text


def test_an_administrator_is_not_told_of_what_only_others_may_find(app: Flask) -> None:
    client = app.test_client()
    log_in(client, "administrator")
    in_language(client, "en")
    page = client.get("/search?q=zq")
    assert "an office: part of its name" in page.text
    assert "BAST number" not in page.text


@pytest.fixture
def address(sqlite_filled: Callable[[Filling], Path], tmp_path: Path, make_app: Callable[..., Flask]) -> Iterator[str]:
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_filled(fill), file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW, SEND_FILE_MAX_AGE_DEFAULT=3600)
    with serving(app) as address:
        yield address


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_keys_lead_around_unless_somebody_types_or_has_switched_them_off(chromium: Any, address: str) -> None:
    context = chromium.new_context(base_url=address, locale="id-ID")
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto("/login?next=/search")
    page.fill("input[name=email]", PEOPLE["manager"][0])
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("button[data-keys-open]")

    def focused() -> str:
        return page.evaluate("document.activeElement.name || document.activeElement.tagName")

    page.keyboard.press("/")
    assert focused() == "q"
    page.keyboard.type("g/a?")
    assert page.input_value("#search-words, :focus") == "g/a?", "what is typed is typed"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.is_visible("dialog[data-keys]")
    page.keyboard.press("g")
    page.keyboard.press("a")
    assert page.url.endswith("/search"), "an open dialog has its own keys"
    page.keyboard.press("Escape")
    assert page.is_hidden("dialog[data-keys]")
    page.keyboard.press("Control+g")
    page.keyboard.press("a")
    assert page.url.endswith("/search")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alerts")

    page.goto("/search")
    page.click("button[data-keys-open]")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("/")
    page.keyboard.press("?")
    assert focused() == "BODY"
    assert page.is_hidden("dialog[data-keys]")
    page.click("button[data-keys-open]")
    assert not page.is_checked("#keys-on")
    page.check("#keys-on")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    assert focused() == "q"
    assert wrong == []
    context.close()
