"""The documentation: the specification for machines, and the same as a page for people.

The page is made here, without a script: viewers from elsewhere want inline styles or `eval`, and a page of a megabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, g, json, make_response, render_template, request, session
from flask_security import current_user
from markupsafe import Markup

from inventory import security, text
from inventory.api import etags

blueprint = Blueprint("docs", __name__)

DEEPEST = 3
"""Levels of a body that the page shows."""
MOST_KEPT = 8
"""Of what was made: two languages, and some names of the host."""


@dataclass(frozen=True)
class Field:
    """A parameter, or a part of a body by its path."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    for_people_only: bool
    public: bool
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answer: tuple[Field, ...]
    example: str | None
    curl: str
    statuses: tuple[tuple[str, str], ...]


@blueprint.get("/openapi.json")
@security.public
def openapi() -> Any:
    g.kept_by_reader = True
    body = _made("openapi", lambda: json.dumps(specification(), sort_keys=False))
    response = Response(body, mimetype="application/json")
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("/docs")
@security.public
def page() -> Any:
    parts = _made(f"{text.language()} {request.url_root}", _parts)
    shown = Markup(parts)  # noqa: S704  (of our own templates)
    about = _made("about", lambda: specification()["info"]["description"])
    response = make_response(render_template("api/docs.html", parts=shown, about=about))
    if not current_user.is_authenticated:
        # The page around it is the same as long as its reader's session: the token in it is made anew each time.
        g.kept_by_reader = True
        response.set_etag(etags.tag(parts, text.language(), session.get("csrf_token")))
        return response.make_conditional(request)
    return response


def _made(name: str, make: Callable[[], str]) -> str:
    """What is the same for everybody until the program changes, made once. Whoever asks by ever new names of the host
    fills no memory."""
    kept: dict[str, str] = current_app.extensions.setdefault("api_docs", {})
    if name not in kept:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[name] = make()
    return kept[name]


def _parts() -> str:
    spec = specification()
    return render_template("api/_parts.html", groups=groups(spec, request.url_root.rstrip("/")))


def specification() -> dict[str, Any]:
    """The OpenAPI document."""
    return current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()


def groups(spec: dict[str, Any], root: str) -> list[tuple[str, str, list[Operation]]]:
    """Name, description and operations of each part of the API, in its order."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, methods in spec["paths"].items():
        shared = methods.get("parameters", [])
        for method, told in methods.items():
            if method != "parameters":
                found[told["tags"][0]].append(_operation(spec, root, path, method, told, shared))
    return [(tag["name"], tag["description"], found[tag["name"]]) for tag in spec["tags"]]


def _operation(
    spec: dict[str, Any], root: str, path: str, method: str, told: dict[str, Any], shared: list[Any]
) -> Operation:
    parameters = [_resolved(spec, each) for each in (*shared, *told.get("parameters", []))]
    body = told.get("requestBody", {}).get("content", {})
    sent = next(iter(body.values()), {})
    good = next((answer for status, answer in told["responses"].items() if str(status).startswith("2")), {})
    given = next(iter(good.get("content", {}).values()), {})
    secured = told.get("security", [])
    scopes = tuple(dict.fromkeys(scope for each in secured for scope in each.get("token", [])))
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        description=told.get("description", ""),
        scopes=scopes,
        for_people_only=bool(secured) and not any("token" in each for each in secured),
        public=not secured,
        parameters=tuple(
            Field(each["name"], _kind(spec, each["schema"]), each.get("required", False), _about(each))
            for each in parameters
            if each["name"] != "Accept-Language"
        ),
        body=tuple(_fields(spec, sent.get("schema", {}))),
        answer=tuple(_fields(spec, given.get("schema", {}))),
        example=_written(given["example"]) if "example" in given else None,
        curl=_curl(root + path, method, parameters, sent.get("example"), bool(secured)),
        statuses=tuple(
            (str(status), _resolved(spec, answer).get("description", ""))
            for status, answer in told["responses"].items()
            if str(status) != "default"
        ),
    )


def _resolved(spec: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = spec
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _fields(spec: dict[str, Any], schema: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[Field]:
    schema = _resolved(spec, schema)
    if schema.get("type") == "array":
        yield from _fields(spec, schema.get("items", {}), f"{prefix}[]", depth)
        return
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        path = f"{prefix}.{name}".removeprefix(".")
        yield Field(path, _kind(spec, part), name in required, _about(part))
        if depth < DEEPEST:
            yield from _fields(spec, _plain(spec, part), path, depth + 1)


def _plain(spec: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A part that may be null, without that."""
    part = _resolved(spec, part)
    for each in part.get("anyOf", ()):
        if each.get("type") != "null":
            return _resolved(spec, each)
    return part


def _kind(spec: dict[str, Any], schema: dict[str, Any]) -> str:
    whole = _plain(spec, schema)
    kind = whole.get("type", "object")
    kinds = [kind] if isinstance(kind, str) else [each for each in kind if each != "null"]
    words = ", ".join(kinds)
    if "format" in whole:
        words += f" ({whole['format']})"
    if "array" in kinds:
        words += f": {_kind(spec, whole.get('items', {}))}"
    if "enum" in whole:
        words += ": " + " | ".join(str(each) for each in whole["enum"] if each is not None)
    if "minimum" in whole or "maximum" in whole:
        words += f" {whole.get('minimum', '')}…{whole.get('maximum', '')}"
    return words


def _about(part: dict[str, Any]) -> str:
    return part.get("description", "")


def _curl(url: str, method: str, parameters: list[dict[str, Any]], body: Any, secured: bool) -> str:
    headers = ['-H "Authorization: Bearer $TOKEN"'] if secured else []
    for each in parameters:
        if each["in"] == "path":
            schema = each["schema"]
            shown = schema.get("example", 1 if schema.get("type") == "integer" else "x")
            url = url.replace("{" + each["name"] + "}", str(shown))
        elif each["in"] == "header" and each.get("required"):
            value = (
                "$(uuidgen)" if each["name"] == "Idempotency-Key" else str(each.get("example", "")).replace('"', '\\"')
            )
            headers.append(f'-H "{each["name"]}: {value}"')
    if body is not None:
        headers.append('-H "Content-Type: application/json"')
        headers.append("-d '" + json.dumps(body, ensure_ascii=False).replace("'", "'\\''") + "'")
    verb = f" -X {method.upper()}" if method != "get" else ""
    return " \\\n  ".join([f'curl{verb} "{url}"', *headers])


def _written(example: Any) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False, sort_keys=False)
