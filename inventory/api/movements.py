"""What happens to blanks: recorded, listed, taken back."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Any
from uuid import UUID, uuid5

from flask import Response, current_app, g
from marshmallow import fields, validate

from inventory import security
from inventory.api import problems, rates
from inventory.api.auth import needs
from inventory.api.cursors import PageQuery, page
from inventory.api.fields import Choice, Code, Day, Few, Instant, ItemCode, Quantity, Text, fault
from inventory.api.idempotency import Asked, at_once, posting
from inventory.api.problems import of_field
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import ProblemSchema, Resource
from inventory.domain.access import Action
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import CONSUMED, EFFECTS, EVERYDAY_CAUSES, NOTE_LENGTH, PRINT_REASONS, SHIFTS, Kind
from inventory.domain.ranges import MAX_RANGES, Ranges, parse_ranges
from inventory.security import record
from inventory.services import api_requests, consumption, ledger, movements, reversals
from inventory.services.consumption import Printed
from inventory.services.ledger import Beside, Posting
from inventory.services.movements import MovementView

blueprint = Resource(
    "movements", __name__, description="What happens to blanks. Nothing is ever changed: a mistake is reversed."
)

MOST_IN_BULK = 200
REASONS = tuple(dict.fromkeys(reason for _, reason in EFFECTS))


class RangeList(Few):
    """Serial numbers, of an item whose numbers are kept: `A100001-A100500`."""

    def __init__(self, **kwargs: Any) -> None:
        description = "Serial numbers, of an item whose numbers are kept. The quantity may then be 0."
        super().__init__(
            Text(60, least=1, metadata={"example": "A100001-A100500"}),
            load_default=list,
            validate=validate.Length(0, MAX_RANGES, error="wrong"),
            metadata={"description": description},
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        texts: Any = super()._deserialize(value, attr, data, **kwargs)
        try:
            return parse_ranges(", ".join(texts))
        except Refusal as refusal:
            raise fault(refusal) from None


class PrintedBody(Schema):
    reason = Choice((*PRINT_REASONS, CONSUMED), required=True)
    quantity = Quantity(zero=True, required=True)
    served_waiting = Quantity(
        zero=True, load_default=0, metadata={"description": "How many served requests that had waited for stock."}
    )
    ranges = RangeList()


class SpoiledBody(Schema):
    cause = Choice(EVERYDAY_CAUSES, required=True)
    quantity = Quantity(zero=True, required=True)
    ranges = RangeList()


class UseBody(Schema):
    """A day's prints by reason and spoils by cause, of one item: all of it or nothing."""

    item = ItemCode(required=True)
    day = Day(required=True, metadata={"description": "The office's own day."})
    happened_at = Instant(
        load_default=None, allow_none=True, metadata={"description": "Where it matters: before or after a count."}
    )
    printed = Few(
        fields.Nested(PrintedBody), load_default=list, validate=validate.Length(0, len(PRINT_REASONS), error="wrong")
    )
    spoiled = Few(
        fields.Nested(SpoiledBody), load_default=list, validate=validate.Length(0, len(EVERYDAY_CAUSES), error="wrong")
    )
    shift = Choice(
        SHIFTS, load_default=None, allow_none=True, metadata={"description": "In which blanks were spoiled."}
    )
    note = Text(NOTE_LENGTH, load_default="")


class UseAtBody(UseBody):
    office = Code(required=True)


class BulkBody(Schema):
    postings = Few(fields.Nested(UseAtBody), required=True, validate=validate.Length(1, MOST_IN_BULK, error="wrong"))


class ReturnBody(Schema):
    """Blanks that go back to the supplier."""

    item = ItemCode(required=True)
    day = Day(required=True)
    quantity = Quantity(zero=True, required=True)
    ranges = RangeList()
    note = Text(NOTE_LENGTH, least=1, required=True)


class ReversalBody(Schema):
    note = Text(NOTE_LENGTH, least=1, required=True, metadata={"description": "Why it is taken back."})


