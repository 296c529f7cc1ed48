"""What an office plans: outreach by month, day caps, and how fast its backlog is cleared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import HiddenField, SelectField
from wtforms.fields import SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action, Actor
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.outreach import PLANNED_AHEAD, WORDS_LENGTH
from inventory.domain.reports import Month
from inventory.services import caps, clearing, events, items, offices, outreach
from inventory.services.caps import Capping, CapView
from inventory.services.consumption import FIRST_DAY
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView
from inventory.services.outreach import PlanDetail, Planning, PlanView
from inventory.web.forms import (
    DayField,
    PostingForm,
    QuantityField,
    TimeOfDayField,
    WordsField,
    choices,
    item_names,
    item_units,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("outreach", __name__)

ONE = "/outreach/<int(max=2147483647):outreach_plan_id>"
CAP = "/day-caps/<int(max=2147483647):day_cap_id>"


class SeenForm(PostingForm):
    """What somebody decides upon something as they saw it: what changed meanwhile is shown again."""

    seen = HiddenField()

    def __init__(self, version: int = 0, **kwargs: Any) -> None:
        super().__init__(seen=str(version), **kwargs)
        self.now_is = version

    @property
    def version(self) -> int:
        """The version that was seen; none, where the page did not come back whole."""
        seen = self.seen.data or ""
        return int(seen) if re.fullmatch(r"[0-9]{1,9}", seen, re.ASCII) else 0

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        if refusal.code.endswith("_changed"):
            self.seen.data = str(self.now_is)  # the page that says so shows what it is now


class PlanForm(SeenForm):
    """`plan_form` adds the expected prints of each item."""

    REFUSED_FIELDS = {
        "outreach_day_range": "day",
        "office_closed_on_day": "day",
        "outreach_place_missing": "place",
        "outreach_hours": "ends",
        "outreach_team_unknown": "team_code",
    }
    codes: ClassVar[tuple[str, ...]] = ()

    day = DayField(_("Day"))
    place = WordsField(_("Place"), most=WORDS_LENGTH, required=True, description=_("Such as: SMA Negeri 1."))
    team_code = SelectField(_("Outreach team"), choices=[], default="")
    team = WordsField(_("Who goes (in your own words)"), most=WORDS_LENGTH)
    starts = TimeOfDayField(_("From (hour)"))
    ends = TimeOfDayField(_("To (hour)"))
    note = WordsField(_("Note"), most=500)

    def offer_teams(self, teams: Sequence[OfficeView]) -> None:
        named = [SelectChoice(value=team.code, label=f"{team.name} ({team.code})") for team in teams]
        self.team_code.choices = [SelectChoice(value="", label=gettext("None")), *named]

    def planning(self) -> Planning:
        assert self.day.data is not None, "a valid form has a day"
        return Planning(
            day=self.day.data,
            place=self.place.data or "",
            expected={code: self[expected_name(code)].data for code in self.codes if self[expected_name(code)].data},
            team_code=self.team_code.data or "",
            team=self.team.data or "",
            starts=self.starts.data,
            ends=self.ends.data,
            note=self.note.data or "",
        )


class CallOffForm(SeenForm):
    REFUSED_FIELDS = {"outreach_needs_reason": "why"}

    why = WordsField(_("Why?"), most=500, required=True, render_kw={"autofocus": True})


class HeldForm(SeenForm):
    """`held_form` adds what was printed of each item."""

    codes: ClassVar[tuple[str, ...]] = ()

    def actual(self) -> dict[str, int]:
        """What was printed, by item; empty when nothing was entered."""
        entered = {code: self[actual_name(code)].data for code in self.codes}
        return {code: quantity for code, quantity in entered.items() if quantity is not None}


class CapForm(PostingForm):
    REFUSED_FIELDS = {
        "quantity_not_positive": "most_a_day",
        "quantity_too_large": "most_a_day",
        "cap_too_far": "cap_first",
        "day_too_early": "cap_first",
        "period_backwards": "cap_last",
    }

    cap_item = SelectField(_("Item"), choices=[])
    most_a_day = QuantityField(_("At most, a day"), required=True)
    cap_first = DayField(_("From"))
    cap_last = DayField(_("To (empty: until further notice)"), required=False)
    cap_note = WordsField(_("Note"), most=500)

    def capping(self) -> Capping:
        assert self.cap_first.data is not None, "a valid form has a day"
        return Capping(
            item_code=self.cap_item.data,
            most_a_day=self.most_a_day.data,
            first_day=self.cap_first.data,
            last_day=self.cap_last.data,
            note=self.cap_note.data or "",
        )


class CapEndForm(SeenForm):
    REFUSED_FIELDS = {"period_backwards": "last_day"}

    last_day = DayField(_("Last day (empty: until further notice)"), required=False)


class ClearingForm(PostingForm):
    REFUSED_FIELDS = {
        "clearing_of_blanks_only": "cleared_item",
        "quantity_not_positive": "cleared_per_day",
        "quantity_too_large": "cleared_per_day",
        "rate_needs_source": "cleared_source",
    }

    cleared_item = SelectField(_("Item"), choices=[])
    cleared_per_day = QuantityField(_("Cards a working day (empty: not planned)"), none=True)
    cleared_source = WordsField(_("Where the figure comes from"), most=200, required=True)


def expected_name(code: str) -> str:
    return f"expected-{code}"


def actual_name(code: str) -> str:
    return f"actual-{code}"


def plan_form(offered: Sequence[ItemView], expected: Mapping[str, int]) -> type[PlanForm]:
    class Form(PlanForm):
        codes = tuple(item.code for item in offered)

    for item in offered:
        quantity = QuantityField(text.in_language(item.names), none=True, default=expected.get(item.code))
        setattr(Form, expected_name(item.code), quantity)
    return Form


def held_form(plan: PlanView, names: Mapping[str, str]) -> type[HeldForm]:
    class Form(HeldForm):
        codes = tuple(line.item_code for line in plan.lines)

    for line in plan.lines:
        label = names.get(line.item_code, line.item_code)
        setattr(Form, actual_name(line.item_code), QuantityField(label, none=True))
    return Form


@blueprint.get("/offices/<code:code>/outreach")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    return _page_of_office(actor, offices.get(actor, Action.VIEW_STOCK, code))


@blueprint.route("/offices/<code:code>/outreach/new", methods=["GET", "POST"])
@security.needs(Action.PLAN_OUTREACH)
def plan(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.PLAN_OUTREACH, code)
    form: Any = plan_form(items.active(), {})()
    form.offer_teams(outreach.teams(actor, code))
    _limit(form, office)
    made = form.accept(lambda: outreach.plan(actor, now, form.request_uuid, code, form.planning()))
    if made is not None:
        flash(gettext("The outreach is planned. The next review counts with it."), "success")
        return redirect(url_for("outreach.show", outreach_plan_id=made), 303)
    return _plan_page(office, form, None), form.status


@blueprint.get(ONE)
@security.needs(Action.VIEW_STOCK)
def show(outreach_plan_id: int) -> Any:
    return _page("outreach/show.html", outreach.get(security.current_actor(), outreach_plan_id))


@blueprint.route(f"{ONE}/change", methods=["GET", "POST"])
@security.needs(Action.PLAN_OUTREACH)
def change(outreach_plan_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = outreach.get(actor, outreach_plan_id, Action.PLAN_OUTREACH).plan
    office = offices.get(actor, Action.PLAN_OUTREACH, found.office_code)
    expected = {line.item_code: line.expected for line in found.lines}
    known = {name: getattr(found, name) for name in ("day", "place", "team_code", "starts", "ends", "note")}
    form: Any = plan_form(items.active(), expected)(found.version, team=found.team_words, **known)
    form.offer_teams(outreach.teams(actor, found.office_code))
    _limit(form, office)
    done = form.accept(
        lambda: outreach.change(actor, now, form.request_uuid, outreach_plan_id, form.version, form.planning())
    )
    if done is not None:
        flash(gettext("The plan is changed."), "success")
        return redirect(url_for("outreach.show", outreach_plan_id=done), 303)
    return _plan_page(office, form, found), form.status


@blueprint.route(f"{ONE}/call-off", methods=["GET", "POST"])
@security.needs(Action.PLAN_OUTREACH)
def call_off(outreach_plan_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = outreach.get(actor, outreach_plan_id, Action.PLAN_OUTREACH)
    form: Any = CallOffForm(found.plan.version)
    done = form.accept(
        lambda: outreach.call_off(actor, now, form.request_uuid, outreach_plan_id, form.version, form.why.data or "")
    )
    if done is not None:
        flash(gettext("The outreach is called off."), "success")
        return redirect(url_for("outreach.show", outreach_plan_id=done), 303)
    return _page("outreach/call_off.html", found, form=form), form.status


@blueprint.route(f"{ONE}/held", methods=["GET", "POST"])
@security.needs(Action.PLAN_OUTREACH)
def record_held(outreach_plan_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = outreach.get(actor, outreach_plan_id, Action.PLAN_OUTREACH)
    form: Any = held_form(found.plan, item_names())(found.plan.version)
    done = form.accept(
        lambda: outreach.record_held(actor, now, form.request_uuid, outreach_plan_id, form.version, form.actual())
    )
    if done is not None:
        flash(gettext("The outreach is noted as held."), "success")
        return redirect(url_for("outreach.show", outreach_plan_id=done), 303)
    lines = [(line, form[actual_name(line.item_code)]) for line in found.plan.lines]
    return _page("outreach/held.html", found, form=form, lines=lines), form.status


@blueprint.post("/offices/<code:code>/day-caps")
@security.needs(Action.PLAN_OUTREACH)
def add_cap(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.PLAN_OUTREACH, code)
    form = _cap_form()
    if form.accept(lambda: caps.add(actor, now, form.request_uuid, code, form.capping())) is not None:
        flash(gettext("The day cap is noted."), "success")
        return redirect(url_for("outreach.index", code=code, _anchor="caps"), 303)
    return _page_of_office(actor, office, cap_form=form), form.status


@blueprint.route(CAP, methods=["GET", "POST"])
@security.needs(Action.PLAN_OUTREACH)
def end_cap(day_cap_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = caps.get(actor, day_cap_id, Action.PLAN_OUTREACH)
    form: Any = CapEndForm(found.cap.version, last_day=found.cap.last_day)
    done = form.accept(lambda: caps.end(actor, now, form.request_uuid, day_cap_id, form.version, form.last_day.data))
    if done is not None:
        flash(gettext("The day cap is changed."), "success")
        return redirect(url_for("outreach.index", code=found.cap.office_code, _anchor="caps"), 303)
    return _cap_page(actor, found, form, SeenForm(found.cap.version, formdata=None)), form.status


@blueprint.post(f"{CAP}/withdraw")
@security.needs(Action.PLAN_OUTREACH)
def withdraw_cap(day_cap_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = caps.get(actor, day_cap_id, Action.PLAN_OUTREACH)
    form = SeenForm(found.cap.version)
    if form.accept(lambda: caps.withdraw(actor, now, form.request_uuid, day_cap_id, form.version)) is not None:
        flash(gettext("The day cap is withdrawn: it never counted."), "success")
        return redirect(url_for("outreach.index", code=found.cap.office_code, _anchor="caps"), 303)
    end = CapEndForm(found.cap.version, last_day=found.cap.last_day, formdata=None)
    return _cap_page(actor, found, end, form), form.status


@blueprint.post("/offices/<code:code>/clearing")
@security.needs(Action.PLAN_OUTREACH)
def state_clearing(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.PLAN_OUTREACH, code)
    form = _clearing_form()
    said = (form.cleared_item.data or "", form.cleared_per_day.data, form.cleared_source.data or "")
    if form.accept(lambda: clearing.state_rate(actor, now, form.request_uuid, code, *said)) is not None:
        flash(gettext("The clearing rate is noted."), "success")
        return redirect(url_for("outreach.index", code=code, _anchor="clearing"), 303)
    return _page_of_office(actor, office, clearing_form=form), form.status


def _cap_form(**kwargs: Any) -> CapForm:
    form = CapForm(**kwargs)
    form.cap_item.choices = choices(item_names())
    return form


def _clearing_form(**kwargs: Any) -> ClearingForm:
    form = ClearingForm(**kwargs)
    blanks = {item.code: text.in_language(item.names) for item in items.active() if item.is_blank}
    form.cleared_item.choices = choices(blanks)
    return form


def _limit(form: PlanForm, office: OfficeView) -> None:
    form.day.limit(office.today(security.now()) + timedelta(days=PLANNED_AHEAD))


def _month(office: OfficeView) -> Month:
    """The month that is asked for, where it can hold plans; or else the office's own."""
    today = office.today(security.now())
    try:
        asked = Month.parse(request.args.get("month", ""))
    except Invalid:
        return Month.of(today)
    return asked if FIRST_DAY.year <= asked.year <= today.year + 2 else Month.of(today)


