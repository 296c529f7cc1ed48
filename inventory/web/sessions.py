"""Sessions are for people: what is the same for everybody has none, so that caches may keep it."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface


class PeoplesSessions(SecureCookieSessionInterface):
    """Flask-Login looks into the session at the end of every request, and then the answer would vary by cookie."""

    def __init__(self, for_everybody: set[str]) -> None:
        self.for_everybody = for_everybody

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if request.endpoint not in self.for_everybody:
            super().save_session(app, session, response)
