"""The backtest: how often the projection was right, overall and office by office."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import lazy_gettext

from inventory import security
from inventory.domain.access import Action
from inventory.services import backtests
from inventory.web.forms import QueryForm, WordsField, item_names
from inventory.web.forms import lazy as _
from inventory.web.projections import day_of

blueprint = Blueprint("backtests", __name__, url_prefix="/backtest")

METHODS = {
    "model": lazy_gettext("The projection"),
    "average": lazy_gettext("Average monthly consumption"),
    "naive": lazy_gettext("As the window before"),
}


class FilterForm(QueryForm):
    REFUSED_FIELDS = {"office_not_found": "office", "not_allowed": "office"}

    office = WordsField(_("Code of an office, with those below it"), most=40)


@blueprint.get("")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    form = FilterForm()
    asked = request.args.get("page", "")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    found = form.read(lambda: backtests.overview(security.current_actor(), form.office.data or None, page))
    shown = {"found": found, "names": item_names(), "methods": METHODS, "day_of": day_of}
    return render_template("backtests/index.html", form=form, **shown), form.status