class MovementSchema(Schema):
    id = fields.Integer(required=True)
    office = fields.String(required=True, attribute="office_code")
    item = fields.String(required=True, attribute="item_code")
    seq = fields.Integer(required=True, metadata={"description": "Its number among those of its office and item."})
    kind = fields.String(required=True, metadata={"enum": [kind.value for kind in Kind]})
    reason = fields.String(required=True, metadata={"enum": list(REASONS)})
    quantity = fields.Integer(required=True, metadata={"description": "Below zero for a reversal."})
    served_waiting = fields.Integer(required=True)
    day = fields.Date(required=True)
    happened_at = Instant(required=True, allow_none=True)
    recorded_at = Instant(required=True)
    recorded_by = fields.String(required=True, allow_none=True)
    posting = fields.UUID(
        required=True, metadata={"description": "What movements have in common that were recorded in one go."}
    )
    shift = fields.String(required=True, allow_none=True, metadata={"enum": [*SHIFTS, None]})
    note = fields.String(required=True)
    origin = fields.String(required=True, metadata={"enum": ["entered", "imported", "synthetic"]})
    reverses = fields.Integer(required=True, allow_none=True, attribute="reverses_id")
    delivery = fields.Integer(required=True, allow_none=True, attribute="delivery_id")
    transfer = fields.Integer(required=True, allow_none=True, attribute="transfer_id")
    proposal = fields.Integer(required=True, allow_none=True, attribute="proposal_id")
    stocktake = fields.Integer(required=True, allow_none=True, attribute="stocktake_id")
    import_ = fields.Integer(required=True, allow_none=True, attribute="import_id", data_key="import")
    ranges = fields.List(fields.String(), required=True)


class PostingSchema(Schema):
    movements = fields.List(fields.Nested(MovementSchema), required=True)


class ReversalSchema(PostingSchema):
    proposal = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "What waits for a second person, where the reversal takes one."},
    )


class ResultSchema(Schema):
    status = fields.Integer(required=True, metadata={"description": "201 when it is recorded, else a problem's."})
    movements = fields.List(fields.Nested(MovementSchema), required=True)
    problem = fields.Nested(ProblemSchema, required=True, allow_none=True)


class ResultsSchema(Schema):
    results = fields.List(
        fields.Nested(ResultSchema), required=True, metadata={"description": "In the order of the postings."}
    )


class MovementsQuery(PageQuery):
    since = Day(load_default=None, metadata={"description": "The first day."})
    until = Day(load_default=None, metadata={"description": "The last day."})
    kind = Choice([kind.value for kind in Kind], load_default=None)
    item = ItemCode(load_default=None)


USE = {
    "item": "ktp-wni",
    "day": "2024-05-15",
    "printed": [{"reason": "new", "quantity": 18, "served_waiting": 3}, {"reason": "lost", "quantity": 4}],
    "spoiled": [{"cause": "misprint", "quantity": 1}],
    "note": "",
}
EXAMPLE = {
    "id": 8123,
    "office": "51.71",
    "item": "ktp-wni",
    "seq": 912,
    "kind": "print",
    "reason": "new",
    "quantity": 18,
    "served_waiting": 3,
    "day": "2024-05-15",
    "happened_at": None,
    "recorded_at": "2024-05-15T03:00:00Z",
    "recorded_by": "Sistem antrean Denpasar",
    "posting": "0b0f4f5e-8a3f-4a57-9f2e-6a4f1c2d3e4f",
    "shift": None,
    "note": "",
    "origin": "entered",
    "reverses": None,
    "delivery": None,
    "transfer": None,
    "proposal": None,
    "stocktake": None,
    "import": None,
    "ranges": [],
}
DAY_FIELDS = {"day_in_future": "/day", "day_too_early": "/day", "item_not_found": "/item"}
MOMENT_FIELDS = {"moment_in_future": "/happened_at", "moment_on_other_day": "/happened_at"}
USE_FIELDS = DAY_FIELDS | MOMENT_FIELDS | {"reason_not_for_item": "/printed", "nothing_entered": "/printed"}


