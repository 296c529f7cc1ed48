"""Versions of what can be edited: whoever changes it says which version they saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Response, g, request

from inventory.api.problems import Problem, of_field, plain
from inventory.domain.errors import Invalid, Refusal

HEADER = "If-Match"


ETAG = {"ETag": {"description": "The version, to be sent as `If-Match` with a change.", "schema": {"type": "string"}}}

View = TypeVar("View", bound=Callable[..., Any])


def versioned_change(view: View) -> View:
    """An operation that changes a thing with a version: it asks for `If-Match` before it reads what was sent. Inside,
    `check` holds it against the thing. It goes right below `needs`."""

    @wraps(view)
    def changing(*args: Any, **kwargs: Any) -> Any:
        if HEADER not in request.headers:
            raise of_field(HEADER, Invalid("version_missing"), 428)
        return view(*args, **kwargs)

    checked: Any = changing
    checked._apidoc = {**getattr(view, "_apidoc", {}), "versioned": True}
    return checked


def tag(*parts: Any) -> str:
    """A strong tag of all that can be edited of a thing (without quotes)."""
    text = json.dumps([plain(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def versioned(body: Any, version: str) -> Any:
    """What a view returns for a thing with a version: itself with an `ETag`, or 304 for who has it already."""
    g.kept_by_reader = True
    if request.method in ("GET", "HEAD") and request.if_none_match.contains(version):
        return Response(status=304, headers={"ETag": f'"{version}"'})
    return body, {"ETag": f'"{version}"'}


def check(version: str) -> None:
    """Before a change. Raises Problem 412 when `If-Match` names another version than `version`, or any at all (`*`):
    whoever changes something has seen what."""
    if request.if_match.star_tag or not request.if_match.contains(version):
        raise stale()


def stale() -> Problem:
    """For a change that somebody else forestalled between the look and the writing."""
    return Problem(Refusal("version_stale"), 412, faults=[(HEADER, Refusal("version_stale"))])
