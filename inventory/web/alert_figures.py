"""How early alerts came, what had none and which were false, by region and month."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, url_for

from inventory import security
from inventory.domain.access import Action
from inventory.domain.errors import Refusal
from inventory.services import alert_figures, offices
from inventory.web.forms import PeriodForm

blueprint = Blueprint("alert_figures", __name__)

USUAL_DAYS = 182


@blueprint.get("/alert-figures")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    """Where somebody's reach begins; where it begins at several offices, a choice of them."""
    tops = offices.tops(security.current_actor(), Action.VIEW_ALERT)
    if len(tops) == 1:
        return redirect(url_for(".of_office", code=tops[0].code))
    return render_template("alert_figures/index.html", tops=tops)


@blueprint.get("/offices/<code:code>/alert-figures")
@security.needs(Action.VIEW_ALERT)
def of_office(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_ALERT, code)
    today = office.today(now)
    form = PeriodForm()
    valid = form.validate()
    until = (form.until.data if valid else None) or today
    since = (form.since.data if valid else None) or (until - timedelta(days=USUAL_DAYS)).replace(day=1)
    found = None
    try:
        found = alert_figures.of_office(actor, now, code, since, until)
    except Refusal as refusal:
        if refusal.code not in form.REFUSED_FIELDS and refusal.code != "too_many_stocks":
            raise
        form.refuse(refusal)
    if found is not None and valid:
        form.since.data, form.until.data = since, until
        form.since.raw_data = form.until.raw_data = None
    below = offices.children(actor, Action.VIEW_ALERT, office) if found is None else []
    shown = {"found": found, "below": below, "period": {"from": since.isoformat(), "to": until.isoformat()}}
    return render_template("alert_figures/office.html", office=office, form=form, **shown), form.status
