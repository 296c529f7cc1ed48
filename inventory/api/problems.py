"""Errors as problem documents (RFC 9457): what went wrong, in the reader's language, and which field is to blame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from itertools import islice
from typing import Any

from flask import Flask, Response, g, request
from flask_babel import force_locale
from flask_babel import lazy_gettext as _
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, InternalServerError

from inventory import text
from inventory.db import ERRORS, unavailable
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.security import outage, record

MEDIA_TYPE = "application/problem+json"

TITLES = {
    400: _("This request cannot be read"),
    401: _("Not known"),
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("This does not work here"),
    406: _("Not in that form"),
    409: _("Refused"),
    412: _("Changed meanwhile"),
    413: _("Too large"),
    415: _("Not in that form"),
    422: _("This cannot be right"),
    428: _("Not without the version"),
    429: _("Too many requests"),
    500: _("This went wrong"),
    503: _("Not now"),
}

OF_HTTP: Mapping[int, Refusal] = {
    400: Invalid("request_unreadable"),
    404: NotFound("nothing_here"),
    405: Refusal("method_not_offered"),
    406: Invalid("form_not_offered"),
    413: Invalid("request_too_large"),
    415: Invalid("json_expected"),
    429: Refusal("too_many_requests"),
    500: Refusal("went_wrong"),
    503: Refusal("not_now"),
}

OF_FIELDS: Mapping[str, Refusal] = {
    "missing": Invalid("field_missing"),
    "null": Invalid("field_null"),
    "unknown": Invalid("field_unknown"),
    "type": Invalid("field_type"),
    "choice": Invalid("field_choice"),
    "wrong": Invalid("field_wrong"),
}
"""What a schema says by one word of a field."""
OF_LIBRARY: Mapping[str, str] = {
    "Missing data for required field.": "missing",
    "Field may not be null.": "null",
    "Unknown field.": "unknown",
    "Invalid input type.": "type",
    "Invalid type.": "type",
    "Not a valid list.": "type",
    "Not a valid string.": "type",
    "Not a valid mapping type.": "type",
}
"""The words for what the library says itself."""

MOST_FAULTS = 50
"""That one answer names: whoever sends more of them is helped by no longer a list."""
KEPT_HEADERS = ("Allow", "Retry-After")

Fault = tuple[str, Refusal]
"""A field, as a JSON pointer into the body or as the name of a parameter, and what is wrong with it."""


class Problem(Exception):
    """A refusal with what only the edge knows: the status, headers, the fields to blame."""

    def __init__(
        self,
        refusal: Refusal,
        status: int | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.status = status or refusal.status
        self.headers = dict(headers or {})
        self.faults = tuple(faults)


def of_field(field: str, refusal: Refusal, status: int | None = None) -> Problem:
    """The refusal of one field: a JSON pointer such as `/lines/0/quantity`, or a parameter's or header's name."""
    return Problem(refusal, status, faults=[(field, refusal)])


def init_app(app: Flask) -> None:
    """Register answers for all that can go wrong below /api/; what the pages answer elsewhere stays."""
    for handlers in app.error_handler_spec[None].values():
        for kind, handler in handlers.items():
            handlers[kind] = _below_api(handler)
    app.register_error_handler(Problem, answer)
    app.register_error_handler(ValidationError, lambda error: answer(of_schema(error, "json")))


def answer(error: Any) -> Response:
    """Whatever was raised, as a problem document."""
    if isinstance(error, ERRORS) and unavailable(error) is None:
        raise error  # a fault of ours: it is logged on its way, and comes back as a 500
    problem = as_problem(error)
    if not isinstance(error, HTTPException):
        record.refused(problem.refusal)
    if problem.status >= 500:
        # The database may be what is broken: it is not asked who reads.
        with force_locale(text.known_language()):
            return _response(problem, text.known_language())
    return _response(problem, text.language())


def as_problem(error: Any) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refusal):
        field = g.get("refused_fields", {}).get(error.code)
        return Problem(error, faults=[(field, error)] if field else ())
    reason = unavailable(getattr(error, "original_exception", None) or error)
    if reason is not None:
        outage.note(reason)
        return Problem(OF_HTTP[503], headers={"Retry-After": outage.RETRY_AFTER}, status=503)
    status = error.code if isinstance(error, HTTPException) and error.code else 500
    if not isinstance(error, HTTPException) or isinstance(error, InternalServerError):
        return Problem(OF_HTTP[500], status)
    kept = {name: value for name, value in error.get_headers() if name in KEPT_HEADERS}
    return Problem(OF_HTTP.get(status, OF_HTTP[400]), status, headers=kept)


def body_of(problem: Problem) -> dict[str, Any]:
    """The document itself, in the reader's language."""
    refusal = problem.refusal
    return {
        "type": f"urn:blangko:problem:{refusal.code}",
        "title": str(TITLES.get(problem.status, TITLES[400])),
        "status": problem.status,
        "detail": text.sentence(refusal),
        "code": refusal.code,
        "facts": {name: plain(value) for name, value in refusal.facts.items()},
        "errors": [
            {"field": field, "code": fault.code, "detail": text.sentence(fault)} for field, fault in problem.faults
        ],
    }


def of_schema(error: ValidationError, location: str) -> Problem:
    """What a schema found wrong, field by field."""
    messages: Any = error.messages
    # The parser tells a body apart from parameters by a level of its own.
    if isinstance(messages, Mapping) and set(messages) == {location}:
        messages = messages[location]
    faults = list(islice(_faults(messages, "" if location == "json" else None), MOST_FAULTS))
    return Problem(Invalid("input_wrong"), faults=faults)


def plain(value: object) -> Any:
    """A fact as JSON can say it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return str(value)


def _below_api(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def either(error: Any) -> Any:
        return answer(error) if request.path.startswith("/api/") else handler(error)

    return either


def _response(problem: Problem, language: str) -> Response:
    body = json.dumps(body_of(problem), ensure_ascii=False)
    response = Response(body, problem.status, problem.headers, content_type=MEDIA_TYPE)
    response.headers["Content-Language"] = language
    return response


def _faults(messages: Any, pointer: str | None) -> Iterable[Fault]:
    if isinstance(messages, Mapping):
        for name, below in messages.items():
            if name == "_schema":
                yield from _faults(below, pointer)
            else:
                yield from _faults(below, _step(pointer, name))
    elif isinstance(messages, list | tuple):
        for message in messages:
            yield from _faults(message, pointer)
    elif isinstance(messages, Refusal):
        yield pointer or "", messages
    else:
        word = OF_LIBRARY.get(str(messages), str(messages))
        yield pointer or "", OF_FIELDS.get(word, OF_FIELDS["wrong"])


def _step(pointer: str | None, name: object) -> str:
    """One level down. A parameter is called by its name alone."""
    if pointer is None:
        return str(name)
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
