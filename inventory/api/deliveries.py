"""Deliveries: records of hand-over of blanks, and the stock with which an office starts."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, Id, reader
from inventory.api.fields import Choice, Day, Instant, ItemCode, Quantity, Text
from inventory.api.lines import lines_of
from inventory.api.operations import link, lists, posts, reads
from inventory.api.ranges import Numbers
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.ledger import NOTE_LENGTH
from inventory.services import deliveries
from inventory.services.deliveries import FUNDING_SOURCES, TEXT_LENGTHS, Counted, Paper

blueprint = Resource("deliveries", __name__, description="Blanks handed over to an office with a record (BAST).")

ALL = "/offices/<code:code>/deliveries"


class CountedLine(Schema):
    item = ItemCode(required=True)
    received = Quantity(
        zero=True, load_default=0, metadata={"description": "All cards on arrival, the defective ones included."}
    )
    defective = Quantity(zero=True, load_default=0)
    asked = Quantity(load_default=None, allow_none=True)
    allotted = Quantity(zero=True, load_default=None, allow_none=True)
    cartons = Quantity(load_default=None, allow_none=True)
    note = Text(NOTE_LENGTH, load_default="")
    ranges = Numbers(load_default=())
    defective_ranges = Numbers(load_default=())


class DeliverySchema(Schema):
    bast_number = Text(TEXT_LENGTHS["bast_number"], least=1, required=True)
    bast_on = Day(required=True, metadata={"description": "The date on the record."})
    received_on = Day(required=True, metadata={"description": "The office's own day of arrival."})
    funding_source = Choice(FUNDING_SOURCES, required=True)
    supplier = Text(TEXT_LENGTHS["supplier"], least=1, required=True)
    handed_over_by = Text(TEXT_LENGTHS["handed_over_by"], load_default="")
    taken_over_by = Text(TEXT_LENGTHS["taken_over_by"], load_default="")
    delivery_request_id = Id(load_default=None, allow_none=True, metadata={"description": "The request it answers."})
    lines = lines_of(CountedLine)


class OpeningSchema(Schema):
    item = ItemCode(required=True)
    day = Day(required=True, metadata={"description": "The office's own day."})
    quantity = Quantity(zero=True, load_default=0, metadata={"description": "0 or left out where `ranges` say which."})
    ranges = Numbers(load_default=())
    note = Text(NOTE_LENGTH, load_default="")


class DeliveryLineSchema(Answer):
    id = fields.Int()
    item = fields.Str(attribute="item_code")
    asked = fields.Int(allow_none=True)
    allotted = fields.Int(allow_none=True)
    received = fields.Int()
    defective = fields.Int()
    short = fields.Int(metadata={"description": "Against what was allotted, or else asked."})
    over = fields.Int()
    cartons = fields.Int(allow_none=True)
    note = fields.Str()
    voided = fields.Bool(metadata={"description": "Whether its receipt was reversed."})


class DeliveryListed(DeliveryLineSchema):
    bast_number = fields.Str()
    bast_on = fields.Date()
    received_on = fields.Date()
    funding_source = fields.Str(validate=validate.OneOf(FUNDING_SOURCES))
    supplier = fields.Str()
    handed_over_by = fields.Str()
    taken_over_by = fields.Str()
    delivery_request_id = fields.Int(allow_none=True)


class RecordSchema(Answer):
    id = fields.Function(
        lambda record: record.items[0].id, metadata={"type": "integer", "description": "That of its first line."}
    )
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    bast_number = fields.Str()
    bast_on = fields.Date()
    received_on = fields.Date()
    funding_source = fields.Str(validate=validate.OneOf(FUNDING_SOURCES))
    supplier = fields.Str()
    handed_over_by = fields.Str()
    taken_over_by = fields.Str()
    delivery_request_id = fields.Int(allow_none=True)
    recorded_at = Instant()
    voided = fields.Bool()
    lines = fields.List(fields.Nested(DeliveryLineSchema), attribute="items")


class OpenedSchema(Answer):
    movement_id = fields.Int()
    item = fields.Str()
    quantity = fields.Int()


PAPER = {
    "bast_number": "470/1639/DKPS/2023",
    "bast_on": "2023-09-12",
    "received_on": "2023-09-12",
    "funding_source": "apbn",
    "supplier": "Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
    "handed_over_by": "I Wayan Putra",
    "taken_over_by": "Ni Made Sari",
}
DELIVERY = PAPER | {"lines": [{"item": "ktp-wni", "received": 2000, "defective": 3, "asked": 10000, "cartons": 1}]}
LINE = {
    "id": 12,
    "item": "ktp-wni",
    "asked": 10000,
    "allotted": None,
    "received": 2000,
    "defective": 3,
    "short": 8000,
    "over": 0,
    "cartons": 1,
    "note": "",
    "voided": False,
}
RECORD = PAPER | {
    "id": 12,
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "delivery_request_id": None,
    "recorded_at": "2023-09-12T02:15:00Z",
    "voided": False,
    "lines": [LINE],
}
OPENING = {"item": "ktp-wni", "day": "2023-09-12", "quantity": 1639, "note": "Counted on the first day."}


@lists(blueprint, ALL, Action.VIEW_STOCK, (DeliveryListed, PAPER | LINE | {"delivery_request_id": None}))
def index(said: dict[str, Any], code: str) -> Any:
    """An office's deliveries, one line for each item, those recorded last first."""
    return deliveries.newest(security.current_actor(), code, said["after"], said["limit"])


