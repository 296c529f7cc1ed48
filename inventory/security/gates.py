"""What every request has to pass before anything else looks at it: the name it asks for, the site it comes from, and
the shape of its JSON."""

from __future__ import annotations

import ipaddress
from typing import Any

from flask import Flask, Response, current_app, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.middleware.proxy_fix import ProxyFix

from inventory.config import Config
from inventory.domain.errors import NotAllowed

MOST_JSON_BYTES = 4_000_000
"""Parsed, JSON takes twenty times its size."""
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""Headers of a proxy: what it passes on comes from this machine only by its looks."""
PROBES = {"health.alive", "health.ready", "metrics.index"}
"""What supervisors on the same machine ask for by its address and not by its name."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
ELSEWHERE = {"cross-site", "same-site"}
"""Also another name under the same domain is another site: offices of one regency share one."""


class BadJson(BadRequest, ValueError):
    """JSON that two readers could read differently, or that costs more to read than to send. To whoever reads on
    without it (a ValueError is what they expect) it is no JSON."""


class StrictJson(DefaultJSONProvider):
    """Reads no key twice, no NaN, and nothing nested so deep that reading it fails. Raises BadJson for these."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        kwargs.setdefault("object_pairs_hook", _each_key_once)
        kwargs.setdefault("parse_constant", _no_constant)
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise BadJson from None


def init_app(app: Flask) -> None:
    """Before the extensions: what they do at the beginning of a request is done for no request that is refused here."""
    settings: Config = app.config["SETTINGS"]
    # Flask-Security makes a provider of its own out of this class.
    app.json_provider_class = StrictJson
    app.json = StrictJson(app)
    if number := settings.TRUSTED_PROXIES:
        # The last `number` entries were written by proxies that are known; what stands to the left of them, anybody
        # may have sent.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=number, x_proto=number, x_host=number)
    app.before_request(_answer_to_known_names)
    app.before_request(_refuse_other_sites)
    app.before_request(_look_at_json)
    app.before_request(_log_in_by_forms_only)


def from_this_machine() -> bool:
    """Whether a program on the same machine asks, and not a proxy on it for somebody else."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _answer_to_known_names() -> Response | None:
    names = current_app.config["SETTINGS"].hosts
    if not names or _is_named(_without_port(request.host), names):
        return None
    if request.endpoint in PROBES and from_this_machine():
        return None
    # In plain words and nobody's language: a page would ask the database who is reading.
    return Response("This server does not answer to that name.\n", 400, mimetype="text/plain")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _is_named(host: str, names: list[str]) -> bool:
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in names)


def _refuse_other_sites() -> None:
    """A second wall beside the token of each form. Browsers say where a request begins, and no page can make them say
    otherwise; what says nothing is no browser, or an old one, and the token is its wall.

    Raises NotAllowed `sent_from_elsewhere`.
    """
    if request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site", "").lower() in ELSEWHERE:
        raise NotAllowed("sent_from_elsewhere")


def _look_at_json() -> None:
    """Read it once before whoever it is for, who may read it in a way of their own. What is no JSON at all they say."""
    if not request.is_json or request.path.startswith("/api/"):  # the API reads its own, and says where it is wrong
        return
    if (request.content_length or 0) > MOST_JSON_BYTES:
        raise RequestEntityTooLarge
    data = request.get_data(cache=True)
    if len(data) > MOST_JSON_BYTES:
        raise RequestEntityTooLarge
    if request.path.startswith("/api/"):
        return  # which reads it once itself, as strictly, and says what is wrong with it
    try:
        current_app.json.loads(data)
    except BadJson:
        raise
    except ValueError:
        return


def _log_in_by_forms_only() -> None:
    """The library's own forms would take JSON of any shape, and fall over what is no text."""
    if request.is_json and request.blueprint == "security":
        raise UnsupportedMediaType


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson
    return found


def _no_constant(_name: str) -> Any:
    raise BadJson
