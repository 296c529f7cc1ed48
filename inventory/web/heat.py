"""How offices fared with an item, week by week, as a table whose cells are coloured."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, render_template, request
from wtforms import SelectField

from inventory import security
from inventory.domain.access import Action
from inventory.domain.heat import LIMITS, STEPS, Show
from inventory.services import heat, items, offices
from inventory.web.forms import QueryForm, choices, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("heat", __name__)

SHOWS = {
    Show.COVER.value: _("Days that the stock lasts"),
    Show.STOCK_OUT_DAYS.value: _("Days without stock"),
    Show.SPOILAGE.value: _("Share of spoilage"),
}


class HeatForm(QueryForm):
    REFUSED_FIELDS = {"item_not_found": "item"}

    item = SelectField(_("Item"), choices=[])
    show = SelectField(_("What is shown"), choices=[], default=Show.COVER.value)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        names = item_names()
        self.item.choices, self.show.choices = choices(names), choices(SHOWS)
        if self.item.data is None:
            self.item.data = next(iter(names), None)


@blueprint.get("/offices/<code:code>/heat")
@security.needs(Action.VIEW_STOCK)
def show(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    form = HeatForm()
    found = form.read(
        lambda: heat.of_office(actor, now, code, form.item.data or "", Show(form.show.data), _asked_page())
    )
    office = offices.get(actor, Action.VIEW_STOCK, code)
    page = render_template(
        "heat/show.html",
        office=office,
        above=offices.ancestors(actor, Action.VIEW_STOCK, office),
        form=form,
        found=found,
        shown=found.show if found else None,
        limits=LIMITS,
        steps=STEPS,
        Show=Show,
        SHOWS=SHOWS,
        names={item.code: item.names for item in items.active()},
    )
    return page, form.status


def _asked_page() -> int:
    asked = request.args.get("page", "")
    return int(asked) if re.fullmatch(r"[0-9]{1,6}", asked, re.ASCII) else 1
