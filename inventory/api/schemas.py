"""What all bodies and parameters have in common: what a schema does not know is refused."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields


class Schema(ma.Schema):
    """Unknown fields are refused, in what is read; and what is wrong is said by one word, see `problems.OF_FIELDS`."""

    error_messages = {"unknown": "unknown", "type": "type"}  # noqa: RUF012

    class Meta:
        unknown = ma.RAISE


def list_of(schema: type[Schema]) -> type[Schema]:
    """The schema of a page of a list: `data`, and `next` as the cursor of the page after it."""
    name = schema.__name__.removesuffix("Schema")
    parts: dict[str, Any] = {
        "data": fields.List(fields.Nested(schema), required=True),
        "next": fields.String(
            required=True,
            allow_none=True,
            metadata={"description": "The cursor of the next page; null on the last."},
        ),
    }
    return type(f"{name}PageSchema", (Schema,), parts)
