"""Why a projection says what it says, and what it would say under other circumstances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from wtforms import BooleanField

from inventory import security
from inventory.domain.access import Action
from inventory.domain.facts import is_known
from inventory.services import backtests, explanations, what_if
from inventory.services.what_if import Changes
from inventory.web import pictures
from inventory.web.forms import DayField, QuantityField, QueryForm, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("projections", __name__)


class WhatIfForm(QueryForm):
    REFUSED_FIELDS = {
        "outreach_day_missing": "outreach_on",
        "outreach_day_range": "outreach_on",
        "late_days_range": "late_days",
    }

    outreach = QuantityField(_("More outreach: prints"))
    outreach_on = DayField(_("On which day"), required=False)
    late_days = QuantityField(_("Deliveries come later by working days"))
    nothing_comes = BooleanField(_("What is under way does not come at all"))
    cap = QuantityField(_("At most so many prints a day"), none=True)
    order = QuantityField(_("Order today"), none=True, description=_("Empty: the suggested order."))

    @property
    def is_asked(self) -> bool:
        return any(request.args.get(field.name) for field in self)

    def changes(self) -> Changes:
        return Changes(
            outreach=self.outreach.data,
            outreach_on=self.outreach_on.data,
            late_days=self.late_days.data,
            nothing_comes=self.nothing_comes.data,
            cap=self.cap.data,
            order=self.order.data,
        )


@blueprint.get("/offices/<code:code>/projection/<code:item>")
@security.needs(Action.VIEW_ALERT)
def show(code: str, item: str) -> Any:
    actor, now = security.current_actor(), security.now()
    explained = explanations.of_stock(actor, now, code, item)
    form = WhatIfForm()
    compared = None
    if form.is_asked:
        compared = form.read(lambda: what_if.try_out(actor, now, code, item, form.changes()))
    page = render_template(
        "projections/show.html",
        explained=explained,
        office=explained.office,
        item=explained.item,
        facts=explained.facts,
        picture=pictures.outlook(explained.past, explained.facts, explained.expected),
        form=form,
        compared=compared,
        tried=backtests.of_stock(actor, code, item),
        **reading_aids(),
    )
    return page, form.status


def day_of(written: str | None) -> date | None:
    """A day in stored facts, which hold plain JSON values."""
    return date.fromisoformat(written) if written else None


def span_of(facts: Mapping[str, Any]) -> tuple[float, float] | None:
    """Between which figures demand lies in nine cases of ten."""
    quantiles = facts.get("quantiles") or {}
    low, high = quantiles.get("0.05"), quantiles.get("0.95")
    return None if low is None or high is None else (low, high)


def reading_aids() -> dict[str, Any]:
    """For templates that show the facts of a projection."""
    names = item_names()
    return {"names": names, "day_of": day_of, "span_of": span_of, "is_known": is_known}
