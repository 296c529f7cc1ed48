"""Clients of the API: a machine with its token, or a person with the session of their log-in."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Flask, has_app_context
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.scopes import ApiScope
from inventory.security import tokens
from inventory.services import service_accounts
from tests.conftest import NOW
from tests.web.client import log_in
from tests.world import DENPASAR

ROOT = "/api/v1"
PROBLEM = "application/problem+json"
EVERYTHING = tuple(ApiScope)


def make_token(*scopes: ApiScope, office: str = DENPASAR, name: str = "Sistem antrean", days: int = 30) -> str:
    """The secret of a new machine's at an office. Call inside an application context."""
    account = service_accounts.make(
        SYSTEM,
        NOW,
        uuid4(),
        name=name,
        purpose="antrean loket",
        office_code=office,
        scopes=[scope.value for scope in scopes or EVERYTHING],
    )
    secret = tokens.new()
    service_accounts.add_token(
        SYSTEM,
        NOW,
        uuid4(),
        account.id,
        name="utama",
        expires_at=NOW + timedelta(days=days),
        digest=tokens.digest(secret),
        prefix=secret[: tokens.SHOWN],
    )
    return secret


def apart(ask: Callable[[], Any]) -> Any:
    """As a server does it: what a request remembers is its own, also where the test itself is in a context."""
    if has_app_context():
        db.session.rollback()  # what the test reads next is what is there then
    return Context().run(ask)


class Caller:
    """Asks the API as one machine or person; a POST gets a new key unless it is given one."""

    def __init__(self, app: Flask, token: str | None = None, person: str | None = None, language: str = "en") -> None:
        self.client: FlaskClient = app.test_client()
        self.headers = {"Accept-Language": language}
        self.csrf = ""
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        if person is not None:
            apart(lambda: log_in(self.client, person))
            self.csrf = self.get("/session").json["csrf_token"]  # type: ignore[index]

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> TestResponse:
        headers = self.headers | (headers or {})
        return apart(lambda: self.client.get(ROOT + path, query_string=query, headers=headers, buffered=True))

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> TestResponse:
        return self.send("POST", path, body, {"Idempotency-Key": key or str(uuid4()), **headers})

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> TestResponse:
        csrf = {"X-CSRFToken": self.csrf} if self.csrf else {}
        headers = self.headers | csrf | headers
        return apart(lambda: self.client.open(ROOT + path, method=method, json=body, headers=headers))


def code_of(response: TestResponse) -> str:
    """The code of a problem document, which it must be."""
    assert response.content_type == PROBLEM, (response.status, response.text[:300])
    told: Any = response.json
    assert told["status"] == response.status_code
    assert told["type"] == f"urn:blangko:problem:{told['code']}"
    assert told["detail"]
    return told["code"]


def fields_of(response: TestResponse) -> dict[str, str]:
    """What a problem document says is wrong: codes by field."""
    code_of(response)
    told: Any = response.json
    return {fault["field"]: fault["code"] for fault in told["errors"]}