@blueprint.arguments(UseBody())  # made once: making it takes longer than reading by it
def _add_at_once(body: dict[str, Any], code: str, asked: Asked) -> Response | None:
    """`add`, where one movement is all of it."""
    _check_once_each(body)
    if any(each["ranges"] for each in (*body["printed"], *body["spoiled"])):
        return None
    actor, now, text = g.actor, security.now(), ("", "", "")

    def beside(shown: MovementView) -> Beside:
        nonlocal text
        text = _text_around(shown)
        headers = {"Content-Type": "application/json"}
        return api_requests.done_beside(actor, now, asked.key, asked.digest, status=201, headers=headers, body=text)

    written = consumption.post_used_at_once(
        actor,
        now,
        asked.request_id,
        code,
        body["item"],
        body["day"],
        *_quantities(body),
        body["note"],
        body["happened_at"],
        shift=body["shift"],
        beside=beside,
    )
    if written is None:
        return None
    return Response(f"{text[0]}{written.id}{text[1]}{written.seq}{text[2]}", 201, mimetype="application/json")


@blueprint.route("/offices/<code:code>/movements", methods=["POST"])
@needs(Action.POST_MOVEMENT, fields=USE_FIELDS)
@at_once(_add_at_once)
@posting
@blueprint.arguments(UseBody, example=USE)
@blueprint.response(201, PostingSchema, example={"movements": [EXAMPLE]})
def add(body: dict[str, Any], code: str, request_id: UUID) -> Any:
    """Record what was printed and what was spoiled on a day"""
    return {"movements": _shown(_use(body, code, request_id))}


@blueprint.route("/offices/<code:code>/movements")
@needs(Action.VIEW_STOCK)
@blueprint.arguments(MovementsQuery, location="query")
@blueprint.response(200, list_of(MovementSchema), example={"data": [EXAMPLE], "next": None})
def index(query: dict[str, Any], code: str) -> Any:
    """An office's movements, by day"""
    found, headers = page(
        query,
        (str, int),
        lambda after, limit: movements.of_office(
            g.actor,
            code,
            since=query["since"],
            until=query["until"],
            kind=query["kind"],
            item_code=query["item"],
            after=_key(after),
            limit=limit,
        ),
        lambda movement: (movement.day.isoformat(), movement.id),
    )
    return {**found, "data": [told(each) for each in found["data"]]}, headers


@blueprint.route("/offices/<code:code>/returns", methods=["POST"])
@needs(Action.POST_MOVEMENT, fields=DAY_FIELDS | {"quantity_not_positive": "/quantity"})
@posting
@blueprint.arguments(
    ReturnBody, example={"item": "ktp-wni", "day": "2024-05-15", "quantity": 500, "note": "Salah cetak di pabrik"}
)
@blueprint.response(
    201, PostingSchema, example={"movements": [EXAMPLE | {"kind": "return", "reason": "to_supplier", "quantity": 500}]}
)
def give_back(body: dict[str, Any], code: str, request_id: UUID) -> Any:
    """Record blanks that go back to the supplier"""
    done = consumption.post_returned(
        g.actor,
        security.now(),
        request_id,
        code,
        body["item"],
        body["day"],
        body["quantity"],
        body["note"],
        ranges=tuple(body["ranges"]),
    )
    return {"movements": _shown(done)}


@blueprint.route("/movements/<int(max=9223372036854775807):movement_id>")
@needs(Action.VIEW_STOCK)
@blueprint.response(200, MovementSchema, example=EXAMPLE)
def show(movement_id: int) -> Any:
    """One movement"""
    return told(movements.get(g.actor, movement_id))


@blueprint.route("/movements/<int(max=9223372036854775807):movement_id>/reversal", methods=["POST"])
@needs(Action.REVERSE_MOVEMENT)
@posting
@blueprint.arguments(ReversalBody, example={"note": "Tercatat dua kali"})
@blueprint.response(
    201,
    ReversalSchema,
    example={"movements": [EXAMPLE | {"id": 8124, "quantity": -18, "reverses": 8123}], "proposal": None},
)
@blueprint.alt_response(
    202, schema=ReversalSchema, description="It waits for a second person", example={"movements": [], "proposal": 7}
)
def reverse(body: dict[str, Any], movement_id: int, request_id: UUID) -> Any:
    """Take a movement back; of a receipt, ask a second person to"""
    note = body["note"]
    if reversals.needs_approval(g.actor, movement_id):
        proposal = reversals.ask(g.actor, security.now(), request_id, movement_id, note)
        return {"movements": [], "proposal": proposal}, 202
    done = ledger.reverse(g.actor, security.now(), request_id, movement_id, note)
    return {"movements": _shown(done), "proposal": None}


