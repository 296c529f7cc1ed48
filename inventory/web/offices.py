"""Offices: where people land, what an office holds, its subtree's balances, and its settings."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import RadioField, SelectField, SelectMultipleField
from wtforms.widgets import CheckboxInput

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action, Actor
from inventory.domain.ledger import FIGURES
from inventory.domain.offices import OfficeSettings
from inventory.services import balances, clearing, items, lead_times, lots, offices, stated_rates
from inventory.services.offices import OfficeView
from inventory.web import stock_overview
from inventory.web.forms import (
    BaseForm,
    DayField,
    PostingForm,
    QuantityField,
    ShareField,
    WordsField,
    choices,
    item_names,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("offices", __name__)


class SettingsForm(BaseForm):
    REFUSED_FIELDS = {
        "lead_time_range": "lead_time_days",
        "review_period_range": "review_period_days",
        "service_level_range": "service_level",
        "working_days_format": "working_days",
        "destroy_within_range": "destroy_within_days",
    }

    lead_time_days = QuantityField(
        _("Lead time in working days"),
        required=True,
        description=_("From asking for blanks until they are in the store."),
        render_kw={"autofocus": True},
    )
    review_period_days = QuantityField(
        _("Review period in working days"),
        required=True,
        description=_("How often the office asks for blanks."),
    )
    service_level = ShareField(
        _("Service level in %"),
        required=True,
        description=_("How sure the stock should be to last until the delivery."),
    )
    destroy_within_days = QuantityField(
        _("Days until spoiled blanks are destroyed"),
        required=True,
        description=_("After that an alert reminds the managers."),
    )
    working_days = SelectMultipleField(_("Working days"), choices=[], option_widget=CheckboxInput())

    @classmethod
    def of(cls, settings: OfficeSettings, *, sent: bool = True) -> SettingsForm:
        """The form with an office's settings; `sent` is False when what was sent is another form's."""
        week = [str(n) for n, works in enumerate(settings.working_days) if works == "1"]
        form = cls(
            **({} if sent else {"formdata": None}),
            lead_time_days=settings.lead_time_days,
            review_period_days=settings.review_period_days,
            service_level=settings.service_level,
            destroy_within_days=settings.destroy_within_days,
            working_days=week,
        )
        form.working_days.choices = choices({str(n): name for n, name in enumerate(text.WEEKDAYS)})
        return form

    def settings(self) -> OfficeSettings:
        chosen = self.working_days.data or []
        return OfficeSettings(
            lead_time_days=self.lead_time_days.data,
            review_period_days=self.review_period_days.data,
            service_level=self.service_level.data,
            destroy_within_days=self.destroy_within_days.data,
            working_days="".join("1" if str(n) in chosen else "0" for n in range(7)),
        )


class CalendarDayForm(BaseForm):
    REFUSED_FIELDS = {"calendar_name_missing": "reason"}

    day = DayField(_("Day"))
    open = RadioField(_("On this day the office is"), choices=[], default="1")
    reason = WordsField(_("Why"), required=True, description=_("Such as: outreach at SMA Negeri 1."))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.open.choices = choices({"1": gettext("open (outreach)"), "0": gettext("closed")})


class RateForm(BaseForm):
    REFUSED_FIELDS = {"rate_needs_source": "source"}

    item = SelectField(_("Item"), choices=[])
    per_day = QuantityField(_("Used per working day"), required=True)
    source = WordsField(_("Where the figure comes from"), most=200, required=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item.choices = choices(item_names())


class DigitalForm(PostingForm):
    REFUSED_FIELDS = {"digital_share_range": "share", "rate_needs_source": "share_source"}

    share = ShareField(
        _("Demand is lower by, in %"),
        required=True,
        description=_("0 for not at all. No measured effect is published."),
    )
    share_source = WordsField(_("Where the figure comes from"), most=200, required=True)


@blueprint.get("/")
@security.needs(Action.SIGN_OUT)
def home() -> Any:
    """Where a person's work starts: with today, for who records at one office and looks after no other."""
    actor = security.current_actor()
    places = offices.tops(actor, Action.POST_MOVEMENT)
    if len(places) == 1 and not access.reach(actor, Action.VIEW_STOCK).subtrees:
        return redirect(url_for("today.show", code=places[0].code))
    return stock()


@blueprint.get("/stock")
@security.needs(Action.SIGN_OUT)
def stock() -> Any:
    """The stock of the only office, or subtree, that a person looks after; else the offices to choose from."""
    actor = security.current_actor()
    tops = offices.tops(actor, Action.VIEW_STOCK)
    if len(tops) != 1:
        return redirect(url_for("offices.index"))
    subtree = access.reach(actor, Action.VIEW_STOCK).subtrees
    page = "offices.roll_up" if tops[0].path in subtree else "offices.show"
    return redirect(url_for(page, code=tops[0].code))


