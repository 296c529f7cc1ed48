"""Allotments: how best to split a delivery or to lend, and the plans that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from inventory import security
from inventory.api.answers import Answer
from inventory.api.fields import Bounded, Choice, Code, Few, Instant, ItemCode, Quantity
from inventory.api.operations import link, lists, posts, reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.allotment import RULES
from inventory.domain.drafts import MODES
from inventory.domain.quantities import MAX_QUANTITY
from inventory.services import allotments, drafts
from inventory.services.allotments import LoanTerms, Proposal, SplitTerms

blueprint = Resource("allotments", __name__, description="Plans that split a delivery, or lend between offices.")

ALL = "/offices/<code:code>/allotments"
ONE = "/allotments/<int(max=2147483647):plan_id>"
MOST_WAYS = 1200


class TermsQuery(Schema):
    mode = Choice(MODES, load_default="split")
    item = ItemCode(required=True)
    quantity = Bounded(0, MAX_QUANTITY, load_default=0, metadata={"description": "Of a split: the reserve included."})
    reserve = Bounded(0, MAX_QUANTITY, load_default=0, metadata={"description": "Kept back."})
    pack = Bounded(1, MAX_QUANTITY, load_default=None, metadata={"description": "Left out: the item's usual pack."})
    least = Bounded(0, MAX_QUANTITY, load_default=0, metadata={"description": "Of a split: for each office."})
    most = Bounded(0, MAX_QUANTITY, load_default=None)
    keep_days = Bounded(0, 365, load_default=None, metadata={"description": "Of loans: what a sender keeps."})
    least_shipment = Bounded(0, MAX_QUANTITY, load_default=0)
    most_shipments = Bounded(0, MAX_QUANTITY, load_default=None)


class AllotmentFixed(Schema):
    office = Code(required=True)
    quantity = Quantity(required=True)


class AllotmentTerms(Schema):
    mode = Choice(MODES, load_default="split")
    item = ItemCode(required=True)
    quantity = Quantity(zero=True, load_default=0)
    reserve = Quantity(zero=True, load_default=0)
    pack = Quantity(load_default=None, allow_none=True)
    least = Quantity(zero=True, load_default=0)
    most = Quantity(zero=True, load_default=None, allow_none=True)
    fixed = Few(
        fields.Nested(AllotmentFixed),
        load_default=[],
        validate=validate.Length(max=100, error="wrong"),
        metadata={"description": "What offices without a projection get."},
    )
    keep_days = Quantity(zero=True, load_default=None, allow_none=True)
    least_shipment = Quantity(zero=True, load_default=0)
    most_shipments = Quantity(zero=True, load_default=None, allow_none=True)


class AllotmentWay(Schema):
    sender = Code(required=True)
    receiver = Code(required=True)
    quantity = Quantity(required=True)


def ways_once(ways: list[dict[str, Any]]) -> None:
    """Raises ValidationError when two lines name the same two ends."""
    if len({(way["sender"], way["receiver"]) for way in ways}) < len(ways):
        raise ValidationError("wrong")


class AllotmentAsked(Schema):
    terms = fields.Nested(AllotmentTerms, required=True)
    ways = Few(
        fields.Nested(AllotmentWay),
        load_default=None,
        allow_none=True,
        validate=[validate.Length(min=1, max=MOST_WAYS, error="wrong"), ways_once],
        metadata={"description": "Who sends how many to whom; left out: what is proposed."},
    )


class AllotmentShare(Answer):
    office = fields.Str(attribute="code")
    name = fields.Str()
    is_giver = fields.Bool()
    usable = fields.Int()
    quantity = fields.Int()
    rule = fields.Str(validate=validate.OneOf(RULES))
    cover_before = fields.Float(allow_none=True, metadata={"description": "Working days; null past a year."})
    cover_after = fields.Float(allow_none=True)
    out_before = fields.Date(allow_none=True)
    out_after = fields.Date(allow_none=True)
    unmet_before = fields.Float()
    unmet_after = fields.Float()


class AllotmentLeftOut(Answer):
    office = fields.Str(attribute="code")
    name = fields.Str()
    why = fields.Str()
    store = fields.Int()
    quantity = fields.Int()


class AllotmentTogether(Answer):
    first_name = fields.Str()
    first_cover = fields.Float(allow_none=True)
    first_on = fields.Date(allow_none=True)
    unmet = fields.Float()


class AllotmentWayShown(Answer):
    sender = fields.Str(attribute="sender_code")
    receiver = fields.Str(attribute="receiver_code")
    quantity = fields.Int()


class AllotmentProposal(Answer):
    mode = fields.Str(validate=validate.OneOf(MODES))
    office = fields.Str(attribute="office.code")
    item = fields.Str(attribute="item_code")
    pack = fields.Int()
    quantity = fields.Int(allow_none=True)
    reserve = fields.Int()
    left = fields.Int()
    on_day = fields.Date()
    until = fields.Date()
    shares = fields.List(fields.Nested(AllotmentShare))
    left_out = fields.List(fields.Nested(AllotmentLeftOut))
    ways = fields.List(fields.Nested(AllotmentWayShown))
    before = fields.Nested(AllotmentTogether, allow_none=True)
    after = fields.Nested(AllotmentTogether, allow_none=True)
    even = fields.Nested(AllotmentTogether, allow_none=True, metadata={"description": "Were all given the same."})


class DraftSchema(Answer):
    id = fields.Int()
    plan_id = fields.Int()
    item = fields.Str(attribute="item_code")
    sender = fields.Str(attribute="sender_code")
    receiver = fields.Str(attribute="receiver_code")
    quantity = fields.Int()
    status = fields.Str()
    transfer_id = fields.Int(allow_none=True)
    purpose = fields.Str()
    planned_on = fields.Date()
    why = fields.Dict(keys=fields.Str())


class AllotmentSchema(Answer):
    id = fields.Int()
    office = fields.Str(attribute="office_code")
    item = fields.Str(attribute="item_code")
    mode = fields.Str(validate=validate.OneOf(MODES))
    quantity = fields.Int(allow_none=True)
    reserve = fields.Int()
    pack = fields.Int()
    planned_on = fields.Date()
    made_by = fields.Str(allow_none=True)
    made_at = Instant()
    facts = fields.Dict(keys=fields.Str())
    drafts = fields.List(fields.Nested(DraftSchema))


class DropSchema(Schema):
    """Nothing has to be said."""


TERMS = {"mode": "split", "item": "ktp-wni", "quantity": 2000, "reserve": 250}
PROPOSAL: dict[str, Any] = {
    "mode": "split",
    "office": "51.71",
    "item": "ktp-wni",
    "pack": 50,
    "quantity": 2000,
    "reserve": 250,
    "left": 0,
    "on_day": "2023-09-12",
    "until": "2023-10-12",
    "shares": [
        {
            "office": "51.71.01",
            "name": "Denpasar Selatan",
            "is_giver": False,
            "usable": 120,
            "quantity": 1750,
            "rule": "together",
            "cover_before": 1.4,
            "cover_after": 21.9,
            "out_before": "2023-09-14",
            "out_after": "2023-10-12",
            "unmet_before": 1630.2,
            "unmet_after": 12.5,
        }
    ],
    "left_out": [],
    "ways": [{"sender": "51.71", "receiver": "51.71.01", "quantity": 1750}],
    "before": {"first_name": "Denpasar Selatan", "first_cover": 1.4, "first_on": "2023-09-14", "unmet": 1630.2},
    "after": {"first_name": "Denpasar Selatan", "first_cover": 21.9, "first_on": "2023-10-12", "unmet": 12.5},
    "even": None,
}
DRAFT: dict[str, Any] = {
    "id": 21,
    "plan_id": 2,
    "item": "ktp-wni",
    "sender": "51.71",
    "receiver": "51.71.01",
    "quantity": 1750,
    "status": "draft",
    "transfer_id": None,
    "purpose": "distribution",
    "planned_on": "2023-09-12",
    "why": {"rule": "together", "proposed": 1750, "out_after": "2023-10-12"},
}
PLAN: dict[str, Any] = {
    "id": 2,
    "office": "51.71",
    "item": "ktp-wni",
    "mode": "split",
    "quantity": 2000,
    "reserve": 250,
    "pack": 50,
    "planned_on": "2023-09-12",
    "made_by": "I Wayan Putra",
    "made_at": "2023-09-12T03:00:00Z",
    "facts": {},
    "drafts": [DRAFT],
}
BLAME = {
    "plan_exceeds_stock": "/ways",
    "nothing_entered": "/ways",
    "same_office": "/ways",
    "lends_and_borrows": "/ways",
    "not_the_giver": "/ways",
    "item_not_found": "/terms/item",
    "pack_range": "/terms/pack",
    "packs_too_many": "/terms/pack",
    "reserve_exceeds_quantity": "/terms/reserve",
    "least_exceeds_most": "/terms/least",
    "least_exceeds_quantity": "/terms/least",
}


@reads(
    blueprint,
    "/offices/<code:code>/allotment-proposal",
    Action.ALLOT_DELIVERY,
    (AllotmentProposal, PROPOSAL),
    query=(TermsQuery, TERMS),
)
def propose(said: dict[str, Any], code: str) -> Any:
    """How best to split a delivery among the offices below, or who should lend to whom.

    Nothing is kept: post the same terms to make a plan of it.
    """
    return _proposed(code, said | {"fixed": []})


@lists(blueprint, ALL, Action.ALLOT_DELIVERY, (AllotmentSchema, PLAN))
def index(said: dict[str, Any], code: str) -> Any:
    """An office's plans with their drafts, the newest first."""
    return allotments.newest(security.current_actor(), code, said["after"], said["limit"])


