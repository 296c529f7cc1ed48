"""Fields of bodies and parameters, as strict as the domain: a wrong one is told by the domain's own sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from inventory.domain.errors import Invalid, Refusal
from inventory.domain.offices import is_code
from inventory.domain.quantities import MAX_QUANTITY, check_quantity
from inventory.domain.texts import check_text

EARLIEST_YEAR, LATEST_YEAR = 1900, 2199
MOST_OF_A_LIST = 200
"""Where a list says nothing else."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_ITEM_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,31}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def fault(refusal: Refusal) -> ValidationError:
    """A refusal of the domain's as a field's error; `problems` says it in the reader's language."""
    return ValidationError([refusal])  # type: ignore[list-item]


class Whole(fields.Integer):
    """A whole number as JSON has it: not 1.0, not "1", not true."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        metadata = {"minimum": least, "maximum": most, **kwargs.pop("metadata", {})}
        super().__init__(strict=True, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("type")
        return _between(value, self.least, self.most)


class Quantity(Whole):
    """A quantity: whole, positive, bounded. With `zero=True` nothing is a quantity too."""

    def __init__(self, *, zero: bool = False, **kwargs: Any) -> None:
        super().__init__(0 if zero else 1, MAX_QUANTITY, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("type")
        try:
            return value if value == 0 and self.least == 0 else check_quantity(value)
        except Refusal as refusal:
            raise fault(refusal) from None


class Share(fields.Float):
    """A number between two bounds: not a word, not true."""

    def __init__(self, least: float, most: float, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(metadata={"minimum": least, "maximum": most, **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("type")
        if not self.least <= value <= self.most:
            raise fault(Invalid("number_out_of_range", least=self.least, most=self.most))
        return float(value)


class Week(fields.String):
    """Seven days, Monday first, 1 for a working day: 1111100."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            metadata={"pattern": "^[01]*1[01]*$", "minLength": 7, "maxLength": 7, **kwargs.pop("metadata", {})},
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("type")
        if not re.fullmatch("[01]{7}", value, re.ASCII) or "1" not in value:
            raise fault(Invalid("working_days_format"))
        return value


class Bounded(fields.Integer):
    """A whole number among the parameters of an address, where all is text."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        metadata = {"minimum": least, "maximum": most, **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            raise ValidationError("type")
        return _between(int(value), self.least, self.most)


class Flag(fields.Boolean):
    """True or false as JSON has it; among the parameters of an address the words `true` and `false`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            return value
        if value in ("true", "false") and not isinstance(data, dict):
            return value == "true"
        raise ValidationError("type")


class Day(fields.Date):
    """A calendar day, an office's own: 2024-05-15."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise fault(Invalid("day_format"))
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise fault(Invalid("day_format")) from None
        if not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
            raise fault(Invalid("day_out_of_reach"))
        return day


class Instant(fields.DateTime):
    """A moment with its offset from UTC (RFC 3339); told in UTC: 2024-05-15T03:00:00Z."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            raise fault(Invalid("instant_format"))
        try:
            instant = datetime.fromisoformat(value.upper().replace("Z", "+00:00"))
            if not EARLIEST_YEAR <= instant.year <= LATEST_YEAR:
                raise fault(Invalid("day_out_of_reach"))
            return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise fault(Invalid("instant_format")) from None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Code(fields.String):
    """An office's code: 51.71.01."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"example": "51.71", **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("type")
        if not is_code(value):
            raise fault(Invalid("office_code_format", code=value[:40]))
        return value


class ItemCode(fields.String):
    """An item's code: ktp-wni."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"example": "ktp-wni", **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("type")
        if not _ITEM_CODE.fullmatch(value):
            raise fault(Invalid("item_code_format"))
        return value


class RequestId(fields.UUID):
    """A UUID in its usual form."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> UUID:
        if not isinstance(value, str) or not _UUID.fullmatch(value):
            raise ValidationError("type")
        return UUID(value)


class Text(fields.String):
    """Words of at most `most` characters, without space around them; line breaks and tabs are the only control
    characters. `least=1`: they must say something."""

    def __init__(self, most: int, *, least: int = 0, **kwargs: Any) -> None:
        self.most, self.least = most, least
        bounds = {"maxLength": most} | ({"minLength": least} if least else {})
        super().__init__(metadata={**bounds, **kwargs.pop("metadata", {})}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("type")
        if _CONTROL.search(value):
            raise fault(Invalid("text_unprintable"))
        try:
            words = check_text(value, self.most)
        except Refusal as refusal:
            raise fault(refusal) from None
        if len(words) < self.least:
            raise ValidationError("missing")
        return words


class Few(fields.List):
    """A list that is sent. One with more than its `validate.Length` allows is refused before any of it is looked at:
    what is wrong with each of a million would be a longer answer than anybody asked for."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        lengths = [each for each in self.validators if isinstance(each, validate.Length)]
        most = min((each.equal or each.max or MOST_OF_A_LIST for each in lengths), default=MOST_OF_A_LIST)
        if isinstance(value, list) and len(value) > most:
            raise ValidationError("wrong")
        return super()._deserialize(value, attr, data, **kwargs)


class Choice(fields.String):
    """One of a few words."""

    def __init__(self, words: Any, **kwargs: Any) -> None:
        self.words = tuple(str(word) for word in words)
        super().__init__(validate=validate.OneOf(self.words, error="choice"), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("type")
        return value


def _between(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise fault(Invalid("number_out_of_range", least=least, most=most))
    return number
