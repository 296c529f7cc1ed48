"""All that is new: every movement once, in the order in which it could be seen."""

from __future__ import annotations

from typing import Any

from flask import g
from marshmallow import fields as ma

from inventory.api import cursors
from inventory.api.auth import needs
from inventory.api.cursors import LONGEST, MOST, PATTERN, link
from inventory.api.fields import Bounded, Choice
from inventory.api.movements import EXAMPLE, MovementSchema, told
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.services import movements

blueprint = Resource(
    "changes",
    __name__,
    description="All that is new since somebody last asked: every movement within reach, of every kind, once and in"
    " order, however many write meanwhile. To be asked of the primary database.",
)


class ChangesQuery(Schema):
    after = ma.String(
        load_default=None,
        metadata={
            "minLength": 1,
            "maxLength": LONGEST,
            "pattern": PATTERN,
            "description": "Where to go on: `next` of the answer before. Without it, from the very beginning.",
        },
    )
    limit = Bounded(1, MOST, load_default=100)
    begin = Choice(
        ("first", "now"),
        load_default="first",
        metadata={"description": "Without `after`: from the first movement, or only what comes from now on."},
    )


class ChangesSchema(Schema):
    data = ma.List(ma.Nested(MovementSchema), required=True)
    next = ma.String(
        required=True, metadata={"description": "To go on from, as `after`; always given, also when there is nothing."}
    )
    more = ma.Boolean(required=True, metadata={"description": "Ask again at once; if not, in a while."})


@blueprint.route("/changes")
@needs(Action.VIEW_STOCK, fields={"cursor_ahead": "after"})
@blueprint.arguments(ChangesQuery, location="query")
@blueprint.response(200, ChangesSchema, example={"data": [EXAMPLE], "next": "WzgxMjNd", "more": False})
def index(query: dict[str, Any]) -> Any:
    """The movements since a moment, in the order in which they could be seen"""
    key = cursors.decode(query["after"], (int,), "after")
    if key is None and query["begin"] == "now":
        return {"data": [], "next": cursors.encode((movements.last_settled(),)), "more": False}
    news = movements.news(g.actor, key[0] if key else 0, query["limit"])
    following = cursors.encode((news.until,))
    headers = link(following, "after") if news.more else {}
    return {"data": [told(each) for each in news.movements], "next": following, "more": news.more}, headers
