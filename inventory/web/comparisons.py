"""Offices beside each other: lines on one picture, and a table."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from wtforms import RadioField, SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.stock_overview import WORDS_LENGTH
from inventory.services import comparisons, items, offices
from inventory.services.comparisons import MOST, Compared, Comparison
from inventory.web import pictures
from inventory.web.forms import QueryForm, WordsField, choices, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("comparisons", __name__)

LETTERS = "ABCDEF"
OFFERED = 12
"""Offices that a search offers: more words find fewer."""
SHOWN = {"store": _("In the store"), "cover": _("Days that it lasts")}
WEEK = 7


class CompareForm(QueryForm):
    item = SelectField(_("Item"), choices=[])
    show = RadioField(_("On the picture"), choices=[], default="store")
    words = WordsField(_("Add an office: its name, or the beginning of its code"), most=WORDS_LENGTH, name="q")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        names = item_names()
        self.item.choices = choices(names)
        self.item.data = self.item.data or next(iter(names), "")
        self.show.choices = choices(SHOWN)


@blueprint.get("/compare")
@security.needs(Action.VIEW_STOCK)
def show() -> Any:
    actor, now = security.current_actor(), security.now()
    codes = list(dict.fromkeys(request.args.getlist("office")))
    form = CompareForm()
    found = form.read(lambda: comparisons.of_offices(actor, now, form.item.data or "", codes))
    words = form.words.data if found else ""
    offered = offices.search(actor, Action.VIEW_STOCK, words, OFFERED + len(codes)) if words else []
    chosen = codes[:MOST]
    shown = render_template(
        "comparisons/show.html",
        form=form,
        found=found,
        chosen=chosen,
        too_many=len(codes) - len(chosen),
        offered=[office for office in offered if office.code not in chosen][:OFFERED],
        letters=LETTERS,
        level_words={name: str(said) for name, said in text.LEVELS.items()},
        most=MOST,
        picture=_picture(found, form.show.data) if found else None,
        weekly=found.days[::-WEEK][::-1] if found else (),
        item=items.get(found.item.code) if found else None,
        address=lambda codes: url_for(".show", item=form.item.data, show=form.show.data, office=codes),
    )
    return shown, form.status


def _picture(found: Comparison, show: str) -> pictures.Curves | None:
    return pictures.curves(found.days, [[_figure(each, day, show) for day in found.days] for each in found.offices])


def _figure(each: Compared, day: Any, show: str) -> float | None:
    """The store at the close of a day; or for how many working days it would last at the use of now."""
    store = each.store_on(day)
    if show != "cover":
        return store
    use = each.figures.use if each.figures else None
    return None if store is None or not use else store / use
