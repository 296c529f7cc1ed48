"""From where a request comes: its address and the id that ties its lines of the log and of the audit together."""

from __future__ import annotations

import re
import secrets

from flask import Flask, Response, g, has_request_context, request

from inventory.domain.access import Actor, Origin

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{7,63}", re.ASCII)
_BEHIND_PROXY = "werkzeug.proxy_fix.orig"
"""What ProxyFix leaves in the environment of a request: it is there only where the settings say that a proxy is."""


def init_app(app: Flask) -> None:
    app.after_request(_answer_with_id)


def request_id() -> str:
    """The id of this request: that of the proxy before us where there is one and it is sane, else one of our own."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "") if _BEHIND_PROXY in request.environ else ""
        g.request_id = given if _SANE.fullmatch(given) else secrets.token_hex(12)
    return g.request_id


def origin(way: str | None = None) -> Origin:
    """From where this request comes; `way` is `api` below /api/ and else `page`, unless it is given."""
    way = way or ("api" if request.path.startswith("/api/") else "page")
    return Origin(way=way, address=request.remote_addr or "", request_id=request_id())


def of_request() -> dict[str, object]:
    """For the log: which request this is, if it is in one."""
    if not has_request_context():
        return {}
    return {"request_id": request_id(), "method": request.method, "path": request.path, "endpoint": request.endpoint}


def visitor() -> Actor:
    """Somebody who has not shown who they are: for the record of what was refused to them."""
    return Actor(person_id=None, name="", origin=origin())


def _answer_with_id(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    return response
