"""Coverage: what offices report of enrolment and printing, of their equipment, and what it adds up to."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer
from inventory.api.fields import Choice, Day, Few, Instant, Text, Whole
from inventory.api.lines import LINES
from inventory.api.operations import posts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.coverage import (
    EQUIPMENT,
    MEASURES,
    MOST,
    MOST_EQUIPMENT,
    NOTE_LENGTH,
    SOURCE_LENGTH,
    Equipment,
    Figure,
)
from inventory.services import coverage

blueprint = Resource("coverage", __name__, description="Known figures of enrolment, printing and equipment.")


class FigureAsked(Schema):
    measure = Choice(MEASURES, required=True)
    value = Whole(0, MOST, required=True)
    as_of = Day(required=True)
    source = Text(SOURCE_LENGTH, least=1, required=True)
    note = Text(NOTE_LENGTH, load_default="")


class FiguresAsked(Schema):
    figures = Few(fields.Nested(FigureAsked), required=True, validate=LINES)


class EquipmentAsked(Schema):
    kind = Choice(EQUIPMENT, required=True)
    working = Whole(0, MOST_EQUIPMENT, required=True)
    out_of_order = Whole(0, MOST_EQUIPMENT, required=True)
    cards_a_day = Whole(
        1, MOST_EQUIPMENT, load_default=None, allow_none=True, metadata={"description": "Of one printer."}
    )
    as_of = Day(required=True)
    source = Text(SOURCE_LENGTH, least=1, required=True)
    note = Text(NOTE_LENGTH, load_default="")


class EquipmentList(Schema):
    equipment = Few(fields.Nested(EquipmentAsked), required=True, validate=LINES)


class WrittenSchema(Answer):
    entry_id = fields.Int()
    added = fields.Int()
    corrected = fields.Int()
    known = fields.Int(metadata={"description": "On record already, and passed over."})


class ToldSchema(Answer):
    measure = fields.Str(validate=validate.OneOf(MEASURES))
    value = fields.Int()
    since = fields.Date()
    until = fields.Date()
    source = fields.Str(metadata={"description": "Empty for a sum of the offices below."})
    below = fields.List(fields.Str())
    silent = fields.List(fields.Str(), metadata={"description": "Offices of which nothing is known."})


class CoverageShareSchema(Answer):
    name = fields.Str()
    part = fields.Int()
    whole = fields.Int()
    as_of = fields.Date()
    derived = fields.Bool()
    since = fields.Date()
    below = fields.List(fields.Str())
    silent = fields.List(fields.Str())


class ContradictionSchema(Answer):
    code = fields.Str()
    as_of = fields.Date()
    measures = fields.List(fields.Str())
    facts = fields.Dict(keys=fields.Str())


class ReportSchema(Answer):
    measure = fields.Str(attribute="figure.measure")
    value = fields.Int(attribute="figure.value")
    as_of = fields.Date(attribute="figure.as_of")
    source = fields.Str(attribute="figure.source")
    note = fields.Str(attribute="figure.note")
    recorded_at = Instant()
    recorded_by = fields.Str(allow_none=True)
    superseded = fields.Bool()


class EquipmentSum(Answer):
    working = fields.Dict(keys=fields.Str(), values=fields.Int())
    out_of_order = fields.Dict(keys=fields.Str(), values=fields.Int())
    capacity = fields.Int(metadata={"description": "Cards a day."})
    reporting = fields.Int()
    offices = fields.Int()


class CoverageSchema(Answer):
    office = fields.Str(attribute="office.code")
    figures = fields.List(fields.Nested(ToldSchema))
    shares = fields.List(fields.Nested(CoverageShareSchema))
    contradictions = fields.List(fields.Nested(ContradictionSchema))
    equipment = fields.Nested(EquipmentSum)
    reports = fields.List(fields.Nested(ReportSchema), metadata={"description": "The newest, at most 50."})


FIGURE = {"measure": "enrolled", "value": 511434, "as_of": "2024-05-22", "source": "Tribun Bali, 2024"}
PRINTERS = {
    "kind": "printer",
    "working": 2,
    "out_of_order": 1,
    "cards_a_day": 250,
    "as_of": "2023-09-12",
    "source": "Office report",
}
WRITTEN = {"entry_id": 8, "added": 1, "corrected": 0, "known": 0}
COVERAGE: dict[str, Any] = {
    "office": "51.71",
    "figures": [
        {
            "measure": "enrolled",
            "value": 511434,
            "since": "2024-05-22",
            "until": "2024-05-22",
            "source": "Tribun Bali, 2024",
            "below": [],
            "silent": [],
        }
    ],
    "shares": [],
    "contradictions": [],
    "equipment": {
        "working": {"printer": 2},
        "out_of_order": {"printer": 1},
        "capacity": 500,
        "reporting": 1,
        "offices": 5,
    },
    "reports": [FIGURE | {"note": "", "recorded_at": "2024-05-23T01:00:00Z", "recorded_by": None, "superseded": False}],
}


@reads(blueprint, "/offices/<code:code>/coverage", Action.VIEW_STOCK, (CoverageSchema, COVERAGE))
def show(code: str) -> Any:
    """What is known of an office's coverage and of the offices below it, and what contradicts itself.

    All reports, not just the newest, are in the export `reported_figures`.
    """
    found = coverage.show(security.current_actor(), code)
    shares = [vars(told.share) | vars(told) | {"name": name} for name, told in found.shares.items()]
    return vars(found) | {"figures": found.figures.values(), "shares": shares}


@posts(
    blueprint,
    "/offices/<code:code>/figures",
    Action.RECORD_FIGURES,
    body=(FiguresAsked, {"figures": [FIGURE]}),
    answer=(WrittenSchema, WRITTEN),
    blame={"day_in_future": "/figures", "day_too_early": "/figures"},
)
def record(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Keep figures of an office as they are reported.

    Another value of the same source, day and measure is a correction: the last one counts, the earlier one stays.
    """
    actor, now = security.current_actor(), security.now()
    return coverage.record(actor, now, request_id, code, [Figure(**each) for each in said["figures"]])


@posts(
    blueprint,
    "/offices/<code:code>/equipment",
    Action.RECORD_FIGURES,
    body=(EquipmentList, {"equipment": [PRINTERS]}),
    answer=(WrittenSchema, WRITTEN),
    blame={"day_in_future": "/equipment", "day_too_early": "/equipment", "capacity_missing": "/equipment"},
)
def record_equipment(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Keep how many printers and enrolment sets of an office work, and how many do not."""
    actor, now = security.current_actor(), security.now()
    return coverage.record_equipment(actor, now, request_id, code, [Equipment(**each) for each in said["equipment"]])
