"""The regional pages in a real browser: in place with scripts, page by page without, and by keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.test_browser import NARROW, WIDE, Reader
from tests.web.test_browser import site as site
from tests.world import BADUNG, BLANK, DENPASAR, PASSWORD, PEOPLE

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]

PAGE = "/offices/51/balances"
LINE = f"tr[data-path='00/51/{DENPASAR}/']"
BELOW = f"tr[data-path^='00/51/{DENPASAR}/']:not({LINE})"
STAYS = "() => { window.stays = true; }"


def test_the_table_opens_sorts_filters_and_compares_in_place(chromium: Any, site: tuple[str, Any]) -> None:
    with Reader(chromium, site[0], WIDE) as reader:
        page = reader.page
        reader.log_in("regional")
        page.goto(f"{PAGE}?item={BLANK}")
        page.evaluate(STAYS)

        opener = page.locator(f"{LINE} button.open")
        assert opener.get_attribute("aria-expanded") == "false"
        opener.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(BELOW)
        assert opener.get_attribute("aria-expanded") == "true"
        assert page.evaluate("document.activeElement.className") == "open"
        shown = page.locator(BELOW).count()
        assert shown > 2
        page.keyboard.press("Space")
        assert opener.get_attribute("aria-expanded") == "false"
        assert page.locator(f"{BELOW} >> visible=true").count() == 0
        page.keyboard.press("Space")
        assert page.locator(f"{BELOW} >> visible=true").count() == shown

        page.locator("#sort-store").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("th[aria-sort=descending] #sort-store")
        assert "sort=-store" in page.url
        assert page.evaluate("document.activeElement.id") == "sort-store"
        assert page.inner_text("[data-said]")
        page.keyboard.press("Enter")
        page.wait_for_selector("th[aria-sort=ascending] #sort-store")

        page.fill("form.overview input[name=q]", "denpasar")
        page.press("form.overview input[name=q]", "Enter")
        page.wait_for_selector("tr[data-path='00/51/51.71/51.71.01/']")
        assert page.locator("table.tree tbody tr").count() == 3
        assert page.input_value("form.overview input[name=q]") == "denpasar"
        assert page.evaluate("window.stays"), "all of it on one page"

        page.go_back()
        page.wait_for_selector("th[aria-sort=ascending] #sort-store")
        for code in (DENPASAR, BADUNG):
            page.check(f"input[name=office][value='{code}']")
        page.click(".compare button")
        page.wait_for_selector("figure.curves")
        assert page.locator(".chosen li").count() == 2
        assert reader.wrong == []


def test_a_lost_network_leaves_the_page_as_it_was_and_says_so(chromium: Any, site: tuple[str, Any]) -> None:
    with Reader(chromium, site[0], NARROW) as reader:
        page = reader.page
        reader.log_in("regional")
        page.goto(f"{PAGE}?item={BLANK}")
        reader.context.set_offline(True)
        page.click(f"{LINE} button.open")
        page.wait_for_selector("[data-said]:not(:empty)")
        assert page.is_visible("[data-said]")
        reader.context.set_offline(False)
        page.click(f"{LINE} button.open")
        page.wait_for_selector(BELOW)
        assert page.get_attribute(f"{LINE} button.open", "aria-expanded") == "true"


@pytest.mark.slow
def test_who_has_been_logged_out_logs_in_and_comes_back(chromium: Any, site: tuple[str, Any]) -> None:
    with Reader(chromium, site[0], WIDE) as reader:
        page = reader.page
        reader.log_in("regional")
        page.goto(f"{PAGE}?item={BLANK}")
        reader.context.clear_cookies()
        page.click("#sort-store")
        page.wait_for_selector("input[name=password]")
        page.fill("input[name=email]", PEOPLE["regional"][0])
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_selector("table.tree")
        assert reader.wrong == []


@pytest.mark.slow
def test_all_of_it_works_without_script(chromium: Any, site: tuple[str, Any]) -> None:
    context = chromium.new_context(base_url=site[0], java_script_enabled=False, viewport=WIDE)
    page = context.new_page()
    page.goto(f"/login?next={PAGE}")
    page.fill("input[name=email]", PEOPLE["regional"][0])
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    assert page.locator("button.open >> visible=true").count() == 0
    page.click(f"{LINE} th a")
    assert "/offices/51.71/balances" in page.url
    page.goto(PAGE)
    page.click("#sort-store")
    assert page.locator("th[aria-sort=descending] #sort-store").count() == 1
    page.fill("form.overview input[name=q]", "denpasar")
    page.press("form.overview input[name=q]", "Enter")
    assert page.locator("table.tree tbody tr").count() == 3
    for box in page.locator("input[name=office]").all()[:2]:
        box.check()
    page.click(".compare button")
    assert page.locator(".chosen li").count() == 2
    context.close()
