"""Delivery requests: asked by an office, allotted by those above it, called off or closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, Version, reader
from inventory.api.cursors import PageQuery
from inventory.api.deliveries import DeliveryListed
from inventory.api.fields import Choice, Day, Instant, ItemCode, Quantity, Text
from inventory.api.lines import lines_of
from inventory.api.operations import link, lists, posts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.requests import STATUSES, STEPS
from inventory.services import requests
from inventory.services.requests import Allotment, Asking

blueprint = Resource("requests", __name__, description="What offices ask their suppliers for.")

ALL = "/offices/<code:code>/requests"
ONE = "/requests/<int(max=2147483647):delivery_request_id>"


class AskedLine(Schema):
    item = ItemCode(required=True)
    asked = Quantity(required=True)


class RequestAsked(Schema):
    supplier = Text(120, least=1, required=True)
    asked_on = Day(required=True, metadata={"description": "The office's own day."})
    needed_by = Day(load_default=None, allow_none=True)
    note = Text(NOTE_LENGTH, load_default="")
    lines = lines_of(AskedLine)


class AllottedLine(Schema):
    item = ItemCode(required=True)
    allotted = Quantity(zero=True, required=True, metadata={"description": "0 if nothing will come."})
    cartons = Quantity(load_default=None, allow_none=True)


class RequestAllotting(Schema):
    version = Version(required=True)
    note = Text(NOTE_LENGTH, load_default="")
    lines = lines_of(AllottedLine)


class RequestEnding(Schema):
    version = Version(required=True)
    why = Text(NOTE_LENGTH, least=1, required=True)


class RequestLineSchema(Answer):
    item = fields.Str(attribute="item_code")
    asked = fields.Int()
    allotted = fields.Int(allow_none=True)
    cartons = fields.Int(allow_none=True)
    received = fields.Int()
    left = fields.Int(metadata={"description": "What is yet to come."})
    short = fields.Int()
    over = fields.Int()
    odd_pack = fields.Bool(metadata={"description": "Whether what is allotted is no whole number of packs."})


class RequestListed(Answer):
    id = fields.Int()
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    supplier = fields.Str()
    status = fields.Str(validate=validate.OneOf(STATUSES))
    version = fields.Int(metadata={"description": "What a decision about it has to name."})
    hand_overs = fields.Int()
    asked_on = fields.Date()
    needed_by = fields.Date(allow_none=True)
    allotted_on = fields.Date(allow_none=True)
    closed_on = fields.Date(allow_none=True)
    made_by = fields.Str(allow_none=True)
    recorded_at = Instant()
    note = fields.Str()
    late = fields.Bool()
    lines = fields.List(fields.Nested(RequestLineSchema))


class RequestStepSchema(Answer):
    step = fields.Str(validate=validate.OneOf(STEPS))
    on_day = fields.Date()
    at = Instant()
    by = fields.Str(allow_none=True)
    note = fields.Str()


class RequestSchema(Answer):
    id = fields.Int(attribute="request.id")
    request = fields.Nested(RequestListed)
    steps = fields.List(fields.Nested(RequestStepSchema))
    deliveries = fields.List(fields.Nested(DeliveryListed), attribute="hand_overs")


class RequestFilter(PageQuery):
    status = Choice(STATUSES, load_default=None)


ASKING = {
    "supplier": "Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
    "asked_on": "2023-09-12",
    "needed_by": "2023-09-20",
    "lines": [{"item": "ktp-wni", "asked": 10000}],
}
ALLOTTING = {"version": 1, "lines": [{"item": "ktp-wni", "allotted": 2000, "cartons": 1}]}
ENDING = {"version": 1, "why": "Another office lends them."}
LISTED: dict[str, Any] = {
    "id": 5,
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "supplier": "Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
    "status": "asked",
    "version": 1,
    "hand_overs": 0,
    "asked_on": "2023-09-12",
    "needed_by": "2023-09-20",
    "allotted_on": None,
    "closed_on": None,
    "made_by": "Ni Made Sari",
    "recorded_at": "2023-09-12T02:15:00Z",
    "note": "",
    "late": False,
    "lines": [
        {
            "item": "ktp-wni",
            "asked": 10000,
            "allotted": None,
            "cartons": None,
            "received": 0,
            "left": 10000,
            "short": 0,
            "over": 0,
            "odd_pack": False,
        }
    ],
}
REQUEST: dict[str, Any] = {"id": 5, "request": LISTED, "steps": [], "deliveries": []}
NAMED = {"delivery_request_id": "id"}
LINKS = (
    link("requests_show", **NAMED),
    link("requests_allot", **NAMED),
    link("requests_cancel", **NAMED),
    link("requests_close", **NAMED),
)


@lists(blueprint, ALL, Action.VIEW_STOCK, (RequestListed, LISTED), query=RequestFilter)
def index(said: dict[str, Any], code: str) -> Any:
    """An office's delivery requests, the newest first."""
    actor, now = security.current_actor(), security.now()
    return requests.newest(actor, now, code, said["after"], said["limit"], said["status"])


