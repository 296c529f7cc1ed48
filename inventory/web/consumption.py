"""What an office uses up: cards printed, cards spoiled, blanks sent back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import SelectField
from wtforms.fields import SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)

from inventory import security, text
from inventory.domain.access import Action, Actor
from inventory.domain.ledger import CONSUMED, EVERYDAY_CAUSES, PRINT_REASONS, SHIFTS
from inventory.domain.ranges import Ranges
from inventory.services import balances, consumption, items, offices, stocktakes
from inventory.services.consumption import Printed
from inventory.services.ledger import Posting
from inventory.services.offices import OfficeView
from inventory.web.forms import (
    DayField,
    ItemField,
    PostingForm,
    QuantityField,
    RangesField,
    TimeOfDayField,
    WordsField,
    choices,
    counted_by,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("consumption", __name__, url_prefix="/offices/<code:code>")

DAY_REFUSALS = {"day_in_future": "day", "day_too_early": "day"}
MOMENT_REFUSALS = {"moment_in_future": "at", "moment_on_other_day": "at"}
RANGE_REFUSALS = dict.fromkeys(
    ("ranges_missing", "ranges_differ", "ranges_not_kept", "range_not_here", "range_known"), "ranges"
)
"""What a form with one field for numbers can be refused for on their account."""


class UseForm(PostingForm):
    """What the forms on this page have in common: which item, which day, a note."""

    REFUSED_FIELDS = DAY_REFUSALS | MOMENT_REFUSALS

    item = ItemField(render_kw={"autofocus": True})
    day = DayField(_("Day"))
    at = TimeOfDayField(
        _("Time of day"),
        description=_("The stock is being counted: say when it happened, so that it stands before or after the count."),
    )
    note = WordsField(_("Note"), most=500)


class ConsumptionForm(UseForm):
    """A number per reason, and how many of them served requests that had waited for stock."""

    consumed = QuantityField(_("Used up"))

    consumed_ranges = RangesField()

    def ranges(self) -> dict[str, Ranges]:
        return {reason: self[ranges_name(reason)].data for reason in (*PRINT_REASONS, CONSUMED)}

    def numbers(self) -> dict[str, Printed]:
        found = {r: Printed(self[r].data, self[waiting_name(r)].data) for r in PRINT_REASONS}
        return found | {CONSUMED: Printed(self.consumed.data)}


def waiting_name(reason: str) -> str:
    return f"{reason}_waiting"


def ranges_name(reason: str) -> str:
    return f"{reason}_ranges"


for _reason in PRINT_REASONS:
    setattr(ConsumptionForm, _reason, QuantityField(text.REASONS[_reason]))
    setattr(ConsumptionForm, waiting_name(_reason), QuantityField(_("of these, had waited")))
    setattr(ConsumptionForm, ranges_name(_reason), RangesField())


class SpoilageForm(UseForm):
    shift = SelectField(_("Shift"), choices=[], default="")

    def ranges(self) -> dict[str, Ranges]:
        return {cause: self[ranges_name(cause)].data for cause in EVERYDAY_CAUSES}

    def numbers(self) -> dict[str, int]:
        return {cause: self[cause].data for cause in EVERYDAY_CAUSES}


for _cause in EVERYDAY_CAUSES:
    setattr(SpoilageForm, _cause, QuantityField(text.REASONS[_cause]))
    setattr(SpoilageForm, ranges_name(_cause), RangesField())


class ReturnForm(UseForm):
    REFUSED_FIELDS = DAY_REFUSALS | {"return_needs_note": "note", "quantity_not_positive": "quantity"} | RANGE_REFUSALS

    quantity = QuantityField(_("How many go back"), required=True)
    ranges = RangesField()
    note = WordsField(_("Why they go back"), most=500, required=True)

    def validate(self, extra_validators: Any = None) -> bool:
        counted_by(self.quantity, self.ranges)
        return super().validate(extra_validators)


@blueprint.route("/consumption", methods=["GET", "POST"])
@security.needs(Action.POST_MOVEMENT)
def record_consumption(code: str) -> Any:
    office, form = _open(ConsumptionForm, code)
    posting = form.accept(
        lambda: consumption.post_printed(*_request(form, code), form.numbers(), **_remarks(form), ranges=form.ranges())
    )
    if posting is not None:
        return recorded(posting, office, form.item.data)
    page = "consumption/consumption.html"
    return render_template(page, office=office, form=form, reasons=PRINT_REASONS), form.status


@blueprint.route("/spoilage", methods=["GET", "POST"])
@security.needs(Action.POST_MOVEMENT)
def record_spoilage(code: str) -> Any:
    office, form = _open(SpoilageForm, code)
    form.shift.choices = [SelectChoice(value="", label=gettext("Not said")), *choices(text.SHIFTS, SHIFTS)]
    posting = form.accept(
        lambda: consumption.post_spoiled(
            *_request(form, code),
            form.numbers(),
            **_remarks(form),
            shift=form.shift.data or None,
            ranges=form.ranges(),
        )
    )
    if posting is not None:
        return recorded(posting, office, form.item.data)
    page = "consumption/spoilage.html"
    return render_template(page, office=office, form=form, causes=EVERYDAY_CAUSES), form.status


@blueprint.route("/returns", methods=["GET", "POST"])
@security.needs(Action.POST_MOVEMENT)
def record_return(code: str) -> Any:
    office, form = _open(ReturnForm, code)
    posting = form.accept(
        lambda: consumption.post_returned(
            *_request(form, code), form.quantity.data, form.note.data or "", ranges=form.ranges.data
        )
    )
    if posting is not None:
        return recorded(posting, office, form.item.data)
    return render_template("consumption/returns.html", office=office, form=form), form.status


def recorded(posting: Posting, office: OfficeView, item_code: str) -> Any:
    """Back to the office, saying what was recorded and what is left."""
    left = text.number(stores(office.code).get(item_code, 0))
    if posting.replayed:
        flash(gettext("This was already recorded, and is recorded once. %(left)s left.", left=left), "info")
    else:
        total = sum(movement.quantity for movement in posting.movements)
        kind = str(text.KINDS[posting.movements[0].kind])
        name = text.in_language(items.get(item_code).names)
        flash(
            gettext(
                "%(kind)s recorded: %(number)s × %(item)s. %(left)s left.",
                kind=kind,
                number=text.number(total),
                item=name,
                left=left,
            ),
            "success",
        )
    return redirect(url_for("offices.show", code=office.code), 303)


def stores(code: str) -> dict[str, int]:
    """What an office holds in its store, by item code."""
    return {each.item_code: each.store for each in balances.of_office(security.current_actor(), code)}


def _open(form_class: type[Any], code: str) -> tuple[OfficeView, Any]:
    """The office, if the actor may post there, and an empty or sent form for it with the office's own today."""
    office = offices.get(security.current_actor(), Action.POST_MOVEMENT, code)
    today: date = office.today(security.now())
    form = form_class(item=request.args.get("item"), day=today)
    form.item.offer(items.active(), stores(code))
    form.day.limit(today)
    if not stocktakes.asks_for_time(security.current_actor(), security.now(), code):
        del form.at
    return office, form


def _remarks(form: UseForm) -> dict[str, Any]:
    """The note, and the time of day where one is asked for."""
    return {"note": form.note.data or "", "at": form.at.data if "at" in form else None}


def _request(form: UseForm, code: str) -> tuple[Actor, datetime, UUID, str, str, date]:
    """The arguments with which every posting begins."""
    assert form.day.data is not None, "a valid form has a day"
    actor, now = security.current_actor(), security.now()
    return actor, now, form.request_uuid, code, form.item.data, form.day.data
