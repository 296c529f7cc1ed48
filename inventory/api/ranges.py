"""Number ranges in what comes in and goes out: as a list of texts, each the way people write a range."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from inventory.api.fields import Text, fault
from inventory.domain.errors import Refusal
from inventory.domain.ranges import MAX_RANGES, Ranges, parse_ranges


class Numbers(fields.List):
    """Serial numbers such as ["A100001-A100500", "A100700"] and back; see `domain.ranges.parse_ranges`."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "Serial numbers, of an item whose numbers are kept."}
        few = validate.Length(max=MAX_RANGES, error="wrong")
        super().__init__(Text(60, least=1), validate=few, metadata=metadata, **kwargs)

    def _serialize(self, value: Ranges | None, attr: str | None, obj: Any, **kwargs: Any) -> list[Any] | None:
        return None if value is None else [str(each) for each in value]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        texts: Any = super()._deserialize(value, attr, data, **kwargs)
        try:
            return parse_ranges(", ".join(texts)) if texts else ()
        except Refusal as refusal:
            raise fault(refusal) from None
