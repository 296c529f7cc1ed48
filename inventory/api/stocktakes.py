"""Stocktakes: begun, counted blind, counted again. Approving is done by people, on a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import g
from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, reader
from inventory.api.fields import Instant, ItemCode, Quantity, Text
from inventory.api.lines import lines_of
from inventory.api.operations import link, lists, posts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.stocktakes import STATUSES, WORDS_LENGTH, Counted
from inventory.services import stocktakes

blueprint = Resource("stocktakes", __name__, description="Counts of what lies in a store, held against the book.")

ALL = "/offices/<code:code>/stocktakes"
ONE = "/stocktakes/<int(max=2147483647):stocktake_id>"


class StocktakeBegin(Schema):
    record_number = Text(80, load_default="")
    note = Text(WORDS_LENGTH, load_default="")


class StocktakeCountLine(Schema):
    item = ItemCode(required=True)
    quantity = Quantity(zero=True, required=True, metadata={"description": "0 if there is none."})
    at = Instant(load_default=None, allow_none=True, metadata={"description": "When it was counted; null: now."})


class StocktakeCounts(Schema):
    lines = lines_of(StocktakeCountLine)


class StocktakeCancellation(Schema):
    why = Text(WORDS_LENGTH, least=1, required=True)


class BookedSchema(Answer):
    difference = fields.Int()
    recorded_at = Instant()
    by = fields.Str()
    note = fields.Str()


class StocktakeLineSchema(Answer):
    item = fields.Str(attribute="item_code")
    waits = fields.Str(allow_none=True, metadata={"description": "`count`, `recount` or null."})
    counted = fields.Int(allow_none=True, metadata={"description": "Null while the counting goes on."})
    counted_at = Instant(allow_none=True)
    counted_by = fields.Str(allow_none=True)
    recount_asked = fields.Bool()
    recounted = fields.Int(allow_none=True)
    recounted_at = Instant(allow_none=True)
    recounted_by = fields.Str(allow_none=True)
    book = fields.Int(allow_none=True, metadata={"description": "What the book said; null until it is approved."})
    difference = fields.Int(allow_none=True)
    booked = fields.List(fields.Nested(BookedSchema))


class StocktakeListed(Answer):
    id = fields.Int()
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    status = fields.Str(validate=validate.OneOf(STATUSES))
    record_number = fields.Str()
    note = fields.Str()
    opened_at = Instant()
    opened_by = fields.Str()
    approved_at = Instant(allow_none=True)
    approved_by = fields.Str(allow_none=True)
    cancelled_at = Instant(allow_none=True)
    cancelled_by = fields.Str(allow_none=True)
    cancel_reason = fields.Str()


class StocktakeSchema(StocktakeListed):
    lines = fields.List(fields.Nested(StocktakeLineSchema))


BEGIN = {"record_number": "SO/09/2023", "note": ""}
COUNTS = {"lines": [{"item": "ktp-wni", "quantity": 1639, "at": "2023-09-12T02:00:00Z"}]}
LISTED: dict[str, Any] = {
    "id": 3,
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "status": "counting",
    "record_number": "SO/09/2023",
    "note": "",
    "opened_at": "2023-09-12T01:30:00Z",
    "opened_by": "Ni Made Sari",
    "approved_at": None,
    "approved_by": None,
    "cancelled_at": None,
    "cancelled_by": None,
    "cancel_reason": "",
}
LINE: dict[str, Any] = {
    "item": "ktp-wni",
    "waits": "count",
    "counted": None,
    "counted_at": None,
    "counted_by": None,
    "recount_asked": False,
    "recounted": None,
    "recounted_at": None,
    "recounted_by": None,
    "book": None,
    "difference": None,
    "booked": [],
}
STOCKTAKE = LISTED | {"lines": [LINE]}
NAMED = {"stocktake_id": "id"}
OF_A_COUNT: dict[str, str] = dict.fromkeys(
    ("item_not_found", "count_in_future", "count_before_opening", "line_counted"), "/lines"
)
LINKS = (
    link("stocktakes_show", **NAMED),
    link("stocktakes_count", **NAMED),
    link("stocktakes_recount", **NAMED),
    link("stocktakes_cancel", **NAMED),
)


@lists(blueprint, ALL, Action.VIEW_STOCK, (StocktakeListed, LISTED))
def index(said: dict[str, Any], code: str) -> Any:
    """An office's stocktakes, the newest first, without their lines."""
    return stocktakes.newest(security.current_actor(), code, said["after"], said["limit"])


