"""Serial numbers: where one is and was, which an office holds, and what looks wrong with them."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from inventory import security
from inventory.api.answers import Answer
from inventory.api.fields import Instant
from inventory.api.operations import lists, reads
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.services import numbers

blueprint = Resource("numbers", __name__, description="The numbers of items whose numbers are kept.")


class NumberStepSchema(Answer):
    """At an office out of the reader's reach only day, kind and reason are told."""

    day = fields.Date()
    kind = fields.Str()
    reason = fields.Str()
    reversal = fields.Bool()
    office = fields.Str(attribute="office.code", dump_default=None, allow_none=True)
    recorded_at = Instant(allow_none=True)
    by = fields.Str(allow_none=True)
    bast_number = fields.Str(allow_none=True)
    transfer_id = fields.Int(allow_none=True)
    note = fields.Str()


class NumberSchema(Answer):
    item = fields.Str(attribute="item.code")
    number = fields.Str()
    place = fields.Str(allow_none=True, metadata={"description": "Null for a number that is in nobody's book."})
    office = fields.Str(attribute="office.code", dump_default=None, allow_none=True)
    steps = fields.List(fields.Nested(NumberStepSchema))


class HeldRangeSchema(Answer):
    place = fields.Str()
    first = fields.Str()
    last = fields.Str()
    quantity = fields.Int()


class AnomalySchema(Answer):
    kind = fields.Str(metadata={"description": "missing, gap, overlap, early or skipped."})
    office = fields.Str(attribute="office_code")
    item = fields.Str(attribute="item_code")
    numbers = fields.Function(lambda found: str(found.numbers), metadata={"type": "string"})
    day = fields.Date(allow_none=True)
    document = fields.Str()


class AnomaliesSchema(Answer):
    data = fields.List(fields.Nested(AnomalySchema), metadata={"description": "The first 200."})


NUMBER: dict[str, Any] = {
    "item": "ktp-wni",
    "number": "A100001",
    "place": "store",
    "office": "51.71",
    "steps": [
        {
            "day": "2023-09-12",
            "kind": "receipt",
            "reason": "supplied",
            "reversal": False,
            "office": "51.71",
            "recorded_at": "2023-09-12T02:15:00Z",
            "by": "Ni Made Sari",
            "bast_number": "470/1639/DKPS/2023",
            "transfer_id": None,
            "note": "",
        }
    ],
}
HELD = {"place": "store", "first": "A100001", "last": "A100500", "quantity": 500}
ANOMALY = {
    "kind": "gap",
    "office": "51.71",
    "item": "ktp-wni",
    "numbers": "A100501–A100510",
    "day": "2023-09-12",
    "document": "470/1639/DKPS/2023",
}


@reads(blueprint, "/numbers/<code:item>/<code:number>", Action.VIEW_STOCK, (NumberSchema, NUMBER))
def find(item: str, number: str) -> Any:
    """Where a card's number is now, and its whole way from the first movement to the last."""
    return numbers.look_up(security.current_actor(), security.now(), item, number)


@lists(
    blueprint,
    "/offices/<code:code>/numbers/<code:item>",
    Action.VIEW_STOCK,
    (HeldRangeSchema, HELD),
    kinds=(str, str, int, int),
    key=lambda row: row["key"],
)
def held(said: dict[str, Any], code: str, item: str) -> Any:
    """The ranges of numbers in an office's places, in order."""
    found = numbers.held_after(security.current_actor(), code, item, said["after"], said["limit"])
    return [
        {
            "place": place,
            "first": str(each.part(each.first, each.first)),
            "last": str(each.part(each.last, each.last)),
            "quantity": each.size,
            "key": (place, each.prefix, each.width, each.first),
        }
        for place, each in found
    ]


@reads(
    blueprint,
    "/offices/<code:code>/numbers",
    Action.VIEW_STOCK,
    (AnomaliesSchema, {"data": [ANOMALY]}),
)
def report(code: str) -> Any:
    """What looks wrong with an office's numbers: missing, left out, held twice, used early, passed over."""
    return {"data": numbers.report(security.current_actor(), code)}
