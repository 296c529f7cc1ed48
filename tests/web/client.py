"""A browser's worth of client: lets people in, and sends forms as they were rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser

from flask import session
from flask.testing import FlaskClient
from flask_security import login_user
from sqlalchemy import select
from werkzeug.test import TestResponse

from inventory.db import db
from inventory.models import Person
from tests.world import PASSWORD, PEOPLE


class _Fields(HTMLParser):
    """The values with which a page's forms would be sent, all forms together, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._select: str | None = None
        self._first_option: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if tag == "input" and at.get("name"):
            ticked = at.get("type") not in ("checkbox", "radio") or "checked" in at
            if ticked:
                self.values.setdefault(str(at["name"]), []).append(at.get("value") or "")
        elif tag == "select":
            self._select, self._first_option = at["name"], None
        elif tag == "option" and self._select:
            if self._first_option is None:
                self._first_option = at.get("value") or ""
            if "selected" in at:
                self.values[self._select] = [at.get("value") or ""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select:
            self.values.setdefault(self._select, [self._first_option or ""])
            self._select = None


def fields(page: str) -> dict[str, list[str]]:
    parser = _Fields()
    parser.feed(page)
    return parser.values


def csrf_token(client: FlaskClient, path: str = "/login") -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found, f"no form on {path}"
    return found[1]


def log_in(client: FlaskClient, name: str) -> None:
    """Let in one of the people of `tests.world`, or whoever has this e-mail address: the session that their log-in
    makes, without checking the password.

    A password is slow to check, as it must be; whoever is not about logging in need not wait for it.
    """
    with client.application.test_request_context(environ_base=client.environ_base):
        email = PEOPLE[name][0] if name in PEOPLE else name
        login_user(db.session.scalars(select(Person).where(Person.email == email)).one())
        entered = dict(session)
    with client.session_transaction() as kept:
        kept.update(entered)


def log_in_by_form(client: FlaskClient, name: str, password: str = PASSWORD, next_path: str = "") -> TestResponse:
    """Log in as one of the people of `tests.world` by the real login form."""
    answer = client.post(
        "/login" + (f"?next={next_path}" if next_path else ""),
        data={"email": PEOPLE[name][0], "password": password, "csrf_token": csrf_token(client)},
    )
    assert answer.status_code in (200, 302, 303)
    return answer


def log_out(client: FlaskClient) -> TestResponse:
    return client.post("/logout", data={"csrf_token": csrf_token(client, "/account")})


def in_language(client: FlaskClient, language: str) -> None:
    data = {"language": language, "next": "/", "csrf_token": csrf_token(client, "/account")}
    assert client.post("/language", data=data).status_code == 303


def send(
    client: FlaskClient, path: str, typed: Mapping[str, str | list[str]], *, action: str | None = None
) -> TestResponse:
    """Open the form on `path`, type over some of its fields, and send it."""
    page = client.get(path)
    assert page.status_code == 200, (path, page.status_code)
    return client.post(action or path, data={**fields(page.text), **typed})
