"""Alerts: the list, and one alert explained."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask_babel import gettext
from wtforms import SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.alerts import Level, Subject
from inventory.services import alerts, backtests
from inventory.web.case_forms import forms_for
from inventory.web.forms import QueryForm, WordsField, choices
from inventory.web.forms import lazy as _
from inventory.web.projections import reading_aids

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts")

WORST_FIRST = [level.value for level in reversed(Level) if level is not Level.OK]


class FilterForm(QueryForm):
    """An unknown level or office does not pass for "no alerts": it is said."""

    REFUSED_FIELDS = {"office_not_found": "office", "not_allowed": "office"}

    office = WordsField(_("Code of an office, with those below it"), most=40)
    level = SelectField(_("Level"), choices=[], default="")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.level.choices = choices({"": gettext("All levels")} | text.LEVELS, ["", *WORST_FIRST])


@blueprint.get("")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    actor = security.current_actor()
    form = FilterForm()
    found = form.read(lambda: alerts.open_alerts(actor, form.office.data or None, form.level.data or None))
    low = [alert for alert in found or [] if alert.subject is Subject.LOW_STOCK]
    custody = [alert for alert in found or [] if alert.subject is not Subject.LOW_STOCK]
    page = "alerts/index.html"
    return render_template(page, alerts=low, custody=custody, form=form, **reading_aids()), form.status


@blueprint.get("/<int(max=2147483647):alert_id>")
@security.needs(Action.VIEW_ALERT)
def show(alert_id: int) -> Any:
    return page(alert_id)


def page(alert_id: int, refused: Any = None) -> Any:
    """The page of an alert; `refused` is one of its forms that was sent and not accepted."""
    actor = security.current_actor()
    detail = alerts.get(actor, alert_id)
    about_stock = detail.alert.subject is Subject.LOW_STOCK
    tried = backtests.of_stock(actor, detail.alert.office_code, detail.alert.item_code or "") if about_stock else None
    shown = render_template(
        "alerts/show.html" if about_stock else "alerts/custody.html",
        alert=detail.alert,
        events=detail.events,
        facts=detail.alert.facts,
        tried=tried,
        case=forms_for(actor, detail, refused),
        refused=refused,
        **reading_aids(),
    )
    return shown, refused.status if refused is not None else 200
