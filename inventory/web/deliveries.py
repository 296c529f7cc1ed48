"""Deliveries with their record of hand-over (BAST), and opening stock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from wtforms import SelectField

from inventory import security, text
from inventory.domain.access import Action, Actor
from inventory.services import deliveries, items, offices
from inventory.services.deliveries import FUNDING_SOURCES, Handover
from inventory.services.ledger import Posting
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
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("deliveries", __name__, url_prefix="/offices/<code:code>")

USUAL_SUPPLIER = "Ditjen Dukcapil"


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
    bast_number = WordsField(_("Number of the record of hand-over (BAST)"), most=80, required=True)
    bast_on = DayField(_("Date on the record (BAST)"))
    received_on = DayField(_("Day of arrival"))
    asked = QuantityField(_("Asked for"), none=True)
    received = QuantityField(_("Received, the defective ones included"), required=True)
    defective = QuantityField(_("Of these, defective"))
    ranges = RangesField(_("Number ranges, the defective ones included"))
    defective_ranges = RangesField(_("Of these, numbers of the defective ones"))
    funding_source = SelectField(_("Funding source"), choices=[])
    supplier = WordsField(_("Supplier"), default=USUAL_SUPPLIER, required=True)
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
    return render_template("deliveries/index.html", office=office, deliveries=found, item_names=names)


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
    return render_template("deliveries/new.html", office=office, form=form), form.status


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


def _open_with(actor: Actor, now: datetime, code: str, form: OpeningForm) -> Posting:
    assert form.day.data is not None, "a valid form has a day"
    item, day, quantity, note = form.item.data, form.day.data, form.quantity.data, form.note.data
    return deliveries.record_opening(
        actor, now, form.request_uuid, code, item, day, quantity, note or "", ranges=form.ranges.data
    )
