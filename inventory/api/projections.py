"""Projections: when stocks run out and what to order, with all that a figure rests on."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer
from inventory.api.cursors import PageQuery
from inventory.api.fields import Code, Instant
from inventory.api.operations import lists, reads
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.alerts import Level
from inventory.services import explanations

blueprint = Resource("projections", __name__, description="Projected demand, as the last review made it.")

LEVELS = [level.value for level in Level]


class ProjectionFigures(Answer):
    """The figures of a projection; null where there is none."""

    store = fields.Int()
    usable = fields.Int(metadata={"description": "The store less those who wait."})
    inbound = fields.Int()
    reorder_point = fields.Int(allow_none=True)
    order_up_to = fields.Int(allow_none=True)
    suggested_order = fields.Int(allow_none=True)
    level_per_day = fields.Float(allow_none=True)
    cover_days = fields.Float(allow_none=True, metadata={"description": "In the office's working days."})
    stockout_on = fields.Date(allow_none=True)
    stockout_early_on = fields.Date(allow_none=True)
    stockout_late_on = fields.Date(allow_none=True)
    stockout_in_lead = fields.Float(allow_none=True)
    lead_days = fields.Int()
    review_days = fields.Int()
    service_level = fields.Float()
    quantiles = fields.Dict(
        keys=fields.Str(),
        values=fields.Int(allow_none=True),
        metadata={"description": "Of the demand over lead time and review period, by probability."},
    )


class ProjectionListed(Answer):
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    item = fields.Str(attribute="item_code")
    level = fields.Str(validate=validate.OneOf(LEVELS))
    on_day = fields.Date()
    made_at = Instant()
    figures = fields.Nested(ProjectionFigures)


class ProjectionExpected(Answer):
    on_day = fields.Date()
    quantity = fields.Int()
    transfer_id = fields.Int(allow_none=True)
    delivery_request_id = fields.Int(allow_none=True)


class ProjectionPast(Answer):
    day = fields.Date()
    store = fields.Int()
    arrived = fields.Int()
    counted = fields.Int()


class ProjectionSchema(Answer):
    office = fields.Str(attribute="office.code")
    item = fields.Str(attribute="item.code")
    level = fields.Str(allow_none=True, validate=validate.OneOf(LEVELS))
    on_day = fields.Date(allow_none=True, metadata={"description": "Null before the first review."})
    made_at = Instant(allow_none=True)
    alert_id = fields.Int(allow_none=True)
    figures = fields.Nested(ProjectionFigures, allow_none=True)
    explanation = fields.Dict(
        keys=fields.Str(),
        metadata={
            "description": "All that the figures rest on: days used and left out, weekday weights, the fan of demand "
            "ahead, seasons, outreach, lead times learnt, backtest."
        },
    )
    expected = fields.List(fields.Nested(ProjectionExpected), metadata={"description": "What is under way now."})
    past = fields.List(fields.Nested(ProjectionPast), metadata={"description": "Closings of the last 60 days."})


class StoredFilter(PageQuery):
    under = Code(load_default=None, metadata={"description": "Only this office and those below it."})


FIGURES: dict[str, Any] = {
    "store": 1639,
    "usable": 1639,
    "inbound": 0,
    "reorder_point": 5215,
    "order_up_to": 7010,
    "suggested_order": 5500,
    "level_per_day": 361.4,
    "cover_days": 4.5,
    "stockout_on": "2023-09-18",
    "stockout_early_on": "2023-09-15",
    "stockout_late_on": "2023-09-20",
    "stockout_in_lead": 0.998,
    "lead_days": 14,
    "review_days": 5,
    "service_level": 0.95,
    "quantiles": {"0.05": 6120, "0.5": 6870, "0.95": 7660},
}
STORED: dict[str, Any] = {
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "item": "ktp-wni",
    "level": "critical",
    "on_day": "2023-09-12",
    "made_at": "2023-09-12T14:00:00Z",
    "figures": FIGURES,
}
PROJECTION: dict[str, Any] = {
    "office": "51.71",
    "item": "ktp-wni",
    "level": "critical",
    "on_day": "2023-09-12",
    "made_at": "2023-09-12T14:00:00Z",
    "alert_id": 4,
    "figures": FIGURES,
    "explanation": {"days_used": 61, "days_stocked_out": 4, "weekday_weights": [1.2, 1.1, 1, 0.9, 0.8, 0, 0]},
    "expected": [{"on_day": "2023-09-20", "quantity": 2000, "transfer_id": None, "delivery_request_id": 5}],
    "past": [{"day": "2023-09-12", "store": 1639, "arrived": 0, "counted": 0}],
}


@lists(
    blueprint,
    "/projections",
    Action.VIEW_ALERT,
    (ProjectionListed, STORED),
    query=StoredFilter,
    kinds=(str, str),
    key=lambda row: (row["office_code"], row["item_code"]),
)
def index(said: dict[str, Any]) -> Any:
    """The latest projection of every stock in reach, by the codes of office and item."""
    rows = explanations.stored(security.current_actor(), said["after"], said["limit"], office_code=said["under"])
    return [vars(row) | {"figures": figures_of(row.facts)} for row in rows]


@reads(
    blueprint,
    "/offices/<code:code>/projections/<code:item>",
    Action.VIEW_ALERT,
    (ProjectionSchema, PROJECTION),
)
def show(code: str, item: str) -> Any:
    """One stock's projection with its explanation, what is under way, and the last 60 days."""
    found = explanations.of_stock(security.current_actor(), security.now(), code, item)
    return vars(found) | {"figures": figures_of(found.facts), "explanation": found.facts}


def figures_of(facts: dict[str, Any]) -> dict[str, Any] | None:
    """What the schema's fields name of the facts; days as days."""
    if not facts:
        return None
    shown: dict[str, Any] = {name: facts.get(name) for name in FIGURES}
    return shown | {"quantiles": facts.get("quantiles") or {}}
