"""The offices below one beside each other: a table that opens, sorts, filters and turns its pages."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from flask import render_template, request, url_for
from flask_babel import gettext
from markupsafe import Markup
from wtforms import BooleanField, SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.stock_overview import SORTS, WORDS_LENGTH, Asking, scale_of
from inventory.services import items, offices, stock_overview
from inventory.services.items import ItemView
from inventory.services.stock_overview import Overview, OverviewRow
from inventory.web import pictures
from inventory.web.forms import FewOptions, QueryForm, WordsField, choices
from inventory.web.forms import lazy as _

COLUMNS = {
    "office": _("Office"),
    "level": _("Level"),
    "store": _("In the store"),
    "trend": _("60 days"),
    "transit": _("In transit"),
    "to_come": _("To come"),
    "use": _("Use a day"),
    "cover": _("Lasts, in working days"),
    "next": _("Next arrival"),
    "out": _("Runs out"),
}
SAID = {
    "itself": _("%(office)s itself"),
    "trend": _("from %(first)s to %(last)s, at the lowest %(least)s"),
    "lead": _("lead time %(days)s"),
    "reorder": _("reorder point %(days)s"),
    "from": _("from %(day)s"),
    "unknown": _("not known"),
    "unreviewed": _("not reviewed yet"),
    "nothing": _("Nothing recorded yet"),
    "now": _("Now"),
    "compare": _("Compare"),
    "below": _("Offices below"),
}
"""What the lines say; filled in line by line."""
SAFE = "!$'()*,/:;?@"
"""What Flask leaves as it is in an address."""
DEEPEST = 6
"""How many lines can be opened within each other: as many as the tree is deep, and to spare."""


class FilterForm(QueryForm):
    words = WordsField(_("Name, or the beginning of a code"), most=WORDS_LENGTH, name="q", render_kw={"type": "search"})
    level = SelectField(_("Level"), choices=[], default="", widget=FewOptions())
    sort = SelectField(_("In order of"), choices=[], default="-level", widget=FewOptions())
    everything = BooleanField(_("All offices below, one by one"), name="all")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.level.choices = choices(_levels())
        self.sort.choices = choices(_orders())

    def asking(self) -> Asking:
        sort = self.sort.data or "-level"
        return Asking(
            sort=sort.removeprefix("-"),
            down=sort.startswith("-"),
            level=self.level.data or "",
            words=self.words.data or "",
            everything=bool(self.everything.data),
            page=asked_number("page"),
        )


def page(code: str) -> Any:
    """The whole page; with nothing below that ever held an item, it says so."""
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    kept = stock_overview.kept_items(actor, office)
    form = FilterForm()
    item = chosen_item(kept)
    found = form.read(lambda: stock_overview.below(actor, now, office, item, form.asking())) if item else None
    shown = render_template(
        "offices/balances.html",
        office=office,
        above=offices.ancestors(actor, Action.VIEW_STOCK, office),
        kept=kept,
        item=item,
        form=form,
        found=found,
        **_drawn(found),
        **({"address": Addresses(found)} if found else {}),
    )
    return shown, form.status


def rows(code: str) -> Any:
    """The lines below an office, to be put under its own line."""
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    item = chosen_item(stock_overview.kept_items(actor, office))
    if item is None:
        return ""
    sort = request.args.get("sort", "-level")
    asking = Asking(sort=sort.removeprefix("-"), down=sort.startswith("-"))
    found = stock_overview.below(actor, now, office, item, asking)
    depth = min(max(asked_number("depth"), 1), DEEPEST)
    drawn = _drawn(found, scale=asked_number("scale"))
    return render_template("offices/_rows.html", found=found, depth=depth, address=Addresses(found), **drawn)


def chosen_item(kept: list[ItemView]) -> ItemView | None:
    """The item that the address names; else the first of those that are kept."""
    named = request.args.get("item")
    if named:
        return next((item for item in kept if item.code == named), None) or items.get(named)
    return kept[0] if kept else None


def asked_number(name: str) -> int:
    asked = request.args.get(name, "")
    return int(asked) if re.fullmatch(r"[0-9]{1,6}", asked, re.ASCII) else 1


LINES_KEPT = 1_000
"""Drawn lines that a process remembers, of some three kilobytes each."""
_kept: OrderedDict[Any, Markup] = OrderedDict()


def _drawing_once(found: Overview, scale: int) -> Callable[..., Markup]:
    """Draws a line of the table, unless the very same one was drawn before: most of a country's lines are the same from
    one reader to the next. Everything that a line shows is in what it is remembered by."""
    of_page = text.language(), found.item.code, found.asking.sort, found.asking.down, found.asking.flat, scale

    def once(row: OverviewRow, *drawn_with: Any, caller: Callable[[], Markup]) -> Markup:
        key = *of_page, found.office.code == row.code, *drawn_with, row.told
        known = _kept.get(key)
        if known is None:
            known = _kept[key] = Markup(caller())  # noqa: S704  (what the template made)
            while len(_kept) > LINES_KEPT:
                _kept.popitem(last=False)
        return known

    return once


def _drawn(found: Overview | None, scale: int | None = None) -> dict[str, Any]:
    """What lines are drawn with: one scale for all bars of a page, and for what is opened later on it."""
    figures = [row.figures for row in found.rows] if found else []
    marks = [mark for each in figures if each.use for mark in (each.reorder, each.lead)]
    scale = scale or scale_of([each.cover for each in figures], marks)
    return {
        **_words(),
        "scale": scale,
        "drawn_once": _drawing_once(found, scale) if found else None,
        "bar": pictures.bar,
        "sparkline": pictures.sparkline,
    }


@text.once_a_language
def _words() -> dict[str, dict[str, str]]:
    """In the reader's language once, not once for every line."""
    texts = {"columns": COLUMNS, "level_words": text.LEVELS, "said": SAID}
    return {name: {key: str(said) for key, said in each.items()} for name, each in texts.items()}


