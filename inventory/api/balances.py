"""Where the blanks are: now, on a past day, and as it was known at a moment."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from flask import g
from marshmallow import fields

from inventory.api.auth import needs
from inventory.api.cursors import PageQuery, page
from inventory.api.fields import Code, Day, Instant, ItemCode
from inventory.api.problems import of_field
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.errors import Invalid
from inventory.domain.ledger import FIGURES, Effect, check_day
from inventory.domain.offices import local_day
from inventory.security import now
from inventory.services import balances, items, offices
from inventory.services.balances import ItemBalance, PlacedBalance
from inventory.services.consumption import FIRST_DAY

blueprint = Resource(
    "balances",
    __name__,
    description="Where the blanks are. Of each office and item:"
    " received − sent = store + transit + printed + spoiled + destroyed + missing.",
)

LEVELS = ("ok", "watch", "low", "critical", "out", "unknown")


class FiguresSchema(Schema):
    item = fields.String(required=True)
    received = fields.Integer(required=True)
    sent = fields.Integer(required=True)
    store = fields.Integer(required=True)
    transit = fields.Integer(required=True)
    printed = fields.Integer(required=True)
    spoiled = fields.Integer(required=True)
    destroyed = fields.Integer(required=True)
    missing = fields.Integer(required=True, metadata={"description": "Below zero: more was found than the book says."})


class BalancesSchema(Schema):
    office = fields.String(required=True)
    on = fields.Date(required=True, metadata={"description": "The office's own day, at its end."})
    known_at = Instant(required=True)
    data = fields.List(fields.Nested(FiguresSchema), required=True)


class BalanceSchema(FiguresSchema):
    office = fields.String(required=True)
    last_on = fields.Date(required=True, allow_none=True, metadata={"description": "The latest day with a movement."})
    level = fields.String(
        required=True,
        allow_none=True,
        metadata={"enum": [*LEVELS, None], "description": "What the last review said; null before the first."},
    )


class OfOfficeQuery(Schema):
    on = Day(load_default=None, metadata={"description": "The end of which day; today when nothing is said."})
    known_at = Instant(load_default=None, metadata={"description": "Without what was recorded after this moment."})


class BalancesQuery(PageQuery):
    under = Code(load_default=None, metadata={"description": "Only this office and those below it."})
    item = ItemCode(load_default=None)


FIGURES_EXAMPLE = {
    "item": "ktp-wni",
    "received": 10000,
    "sent": 0,
    "store": 4300,
    "transit": 0,
    "printed": 5580,
    "spoiled": 120,
    "destroyed": 0,
    "missing": 0,
}
EXAMPLE = {"office": "51.71", "last_on": "2024-05-15", "level": "ok", **FIGURES_EXAMPLE}


@blueprint.route("/offices/<code:code>/balances")
@needs(Action.VIEW_STOCK, fields={"day_in_future": "on", "day_too_early": "on"})
@blueprint.arguments(OfOfficeQuery, location="query")
@blueprint.response(
    200,
    BalancesSchema,
    example={
        "office": "51.71",
        "on": "2024-05-15",
        "known_at": "2024-05-15T03:00:00Z",
        "data": [FIGURES_EXAMPLE],
    },
)
def of_office(query: dict[str, Any], code: str) -> Any:
    """An office's balances, today, as of a day, or as known at a moment"""
    office = offices.get(g.actor, Action.VIEW_STOCK, code)
    known_at: datetime | None = query["known_at"]
    if known_at is not None and known_at > now():
        raise of_field("known_at", Invalid("moment_in_future"))
    on: date = query["on"] or local_day(known_at or now(), office.time_zone)
    check_day(on, office.today(now()), FIRST_DAY)
    return {
        "office": office.code,
        "on": on,
        "known_at": known_at or now(),
        "data": [_figures(item.code, _closing(code, item.code, on, known_at)) for item in items.active()],
    }


@blueprint.route("/balances")
@needs(Action.VIEW_STOCK)
@blueprint.arguments(BalancesQuery, location="query")
@blueprint.response(200, list_of(BalanceSchema), example={"data": [EXAMPLE], "next": None})
def index(query: dict[str, Any]) -> Any:
    """The balances of all offices within reach, by office and item"""
    found, headers = page(
        query,
        (str, int),
        lambda after, limit: balances.listed(
            g.actor, under=query["under"], item_code=query["item"], after=_key(after), limit=limit
        ),
        lambda row: (row.office_code, row.item_id),
    )
    return {**found, "data": [_told(row) for row in found["data"]]}, headers


def _key(after: tuple[Any, ...] | None) -> tuple[str, int] | None:
    return (after[0], after[1]) if after else None


def _closing(code: str, item: str, on: date, known_at: datetime | None) -> Effect:
    if known_at is None:
        return balances.as_of(g.actor, code, item, on)
    return balances.as_known_at(g.actor, code, item, on, known_at)


def _told(row: PlacedBalance) -> dict[str, Any]:
    balance: ItemBalance = row.balance
    told = _figures(balance.item_code, balance.figures)
    return {"office": row.office_code, "last_on": balance.last_on, "level": balance.level, **told}


def _figures(item: str, figures: Effect) -> dict[str, Any]:
    return {"item": item, **{figure: getattr(figures, figure) for figure in FIGURES}}