@posts(
    blueprint,
    ALL,
    Action.ALLOT_DELIVERY,
    body=(AllotmentAsked, {"terms": TERMS, "ways": PROPOSAL["ways"]}),
    answer=(AllotmentSchema, PLAN),
    links=(link("allotments_show", plan_id="id"),),
    blame=BLAME,
)
def save(said: dict[str, Any], code: str, request_id: Any) -> Any:
    """Keep a plan and its drafts, which wait for the storekeepers who send them. Nothing moves before."""
    actor, now = security.current_actor(), security.now()
    if said["ways"] is None and (made := allotments.made_by(actor, request_id)) is not None:
        # What would be proposed now may be something else: the same request has the plan that it made.
        return allotments.get(actor, made)
    proposal = _proposed(code, said["terms"])
    if said["ways"] is None:
        planned = {(way.sender_code, way.receiver_code): way.quantity for way in proposal.ways}
    else:
        planned = {(way["sender"], way["receiver"]): way["quantity"] for way in said["ways"]}
    return allotments.get(actor, allotments.save(actor, now, request_id, proposal, planned))


@reads(blueprint, ONE, Action.ALLOT_DELIVERY, (AllotmentSchema, PLAN))
def show(plan_id: int) -> Any:
    """One plan with its drafts."""
    return allotments.get(security.current_actor(), plan_id)


