"""Outreach plans: on which day an office goes where, and how many prints it expects there."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from marshmallow import fields, validate

from inventory import security
from inventory.api import etags
from inventory.api.answers import Answer, TimeOfDay, Version, reader, stale_when
from inventory.api.fields import Code, Day, Instant, ItemCode, Quantity, Text
from inventory.api.lines import lines_of
from inventory.api.operations import link, lists, posts, puts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.outreach import STATUSES, WORDS_LENGTH
from inventory.services import outreach
from inventory.services.outreach import PlanDetail, Planning

blueprint = Resource("outreach", __name__, description="Outreach (jemput bola): planned, then held or called off.")

ALL = "/offices/<code:code>/outreach"
ONE = "/outreach/<int(max=2147483647):outreach_plan_id>"


class OutreachExpectedLine(Schema):
    item = ItemCode(required=True)
    expected = Quantity(required=True)


class OutreachAsked(Schema):
    day = Day(required=True, metadata={"description": "The office's own day, today or later."})
    place = Text(WORDS_LENGTH, least=1, required=True)
    team_code = Code(load_default="", metadata={"description": "The team, where it is an office of its own."})
    team = Text(WORDS_LENGTH, load_default="")
    starts = TimeOfDay(load_default=None, allow_none=True)
    ends = TimeOfDay(load_default=None, allow_none=True)
    note = Text(NOTE_LENGTH, load_default="")
    lines = lines_of(OutreachExpectedLine)


class OutreachCallOff(Schema):
    version = Version(required=True)
    why = Text(NOTE_LENGTH, least=1, required=True)


class OutreachActualLine(Schema):
    item = ItemCode(required=True)
    actual = Quantity(zero=True, required=True)


class OutreachResultSchema(Schema):
    version = Version(required=True)
    lines = lines_of(OutreachActualLine, needed=False)


class OutreachLineSchema(Answer):
    item = fields.Str(attribute="item_code")
    expected = fields.Int()
    actual = fields.Int(allow_none=True)


class OutreachListed(Answer):
    id = fields.Int()
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    day = fields.Date()
    place = fields.Str()
    team_code = fields.Str()
    team = fields.Str(attribute="team_words")
    starts = TimeOfDay(allow_none=True)
    ends = TimeOfDay(allow_none=True)
    status = fields.Str(validate=validate.OneOf(STATUSES))
    version = fields.Int()
    made_by = fields.Str(allow_none=True)
    note = fields.Str()
    office_open = fields.Bool()
    lines = fields.List(fields.Nested(OutreachLineSchema))


class OutreachStep(Answer):
    step = fields.Str()
    at = Instant()
    by = fields.Str(allow_none=True)
    note = fields.Str()


class OutreachSchema(Answer):
    id = fields.Int(attribute="plan.id")
    plan = fields.Nested(OutreachListed)
    steps = fields.List(fields.Nested(OutreachStep))


PLANNING = {
    "day": "2023-09-16",
    "place": "SMA Negeri 1 Denpasar",
    "team": "Team 2",
    "starts": "08:00",
    "ends": "13:00",
    "lines": [{"item": "ktp-wni", "expected": 150}],
}
LISTED: dict[str, Any] = {
    "id": 6,
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "day": "2023-09-16",
    "place": "SMA Negeri 1 Denpasar",
    "team_code": "",
    "team": "Team 2",
    "starts": "08:00",
    "ends": "13:00",
    "status": "planned",
    "version": 1,
    "made_by": "Ni Made Sari",
    "note": "",
    "office_open": True,
    "lines": [{"item": "ktp-wni", "expected": 150, "actual": None}],
}
PLAN: dict[str, Any] = {"id": 6, "plan": LISTED, "steps": []}
NAMED = {"outreach_plan_id": "id"}
LINKS = (
    link("outreach_show", **NAMED),
    link("outreach_change", **NAMED),
    link("outreach_call_off", **NAMED),
    link("outreach_held", **NAMED),
)
BLAME = {
    "outreach_day_range": "/day",
    "office_closed_on_day": "/day",
    "outreach_place_missing": "/place",
    "outreach_hours": "/ends",
    "outreach_team_unknown": "/team_code",
    "item_not_found": "/lines",
    "outreach_items_differ": "/lines",
    "outreach_changed": "/version",
    "outreach_needs_reason": "/why",
}


@lists(blueprint, ALL, Action.VIEW_STOCK, (OutreachListed, LISTED))
def index(said: dict[str, Any], code: str) -> Any:
    """An office's outreach plans, those made last first."""
    return outreach.newest(security.current_actor(), code, said["after"], said["limit"])


