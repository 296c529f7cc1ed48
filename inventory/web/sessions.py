"""Sessions are for people: what is the same for everybody has none, so that caches may keep it."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface


class PeoplesSessions(SecureCookieSessionInterface):
    """Flask-Login looks into the session at the end of every request, and then the answer would vary by cookie."""

    def __init__(self, for_everybody: set[str]) -> None:
        self.for_everybody = for_everybody

    def open_session(self, app: Flask, request: Any) -> Any:
        # Whoever shows a token is not whom a cookie beside it names.
        return self.session_class() if _shows_token() else super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if request.endpoint not in self.for_everybody and not _shows_token():
            super().save_session(app, session, response)


def _shows_token() -> bool:
    return "Authorization" in request.headers and request.path.startswith("/api/")