def _page_of_office(
    actor: Actor, office: OfficeView, *, cap_form: CapForm | None = None, clearing_form: ClearingForm | None = None
) -> str:
    """The page with its two forms; one that was not sent is shown fresh."""
    now, month = security.now(), _month(office)
    return render_template(
        "outreach/index.html",
        office=office,
        today=office.today(now),
        month=month,
        plans=outreach.of_month(actor, office.code, month),
        days=outreach.days_of_month(actor, office.code, month),
        coming=events.coming(actor, now, office.code),
        caps=caps.of_office(actor, office.code),
        rates=clearing.rates(actor, office.code),
        digital=clearing.digital_history(actor, office.code),
        cap_form=cap_form or _cap_form(formdata=None, cap_first=office.today(now)),
        clearing_form=clearing_form or _clearing_form(formdata=None),
        plans_here=access.may(actor, Action.PLAN_OUTREACH, office.path),
        names=item_names(),
    )


def _plan_page(office: OfficeView, form: Any, plan: PlanView | None) -> str:
    quantities = [form[expected_name(item)] for item in form.codes]
    return render_template("outreach/plan.html", office=office, form=form, plan=plan, quantities=quantities)


def _page(page: str, found: PlanDetail, **shown: Any) -> str:
    office = offices.get(security.current_actor(), Action.VIEW_STOCK, found.plan.office_code)
    today = office.today(security.now())
    return render_template(page, office=office, detail=found, plan=found.plan, today=today, names=item_names(), **shown)


def _cap_page(actor: Actor, found: caps.CapDetail, form: Any, withdraw_form: Any) -> str:
    cap: CapView = found.cap
    return render_template(
        "outreach/cap.html",
        office=offices.get(actor, Action.VIEW_STOCK, cap.office_code),
        detail=found,
        cap=cap,
        form=form,
        withdraw_form=withdraw_form,
        names=item_names(),
        units=item_units(),
    )