@posts(
    blueprint,
    ALL,
    Action.PLAN_OUTREACH,
    body=(OutreachAsked, PLANNING),
    answer=(OutreachSchema, PLAN),
    links=LINKS,
    blame=BLAME,
)
def plan(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Plan an outreach. On a day on which the office would be closed its calendar opens with it."""
    made = outreach.plan(security.current_actor(), security.now(), request_id, code, _planning(said))
    return outreach.get(reader(), made)


@reads(blueprint, ONE, Action.VIEW_STOCK, (OutreachSchema, PLAN), versioned=True)
def show(outreach_plan_id: int) -> Any:
    """One plan with the steps taken on it."""
    return _versioned(outreach.get(security.current_actor(), outreach_plan_id))


@puts(
    blueprint,
    ONE,
    Action.PLAN_OUTREACH,
    body=(OutreachAsked, PLANNING),
    answer=(OutreachSchema, PLAN),
    blame=BLAME,
)
def change(said: dict[str, Any], outreach_plan_id: int) -> Any:
    """Say anew what is planned; the calendar follows the day."""
    actor, now = security.current_actor(), security.now()
    before = outreach.get(actor, outreach_plan_id, Action.PLAN_OUTREACH)
    etags.check(_tag(before))
    with stale_when("outreach_changed"):
        outreach.change(actor, now, uuid4(), outreach_plan_id, before.plan.version, _planning(said))
    return _versioned(outreach.get(reader(), outreach_plan_id))


@posts(
    blueprint,
    f"{ONE}/cancellation",
    Action.PLAN_OUTREACH,
    body=(OutreachCallOff, {"version": 1, "why": "The school is closed."}),
    answer=(OutreachSchema, PLAN),
    links=LINKS[:1],
    blame=BLAME,
)
def call_off(said: dict[str, Any], outreach_plan_id: int, request_id: Any) -> Any:
    """Call a planned outreach off."""
    actor, now = security.current_actor(), security.now()
    outreach.call_off(actor, now, request_id, outreach_plan_id, said["version"], said["why"])
    return outreach.get(reader(), outreach_plan_id)


@posts(
    blueprint,
    f"{ONE}/result",
    Action.PLAN_OUTREACH,
    body=(OutreachResultSchema, {"version": 1, "lines": [{"item": "ktp-wni", "actual": 131}]}),
    answer=(OutreachSchema, PLAN),
    links=LINKS[:1],
    blame=BLAME,
)
def held(said: dict[str, Any], outreach_plan_id: int, request_id: Any) -> Any:
    """Say that an outreach was held, and how much it printed where somebody counted.

    It books nothing: prints are posted as movements.
    """
    actor, now = security.current_actor(), security.now()
    actual = {line["item"]: line["actual"] for line in said["lines"]}
    outreach.record_held(actor, now, request_id, outreach_plan_id, said["version"], actual)
    return outreach.get(reader(), outreach_plan_id)


def _planning(said: dict[str, Any]) -> Planning:
    expected = {line["item"]: line["expected"] for line in said.pop("lines")}
    return Planning(expected=expected, **said)


def _tag(found: PlanDetail) -> str:
    return etags.tag("outreach", found.plan.id, found.plan.version)


def _versioned(found: PlanDetail) -> Any:
    return etags.versioned(found, _tag(found))
