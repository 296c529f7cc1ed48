"""The public board: for anybody, without a log-in; and what its manager chose to show."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import uuid4

from flask import Response
from marshmallow import fields, validate

from inventory import security
from inventory.api import etags
from inventory.api.answers import Answer, stale_when
from inventory.api.cursors import PageQuery
from inventory.api.fields import Choice, Few, Flag, Instant, ItemCode, Quantity, Text
from inventory.api.operations import by_pages, puts, reads
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.domain.boards import MAX_ITEMS, SENTENCE_LENGTH, Level, Precision
from inventory.domain.boards import Choice as Chosen
from inventory.services import boards

blueprint = Resource("boards", __name__, description="What offices tell everybody of their stock.")

SETTING = "/offices/<code:code>/board"
KEPT = "public, max-age=60, stale-while-revalidate=30"
"""By caches, as the board's pages are."""
PRECISIONS = [each.value for each in Precision]


class BoardsQuery(PageQuery):
    search = Text(boards.WORDS_LENGTH, load_default="", metadata={"description": "Part of a name, or a code's start."})


class BoardListed(Answer):
    code = fields.Str()
    name = fields.Str()
    kind = fields.Str()


class BoardItemShown(Answer):
    item = fields.Str(attribute="code")
    names = fields.Dict(keys=fields.Str(), values=fields.Str())
    units = fields.Dict(keys=fields.Str(), values=fields.Str())
    level = fields.Str(attribute="shown.level", validate=validate.OneOf([each.value for each in Level]))
    least = fields.Int(attribute="shown.least", allow_none=True)
    most = fields.Int(attribute="shown.most", allow_none=True)


class BoardSchema(Answer):
    office = fields.Str(attribute="office_code")
    office_name = fields.Str()
    day = fields.Date()
    time_zone = fields.Str()
    precision = fields.Str(validate=validate.OneOf(PRECISIONS))
    sentence = fields.Str()
    confirmed_at = Instant(allow_none=True, metadata={"description": "When the stock was last counted, if told."})
    synthetic = fields.Bool(metadata={"description": "Whether the figures are made up for a demonstration."})
    items = fields.List(fields.Nested(BoardItemShown))


class BoardSetting(Schema):
    on = Flag(required=True)
    items = Few(ItemCode(), required=True, validate=validate.Length(max=MAX_ITEMS, error="wrong"))
    precision = Choice(PRECISIONS, required=True)
    few_below = Quantity(required=True)
    sentence = Text(SENTENCE_LENGTH, required=True)
    confirmed = Flag(required=True)


BOARD: dict[str, Any] = {
    "office": "51.71",
    "office_name": "Kota Denpasar",
    "day": "2023-09-12",
    "time_zone": "Asia/Makassar",
    "precision": "hundreds",
    "sentence": "",
    "confirmed_at": "2023-09-11T08:00:00Z",
    "synthetic": False,
    "items": [
        {
            "item": "ktp-wni",
            "names": {"id": "Blangko KTP-el WNI", "en": "Blank card for citizens"},
            "units": {"id": "keping", "en": "cards"},
            "level": "available",
            "least": 1600,
            "most": 1699,
        }
    ],
}
CHOSEN = {
    "on": True,
    "items": ["ktp-wni"],
    "precision": "hundreds",
    "few_below": 100,
    "sentence": "",
    "confirmed": True,
}


def for_everybody(view: Callable[..., Any]) -> Any:
    """An operation that asks nobody who they are and that any site may call."""

    @wraps(view)
    def shown(*args: Any, **kwargs: Any) -> Response:
        response: Response = view(*args, **kwargs)
        response.headers["Cache-Control"] = KEPT
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    return security.public(shown)


def _listed(said: dict[str, Any]) -> Any:
    return boards.listed_after(said["search"], said["after"], said["limit"])


@blueprint.get("/boards")
@for_everybody
@blueprint.arguments(BoardsQuery, location="query")
@blueprint.response(
    200,
    list_of(BoardListed),
    example={"data": [{"code": "51.71", "name": "Kota Denpasar", "kind": "city"}], "next": None},
)
def index(said: dict[str, Any]) -> Any:
    """The offices that show a board, by code."""
    return by_pages(_listed, (str,), lambda row: (row.code,))(said)


@blueprint.get("/boards/<code:code>")
@for_everybody
@blueprint.response(200, BoardSchema, example=BOARD)
def show(code: str) -> Any:
    """An office's board. An office that shows none, and one that is not there, are not found alike."""
    return boards.show(code, security.now())


@reads(blueprint, SETTING, Action.MANAGE_BOARD, (BoardSetting, CHOSEN), versioned=True)
def chosen(code: str) -> Any:
    """What an office's board shows, as its manager chose it."""
    return _versioned(code)


@puts(
    blueprint,
    SETTING,
    Action.MANAGE_BOARD,
    body=(BoardSetting, CHOSEN),
    answer=(BoardSetting, CHOSEN),
    blame={"board_items_missing": "/items", "board_item_unknown": "/items"},
)
def choose(said: dict[str, Any], code: str) -> Any:
    """Choose what an office's board shows from now on, or that there is none. Who and when is kept."""
    actor, now = security.current_actor(), security.now()
    _chosen, version = boards.current(actor, code)
    etags.check(_tag(code, version))
    choice = Chosen(item_codes=tuple(said.pop("items")), precision=Precision(said.pop("precision")), **said)
    with stale_when("board_changed"):
        boards.choose(actor, now, uuid4(), code, choice, version)
    return _versioned(code)


def _versioned(code: str) -> Any:
    found, version = boards.current(security.current_actor(), code)
    told = vars(found) | {"items": found.item_codes, "precision": found.precision.value}
    return etags.versioned(told, _tag(code, version))


def _tag(code: str, version: int) -> str:
    return etags.tag("board", code, version)