@blueprint.route("/movements/bulk", methods=["POST"])
@needs(Action.POST_MOVEMENT)
@posting
@blueprint.arguments(BulkBody, example={"postings": [USE | {"office": "51.71"}]})
@blueprint.response(200, ResultsSchema, example={"results": [{"status": 201, "movements": [EXAMPLE], "problem": None}]})
def bulk(body: dict[str, Any], request_id: UUID) -> Any:
    """Record for several offices and days

    Each posting is recorded wholly or not at all, whatever becomes of the others; the results say which. The same key
    is answered the same once anything was recorded: send again, under another key, only what was refused. Each posting
    counts as a request towards the rate.
    """
    rates.charge(g.actor, len(body["postings"]) - 1)
    wanted = enumerate(body["postings"])
    results = [_result(number, each, uuid5(request_id, str(number))) for number, each in wanted]
    g.nothing_recorded = not any(each["status"] == 201 for each in results)
    return {"results": results}


def told(movement: MovementView) -> dict[str, Any]:
    """A movement as `MovementSchema` shows it."""
    return vars(movement) | {"import_id": movement.import_id, "ranges": [str(each) for each in movement.ranges]}


def _result(number: int, body: dict[str, Any], request_id: UUID) -> dict[str, Any]:
    try:
        done = _use(body, body["office"], request_id)
    except Refusal as refusal:
        record.refused(refusal)
        pointer = {**USE_FIELDS, "office_not_found": "/office", "not_allowed": "/office"}.get(refusal.code, "")
        problem = of_field(f"/postings/{number}{pointer}", refusal)
        return {"status": problem.status, "movements": [], "problem": problems.body_of(problem)}
    return {"status": 201, "movements": _shown(done), "problem": None}


def _use(body: dict[str, Any], code: str, request_id: UUID) -> Posting:
    _check_once_each(body)
    numbers = {each["reason"]: tuple(each["ranges"]) for each in body["printed"]}
    numbers |= {each["cause"]: tuple(each["ranges"]) for each in body["spoiled"]}
    return consumption.post_used(
        g.actor,
        security.now(),
        request_id,
        code,
        body["item"],
        body["day"],
        *_quantities(body),
        body["note"],
        body["happened_at"],
        shift=body["shift"],
        ranges=_kept(numbers),
    )


def _quantities(body: dict[str, Any]) -> tuple[dict[str, Printed], dict[str, int]]:
    """What was printed by reason, and what was spoiled by cause."""
    printed = {each["reason"]: Printed(each["quantity"], each["served_waiting"]) for each in body["printed"]}
    return printed, {each["cause"]: each["quantity"] for each in body["spoiled"]}


def _text_around(shown: MovementView) -> api_requests.Parts:
    """The answer of a posting of this one movement: until its id, from there to its number, and the rest."""
    dumped: Any = _POSTING.dump({"movements": [told(shown)]})
    # Which nobody can have written into a note.
    mark = secrets.token_hex(16)
    dumped["movements"][0] |= {"id": f"{mark} id", "seq": f"{mark} seq"}
    answer: Any = current_app.json.response(dumped)
    until_id, rest = answer.get_data(as_text=True).split(f'"{mark} id"')
    until_seq, rest = rest.split(f'"{mark} seq"')
    return until_id, until_seq, rest


_POSTING = PostingSchema()


def _check_once_each(body: dict[str, Any]) -> None:
    named = [each["reason"] for each in body["printed"]] + [each["cause"] for each in body["spoiled"]]
    if len(set(named)) < len(named):
        raise Invalid("reason_twice")


def _kept(numbers: dict[str, Ranges]) -> dict[str, Ranges]:
    return {reason: given for reason, given in numbers.items() if given}


def _shown(done: Posting) -> list[dict[str, Any]]:
    return [told(each) for each in movements.of_ids(g.actor, [movement.id for movement in done.movements])]


def _key(after: tuple[Any, ...] | None) -> tuple[date, int] | None:
    if after is None:
        return None
    try:
        return date.fromisoformat(after[0]), after[1]
    except ValueError:
        raise of_field("cursor", Invalid("cursor_wrong")) from None
