"""Stock cards."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import fields

from inventory import security
from inventory.api.auth import needs
from inventory.api.fields import Day, Instant
from inventory.api.movements import REASONS
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.ledger import Kind
from inventory.services import stock_cards

blueprint = Resource("cards", __name__, description="Stock cards: day by day what moved, and what was left.")


class CardLineSchema(Schema):
    movement = fields.Integer(required=True, attribute="movement_id")
    seq = fields.Integer(required=True)
    day = fields.Date(required=True)
    recorded_at = Instant(required=True)
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in Kind]})
    reason = fields.String(required=True, metadata={"enum": list(REASONS)})
    quantity = fields.Integer(required=True)
    change = fields.Integer(required=True, metadata={"description": "What it did to the store."})
    left = fields.Integer(required=True, metadata={"description": "What the store held after it."})
    note = fields.String(required=True)
    recorded_by = fields.String(required=True, allow_none=True, attribute="by")
    bast_number = fields.String(required=True, allow_none=True)


class CardSchema(Schema):
    office = fields.String(required=True)
    item = fields.String(required=True)
    since = fields.Date(required=True)
    until = fields.Date(required=True)
    opening = fields.Integer(required=True)
    closing = fields.Integer(required=True)
    lines = fields.List(fields.Nested(CardLineSchema), required=True)


class CardQuery(Schema):
    since = Day(load_default=None, metadata={"description": "The first day; 30 days back when nothing is said."})
    until = Day(load_default=None, metadata={"description": "The last day; today when nothing is said."})


EXAMPLE = {
    "office": "51.71",
    "item": "ktp-wni",
    "since": "2024-05-01",
    "until": "2024-05-15",
    "opening": 4318,
    "closing": 4300,
    "lines": [
        {
            "movement": 8123,
            "seq": 912,
            "day": "2024-05-15",
            "recorded_at": "2024-05-15T03:00:00Z",
            "kind": "print",
            "reason": "new",
            "quantity": 18,
            "change": -18,
            "left": 4300,
            "note": "",
            "recorded_by": "Sistem antrean Denpasar",
            "bast_number": None,
        }
    ],
}


@blueprint.route("/offices/<code:code>/items/<code:item>/card")
@needs(Action.VIEW_STOCK, fields={"day_too_early": "since", "period_backwards": "until", "period_too_long": "since"})
@blueprint.arguments(CardQuery, location="query")
@blueprint.response(200, CardSchema, example=EXAMPLE)
def show(query: dict[str, Any], code: str, item: str) -> Any:
    """An office's stock card of an item, of at most 92 days"""
    card = stock_cards.read(g.actor, security.now(), code, item, query["since"], query["until"])
    return {
        "office": card.office.code,
        "item": card.item.code,
        "since": card.since,
        "until": card.until,
        "opening": card.opening,
        "closing": card.closing,
        "lines": card.lines,
    }