@posts(
    blueprint,
    ALL,
    Action.RECORD_DELIVERY,
    body=(DeliverySchema, DELIVERY),
    answer=(RecordSchema, RECORD),
    links=(link("deliveries_show", code="office", delivery_id="id"),),
    blame={
        "day_in_future": "/received_on",
        "day_too_early": "/received_on",
        "bast_after_arrival": "/bast_on",
        "bast_already_recorded": "/bast_number",
        "arrived_before_asked": "/received_on",
        "defective_exceeds_received": "/lines",
        "item_not_found": "/lines",
        "range_not_part": "/lines",
        "ranges_missing": "/lines",
        "ranges_differ": "/lines",
        "ranges_not_kept": "/lines",
        "quantity_not_positive": "/lines",
        "delivery_request_not_found": "/delivery_request_id",
        "delivery_request_closed": "/delivery_request_id",
    },
)
def record(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Record a hand-over of one item or of several, all or nothing.

    What is good goes to the store, what is defective to the spoiled. A request that it names is closed when nothing
    more is to come on it.
    """
    actor, now = security.current_actor(), security.now()
    counted = {line.pop("item"): Counted(**line) for line in said.pop("lines")}
    posting = deliveries.record_many(actor, now, request_id, code, Paper(**said), counted)
    return deliveries.get(reader(), code, posting.movements[0].delivery_id or 0)


@reads(blueprint, f"{ALL}/<int(max=2147483647):delivery_id>", Action.VIEW_STOCK, (RecordSchema, RECORD))
def show(code: str, delivery_id: int) -> Any:
    """The record of hand-over to which a delivery belongs, with all its items."""
    return deliveries.get(security.current_actor(), code, delivery_id)


@posts(
    blueprint,
    "/offices/<code:code>/openings",
    Action.RECORD_DELIVERY,
    body=(OpeningSchema, OPENING),
    answer=(OpenedSchema, {"movement_id": 1, "item": "ktp-wni", "quantity": 1639}),
    blame={
        "day_in_future": "/day",
        "day_too_early": "/day",
        "item_not_found": "/item",
        "quantity_not_positive": "/quantity",
        "ranges_missing": "/ranges",
        "ranges_differ": "/ranges",
        "ranges_not_kept": "/ranges",
    },
)
def record_opening(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Record what an office holds when it starts to keep this ledger.

    Once for each item, before anything else.
    """
    actor, now = security.current_actor(), security.now()
    posting = deliveries.record_opening(
        actor, now, request_id, code, said["item"], said["day"], said["quantity"], said["note"], ranges=said["ranges"]
    )
    return {"movement_id": posting.movements[0].id, "item": said["item"], "quantity": posting.movements[0].quantity}