@posts(
    blueprint,
    "/drafts/<int(max=2147483647):draft_id>/drop",
    Action.ALLOT_DELIVERY,
    body=(DropSchema, {}),
    answer=(AllotmentSchema, PLAN),
    links=(link("allotments_show", plan_id="id"),),
)
def drop(_said: dict[str, Any], draft_id: int, request_id: Any) -> Any:
    """Take back a draft that waits to be sent. Its plan is told."""
    actor = security.current_actor()
    return allotments.get(actor, drafts.drop(actor, security.now(), draft_id))


@lists(blueprint, "/offices/<code:code>/drafts", Action.VIEW_STOCK, (DraftSchema, DRAFT))
def to_send(said: dict[str, Any], code: str) -> Any:
    """The drafts that an office is to send, the first planned first. A transfer that names one sends it."""
    return drafts.to_send_after(security.current_actor(), code, said["after"], said["limit"])


def _proposed(code: str, terms: Mapping[str, Any]) -> Proposal:
    actor, now = security.current_actor(), security.now()
    both = {name: terms[name] for name in ("reserve", "pack", "most")}
    if terms["mode"] == "loans":
        own = {name: terms[name] for name in ("keep_days", "least_shipment", "most_shipments")}
        return allotments.propose_loans(actor, now, code, terms["item"], LoanTerms(**both, **own))
    fixed = {each["office"]: each["quantity"] for each in terms["fixed"]}
    split = SplitTerms(quantity=terms["quantity"], least=terms["least"], fixed=fixed, **both)
    return allotments.propose_split(actor, now, code, terms["item"], split)
