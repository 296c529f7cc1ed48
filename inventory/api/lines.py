"""Lines of a document: a quantity for each item, each item once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields, validate

from inventory.api.fields import Few, fault
from inventory.api.schemas import Schema
from inventory.domain.errors import Invalid

MOST_LINES = 100

LINES = validate.Length(min=1, max=MOST_LINES, error="wrong")
FEW = validate.Length(max=MOST_LINES, error="wrong")


def lines_of(line: type[Schema], *, needed: bool = True) -> Few:
    """Lines that name an item each (`item`)."""
    if needed:
        return Few(fields.Nested(line), required=True, validate=[LINES, item_once])
    return Few(fields.Nested(line), load_default=[], validate=[FEW, item_once])


def item_once(lines: Sequence[Mapping[str, Any]]) -> None:
    """Raises ValidationError `item_twice` when two lines name the same item: which of them was meant?"""
    seen: set[str] = set()
    for line in lines:
        if line["item"] in seen:
            raise fault(Invalid("item_twice", item=line["item"]))
        seen.add(line["item"])
