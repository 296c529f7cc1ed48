"""Lists by pages: each says where the next one begins, and never counts what lies before it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import request, url_for
from marshmallow import fields as ma

from inventory.api.fields import Bounded
from inventory.api.problems import of_field
from inventory.api.schemas import Schema
from inventory.domain.errors import Invalid

MOST = 200
USUAL = 50
LARGEST = 2**63 - 1
LONGEST = 400
PATTERN = "^[A-Za-z0-9_-]+$"

Row = TypeVar("Row")
Key = tuple[Any, ...]


class PageQuery(Schema):
    """The parameters of every list; a list's own query schema derives from it."""

    limit = Bounded(
        1, MOST, load_default=USUAL, metadata={"description": f"How many at most; {USUAL} when nothing is said."}
    )
    cursor = ma.String(
        load_default=None,
        metadata={
            "minLength": 1,
            "maxLength": LONGEST,
            "pattern": PATTERN,
            "description": "Where to go on: `next` of the page before. Opaque; good for the same list only.",
        },
    )


def page(
    query: dict[str, Any],
    kinds: Sequence[type],
    fetch: Callable[[Key | None, int], Sequence[Row]],
    key_of: Callable[[Row], Key],
) -> tuple[dict[str, Any], dict[str, str]]:
    """One page and its headers, to be returned by a view as they are.

    `fetch(after, limit)` gives rows whose keys come after `after` (None: from the beginning), in the order of their
    keys; `kinds` are the types (`str`, `int`) of the parts of a key. Raises Problem 422 for a cursor that is not ours.
    """
    limit = query["limit"]
    rows = list(fetch(decode(query["cursor"], kinds), limit + 1))
    following = encode(key_of(rows[limit - 1])) if len(rows) > limit else None
    return {"data": rows[:limit], "next": following}, link(following)


def link(following: str | None, parameter: str = "cursor") -> dict[str, str]:
    """The header that names the next page."""
    if following is None:
        return {}
    endpoint = str(request.endpoint)
    values = {**request.args.to_dict(), **(request.view_args or {}), parameter: following}
    return {"Link": f'<{url_for(endpoint, **values)}>; rel="next"'}


def encode(key: Key) -> str:
    """Opaque to who gets it: base64url of the key as JSON."""
    text = json.dumps(key, separators=(",", ":"), ensure_ascii=True)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, kinds: Sequence[type], field: str = "cursor") -> Key | None:
    """The key in a cursor. Raises Problem 422 on `field` for one that `encode` cannot have made."""
    if cursor is None:
        return None
    key = _decoded(cursor)
    if key is None or len(key) != len(kinds) or not all(map(_fits, key, kinds)) or encode(tuple(key)) != cursor:
        raise of_field(field, Invalid("cursor_wrong"))
    return tuple(key)


def _decoded(cursor: str) -> list[Any] | None:
    if len(cursor) > LONGEST or not cursor.isascii():
        return None
    try:
        found = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _fits(part: Any, kind: type) -> bool:
    if type(part) is not kind:
        return False
    if isinstance(part, int):
        return 0 <= part <= LARGEST
    return "\x00" not in part and len(part) <= 120 and part.isprintable()