@text.once_a_language
def _levels() -> dict[str, str]:
    return {"": gettext("Any level")} | {name: str(said) for name, said in text.LEVELS.items()}


@text.once_a_language
def _orders() -> dict[str, str]:
    """Each column as it is looked at first, and the other way round."""
    first = {sort: ("-" if Asking(sort="").sorted_by(sort).down else "") + sort for sort in SORTS}
    names = {
        "level": _("the most urgent first"),
        "office": _("the office's name"),
        "store": _("the most in the store"),
        "transit": _("the most in transit"),
        "to_come": _("the most to come"),
        "use": _("the most used a day"),
        "cover": _("the least time to last"),
        "next": _("the next arrival"),
        "out": _("the first to run out"),
    }
    orders = {first[sort]: str(names[sort]) for sort in SORTS}
    other = {value.removeprefix("-") if value.startswith("-") else f"-{value}": said for value, said in orders.items()}
    return orders | {value: gettext("%(order)s, the other way round", order=said) for value, said in other.items()}


def sort_of(asking: Asking) -> str | None:
    """As an address says it; nothing for the order that pages have by themselves."""
    said = ("-" if asking.down else "") + asking.sort
    return None if said == "-level" else said


@dataclass(frozen=True)
class Addresses:
    """Where a click leads: the same page with one thing changed."""

    found: Overview

    @property
    def sort(self) -> str:
        return ("-" if self.found.asking.down else "") + self.found.asking.sort

    @cached_property
    def here(self) -> str:
        return url_for("offices.roll_up", code=self.found.office.code)

    def of(self, asking: Asking, **changed: Any) -> str:
        asked: dict[str, Any] = {
            "item": self.found.item.code,
            "q": asking.words or None,
            "level": asking.level or None,
            "all": "y" if asking.everything else None,
            "sort": sort_of(asking),
            "page": asking.page if asking.page > 1 else None,
        }
        told = {name: value for name, value in (asked | changed).items() if value is not None}
        return f"{self.here}?{urlencode(told, safe=SAFE)}"

    def sorted_by(self, sort: str) -> str:
        return self.of(self.found.asking.sorted_by(sort))

    def page(self, number: int) -> str:
        return self.of(replace(self.found.asking, page=number))

    def level(self, level: str) -> str:
        return self.of(replace(self.found.asking, level=level, page=1))

    def below(self, code: str) -> str:
        """The page of another office, about the same item in the same order."""
        return url_for("offices.roll_up", code=code, item=self.found.item.code, sort=sort_of(self.found.asking))
