"""Transfers between offices: dispatched, then received or taken back."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, Id, reader
from inventory.api.cursors import PageQuery
from inventory.api.fields import Choice, Code, Day, ItemCode, Quantity, Text
from inventory.api.lines import lines_of
from inventory.api.operations import link, lists, posts, reads
from inventory.api.ranges import Numbers
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.transfers import PURPOSES, STATUSES, WORDS_LENGTH, Arrived
from inventory.services import transfers
from inventory.services.transfers import Dispatch

blueprint = Resource("transfers", __name__, description="Blanks on their way from one office to another.")

ONE = "/transfers/<int(max=2147483647):transfer_id>"


class SentLine(Schema):
    item = ItemCode(required=True)
    quantity = Quantity(zero=True, load_default=0, metadata={"description": "0 or left out where `ranges` say which."})
    ranges = Numbers(load_default=())


class DispatchSchema(Schema):
    receiver = Code(required=True, metadata={"description": "Any office, also one that the sender cannot look into."})
    purpose = Choice(PURPOSES, required=True)
    dispatched_on = Day(required=True, metadata={"description": "The sender's own day."})
    expected_on = Day(required=True)
    due_on = Day(load_default=None, allow_none=True, metadata={"description": "When a loan is to be given back."})
    custodian = Text(120, least=1, required=True)
    bast_number = Text(80, least=1, required=True)
    repays_id = Id(load_default=None, allow_none=True, metadata={"description": "The loan that a return gives back."})
    draft_id = Id(load_default=None, allow_none=True, metadata={"description": "The draft of a plan that this sends."})
    note = Text(WORDS_LENGTH, load_default="")
    lines = lines_of(SentLine)


class ArrivedLine(Schema):
    item = ItemCode(required=True)
    good = Quantity(zero=True, required=True)
    damaged = Quantity(zero=True, load_default=0)
    damaged_ranges = Numbers(load_default=())
    short_ranges = Numbers(load_default=())


class TransferReceipt(Schema):
    day = Day(required=True, metadata={"description": "The receiver's own day."})
    lines = lines_of(ArrivedLine)


class TransferCancellation(Schema):
    day = Day(required=True, metadata={"description": "The sender's own day."})
    why = Text(WORDS_LENGTH, least=1, required=True)


class TransferLineSchema(Answer):
    item = fields.Str(attribute="item_code")
    sent = fields.Int()
    received = fields.Int(allow_none=True, metadata={"description": "Good cards that arrived; null until then."})
    damaged = fields.Int(allow_none=True)
    short = fields.Int(allow_none=True)
    over = fields.Int()
    ranges = Numbers()


class TransferSchema(Answer):
    id = fields.Int()
    sender = fields.Str(attribute="sender_code")
    sender_name = fields.Str()
    receiver = fields.Str(attribute="receiver_code")
    receiver_name = fields.Str()
    purpose = fields.Str(validate=validate.OneOf(PURPOSES))
    status = fields.Str(validate=validate.OneOf(STATUSES))
    bast_number = fields.Str()
    custodian = fields.Str()
    dispatched_on = fields.Date()
    expected_on = fields.Date()
    due_on = fields.Date(allow_none=True)
    closed_on = fields.Date(allow_none=True)
    repays_id = fields.Int(allow_none=True)
    note = fields.Str()
    overdue = fields.Bool()
    lines = fields.List(fields.Nested(TransferLineSchema))


class TransferFilter(PageQuery):
    status = Choice(STATUSES, load_default=None)


DISPATCH = {
    "receiver": "51.71.01",
    "purpose": "distribution",
    "dispatched_on": "2023-09-12",
    "expected_on": "2023-09-13",
    "custodian": "Ni Made Sari",
    "bast_number": "BAST/470/2023",
    "lines": [{"item": "ktp-wni", "quantity": 500}],
}
RECEIPT = {"day": "2023-09-13", "lines": [{"item": "ktp-wni", "good": 498, "damaged": 2}]}
CANCELLATION = {"day": "2023-09-13", "why": "The road is closed."}
TRANSFER: dict[str, Any] = {
    "id": 7,
    "sender": "51.71",
    "sender_name": "Kota Denpasar",
    "receiver": "51.71.01",
    "receiver_name": "Denpasar Selatan",
    "purpose": "distribution",
    "status": "dispatched",
    "bast_number": "BAST/470/2023",
    "custodian": "Ni Made Sari",
    "dispatched_on": "2023-09-12",
    "expected_on": "2023-09-13",
    "due_on": None,
    "closed_on": None,
    "repays_id": None,
    "note": "",
    "overdue": False,
    "lines": [
        {"item": "ktp-wni", "sent": 500, "received": None, "damaged": None, "short": None, "over": 0, "ranges": []}
    ],
}
RECEIVED = TRANSFER | {
    "status": "received",
    "closed_on": "2023-09-13",
    "lines": [{"item": "ktp-wni", "sent": 500, "received": 498, "damaged": 2, "short": 0, "over": 0, "ranges": []}],
}
LINKS = (
    link("transfers_show", transfer_id="id"),
    link("transfers_receive", transfer_id="id"),
    link("transfers_cancel", transfer_id="id"),
)


@lists(
    blueprint,
    "/offices/<code:code>/transfers",
    Action.VIEW_STOCK,
    (TransferSchema, TRANSFER),
    query=TransferFilter,
)
def index(said: dict[str, Any], code: str) -> Any:
    """An office's transfers, both ways, the newest first."""
    return transfers.newest(
        security.current_actor(), security.now(), code, said["after"], said["limit"], said["status"]
    )


