"""Destructions of spoiled blanks and write-offs: proposed here, approved by another person on a page."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory import security
from inventory.api.answers import Answer, reader
from inventory.api.fields import Choice, Day, Few, Instant, ItemCode, Quantity, Text
from inventory.api.lines import LINES
from inventory.api.operations import link, lists, posts, reads
from inventory.api.ranges import Numbers
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.destructions import CAUSES, METHODS, Part, Witness
from inventory.domain.ledger import NOTE_LENGTH
from inventory.domain.proposals import ProposalKind, ProposalStatus
from inventory.services import destructions, proposals
from inventory.services.destructions import RECORDS, Record

blueprint = Resource("destructions", __name__, description="Blanks taken off the books before two witnesses.")

ALL = "/offices/<code:code>/destructions"
ONE = "/destructions/<int(max=2147483647):destruction_id>"
KINDS = [kind.value for kind in RECORDS]


class WitnessSchema(Schema):
    name = Text(120, least=1, required=True)
    position = Text(120, least=1, required=True)


class DestructionPart(Schema):
    item = ItemCode(required=True)
    cause = Choice(CAUSES, required=True)
    quantity = Quantity(zero=True, load_default=0, metadata={"description": "0 or left out where `ranges` say which."})
    ranges = Numbers(load_default=())


class DestructionAsked(Schema):
    kind = fields.Str(
        load_default="destruction",
        validate=validate.OneOf(KINDS),
        metadata={"description": "A write-off takes obsolete blanks from the store to the spoiled."},
    )
    happened_on = Day(required=True, metadata={"description": "The office's own day."})
    place = Text(120, least=1, required=True)
    method = Choice(METHODS, required=True)
    witnesses = Few(fields.Nested(WitnessSchema), required=True, validate=validate.Length(equal=2))
    total = Quantity(required=True, metadata={"description": "As the record says; what the parts add up to."})
    parts = Few(fields.Nested(DestructionPart), required=True, validate=LINES)
    note = Text(NOTE_LENGTH, load_default="")


class DestructionWithdrawal(Schema):
    why = Text(NOTE_LENGTH, least=1, required=True)


class WitnessShown(Answer):
    name = fields.Str()
    position = fields.Str()


class DestructionPartShown(Answer):
    item = fields.Str(attribute="item_code")
    cause = fields.Str(validate=validate.OneOf(CAUSES))
    quantity = fields.Int()
    ranges = Numbers()


class DestructionSchema(Answer):
    id = fields.Int(attribute="proposal.id")
    office = fields.Str(attribute="proposal.office_code")
    kind = fields.Str(attribute="proposal.kind", validate=validate.OneOf(KINDS))
    status = fields.Str(attribute="proposal.status", validate=validate.OneOf([each.value for each in ProposalStatus]))
    happened_on = fields.Date()
    place = fields.Str()
    method = fields.Str(validate=validate.OneOf(METHODS))
    witnesses = fields.List(fields.Nested(WitnessShown))
    total = fields.Int()
    parts = fields.List(fields.Nested(DestructionPartShown))
    note = fields.Str(attribute="proposal.note")
    proposed_by = fields.Str(attribute="proposal.proposed_by")
    proposed_at = Instant(attribute="proposal.proposed_at")
    decided_by = fields.Str(attribute="proposal.decided_by", allow_none=True)
    decided_at = Instant(attribute="proposal.decided_at", allow_none=True)
    decision_note = fields.Str(attribute="proposal.decision_note")


class LyingSchema(Answer):
    item = fields.Str()
    cause = fields.Str()
    quantity = fields.Int()


class SpoiledSchema(Answer):
    data = fields.List(fields.Nested(LyingSchema))


ASKED = {
    "kind": "destruction",
    "happened_on": "2023-09-12",
    "place": "Halaman kantor",
    "method": "burned",
    "witnesses": [
        {"name": "I Wayan Putra", "position": "Kepala seksi"},
        {"name": "Ni Made Sari", "position": "Pengurus barang"},
    ],
    "total": 12,
    "parts": [
        {"item": "ktp-wni", "cause": "misprint", "quantity": 10},
        {"item": "ktp-wni", "cause": "encoding_failure", "quantity": 2},
    ],
}
DESTRUCTION: dict[str, Any] = ASKED | {
    "id": 9,
    "office": "51.71",
    "status": "proposed",
    "parts": [
        {"item": "ktp-wni", "cause": "misprint", "quantity": 10, "ranges": []},
        {"item": "ktp-wni", "cause": "encoding_failure", "quantity": 2, "ranges": []},
    ],
    "note": "",
    "proposed_by": "Ni Made Sari",
    "proposed_at": "2023-09-12T08:00:00Z",
    "decided_by": None,
    "decided_at": None,
    "decision_note": "",
}
LINKS = (link("destructions_show", destruction_id="id"), link("destructions_withdraw", destruction_id="id"))


@lists(blueprint, ALL, Action.VIEW_STOCK, (DestructionSchema, DESTRUCTION))
def index(said: dict[str, Any], code: str) -> Any:
    """An office's records of destruction and write-off, the newest first."""
    return destructions.newest(security.current_actor(), code, said["after"], said["limit"])


