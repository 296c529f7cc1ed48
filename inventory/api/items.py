"""What is kept in stock."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from inventory.api.auth import needs
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.services import items
from inventory.services.items import ItemView

blueprint = Resource("items", __name__, description="What is kept in stock: blanks, ribbons, films.")


class TextsSchema(Schema):
    id = fields.String(required=True)
    en = fields.String(required=True)


class ItemSchema(Schema):
    code = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": ["blank", "consumable"]})
    names = fields.Nested(TextsSchema, required=True)
    units = fields.Nested(TextsSchema, required=True)
    pack_size = fields.Integer(required=True)
    prints_per_unit = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Cards that one unit prints; null for blanks."}
    )
    numbered = fields.Boolean(
        required=True, metadata={"description": "Every movement of it says which serial numbers it moves."}
    )


EXAMPLE = {
    "code": "ktp-wni",
    "kind": "blank",
    "names": {"id": "Blangko KTP-el WNI", "en": "Citizen card blank"},
    "units": {"id": "keping", "en": "cards"},
    "pack_size": 500,
    "prints_per_unit": None,
    "numbered": False,
}


@blueprint.route("/items")
@needs(Action.VIEW_OFFICE)
@blueprint.response(200, list_of(ItemSchema), example={"data": [EXAMPLE], "next": None})
def index() -> Any:
    """The items in use"""
    return {"data": [_told(item) for item in items.active()], "next": None}


@blueprint.route("/items/<code:item>")
@needs(Action.VIEW_OFFICE)
@blueprint.response(200, ItemSchema, example=EXAMPLE)
def show(item: str) -> Any:
    """One item"""
    return _told(items.get(item))


def _told(item: ItemView) -> dict[str, Any]:
    return {
        "code": item.code,
        "kind": "blank" if item.is_blank else "consumable",
        "names": item.names,
        "units": item.units,
        "pack_size": item.pack_size,
        "prints_per_unit": item.prints_per_unit,
        "numbered": item.numbered,
    }
