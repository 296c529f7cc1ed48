"""Sessions are for people: what is the same for everybody has none, so that caches may keep it. Clocks may differ."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import SignatureExpired, TimestampSigner


class Signer(TimestampSigner):
    """Whoever has just logged in at a server whose clock is ahead by a moment may come to another with their next
    request, and all who did so before a clock was set back: the library takes what was signed in a second that is still
    to come for expired. Whether the log-in still counts the database says."""

    def unsign(self, signed_value: Any, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        if max_age is not None and self.get_timestamp() - signed_at.timestamp() > max_age:
            raise SignatureExpired("too old", payload=value, date_signed=signed_at)
        return (value, signed_at) if return_timestamp else value


class PeoplesSessions(SecureCookieSessionInterface):
    """Flask-Login looks into the session at the end of every request, and then the answer would vary by cookie."""

    def __init__(self, for_everybody: set[str]) -> None:
        self.for_everybody = for_everybody

    def get_signing_serializer(self, app: Flask) -> Any:
        serializer = super().get_signing_serializer(app)
        if serializer is not None:
            serializer.signer = Signer
        return serializer

    def open_session(self, app: Flask, request: Any) -> Any:
        # Whoever shows a token is not whom a cookie beside it names.
        return self.session_class() if _shows_token() else super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if request.endpoint not in self.for_everybody and not _shows_token():
            super().save_session(app, session, response)


def _shows_token() -> bool:
    return "Authorization" in request.headers and request.path.startswith("/api/")