@posts(
    blueprint,
    ALL,
    Action.COUNT_STOCK,
    body=(StocktakeBegin, BEGIN),
    answer=(StocktakeSchema, STOCKTAKE),
    links=LINKS,
)
def begin(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Open a stocktake of all that the office's book knows. One at a time is open."""
    actor, now = security.current_actor(), security.now()
    return _shown(stocktakes.begin(actor, now, request_id, code, **said))


@reads(blueprint, ONE, Action.VIEW_STOCK, (StocktakeSchema, STOCKTAKE))
def show(stocktake_id: int) -> Any:
    """One stocktake with its counts.

    What was counted is told when all is counted, and what the book said when it is approved: counting is blind.
    """
    return stocktakes.get(security.current_actor(), security.now(), stocktake_id)


@posts(
    blueprint,
    f"{ONE}/counts",
    Action.COUNT_STOCK,
    body=(StocktakeCounts, COUNTS),
    answer=(StocktakeSchema, STOCKTAKE),
    links=LINKS[:1],
    blame=OF_A_COUNT,
)
def count(said: dict[str, Any], stocktake_id: int, request_id: Any) -> Any:
    """Save what was counted, of some items or all.

    Once every item is in, those that differ from the book wait for a second count; if none does, the stocktake waits
    for another person's approval.
    """
    return _counted(stocktakes.count, said, stocktake_id, request_id)


@posts(
    blueprint,
    f"{ONE}/recounts",
    Action.COUNT_STOCK,
    body=(StocktakeCounts, COUNTS),
    answer=(StocktakeSchema, STOCKTAKE),
    links=LINKS[:1],
    blame=OF_A_COUNT,
)
def recount(said: dict[str, Any], stocktake_id: int, request_id: Any) -> Any:
    """Save the second count of items that wait for one. It stands."""
    return _counted(stocktakes.recount, said, stocktake_id, request_id)


@posts(
    blueprint,
    f"{ONE}/cancellation",
    Action.COUNT_STOCK,
    body=(StocktakeCancellation, {"why": "Begun at the wrong office."}),
    answer=(StocktakeSchema, STOCKTAKE | {"status": "cancelled"}),
    links=LINKS[:1],
    blame={"stocktake_cancel_needs_reason": "/why"},
)
def cancel(said: dict[str, Any], stocktake_id: int, request_id: Any) -> Any:
    """Give up a stocktake. Once all is counted that takes somebody who may approve it."""
    actor, now = security.current_actor(), security.now()
    if "bearer" not in g and stocktakes.get(actor, now, stocktake_id, Action.COUNT_STOCK).status == "counted":
        security.require_fresh(Action.APPROVE)  # to decline what was counted is as much as to approve it
    stocktakes.cancel(actor, now, stocktake_id, said["why"])
    return _shown(stocktake_id)


def _counted(save: Callable[..., Any], said: dict[str, Any], stocktake_id: int, request_id: Any) -> Any:
    actor, now = security.current_actor(), security.now()
    counts = {line.pop("item"): Counted(**line) for line in said["lines"]}
    save(actor, now, request_id, stocktake_id, counts)
    return _shown(stocktake_id)


def _shown(stocktake_id: int) -> Any:
    return stocktakes.get(reader(), security.now(), stocktake_id)
