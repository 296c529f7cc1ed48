"""No page shows a text that cannot be translated, and none is cut where a language takes more room than ours."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from flask import Flask
from flask_babel import Domain
from sqlalchemy import String, Text, select

from inventory import text
from inventory.db import db
from tests.conftest import NOW
from tests.web.pseudo import LEFT, RIGHT, write_catalogues
from tests.web.serving import serving
from tests.web.test_browser import EVERYBODYS, FOUND, NARROW, PAGES, STOCK_PAGES, Reader, _fill

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]

MAIN_PAGES = ("/", "/help", STOCK_PAGES[1], "/offices/51.71/consumption", "/alerts/1")
INNERMOST = re.compile(f"{LEFT}[^{LEFT}{RIGHT}]*{RIGHT}")
WORD = re.compile(r"[^\W\d_]{3,}")
ENUMERATED = re.compile(r"[a-z][a-z_]*")
"""A value that the code gave and a page has to translate, unlike what somebody typed."""
SAID_AS_IT_IS = {
    *(
        "Blangko",
        "Bahasa",
        "Indonesia",
        "English",
        "CSV",
        "XLSX",
        "PDF",
        "WIB",
        "WITA",
        "WIT",
        "JSON",
        "https",
        "Chrome",
        "Linux",
    ),
    *("Asia", "Jakarta", "Pontianak", "Makassar", "Jayapura"),  # time zones
    *("Pilkada", "Tahun", "ajaran", "baru"),  # events as the calendar calls them
    "board",  # an address to copy
    *("Kode", "Tanggal"),  # columns of a file that somebody sent in
}
CUT = """() => [...document.querySelectorAll("main *, header *, footer *")].filter((element) => {
  const style = getComputedStyle(element);
  if (!element.checkVisibility()) return false;
  if (element.closest(".seen-by-readers, .skip, nav.main ul, .scroller, select, svg")) return false;
  if (element.matches("input, textarea, option, progress, thead")) return false;
  const hidden = style.overflowX !== "visible" && style.overflowX !== "auto";
  return (hidden || element.matches("button, [role=button], .level")) && element.scrollWidth > element.clientWidth + 1
    && element.clientWidth > 0;
}).map((element) => `cut: ${element.outerHTML.slice(0, 120)}`)"""
SEEN = """() => {
  for (const code of document.querySelectorAll("code")) code.hidden = true;
  for (const details of document.querySelectorAll("details")) details.open = true;
  const named = [...document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")]
    .flatMap((each) => ["aria-label", "title", "placeholder", "alt"].map((name) => each.getAttribute(name) || ""));
  const hidden = [...document.querySelectorAll("option, .seen-by-readers, svg text, svg title, svg desc")]
    .map((each) => each.textContent);
  return [document.title, document.body.innerText, ...named, ...hidden].join("\\n");
}"""


@pytest.fixture
def pseudo_site(
    sqlite_filled: Callable[..., Path],
    tmp_path: Path,
    make_app: Callable[..., Flask],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[str, set[str]]]:
    """The app with the pseudo language in place of Indonesian: its address, and the words of its data."""
    file, catalogues = tmp_path / "blangko.sqlite3", tmp_path / "catalogues"
    shutil.copy(sqlite_filled(_fill), file)
    write_catalogues(catalogues)
    monkeypatch.setattr(text, "wtforms_texts", Domain(str(catalogues), "wtforms"))
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW, BABEL_TRANSLATION_DIRECTORIES=str(catalogues))
    _use_for_the_accounts(app, catalogues)
    with app.app_context():
        words = words_of_the_data()
    with serving(app) as address:
        yield address, words


def _use_for_the_accounts(app: Flask, catalogues: Path) -> None:
    domain = Domain(str(catalogues), "flask_security")
    app.extensions["security"].i18n_domain = domain
    app.jinja_env.globals["_fsdomain"] = domain.gettext


def words_of_the_data() -> set[str]:
    """What somebody typed, and the calendar's names."""
    found: set[str] = set(SAID_AS_IT_IS)
    for table in db.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, String | Text):
                for value in db.session.scalars(select(column).distinct().where(column.is_not(None))):
                    if not ENUMERATED.fullmatch(str(value)):
                        found.update(WORD.findall(str(value)))
    from inventory.services import items

    for item in items.active():
        for kept in (item.names, item.units):
            found.update(WORD.findall(kept["id"]))
    locale = Locale("id")
    for width in ("wide", "abbreviated"):
        for names in (locale.months["format"][width], locale.days["format"][width]):
            found.update(WORD.findall(" ".join(names.values())))
    return {word.lower() for word in found}


def test_the_main_pages_show_only_what_can_be_translated(chromium: Any, pseudo_site: tuple[str, set[str]]) -> None:
    look(chromium, pseudo_site, "storekeeper", MAIN_PAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_only_what_can_be_translated(
    chromium: Any, pseudo_site: tuple[str, set[str]], name: str
) -> None:
    look(chromium, pseudo_site, name, (*EVERYBODYS, *PAGES[name]))


def look(chromium: Any, pseudo_site: tuple[str, set[str]], name: str, paths: tuple[str, ...]) -> None:
    address, data = pseudo_site
    wrong: list[str] = []
    with Reader(chromium, address, NARROW) as reader:
        reader.page.goto("/login")
        wrong += [*untranslated(reader, data, "/login"), *reader.page.evaluate(CUT)]
        reader.log_in(name)
        for path in paths:
            reader.look_at(path.format(**FOUND))
            reader.page.set_viewport_size(NARROW)
            wrong += untranslated(reader, data, path)
            wrong += [f"{path}: {what}" for what in reader.page.evaluate(CUT)]
        assert "\n".join([*reader.wrong, *wrong]) == ""


def untranslated(reader: Reader, data: set[str], path: str) -> list[str]:
    shown = reader.page.evaluate(SEEN)
    assert LEFT in shown
    while True:
        shorter = INNERMOST.sub(" ", shown)
        if shorter == shown:
            break
        shown = shorter
    return [f"{path}: {word}" for word in sorted(set(WORD.findall(shown))) if word.lower() not in data]
