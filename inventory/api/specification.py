"""What the API offers, as OpenAPI says it: written from the operations themselves."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import fields

from inventory.api.bodies import Parser
from inventory.api.idempotency import HEADER
from inventory.api.schemas import Schema
from inventory.domain.access import Action
from inventory.domain.scopes import scopes_for

TITLE = "Blangko"
VERSION = "1"
OPENAPI = "3.1.0"
DESCRIPTION = (
    "The stock ledger for blank identity cards. Machines show the token of a service account; people use the session"
    " of their log-in, and send its token with what changes something. Every POST names an `Idempotency-Key`: the same"
    " key and request are carried out once and have the same answer. Errors are problem documents (RFC 9457) in the"
    " language of `Accept-Language` (`id` or `en`). Lists come by pages: go on with `next` as `cursor`. Instants are"
    " in UTC (RFC 3339), days are the office's own."
)


class FaultSchema(Schema):
    field = fields.String(
        required=True,
        metadata={"description": "A JSON pointer into the body, or the name of a parameter or header."},
    )
    code = fields.String(required=True)
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"minimum": 400, "maximum": 599})
    detail = fields.String(required=True, metadata={"description": "A sentence in the reader's language."})
    code = fields.String(required=True, metadata={"description": "What to tell problems apart by."})
    facts = fields.Dict(keys=fields.String(), required=True, metadata={"description": "What the sentence speaks of."})
    errors = fields.List(fields.Nested(FaultSchema), required=True)


class Resource(flask_smorest.Blueprint):
    """A module's operations. Their endpoints are `api.<module>.<view>`; `needs`, `posting`, `arguments` and `response`
    say what they ask for and answer, and what they refuse follows from that."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, import_name: str, description: str) -> None:
        super().__init__(name, import_name, description=description)
        self._prepare_doc_cbks.append(self._prepare_own_doc)

    def _store_endpoint_docs(self, endpoint: str, obj: Any, parameters: Any, tags: Any, **options: Any) -> None:
        super()._store_endpoint_docs(endpoint, obj, parameters, tags or [self.name], **options)
        for method, told in self._docs[endpoint].items():
            if method != "parameters":
                told.setdefault("manual_doc", {})["operationId"] = f"{self.name}_{endpoint}"

    @staticmethod
    def _prepare_own_doc(doc: dict[str, Any], doc_info: dict[str, Any], *, method: str, **_rest: Any) -> dict[str, Any]:
        doc = deepcopy(doc)
        # A library's short word for what went wrong; here every refusal is a problem document, see below.
        doc.get("responses", {}).pop(422, None)
        needed = doc_info.get("needs")
        statuses = {404, 405, 422, 429} | ({401, 403} if needed else set())
        if needed:
            doc["security"] = _security(needed["action"])
        if doc_info.get("posting"):
            doc.setdefault("parameters", []).append("idempotency_key")
        if doc_info.get("versioned"):
            doc.setdefault("parameters", []).append("if_match")
            statuses |= {412, 428}
        if method != "get":
            statuses |= {400, 409, 413, 415}
        doc.setdefault("responses", {}).update({status: _problem(status) for status in sorted(statuses)})
        doc.setdefault("parameters", []).append("accept_language")
        return doc


class Api(flask_smorest.Api):
    """The specification of all resources. What goes wrong is answered by `problems`, not by the library."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = "PROBLEM"
    spec: Any

    def __init__(self, app: Flask) -> None:
        app.config.setdefault("API_TITLE", TITLE)
        app.config.setdefault("API_VERSION", VERSION)
        app.config.setdefault("OPENAPI_VERSION", OPENAPI)
        super().__init__(app, spec_kwargs={"info": {"description": DESCRIPTION}, "servers": [{"url": "/"}]})
        _describe_codes(self, app)
        parts = self.spec.components
        parts.security_scheme("token", {"type": "http", "scheme": "bearer", "description": BY_TOKEN})
        parts.security_scheme(
            "session", {"type": "apiKey", "in": "cookie", "name": "blangko", "description": BY_SESSION}
        )
        parts.security_scheme(
            "csrf", {"type": "apiKey", "in": "header", "name": "X-CSRFToken", "description": WITH_SESSION}
        )
        parts.parameter("idempotency_key", "header", IDEMPOTENCY_KEY)
        parts.parameter("if_match", "header", IF_MATCH)
        parts.parameter("accept_language", "header", ACCEPT_LANGUAGE)
        parts.response("PROBLEM", {"description": "Whatever else goes wrong", "content": PROBLEM_CONTENT})

    def register(self, blueprint: Resource, root: str) -> None:
        """Put a module's operations below `root`, and into the specification."""
        name = f"api.{blueprint.name}"
        assert self._app is not None
        self._app.register_blueprint(blueprint, url_prefix=root, name=name)
        blueprint.register_views_in_doc(self, self._app, self.spec, name=name, parameters=None)
        self.spec.tag({"name": blueprint.name, "description": blueprint.description})

    def _register_responses(self) -> None:
        """Every refusal is documented by `Resource`, as a problem document."""
        self.spec.components.schema("Problem", schema=ProblemSchema)

    def _register_error_handlers(self) -> None:
        """`problems` answers."""


BY_TOKEN = "The token of a service account, as `Authorization: Bearer blk_…`."  # noqa: S105  (a sentence)
BY_SESSION = "The session of a person who has logged in."
WITH_SESSION = "With a session, for what changes something: the token that `GET /api/v1/session` tells."
IDEMPOTENCY_KEY = {
    "name": HEADER,
    "required": True,
    "description": "Chosen by the sender, new for each thing to record, such as a UUID. Kept for 30 days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
}
IF_MATCH = {
    "name": "If-Match",
    "required": True,
    "description": "The version that somebody saw: the `ETag` with which the thing was told.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "example": '"3f1c5a0e9d7b4c2f8a6e1d0b9c8a7f65"',
}
ACCEPT_LANGUAGE = {
    "name": "Accept-Language",
    "required": False,
    "description": "The language of what is told: `id` or `en`.",
    "schema": {"type": "string"},
    "example": "id",
}
PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS = {
    400: "The request cannot be read.",
    401: "Nobody that is known here asks.",
    403: "Whoever asks may not do this here.",
    404: "There is no such thing, or none that whoever asks may see.",
    405: "This address does not take that kind of request; `Allow` says which it takes.",
    409: "A rule said no; nothing was recorded.",
    412: "What was to be changed was changed meanwhile.",
    413: "What was sent is too large.",
    415: "What was sent is no JSON.",
    422: "What was sent cannot be right; `errors` says which field.",
    428: "What is changed must be named by its version, in `If-Match`.",
    429: "Too many requests; `Retry-After` says when to try again.",
}


def _problem(status: int) -> dict[str, Any]:
    return {"description": PROBLEMS[status], "content": PROBLEM_CONTENT}


def _security(action: Action | None) -> list[dict[str, list[str]]]:
    people: list[dict[str, list[str]]] = [{"session": [], "csrf": []}, {"session": []}]
    machines = [{"token": [scope.value]} for scope in scopes_for(action)] if action is not None else [{"token": []}]
    return machines + people


def _describe_codes(api: Api, app: Flask) -> None:
    code, day = app.url_map.converters["code"], app.url_map.converters["day"]
    pattern = {"type": "string", "pattern": f"^{code.regex}$".replace("\\-", "-"), "example": "51.71"}
    api.register_converter(code, lambda _converter: dict(pattern))
    api.register_converter(day, lambda _converter: {"type": "string", "format": "date", "example": "2024-05-15"})
