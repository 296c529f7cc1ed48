"""Who runs out when: a line for each stock over the coming weeks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import render_template
from flask_babel import gettext
from wtforms import SelectField

from inventory import security
from inventory.domain.access import Action
from inventory.services import offices, run_out_timeline
from inventory.services.run_out_timeline import Timeline
from inventory.web.forms import QueryForm, choices, item_names
from inventory.web.forms import lazy as _
from inventory.web.pictures import SPAN_WIDTH, span_bar
from inventory.web.stock_overview import asked_number


class ItemForm(QueryForm):
    REFUSED_FIELDS = {"item_not_found": "item"}

    item = SelectField(_("Item"), choices=[], default="")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item.choices = choices({"": gettext("All items")} | item_names())


def page(code: str | None) -> Any:
    """Of one office and those below it, or of all that the reader may see."""
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_ALERT, code) if code else None
    form = ItemForm()
    found = form.read(
        lambda: run_out_timeline.of_office(
            actor, now, code, item_code=form.item.data or None, page=asked_number("page")
        )
    )
    shown = render_template(
        "run_outs/timeline.html",
        office=office,
        above=offices.ancestors(actor, Action.VIEW_ALERT, office) if office else [],
        form=form,
        found=found,
        weeks=_weeks(found) if found else (),
        span_bar=span_bar,
        names=item_names(),
    )
    return shown, form.status


def _weeks(found: Timeline) -> tuple[tuple[float, date], ...]:
    """Where each Monday stands."""
    days = (found.last - found.today).days + 1
    first = found.today + timedelta(days=-found.today.weekday() % 7)
    mondays = [first + timedelta(days=7 * number) for number in range(run_out_timeline.WEEKS)]
    return tuple((round((day - found.today).days / days * SPAN_WIDTH, 1), day) for day in mondays if day <= found.last)
