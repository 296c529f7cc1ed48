"""Deliveries with their record of hand-over (BAST), and opening stock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import SelectField

from inventory import security, text
from inventory.domain.access import Action, Actor
from inventory.domain.errors import NotFound, Refusal
from inventory.services import deliveries, items, lots, offices, requests
from inventory.services.deliveries import FUNDING_SOURCES, Counted, Handover, Paper
from inventory.services.items import ItemView
from inventory.services.ledger import Posting
from inventory.services.offices import OfficeView
from inventory.services.requests import RequestView
from inventory.web.consumption import DAY_REFUSALS, RANGE_REFUSALS, recorded, stores
from inventory.web.forms import (
    DayField,
    ItemField,
    PostingForm,
    QuantityField,
    RangesField,
    WordsField,
    choices,
    counted_by,
    item_names,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("deliveries", __name__, url_prefix="/offices/<code:code>")

USUAL_SUPPLIER = "Ditjen Dukcapil"


PAPER_FIELDS = (
    "bast_number",
    "bast_on",
    "received_on",
    "funding_source",
    "supplier",
    "handed_over_by",
    "taken_over_by",
)
COUNTED_FIELDS: Mapping[str, tuple[Any, type[Any], dict[str, Any]]] = {
    "received": (_("Received, the defective ones included"), QuantityField, {}),
    "defective": (_("Of these, defective"), QuantityField, {}),
    "asked": (_("Asked for"), QuantityField, {"none": True}),
    "allotted": (_("Allotted"), QuantityField, {"none": True}),
    "cartons": (_("Cartons"), QuantityField, {"none": True}),
    "note": (_("Condition"), WordsField, {"most": 500}),
}
NUMBER_FIELDS: Mapping[str, tuple[Any, type[Any], dict[str, Any]]] = {
    "ranges": (_("Number ranges, the defective ones included"), RangesField, {}),
    "defective_ranges": (_("Of these, numbers of the defective ones"), RangesField, {}),
}
"""Asked for besides, of an item whose numbers are kept."""


class DeliveryForm(PostingForm):
    REFUSED_FIELDS = {
        "day_in_future": "received_on",
        "day_too_early": "received_on",
        "bast_already_recorded": "bast_number",
        "bast_number_missing": "bast_number",
        "bast_after_arrival": "bast_on",
        "supplier_missing": "supplier",
        "defective_exceeds_received": "defective",
        "quantity_not_positive": "received",
        "funding_source_unknown": "funding_source",
        "range_not_part": "defective_ranges",
        **RANGE_REFUSALS,
    }

    item = ItemField(render_kw={"autofocus": True})
    bast_number = WordsField(
        _("Number of the record of hand-over (BAST)"), most=80, required=True, render_kw={"data-scan": "bast"}
    )
    bast_on = DayField(_("Date on the record (BAST)"))
    received_on = DayField(_("Day of arrival"))
    asked = QuantityField(_("Asked for"), none=True)
    received = QuantityField(_("Received, the defective ones included"), required=True)
    defective = QuantityField(_("Of these, defective"))
    ranges = RangesField(_("Number ranges, the defective ones included"))
    defective_ranges = RangesField(_("Of these, numbers of the defective ones"))
    funding_source = SelectField(_("Funding source"), choices=[])
    supplier = WordsField(_("Supplier"), default=USUAL_SUPPLIER, required=True, render_kw={"list": "suppliers"})
    handed_over_by = WordsField(_("Handed over by"))
    taken_over_by = WordsField(_("Taken over by"))
    note = WordsField(_("Note"), most=500)

    def validate(self, extra_validators: Any = None) -> bool:
        counted_by(self.received, self.ranges)
        counted_by(self.defective, self.defective_ranges)
        return super().validate(extra_validators)

    def handover(self) -> Handover:
        names = set(Handover.__dataclass_fields__)
        return Handover(**{name: value for name, value in self.data.items() if name in names})


class HandOverForm(PostingForm):
    """`hand_over_form` adds what is counted of each item; an item of which nothing is entered is left out."""

    REFUSED_FIELDS = {code: field for code, field in DeliveryForm.REFUSED_FIELDS.items() if field in PAPER_FIELDS} | {
        "arrived_before_asked": "received_on"
    }
    codes: ClassVar[tuple[str, ...]] = ()

    bast_number = WordsField(
        _("Number of the record of hand-over (BAST)"),
        most=80,
        required=True,
        render_kw={"data-scan": "bast", "autofocus": True},
    )
    bast_on = DayField(_("Date on the record (BAST)"))
    received_on = DayField(_("Day of arrival"))
    supplier = WordsField(_("Supplier"), default=USUAL_SUPPLIER, required=True, render_kw={"list": "suppliers"})
    funding_source = SelectField(_("Funding source"), choices=[])
    handed_over_by = WordsField(_("Handed over by"))
    taken_over_by = WordsField(_("Taken over by"))

    def of_item(self, code: str) -> dict[str, Any]:
        """The fields of one item, by what they say."""
        names = ((name, counted_name(name, code)) for name in (*COUNTED_FIELDS, *NUMBER_FIELDS))
        return {name: self[field] for name, field in names if field in self}

    def entered(self, code: str) -> bool:
        """Whether anything came, or is said to have come, of an item."""
        fields = self.of_item(code)
        telling = ("received", "defective", "cartons", "note", *NUMBER_FIELDS)
        return any(fields[name].data or fields[name].errors for name in telling if name in fields)

    def validate(self, extra_validators: Any = None) -> bool:
        valid = super().validate(extra_validators)
        for code in self.codes:
            fields = self.of_item(code)
            received = fields["received"]
            if "ranges" in fields:
                counted_by(received, fields["ranges"])
                counted_by(fields["defective"], fields["defective_ranges"])
            if self.entered(code) and not received.data and not received.errors:
                received.errors = [text.sentence_for("quantity_missing", {})]
                valid = False
        return valid

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        about = "ranges" if refusal.code in (*RANGE_REFUSALS, "range_not_part") else "defective"
        wrong = counted_name(about, str(refusal.facts.get("item")))
        if wrong in self:
            self[wrong].errors = [*self[wrong].errors, text.sentence(refusal)]

    def paper(self, delivery_request_id: int | None) -> Paper:
        return Paper(**{name: self[name].data for name in PAPER_FIELDS}, delivery_request_id=delivery_request_id)

    def counted(self) -> dict[str, Counted]:
        return {
            code: Counted(**{name: field.data for name, field in self.of_item(code).items()})
            for code in self.codes
            if self.entered(code)
        }


def counted_name(name: str, code: str) -> str:
    return f"{name}-{code}"


def hand_over_form(offered: Iterable[ItemView]) -> type[HandOverForm]:
    offered = list(offered)

    class Form(HandOverForm):
        codes = tuple(item.code for item in offered)

    for item in offered:
        fields = {**COUNTED_FIELDS, **(NUMBER_FIELDS if item.numbered else {})}
        for name, (label, kind, options) in fields.items():
            setattr(Form, counted_name(name, item.code), kind(label, **options))
    return Form


class OpeningForm(PostingForm):
    REFUSED_FIELDS = DAY_REFUSALS | {"quantity_not_positive": "quantity"} | RANGE_REFUSALS

    item = ItemField(render_kw={"autofocus": True})
    day = DayField(_("Day"))
    quantity = QuantityField(_("In the store when this ledger begins"), required=True)
    ranges = RangesField()
    note = WordsField(_("Note"), most=500)

    def validate(self, extra_validators: Any = None) -> bool:
        counted_by(self.quantity, self.ranges)
        return super().validate(extra_validators)


@blueprint.get("/deliveries")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    found = deliveries.latest(actor, code)
    names = {item.code: item.names for item in items.active()}
    left = lots.of_deliveries(actor, code) if found else {}
    return render_template("deliveries/index.html", office=office, deliveries=found, item_names=names, left=left)


@blueprint.route("/deliveries/new", methods=["GET", "POST"])
@security.needs(Action.RECORD_DELIVERY)
def record(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.RECORD_DELIVERY, code)
    today = office.today(now)
    form = DeliveryForm(item=request.args.get("item"), bast_on=today, received_on=today, taken_over_by=actor.name)
    form.item.offer(items.active(), stores(code))
    form.funding_source.choices = choices(text.FUNDING_SOURCES, FUNDING_SOURCES)
    form.bast_on.limit(today)
    form.received_on.limit(today)
    posting = form.accept(
        lambda: deliveries.record(
            actor,
            now,
            form.request_uuid,
            code,
            form.item.data,
            form.handover(),
            ranges=form.ranges.data,
            defective_ranges=form.defective_ranges.data,
        )
    )
    if posting is not None:
        return recorded(posting, office, form.item.data)
    known = {"suppliers": deliveries.supplier_names(actor), "requests": requests.open_of_office(actor, now, code)}
    return render_template("deliveries/new.html", office=office, form=form, names=item_names(), **known), form.status


@blueprint.route("/deliveries/hand-over", methods=["GET", "POST"])
@security.needs(Action.RECORD_DELIVERY)
def hand_over(code: str) -> Any:
    """A record of several items, or one that answers the request which the address names."""
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.RECORD_DELIVERY, code)
    asked = _request_named(actor, now, code)
    form = _open_hand_over(actor, office, now, asked)
    asked_id = asked.id if asked else None
    posting = form.accept(
        lambda: deliveries.record_many(actor, now, form.request_uuid, code, form.paper(asked_id), form.counted())
    )
    if posting is not None:
        flash(gettext("The hand-over is recorded."), "success")
        return redirect(url_for("deliveries.show", code=code, delivery_id=posting.movements[0].delivery_id), 303)
    expected = {line.item_code for line in asked.lines} if asked else set(form.codes)
    shown = {"office": office, "form": form, "asked": asked, "suppliers": deliveries.supplier_names(actor)}
    counted = [(item, form.of_item(item), item in expected, form.entered(item)) for item in form.codes]
    return render_template("deliveries/hand_over.html", **shown, counted=counted, names=item_names()), form.status


@blueprint.get("/deliveries/<int(max=2147483647):delivery_id>")
@security.needs(Action.VIEW_STOCK)
def show(code: str, delivery_id: int) -> Any:
    actor = security.current_actor()
    found = deliveries.get(actor, code, delivery_id)
    office = offices.get(actor, Action.VIEW_STOCK, code)
    return render_template("deliveries/show.html", office=office, record=found, names=item_names())


@blueprint.route("/opening", methods=["GET", "POST"])
@security.needs(Action.RECORD_DELIVERY)
def record_opening(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.RECORD_DELIVERY, code)
    form = OpeningForm(item=request.args.get("item"), day=office.today(now))
    form.item.offer(items.active(), stores(code))
    form.day.limit(office.today(now))
    posting = form.accept(lambda: _open_with(actor, now, code, form))
    if posting is not None:
        return recorded(posting, office, form.item.data)
    return render_template("deliveries/opening.html", office=office, form=form), form.status


def _request_named(actor: Actor, now: datetime, code: str) -> RequestView | None:
    """The office's request that the address names, open or not: a form sent again finds what it recorded."""
    named = request.args.get("request", "")
    if not named:
        return None
    number = int(named) if re.fullmatch(r"[0-9]{1,9}", named, re.ASCII) else 0
    found = requests.get(actor, now, number).request
    if found.office_code != code:
        raise NotFound("delivery_request_not_found")
    return found


def _open_hand_over(actor: Actor, office: OfficeView, now: datetime, asked: RequestView | None) -> Any:
    """An empty or sent form; for a request, with what is yet to come of each of its lines."""
    today = office.today(now)
    filled: dict[str, Any] = {"bast_on": today, "received_on": today, "taken_over_by": actor.name}
    if asked is not None:
        filled["supplier"] = asked.supplier
        for line in asked.lines:
            filled[counted_name("asked", line.item_code)] = max(0, line.asked - line.received) or None
            if line.allotted is not None:
                filled[counted_name("allotted", line.item_code)] = line.left
    form = hand_over_form(items.active())(**filled)
    form.funding_source.choices = choices(text.FUNDING_SOURCES, FUNDING_SOURCES)
    form.bast_on.limit(today)
    form.received_on.limit(today)
    return form


def _open_with(actor: Actor, now: datetime, code: str, form: OpeningForm) -> Posting:
    assert form.day.data is not None, "a valid form has a day"
    item, day, quantity, note = form.item.data, form.day.data, form.quantity.data, form.note.data
    return deliveries.record_opening(
        actor, now, form.request_uuid, code, item, day, quantity, note or "", ranges=form.ranges.data
    )