@posts(
    blueprint,
    ALL,
    Action.PROPOSE_DESTRUCTION,
    body=(DestructionAsked, ASKED),
    answer=(DestructionSchema, DESTRUCTION),
    links=LINKS,
    blame={
        "day_in_future": "/happened_on",
        "day_too_early": "/happened_on",
        "breakdown_differs": "/total",
        "witnesses_same": "/witnesses/1",
        "cause_unknown": "/parts",
        "item_not_found": "/parts",
        "not_enough_spoiled": "/parts",
        "ranges_missing": "/parts",
        "ranges_differ": "/parts",
        "ranges_not_kept": "/parts",
    },
)
def propose(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Record a destruction or a write-off, for another person to approve. Nothing moves before."""
    actor, now = security.current_actor(), security.now()
    kind = ProposalKind(said.pop("kind"))
    parts = [Part(part.pop("item"), **part) for part in said.pop("parts")]
    witnesses = [Witness(**each) for each in said.pop("witnesses")]
    record = Record(parts=parts, witnesses=witnesses, **said)
    return destructions.get(reader(), destructions.propose(actor, now, request_id, code, kind, record))


@reads(blueprint, ONE, Action.VIEW_STOCK, (DestructionSchema, DESTRUCTION))
def show(destruction_id: int) -> Any:
    """One record and what became of it."""
    return destructions.get(security.current_actor(), destruction_id)


@posts(
    blueprint,
    f"{ONE}/withdrawal",
    Action.PROPOSE_DESTRUCTION,
    body=(DestructionWithdrawal, {"why": "Counted wrongly."}),
    answer=(DestructionSchema, DESTRUCTION | {"status": "withdrawn", "decision_note": "Counted wrongly."}),
    links=LINKS[:1],
    blame={"decision_needs_reason": "/why"},
)
def withdraw(said: dict[str, Any], destruction_id: int, request_id: Any) -> Any:
    """Take back what one has proposed oneself, while it waits."""
    actor = reader()
    destructions.get(actor, destruction_id)  # a proposal of another kind is not found here
    proposals.withdraw(actor, security.now(), destruction_id, said["why"])
    return destructions.get(actor, destruction_id)


@reads(
    blueprint,
    "/offices/<code:code>/spoiled",
    Action.VIEW_STOCK,
    (SpoiledSchema, {"data": [{"item": "ktp-wni", "cause": "misprint", "quantity": 12}]}),
)
def spoiled(code: str) -> Any:
    """What lies among an office's spoiled blanks, by item and cause."""
    lying = destructions.spoiled(security.current_actor(), code)
    return {"data": [{"item": item, "cause": cause, "quantity": left} for (item, cause), left in lying.items()]}
