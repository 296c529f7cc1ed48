"""Serial numbers: where one is and has been, which an office holds, and what looks wrong with them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from wtforms import SelectField
from wtforms.fields import SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)

from inventory import security, text
from inventory.domain.access import Action
from inventory.services import items, numbers, offices
from inventory.services.items import ItemView
from inventory.web.forms import QueryForm, WordsField, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("numbers", __name__)


class SearchForm(QueryForm):
    REFUSED_FIELDS = {"range_unreadable": "number", "item_not_found": "item"}

    item = SelectField(_("Item"), choices=[])
    number = WordsField(
        _("Serial number"),
        most=40,
        description=_("As it stands on the card, such as A100001."),
        render_kw={"data-scan": "number"},
    )


@blueprint.get("/numbers")
@security.needs(Action.VIEW_STOCK)
def find() -> Any:
    """An empty form until a number is asked for."""
    actor, form = security.current_actor(), SearchForm()
    kept = numbered_items()
    form.item.choices = [SelectChoice(value=item.code, label=text.in_language(item.names)) for item in kept]
    found = None
    if request.args.get("number"):
        found = form.read(lambda: numbers.look_up(actor, security.now(), form.item.data, form.number.data or ""))
    return render_template("numbers/find.html", form=form, found=found, kept=kept), form.status


@blueprint.get("/offices/<code:code>/numbers/<code:item>")
@security.needs(Action.VIEW_STOCK)
def held(code: str, item: str) -> Any:
    page = request.args.get("page", 1, type=int)
    found = numbers.held(security.current_actor(), code, item, min(page, 10**6))
    return render_template("numbers/held.html", held=found, office=found.office)


@blueprint.get("/offices/<code:code>/numbers")
@security.needs(Action.VIEW_STOCK)
def report(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    names = item_names()
    found = numbers.report(actor, code)
    shown = {"office": office, "anomalies": found, "names": names, "most": numbers.MOST_ANOMALIES}
    return render_template("numbers/report.html", **shown)


def numbered_items() -> list[ItemView]:
    return [item for item in items.active() if item.numbered]
