"""Events that move demand: the list, entering, changing and removing one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from wtforms import SelectField, SelectMultipleField
from wtforms.widgets import CheckboxInput

from inventory import security, text
from inventory.domain.access import Action
from inventory.services import events
from inventory.services.events import EventDetail, Happening
from inventory.web.forms import DayField, ShareField, WordsField, choices, item_names
from inventory.web.forms import lazy as _
from inventory.web.outreach import SeenForm

blueprint = Blueprint("events", __name__, url_prefix="/events")

ONE = "/<int(max=2147483647):event_id>"


class EventForm(SeenForm):
    REFUSED_FIELDS = {
        "event_kind_unknown": "kind",
        "event_name_missing": "name",
        "period_backwards": "last_day",
        "period_too_long": "last_day",
        "event_factor_range": "factor",
        "office_not_found": "office",
        "not_allowed": "office",
    }

    kind = SelectField(_("Kind"), choices=[])
    name = WordsField(_("Name"), most=120, required=True, description=_("Such as: regional election 2029."))
    first_day = DayField(_("First day on which demand is another"))
    last_day = DayField(_("Last day"))
    office = WordsField(
        _("Office code"), most=40, description=_("Its offices below are meant as well. Empty: the whole country.")
    )
    factor = ShareField(
        _("Demand in % of usual"), description=_("Such as 120. Empty: learn it from earlier ones of the same kind.")
    )
    items = SelectMultipleField(_("Only these items (none: all)"), choices=[], option_widget=CheckboxInput())

    def __init__(self, version: int = 0, **kwargs: Any) -> None:
        super().__init__(version, **kwargs)
        self.kind.choices = choices(text.EVENT_KINDS)
        self.items.choices = choices(item_names())

    def happening(self) -> Happening:
        assert self.first_day.data is not None, "a valid form has days"
        assert self.last_day.data is not None, "a valid form has days"
        return Happening(
            kind=self.kind.data,
            name=self.name.data or "",
            first_day=self.first_day.data,
            last_day=self.last_day.data,
            office_code=self.office.data or "",
            items=tuple(self.items.data or ()),
            factor=self.factor.data,
        )


@blueprint.get("")
@security.needs(Action.MANAGE_OFFICES)
def index() -> Any:
    today = security.now().date()
    found = events.listed(security.current_actor(), today)
    seasons = events.movable_seasons(today, today + timedelta(days=2 * 366))
    return render_template("events/index.html", events=found, seasons=seasons, today=today, names=item_names())


@blueprint.route("/new", methods=["GET", "POST"])
@security.needs(Action.MANAGE_OFFICES)
def add() -> Any:
    actor, now = security.current_actor(), security.now()
    form = EventForm()
    if form.accept(lambda: events.add(actor, now, form.request_uuid, form.happening())) is not None:
        flash(gettext("The event is entered. The next review counts with it."), "success")
        return redirect(url_for("events.index"), 303)
    return render_template("events/event.html", form=form, detail=None), form.status


@blueprint.route(ONE, methods=["GET", "POST"])
@security.needs(Action.MANAGE_OFFICES)
def change(event_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = events.get(actor, event_id)
    form = _form_of(found)
    if form.accept(lambda: events.change(actor, now, form.request_uuid, event_id, form.version, form.happening())):
        flash(gettext("The event is changed."), "success")
        return redirect(url_for("events.index"), 303)
    return _page(found, form, SeenForm(found.event.version, formdata=None)), form.status


@blueprint.post(f"{ONE}/remove")
@security.needs(Action.MANAGE_OFFICES)
def remove(event_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = events.get(actor, event_id)
    form = SeenForm(found.event.version)
    if form.accept(lambda: events.remove(actor, now, form.request_uuid, event_id, form.version)):
        flash(gettext("The event is removed."), "success")
        return redirect(url_for("events.index"), 303)
    return _page(found, _form_of(found, formdata=None), form), form.status


def _form_of(found: EventDetail, **kwargs: Any) -> EventForm:
    event = found.event
    known = {name: getattr(event, name) for name in ("kind", "name", "first_day", "last_day", "factor")}
    return EventForm(event.version, **known, office=event.office_code, items=list(event.items), **kwargs)


def _page(found: EventDetail, form: EventForm, remove_form: SeenForm) -> str:
    return render_template("events/event.html", form=form, remove_form=remove_form, detail=found, event=found.event)