@posts(
    blueprint,
    ALL,
    Action.REQUEST_DELIVERY,
    body=(RequestAsked, ASKING),
    answer=(RequestSchema, REQUEST),
    links=LINKS,
    blame={
        "day_in_future": "/asked_on",
        "day_too_early": "/asked_on",
        "needed_before_asked": "/needed_by",
        "item_not_found": "/lines",
    },
)
def ask(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Record what an office asks its supplier for."""
    actor, now = security.current_actor(), security.now()
    asked = {line["item"]: line["asked"] for line in said.pop("lines")}
    made = requests.ask(actor, now, request_id, code, Asking(asked=asked, **said))
    return requests.get(reader(), now, made)


@reads(blueprint, ONE, Action.VIEW_STOCK, (RequestSchema, REQUEST))
def show(delivery_request_id: int) -> Any:
    """One request with its steps and what came of it."""
    return requests.get(security.current_actor(), security.now(), delivery_request_id)


@posts(
    blueprint,
    f"{ONE}/allotment",
    Action.ALLOT_DELIVERY,
    body=(RequestAllotting, ALLOTTING),
    answer=(RequestSchema, REQUEST),
    links=LINKS[:1],
    blame={"allotted_items_differ": "/lines", "item_not_found": "/lines", "delivery_request_changed": "/version"},
)
def allot(said: dict[str, Any], delivery_request_id: int, request_id: Any) -> Any:
    """Say how many of each line will come.

    A later allotment replaces the earlier one. `version` is that of the request which the decision is about.
    """
    actor, now = security.current_actor(), security.now()
    allotted = {line.pop("item"): Allotment(**line) for line in said["lines"]}
    requests.allot(actor, now, request_id, delivery_request_id, said["version"], allotted, said["note"])
    return requests.get(reader(), now, delivery_request_id)


@posts(
    blueprint,
    f"{ONE}/cancellation",
    Action.REQUEST_DELIVERY,
    body=(RequestEnding, ENDING),
    answer=(RequestSchema, REQUEST),
    links=LINKS[:1],
    blame={"delivery_request_needs_reason": "/why", "delivery_request_changed": "/version"},
)
def cancel(said: dict[str, Any], delivery_request_id: int, request_id: Any) -> Any:
    """Call a request off on which nothing has come."""
    return _end(requests.cancel, said, delivery_request_id, request_id)


@posts(
    blueprint,
    f"{ONE}/closing",
    Action.REQUEST_DELIVERY,
    body=(RequestEnding, ENDING),
    answer=(RequestSchema, REQUEST),
    links=LINKS[:1],
    blame={"delivery_request_needs_reason": "/why", "delivery_request_changed": "/version"},
)
def close(said: dict[str, Any], delivery_request_id: int, request_id: Any) -> Any:
    """Say that nothing more will come on a request; what is lacking stays short."""
    return _end(requests.close, said, delivery_request_id, request_id)


def _end(end: Callable[..., int], said: dict[str, Any], delivery_request_id: int, request_id: Any) -> Any:
    actor, now = security.current_actor(), security.now()
    end(actor, now, request_id, delivery_request_id, said["version"], said["why"])
    return requests.get(reader(), now, delivery_request_id)
