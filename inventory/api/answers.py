"""What answers have in common, and what reading back needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import time
from typing import Any

from marshmallow import ValidationError, fields

from inventory import security
from inventory.api import etags
from inventory.api.fields import Whole
from inventory.api.schemas import Schema
from inventory.domain.access import Action, Actor
from inventory.domain.errors import Refusal

LARGEST_ID = 2**31 - 1

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


class Answer(Schema):
    """An answer has all of its fields, always."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = True


class Id(Whole):
    """The number under which something was recorded."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, LARGEST_ID, **kwargs)


class Version(Whole):
    """How often something was changed: which state of it a decision is about."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "The version that was seen; if it has changed meanwhile, 409."}
        super().__init__(0, LARGEST_ID, metadata=metadata, **kwargs)


class TimeOfDay(fields.String):
    """What an office's clock shows: 08:30."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": f"^{_TIME.pattern}$", "example": "08:30"}, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value:%H:%M}"

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValidationError("type")
        return time.fromisoformat(value)


def reader() -> Actor:
    """Who has just recorded something, as who may read it back: a machine's scopes may be for writing alone."""
    actor = security.current_actor()
    if actor.scopes is None:
        return actor
    return replace(actor, scopes=actor.scopes | {Action.VIEW_OFFICE, Action.VIEW_STOCK, Action.VIEW_ALERT})


@contextmanager
def stale_when(code: str) -> Iterator[None]:
    """A change that somebody else forestalled, as the service says it by this code, is one of an old version."""
    try:
        yield
    except Refusal as refusal:
        if refusal.code == code:
            raise etags.stale() from None
        raise
