"""The monthly report of an office: on the screen as known now, and as a document as it was known when it was issued."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from wtforms import SelectField
from wtforms.fields import SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.errors import NotFound
from inventory.domain.reports import ACCOUNTS, Month, rows_of
from inventory.services import offices, reports, seals
from inventory.web.documents import issued, link_base
from inventory.web.forms import QueryForm
from inventory.web.forms import lazy as _

blueprint = Blueprint("reports", __name__, url_prefix="/offices/<code:code>/reports")

LATE_SHOWN = 100


class MonthForm(QueryForm):
    month = SelectField(_("Month"), choices=[])

    def offer(self, months: list[Month]) -> None:
        self.month.choices = [SelectChoice(value=str(month), label=text.month(month.first)) for month in months]


@blueprint.get("")
@security.needs(Action.VIEW_STOCK)
def show(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    months = reports.months(actor, now, code)
    form = MonthForm()
    form.offer(months)
    # What is over is what is reported; an office that begins this month has nothing older to show.
    month = months[min(1, len(months) - 1)]
    if "month" in request.args and form.validate():
        month = Month.parse(form.month.data)
    else:
        form.month.data = str(month)
    view = reports.read(actor, code, month)
    accounts = [each.accounts for each in view.now.items]
    shown = {
        "view": view,
        "office": view.office,
        "form": form,
        "over": view.office.today(now) > month.last,
        "sections": [(place, index, rows_of(place, accounts)) for index, place in enumerate(ACCOUNTS)],
        "items": {each.item.code: each.item for each in view.now.items},
        "late_shown": LATE_SHOWN,
        "head": seals.head(),
    }
    return render_template("reports/show.html", **shown), form.status


@blueprint.post("")
@security.needs(Action.VIEW_STOCK)
def issue(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    offices.get(actor, Action.VIEW_STOCK, code)
    month = Month.parse(request.form.get("month", ""))
    return issued(reports.issue(actor, now, code, month, link_base()))


@blueprint.post("/late")
@security.needs(Action.VIEW_STOCK)
def issue_late(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    offices.get(actor, Action.VIEW_STOCK, code)
    month, after = Month.parse(request.form.get("month", "")), request.form.get("after", "")
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise NotFound("document_not_found")
    return issued(reports.issue_late(actor, now, code, month, int(after), link_base()))
