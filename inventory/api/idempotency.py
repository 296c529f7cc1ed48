"""Posting once: the same key and request have the same answer, however often they are sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import Response, g, request

from inventory import security
from inventory.api.problems import Problem, of_field
from inventory.domain.errors import Invalid, Refusal
from inventory.services import api_requests, ledger
from inventory.services.api_requests import Answer, Claim

View = TypeVar("View", bound=Callable[..., Any])

HEADER = "Idempotency-Key"
KEPT_HEADERS = ("Content-Type", "Location", "ETag")
RETRY_AFTER = "2"

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True)
class Asked:
    """A key, the id under which what came under it is recorded, and what stands for what was asked."""

    key: str
    request_id: UUID
    digest: str


def posting(view: View) -> View:
    """An operation that records something, once for each `Idempotency-Key` of whoever asks.

    A view that answers well but has recorded nothing says so in `g.nothing_recorded`: then that is not kept either.

    The view is given `request_id`, the UUID that this key is for this person, to hand to the service. Its answer is
    kept and given again; a refusal is not, and leaves the key free. It goes right below `needs`.
    """

    @wraps(view)
    def once(*args: Any, **kwargs: Any) -> Any:
        key = _key()
        claimed = _claim(key)
        if isinstance(claimed, Answer):
            return _again(claimed)
        try:
            response: Response = view(*args, **kwargs, request_id=request_id(key))
        except BaseException:
            api_requests.give_up(claimed)
            raise
        if not 200 <= response.status_code < 300 or g.get("nothing_recorded"):
            api_requests.give_up(claimed)
            return response
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        answer = Answer(status=response.status_code, headers=kept, body=response.get_data(as_text=True))
        api_requests.settle(g.actor, claimed, security.now(), answer)
        return response

    checked: Any = once
    checked._apidoc = {**getattr(view, "_apidoc", {}), "posting": True}
    return checked


def at_once(quick: Callable[..., Response | None]) -> Callable[[View], View]:
    """Before `posting`: an operation that is first tried by `quick`, which is given what was `asked` and records it
    together with its key and answer, all of it or nothing. Where that does not go, or a rule says no, nothing was
    recorded, and the operation is carried out as if this had not been tried: it knows what the key had before."""

    def decorate(view: View) -> View:
        @wraps(view)
        def first(*args: Any, **kwargs: Any) -> Any:
            if ledger.posts_at_once():
                key = _key()
                try:
                    answered = quick(*args, **kwargs, asked=Asked(key, request_id(key), _digest()))
                except (Refusal, Problem):
                    answered = None
                if answered is not None:
                    return answered
            return view(*args, **kwargs)

        tried: Any = first
        return tried

    return decorate


def request_id(key: str) -> UUID:
    """The id under which a service records what came under this key of this person's; another for every operation, so
    that a key once forgotten may come back with something else to another address."""
    return uuid5(NAMESPACE_URL, f"blangko:{g.actor.person_id}:{request.method}:{request.path}:{key}")


def _key() -> str:
    key = request.headers.get(HEADER)
    if key is None:
        raise of_field(HEADER, Invalid("idempotency_key_missing"), 400)
    if not _KEY.fullmatch(key):
        raise of_field(HEADER, Invalid("idempotency_key_format"), 400)
    return key


def _claim(key: str) -> Claim | Answer:
    try:
        return api_requests.claim(g.actor, security.now(), key, _digest())
    except Invalid as refusal:
        raise of_field(HEADER, refusal) from None
    except Refusal as refusal:
        if refusal.code != "request_in_flight":
            raise
        raise Problem(refusal, headers={"Retry-After": RETRY_AFTER}) from None


def _digest() -> str:
    """What was asked: the operation and the body, byte for byte."""
    asked = hashlib.sha256(f"{request.method} {request.full_path.removesuffix('?')}\n".encode())
    asked.update(request.get_data(cache=True))
    return asked.hexdigest()


def _again(answer: Answer) -> Response:
    response = Response(answer.body, answer.status, dict(answer.headers))
    response.headers["Idempotency-Replayed"] = "true"
    return response
