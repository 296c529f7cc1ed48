"""How well the suppliers of an office and those below it deliver."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template

from inventory import security
from inventory.domain.access import Action
from inventory.domain.errors import Refusal
from inventory.services import lead_times, offices, suppliers
from inventory.web.forms import PeriodForm

blueprint = Blueprint("suppliers", __name__)


@blueprint.get("/offices/<code:code>/suppliers")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    today = offices.get(actor, Action.VIEW_STOCK, code).today(security.now())
    form = PeriodForm()
    valid = form.validate()
    since, until = (form.since.data, form.until.data) if valid else (None, None)
    until = until or today
    since = since or until - timedelta(days=364)
    try:
        office, found = suppliers.performance(actor, code, since, until)
    except Refusal as refusal:
        if refusal.code not in form.REFUSED_FIELDS:
            raise
        form.refuse(refusal)
        office, found = suppliers.performance(actor, code, today - timedelta(days=364), today)
    if valid and form.refusal is None:
        form.since.data, form.until.data = since, until
        form.since.raw_data = form.until.raw_data = None
    lead_time = lead_times.of_office(actor, Action.VIEW_STOCK, code, today)
    page = "suppliers/index.html"
    return render_template(page, office=office, suppliers=found, lead_time=lead_time, form=form), form.status
