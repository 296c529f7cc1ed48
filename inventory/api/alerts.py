"""Alerts: what needs somebody's attention, its history, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, Id, reader
from inventory.api.cursors import PageQuery
from inventory.api.fields import Choice, Code, Day, Instant, Text
from inventory.api.operations import link, lists, posts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.alerts import Level, Subject
from inventory.domain.cases import BY_PEOPLE, WORDS_LENGTH, Done, State
from inventory.services import alerts, cases

blueprint = Resource("alerts", __name__, description="Low stocks, and whatever else is left undone.")

ONE = "/alerts/<int(max=2147483647):alert_id>"
LEVELS = [level.value for level in Level]


class AlertFilter(PageQuery):
    under = Code(load_default=None, metadata={"description": "Only this office and those below it."})
    level = Choice(LEVELS, load_default=None)
    state = Choice(("open", "resolved", "all"), load_default="open")


class AcknowledgementSchema(Schema):
    """Nothing has to be said."""


class AlertOwnerSchema(Schema):
    person_id = Id(required=True, allow_none=True, metadata={"description": "Null: nobody's."})


class AlertSnoozeSchema(Schema):
    until = Day(load_default=None, allow_none=True, metadata={"description": "The office's own day."})
    level = Choice(LEVELS, load_default=None, allow_none=True, metadata={"description": "Or until it is as bad."})


class AlertCommentSchema(Schema):
    words = Text(WORDS_LENGTH, least=1, required=True)


class AlertResolutionSchema(Schema):
    done = Choice([done.value for done in BY_PEOPLE], required=True)
    words = Text(WORDS_LENGTH, load_default="")


class AlertSchema(Answer):
    id = fields.Int()
    subject = fields.Str(validate=validate.OneOf([subject.value for subject in Subject]))
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    item = fields.Str(attribute="item_code", allow_none=True)
    level = fields.Str(validate=validate.OneOf(LEVELS))
    state = fields.Str(validate=validate.OneOf([state.value for state in State]))
    opened_at = Instant()
    changed_at = Instant()
    resolved_at = Instant(allow_none=True)
    owner_id = fields.Int(allow_none=True)
    owner = fields.Str(allow_none=True)
    acknowledged_at = Instant(allow_none=True)
    acknowledged_by = fields.Str(allow_none=True)
    snoozed_until = fields.Date(allow_none=True)
    snoozed_level = fields.Str(allow_none=True)
    done = fields.Str(allow_none=True, metadata={"description": "How it ended."})
    reopened = fields.Int(metadata={"description": "How often it was opened again."})
    facts = fields.Dict(keys=fields.Str(), metadata={"description": "The numbers behind it."})


class AlertChangeSchema(Answer):
    at = Instant()
    kind = fields.Str()
    from_level = fields.Str(validate=validate.OneOf(LEVELS))
    to_level = fields.Str(validate=validate.OneOf(LEVELS))
    by = fields.Str(allow_none=True)
    words = fields.Str()
    lapsed = fields.Bool(metadata={"description": "Whether an acknowledgement ended with it."})
    facts = fields.Dict(keys=fields.Str())


class AlertDetailSchema(Answer):
    id = fields.Int(attribute="alert.id")
    alert = fields.Nested(AlertSchema)
    history = fields.List(fields.Nested(AlertChangeSchema), attribute="events")
    may_act = fields.Bool()


ALERT: dict[str, Any] = {
    "id": 4,
    "subject": "low_stock",
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "item": "ktp-wni",
    "level": "critical",
    "state": "waiting",
    "opened_at": "2023-09-12T14:00:00Z",
    "changed_at": "2023-09-12T14:00:00Z",
    "resolved_at": None,
    "owner_id": None,
    "owner": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "snoozed_until": None,
    "snoozed_level": None,
    "done": None,
    "reopened": 0,
    "facts": {"store": 1639, "stockout_on": "2023-09-18"},
}
DETAIL: dict[str, Any] = {
    "id": 4,
    "alert": ALERT,
    "history": [
        {
            "at": "2023-09-12T14:00:00Z",
            "kind": "level",
            "from_level": "ok",
            "to_level": "critical",
            "by": None,
            "words": "",
            "lapsed": False,
            "facts": {"store": 1639},
        }
    ],
    "may_act": True,
}


@lists(blueprint, "/alerts", Action.VIEW_ALERT, (AlertSchema, ALERT), query=AlertFilter)
def index(said: dict[str, Any]) -> Any:
    """The alerts in reach, the newest first: the open ones, unless asked otherwise."""
    resolved = {"open": False, "resolved": True, "all": None}[said["state"]]
    narrowed = {"office_code": said["under"], "level": said["level"], "resolved": resolved}
    return alerts.newest(security.current_actor(), said["after"], said["limit"], **narrowed)


@reads(blueprint, ONE, Action.VIEW_ALERT, (AlertDetailSchema, DETAIL))
def show(alert_id: int) -> Any:
    """One alert with its history, the newest first."""
    return alerts.get(security.current_actor(), alert_id)


def _acts(name: str, body: Any, blame: dict[str, str]) -> Any:
    return posts(
        blueprint,
        f"{ONE}/{name}",
        Action.ACT_ON_ALERT,
        body=body,
        answer=(AlertDetailSchema, DETAIL),
        links=(link("alerts_show", alert_id="id"),),
        blame=blame,
    )


@_acts("acknowledgement", (AcknowledgementSchema, {}), {})
def acknowledge(_said: dict[str, Any], alert_id: int, request_id: Any) -> Any:
    """Say that an alert is seen."""
    return _done(alert_id, lambda actor, now: cases.acknowledge(actor, now, request_id, [alert_id]))


@_acts("owner", (AlertOwnerSchema, {"person_id": None}), {"owner_not_allowed": "/person_id"})
def assign(said: dict[str, Any], alert_id: int, request_id: Any) -> Any:
    """Give an open alert to somebody who may act on it, or to nobody."""
    return _done(alert_id, lambda actor, now: cases.assign(actor, now, request_id, alert_id, said["person_id"]))


@_acts(
    "snooze",
    (AlertSnoozeSchema, {"until": "2023-09-20", "level": "out"}),
    {
        "snooze_without_end": "/until",
        "snooze_over_already": "/until",
        "snooze_too_long": "/until",
        "snooze_level_reached": "/level",
    },
)
def snooze(said: dict[str, Any], alert_id: int, request_id: Any) -> Any:
    """Let an open alert sleep until a day, or until it is as bad as a level, whichever is first."""
    level = Level(said["level"]) if said["level"] else None
    return _done(alert_id, lambda actor, now: cases.snooze(actor, now, request_id, alert_id, said["until"], level))


@_acts("comments", (AlertCommentSchema, {"words": "A delivery is on its way."}), {})
def comment(said: dict[str, Any], alert_id: int, request_id: Any) -> Any:
    """Add words to an alert's history."""
    return _done(alert_id, lambda actor, now: cases.comment(actor, now, request_id, alert_id, said["words"]))


@_acts(
    "resolution",
    (AlertResolutionSchema, {"done": "ordered", "words": ""}),
    {"done_needs_words": "/words", "done_by_itself": "/done"},
)
def resolve(said: dict[str, Any], alert_id: int, request_id: Any) -> Any:
    """Close an open alert, saying what was done. A review that finds it no better opens it again."""
    done = Done(said["done"])
    return _done(alert_id, lambda actor, now: cases.resolve(actor, now, request_id, alert_id, done, said["words"]))


def _done(alert_id: int, act: Callable[[Any, Any], object]) -> Any:
    act(security.current_actor(), security.now())
    return alerts.get(reader(), alert_id)