@posts(
    blueprint,
    "/offices/<code:code>/transfers",
    Action.SEND_TRANSFER,
    body=(DispatchSchema, DISPATCH),
    answer=(TransferSchema, TRANSFER),
    links=LINKS,
    blame={
        "day_in_future": "/dispatched_on",
        "day_too_early": "/dispatched_on",
        "expected_before_dispatch": "/expected_on",
        "loan_needs_due_date": "/due_on",
        "same_office": "/receiver",
        "office_not_found": "/receiver",
        "nothing_entered": "/lines",
        "item_not_found": "/lines",
        "ranges_missing": "/lines",
        "ranges_differ": "/lines",
        "ranges_not_kept": "/lines",
        "not_enough_stock": "/lines",
        "loan_not_found": "/repays_id",
        "draft_not_found": "/draft_id",
        "draft_closed": "/draft_id",
        "draft_differs": "/draft_id",
    },
)
def dispatch(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Send blanks to another office.

    They leave the sender's store and are in transit, in nobody's usable stock, until the receiver has counted them.
    """
    actor, now = security.current_actor(), security.now()
    lines = said.pop("lines")
    out = Dispatch(
        receiver_code=said.pop("receiver"),
        sent={line["item"]: line["quantity"] for line in lines},
        ranges={line["item"]: line["ranges"] for line in lines if line["ranges"]},
        **said,
    )
    return transfers.get(reader(), now, transfers.dispatch(actor, now, request_id, code, out))


@reads(blueprint, ONE, Action.VIEW_STOCK, (TransferSchema, TRANSFER))
def show(transfer_id: int) -> Any:
    """One transfer, for people of either end."""
    return transfers.get(security.current_actor(), security.now(), transfer_id)


@posts(
    blueprint,
    f"{ONE}/receipt",
    Action.RECEIVE_TRANSFER,
    body=(TransferReceipt, RECEIPT),
    answer=(TransferSchema, RECEIVED),
    links=LINKS[:1],
    blame={
        "day_in_future": "/day",
        "day_too_early": "/day",
        "arrived_before_dispatch": "/day",
        "arrived_items_differ": "/lines",
        "item_not_found": "/lines",
        "more_arrived_than_sent": "/lines",
        "range_not_part": "/lines",
    },
)
def receive(said: dict[str, Any], transfer_id: int, request_id: Any) -> Any:
    """Count what came of a transfer.

    Good cards go to the receiver's store and damaged ones to its spoiled; what is short stays the sender's missing.
    """
    actor, now = security.current_actor(), security.now()
    arrived = {line.pop("item"): Arrived(**line) for line in said["lines"]}
    transfers.receive(actor, now, request_id, transfer_id, said["day"], arrived)
    return transfers.get(reader(), now, transfer_id)


@posts(
    blueprint,
    f"{ONE}/cancellation",
    Action.SEND_TRANSFER,
    body=(TransferCancellation, CANCELLATION),
    answer=(TransferSchema, TRANSFER | {"status": "cancelled", "closed_on": "2023-09-13"}),
    links=LINKS[:1],
    blame={
        "day_in_future": "/day",
        "day_too_early": "/day",
        "arrived_before_dispatch": "/day",
        "cancel_needs_reason": "/why",
    },
)
def cancel(said: dict[str, Any], transfer_id: int, request_id: Any) -> Any:
    """Take a transfer back into the sender's store before it is received."""
    actor, now = security.current_actor(), security.now()
    transfers.cancel(actor, now, request_id, transfer_id, said["day"], said["why"])
    return transfers.get(reader(), now, transfer_id)