@blueprint.get("/offices")
@security.needs(Action.VIEW_OFFICE)
def index() -> Any:
    actor = security.current_actor()
    words = request.args.get("q", "").replace("\x00", "").strip()[:120]
    found = offices.search(actor, Action.VIEW_OFFICE, words) if words else offices.tops(actor, Action.VIEW_OFFICE)
    return render_template("offices/index.html", offices=found, words=words)


@blueprint.get("/offices/<code:code>")
@security.needs(Action.VIEW_OFFICE)
def show(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_OFFICE, code)
    today = office.today(security.now())
    sees_stock = access.may(actor, Action.VIEW_STOCK, office.path)
    held, kept = (balances.of_office(actor, code) if sees_stock else []), items.active()
    return render_template(
        "offices/show.html",
        office=office,
        today=today,
        above=offices.ancestors(actor, Action.VIEW_OFFICE, office),
        balances=held,
        moved=balances.day_summary(actor, code, today) if sees_stock else {},
        printable=balances.printable_cards(held, kept),
        granted=lots.granted(actor, code) if sees_stock else {},
        items={item.code: item for item in kept},
        figures=FIGURES,
    )


@blueprint.get("/offices/<code:code>/balances")
@security.needs(Action.VIEW_STOCK)
def roll_up(code: str) -> Any:
    return stock_overview.page(code)


@blueprint.get("/offices/<code:code>/balances/rows")
@security.needs(Action.VIEW_STOCK)
def roll_up_rows(code: str) -> Any:
    return stock_overview.rows(code)


@blueprint.route("/offices/<code:code>/settings", methods=["GET", "POST"])
@security.needs(Action.MANAGE_OFFICES)
def settings(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.MANAGE_OFFICES, code)
    form = SettingsForm.of(office.settings)
    if form.accept(lambda: offices.change_settings(actor, security.now(), code, form.settings())):
        flash(gettext("The settings are saved. The next review uses them."), "success")
        return redirect(url_for("offices.settings", code=code), 303)
    return _settings_page(actor, office, form), form.status


@blueprint.post("/offices/<code:code>/calendar")
@security.needs(Action.MANAGE_OFFICES)
def add_calendar_day(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.MANAGE_OFFICES, code)
    form = CalendarDayForm()
    if form.accept(lambda: _add_day(actor, code, form)):
        flash(gettext("The day is in the office's calendar."), "success")
        return redirect(url_for("offices.settings", code=code), 303)
    return _settings_page(actor, office, day_form=form), form.status


@blueprint.post("/offices/<code:code>/rates")
@security.needs(Action.MANAGE_OFFICES)
def state_rate(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.MANAGE_OFFICES, code)
    form = RateForm()
    if form.accept(lambda: _state(actor, code, form)):
        flash(gettext("The figure is noted. It is used until there is enough history."), "success")
        return redirect(url_for("offices.settings", code=code), 303)
    return _settings_page(actor, office, rate_form=form), form.status


@blueprint.post("/offices/<code:code>/digital-identities")
@security.needs(Action.MANAGE_OFFICES)
def state_digital(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.MANAGE_OFFICES, code)
    form = DigitalForm()
    said = (form.share.data, form.share_source.data or "")
    if form.accept(lambda: clearing.state_digital(actor, now, form.request_uuid, code, *said)) is not None:
        flash(gettext("The share is noted. The next review uses it."), "success")
        return redirect(url_for("offices.settings", code=code), 303)
    return _settings_page(actor, office, digital_form=form), form.status


def _state(actor: Actor, code: str, form: RateForm) -> bool:
    stated_rates.state(actor, security.now(), code, form.item.data, form.per_day.data, form.source.data or "")
    return True


def _add_day(actor: Actor, code: str, form: CalendarDayForm) -> bool:
    assert form.day.data is not None, "a valid form has a day"
    is_open = form.open.data == "1"
    name = form.reason.data or ""
    offices.add_calendar_day(actor, security.now(), code, form.day.data, open_=is_open, name=name)
    return True


def _settings_page(
    actor: Actor,
    office: OfficeView,
    form: SettingsForm | None = None,
    day_form: CalendarDayForm | None = None,
    rate_form: RateForm | None = None,
    digital_form: DigitalForm | None = None,
) -> str:
    """The page with its four forms; those that were not sent are shown fresh."""
    today = office.today(security.now())
    since = date(today.year - 1, 1, 1)
    return render_template(
        "offices/settings.html",
        office=office,
        lead_time=lead_times.of_office(actor, Action.MANAGE_OFFICES, office.code, today),
        form=form or SettingsForm.of(office.settings, sent=False),
        day_form=day_form or CalendarDayForm(formdata=None),
        rate_form=rate_form or RateForm(formdata=None),
        digital_form=digital_form or DigitalForm(formdata=None),
        digital=clearing.digital_history(actor, office.code),
        rates=stated_rates.of_office(actor, office.code),
        items={item.code: item for item in items.active()},
        days=offices.calendar_days(actor, office.code, since),
    )
