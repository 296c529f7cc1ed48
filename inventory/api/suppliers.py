"""Suppliers and waiting: how well they deliver, and how long an office waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from marshmallow import fields

from inventory import security
from inventory.api.answers import Answer
from inventory.api.fields import Day
from inventory.api.operations import reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.services import lead_times, offices, suppliers

blueprint = Resource("suppliers", __name__, description="How well suppliers deliver, and how long offices wait.")


class PeriodQuery(Schema):
    since = Day(load_default=None, data_key="from", metadata={"description": "Left out: a year before the end."})
    until = Day(load_default=None, data_key="to", metadata={"description": "Left out: the office's today."})


class PerformanceSchema(Answer):
    asked = fields.Int()
    received = fields.Int()
    allotted = fields.Int()
    received_of_allotted = fields.Int()
    hand_overs = fields.Int()
    days = fields.Float(allow_none=True, metadata={"description": "Waited on average, in working days."})
    fill_rate = fields.Float(allow_none=True)
    fill_rate_of_allotted = fields.Float(allow_none=True)


class MonthSchema(Answer):
    month = fields.Date(metadata={"description": "Its first day."})
    figures = fields.Nested(PerformanceSchema)


class SupplierSchema(Answer):
    name = fields.Str()
    total = fields.Nested(PerformanceSchema)
    months = fields.List(fields.Nested(MonthSchema))


class SuppliersSchema(Answer):
    office = fields.Str()
    data = fields.List(fields.Nested(SupplierSchema), metadata={"description": "At most 30."})


class LearntSchema(Answer):
    setting = fields.Int()
    deliveries = fields.Int()
    overdue = fields.Int()
    shortest = fields.Int(allow_none=True)
    longest = fields.Int(allow_none=True)
    average = fields.Float(allow_none=True)
    mean = fields.Float()
    low = fields.Int()
    high = fields.Int()


class LeadTimeSchema(Answer):
    office = fields.Str()
    setting = fields.Int(metadata={"description": "Working days, as set."})
    learnt = fields.Nested(
        LearntSchema, allow_none=True, metadata={"description": "From its deliveries; null while there are none."}
    )


FIGURES = {
    "asked": 10000,
    "received": 2000,
    "allotted": 2000,
    "received_of_allotted": 2000,
    "hand_overs": 1,
    "days": 6.0,
    "fill_rate": 0.2,
    "fill_rate_of_allotted": 1.0,
}
SUPPLIERS: dict[str, Any] = {
    "office": "51.71",
    "data": [
        {
            "name": "Direktorat Jenderal Kependudukan dan Pencatatan Sipil",
            "total": FIGURES,
            "months": [{"month": "2023-09-01", "figures": FIGURES}],
        }
    ],
}
LEAD_TIME: dict[str, Any] = {
    "office": "51.71",
    "setting": 14,
    "learnt": {
        "setting": 14,
        "deliveries": 9,
        "overdue": 1,
        "shortest": 4,
        "longest": 19,
        "average": 9.5,
        "mean": 10.2,
        "low": 4,
        "high": 19,
    },
}


@reads(
    blueprint,
    "/offices/<code:code>/suppliers",
    Action.VIEW_STOCK,
    (SuppliersSchema, SUPPLIERS),
    query=(PeriodQuery, {}),
)
def index(said: dict[str, Any], code: str) -> Any:
    """The suppliers of an office and of those below it, the one that was asked for most first."""
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    until = said["until"] or office.today(security.now())
    _office, found = suppliers.performance(actor, code, said["since"] or until - timedelta(days=364), until)
    data = [
        vars(each) | {"months": [{"month": month, "figures": figures} for month, figures in each.months]}
        for each in found
    ]
    return {"office": office.code, "data": data}


@reads(blueprint, "/offices/<code:code>/lead-time", Action.VIEW_STOCK, (LeadTimeSchema, LEAD_TIME))
def lead_time(code: str) -> Any:
    """How long an office waits for what it asks for: as set, and as learnt."""
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    learnt = lead_times.of_office(actor, Action.VIEW_STOCK, code, office.today(security.now()))
    return {"office": code, "setting": office.settings.lead_time_days, "learnt": learnt}
