"""Reading what was sent: JSON as the standard has it, no deeper and no larger than anything here needs."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from flask import Request, request
from marshmallow import RAISE, Schema, ValidationError
from webargs import core
from webargs.flaskparser import FlaskParser

from inventory.api.problems import OF_HTTP, Problem, of_field, of_schema
from inventory.domain.errors import Invalid, Refusal

DEEPEST = 12
LONGEST = 1_000_000
"""Bytes of a body of JSON."""
MOST_DIGITS = 18

# Possessive, and one that never ends is taken whole: nothing is ever looked at twice, however it is made up.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


class Parser(FlaskParser):
    """Refuses what a schema does not know, in a body and among the parameters; and says which field is to blame."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {
        "json": RAISE,
        "query": RAISE,
        "querystring": RAISE,
    }

    def _raw_load_json(self, req: Request) -> Any:
        if not core.is_json(req.mimetype):
            raise Problem(OF_HTTP[415], 415, headers={"Accept": "application/json"})
        return read(req)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        for name, values in req.args.lists():
            if len(values) > 1:
                raise of_field(name, Invalid("parameter_twice"))
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, *_args: Any, **_options: Any) -> NoReturn:
        location = next(iter(error.messages), "json") if isinstance(error.messages, dict) else "json"
        raise of_schema(error, str(location))


def read(req: Request = request) -> Any:
    """The body. Raises Problem 400 when it is no JSON: a name twice, NaN, half a character, too deep; or 413."""
    if (req.content_length or 0) > LONGEST:
        raise Problem(OF_HTTP[413], 413)
    raw = req.get_data(cache=True)
    if len(raw) > LONGEST:
        raise Problem(OF_HTTP[413], 413)
    _check_depth(raw)
    try:
        return json.loads(
            raw.decode(),
            object_pairs_hook=_once_each,
            parse_constant=_no_such_number,
            parse_int=_short,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise _unreadable() from error


def _check_depth(raw: bytes) -> None:
    depth = 0
    for byte in _STRINGS.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise Problem(_too_deep(), 400)
        elif byte in b"]}":
            depth -= 1


def _too_deep() -> Refusal:
    return Invalid("json_too_deep", limit=DEEPEST)


def _unreadable() -> Problem:
    return Problem(Invalid("json_malformed"), 400)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    for name, value in pairs:
        # Half of a surrogate pair is no character: no database keeps it.
        name.encode()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, str):
                    each.encode()
    return found


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(name)


def _short(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large")
    return number
