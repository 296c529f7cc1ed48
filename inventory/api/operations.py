"""Operations in one form: who may, what comes in, what goes out, with an example of each, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from inventory.api.auth import needs
from inventory.api.cursors import Key, PageQuery, page
from inventory.api.etags import ETAG, versioned_change
from inventory.api.idempotency import posting
from inventory.api.schemas import Schema, list_of
from inventory.api.specification import Resource
from inventory.domain.access import Action

View = Callable[..., Any]
Decorate = Callable[[View], View]
Shape = tuple[type[Schema], Any]
"""A schema and an example of it."""
Link = tuple[str, dict[str, Any]]


def link(operation_id: str, **parameters: str) -> Link:
    """What can be done next with what was made: the operation's parameters by the fields of the answer."""
    named = {name: f"$response.body#/{field}" for name, field in parameters.items()}
    return operation_id, {"operationId": operation_id, "parameters": named}


def by_id(row: Any) -> Key:
    return (row.id,)


def reads(
    blueprint: Resource,
    rule: str,
    action: Action,
    answer: Shape,
    *,
    query: Shape | None = None,
    versioned: bool = False,
) -> Decorate:
    """An operation that reads one thing; the view's first line is the summary. With `query` the view is given the
    parameters first. `versioned`: it answers with an `ETag`."""

    def decorate(view: View) -> View:
        schema, example = answer
        described = blueprint.response(200, schema, example=example, headers=ETAG if versioned else None)(view)
        if query is not None:
            described = blueprint.arguments(query[0], location="query")(described)
        if versioned:
            unchanged = {"description": "The reader has this version already.", "headers": ETAG}
            described = blueprint.doc(responses={304: unchanged})(described)
        return blueprint.get(rule)(needs(action)(described))

    return decorate


def lists(
    blueprint: Resource,
    rule: str,
    action: Action,
    row: Shape,
    *,
    query: type[PageQuery] = PageQuery,
    kinds: tuple[type, ...] = (int,),
    key: Callable[[Any], Key] = by_id,
) -> Decorate:
    """An operation that reads a list by pages. The view is given the parameters, with `after` (a key, or its only
    part; None at the beginning) and `limit` among them, and returns rows in the order of `key`."""

    def decorate(view: View) -> View:
        schema, example = row
        paged = blueprint.response(200, list_of(schema), example={"data": [example], "next": None})(
            by_pages(view, kinds, key)
        )
        described = blueprint.arguments(query, location="query")(paged)
        return blueprint.get(rule)(needs(action)(described))

    return decorate


def by_pages(view: View, kinds: tuple[type, ...], key: Callable[[Any], Key]) -> View:
    """The view of a list, see `lists`, as one that answers with a page of it."""

    @wraps(view)
    def paged(said: dict[str, Any], **kwargs: Any) -> Any:
        def fetch(after: Key | None, limit: int) -> Any:
            found = after[0] if after is not None and len(kinds) == 1 else after
            return view({**said, "after": found, "limit": limit}, **kwargs)

        return page(said, kinds, fetch, key)

    return paged


def posts(
    blueprint: Resource,
    rule: str,
    action: Action,
    *,
    body: Shape,
    answer: Shape,
    links: tuple[Link, ...] = (),
    blame: Mapping[str, str] | None = None,
) -> Decorate:
    """An operation that records something, once for each `Idempotency-Key`. `blame`: the field of the body, as a JSON
    pointer, by the code of a refusal that the service raises."""

    def decorate(view: View) -> View:
        described = blueprint.response(201, answer[0], example=answer[1])(view)
        described = blueprint.arguments(body[0], example=body[1])(described)
        if links:
            described = blueprint.doc(responses={201: {"links": dict(links)}})(described)
        return blueprint.post(rule)(needs(action, fields=dict(blame or {}))(posting(described)))

    return decorate


def puts(
    blueprint: Resource,
    rule: str,
    action: Action,
    *,
    body: Shape,
    answer: Shape,
    blame: Mapping[str, str] | None = None,
) -> Decorate:
    """An operation that changes what it is told the version of, in `If-Match`."""

    def decorate(view: View) -> View:
        described = blueprint.response(200, answer[0], example=answer[1], headers=ETAG)(view)
        described = blueprint.arguments(body[0], example=body[1])(described)
        return blueprint.put(rule)(needs(action, fields=dict(blame or {}))(versioned_change(described)))

    return decorate
