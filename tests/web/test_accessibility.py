"""Every page, for every role, in both languages, both themes and both widths, by the rules of WCAG 2.2 AA.

axe-core does the judging. What a rule needs decides how often it is asked: contrast depends on the theme, the size of
targets and what scrolls on the width, the rest on neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from tests.web.test_browser import EVERYBODYS, NARROW, NOBODYS, PAGES, STOCK_PAGES, WIDE, Reader
from tests.web.test_browser import site as site

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
BY_THEME_AND_WIDTH = {"type": "rule", "values": ["color-contrast", "target-size", "scrollable-region-focusable"]}
JUDGE = """(rules) => axe.run(document, {runOnly: rules, resultTypes: ["violations"]}).then(({violations}) =>
  violations.flatMap(({id, nodes}) => nodes.map(({html, failureSummary}) => [id, html, failureSummary].join(" | "))))"""

PUBLIC = (*NOBODYS, "/styleguide")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_every_page_of_a_role_is_accessible(chromium: Any, site: tuple[str, Any], name: str) -> None:
    """And whole, without an error in the console, in both themes: see `Reader`. Pages that roles share are judged in
    every theme and width as the storekeeper sees them, and as others do at a phone's width."""
    address, found = site
    with reader_with_axe(chromium, address) as reader:
        reader.log_in(name)
        for language in ("id", "en"):
            reader.page.goto("/help")
            reader.choose(language)
            offline = ("/offline",) if name == "storekeeper" else ()
            for path in (*EVERYBODYS, *PAGES[name], *offline):
                reader.look_at(path.format(**found))
                shared = path in STOCK_PAGES and name != "storekeeper"
                reader.wrong.extend(judged(reader, path, most=2 if shared or language == "en" else 4))
        assert reader.wrong == []


def test_the_main_pages_are_accessible(chromium: Any, site: tuple[str, Any]) -> None:
    address, found = site
    with reader_with_axe(chromium, address) as reader:
        for path in PUBLIC:
            reader.look_at(path)
            reader.wrong.extend(judged(reader, path))
        reader.log_in("manager")
        for path in ("/", STOCK_PAGES[1]):
            reader.look_at(path.format(**found))
            reader.wrong.extend(judged(reader, path))
        assert reader.wrong == []


def test_what_is_not_accessible_is_found(chromium: Any, site: tuple[str, Any]) -> None:
    """The judge is awake: a pale text, a tiny button and a picture without words are each told."""
    with reader_with_axe(chromium, site[0]) as reader:
        reader.page.goto("/login")
        reader.page.evaluate("""() => {
          const added = document.createElement("div");
          added.innerHTML = "<p>pale</p><img src='/static/icon.svg'><button>a</button><button>b</button>";
          added.querySelector("p").style.color = "#ccc";
          for (const button of added.querySelectorAll("button")) button.style = "all: unset; width: 8px; height: 8px";
          document.querySelector("main").append(added);
        }""")
        rules = {line.split(" | ")[0].split(": ")[-1] for line in judged(reader, "/login")}
        assert {"color-contrast", "image-alt", "target-size"} <= rules


def reader_with_axe(chromium: Any, address: str) -> Reader:
    # Colours that are on their way from one theme to the other are nobody's.
    reader = Reader(chromium, address, NARROW, reduced_motion="reduce")
    reader.context.add_init_script(AXE)
    return reader


def judged(reader: Reader, path: str, most: int = 4) -> Iterator[str]:
    """What is wrong with the page that the reader is on; in the first `most` pairs of width and theme."""
    size = reader.page.viewport_size
    other = WIDE if size == NARROW else NARROW
    pairs = ((size, "light"), (size, "dark"), (other, "dark"), (other, "light"))
    for number, (width, scheme) in enumerate(pairs[:most]):
        rules: Mapping[str, Any] = EVERYTHING if number % 2 == 0 else BY_THEME_AND_WIDTH
        reader.page.set_viewport_size(width)
        reader.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for line in reader.page.evaluate(JUDGE, rules):
            yield f"{path} at {width['width']}, {scheme}: {line}"
