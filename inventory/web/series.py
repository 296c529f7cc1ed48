"""Series of a stock: what an item was used up for, and the closings for a picture that zooms."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template
from wtforms import SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.series import Step
from inventory.services import items, offices, series
from inventory.services.series import Usage, Used
from inventory.web import pictures
from inventory.web.forms import PeriodForm, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("series", __name__)

STEPS = {Step.WEEK.value: _("Weekly"), Step.DAY.value: _("Daily")}
PARTS = {**text.REASONS, "spoiled": _("Spoilage")}


class UsageForm(PeriodForm):
    step = SelectField(_("Step"), choices=[], default=Step.WEEK.value)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step.choices = choices(STEPS)


@blueprint.get("/offices/<code:code>/usage/<code:item>")
@security.needs(Action.VIEW_STOCK)
def usage(code: str, item: str) -> Any:
    """What an item was used up for, week by week or day by day."""
    actor, now = security.current_actor(), security.now()
    form = UsageForm()
    found = form.read(
        lambda: series.usage(actor, now, code, item, Step(form.step.data), form.since.data, form.until.data)
    )
    if found is not None:
        form.since.data, form.until.data = found.since, found.until
        form.since.raw_data = form.until.raw_data = None
    office = found.office if found else offices.get(actor, Action.VIEW_STOCK, code)
    page = render_template(
        "series/usage.html",
        office=office,
        item=found.item if found else items.get(item),
        items=items.active(),
        form=form,
        found=found,
        picture=pictures.stacked(found) if found else None,
        most=_most(found),
        PARTS=PARTS,
        STEPS=STEPS,
    )
    return page, form.status


@blueprint.get("/offices/<code:code>/stock-card/<code:item>/series.json")
@security.needs(Action.VIEW_STOCK)
def closings(code: str, item: str) -> Any:
    """Every closing that is kept, oldest first, from the day `first` on, one a day; deliveries and counts as pairs of
    how many days after the first they were, and of how much."""
    found = series.of_stock(security.current_actor(), security.now(), code, item)
    days = found.closings
    return jsonify(
        first=days[0].day.isoformat() if days else None,
        store=[each.store for each in days],
        arrived=[[number, each.arrived] for number, each in enumerate(days) if each.arrived],
        counted=[[number, each.counted] for number, each in enumerate(days) if each.counted],
    )


def _most(found: Usage | None) -> Used | None:
    """The week or day on which most was used up."""
    return max(found.used, key=lambda each: each.total) if found and found.used else None
