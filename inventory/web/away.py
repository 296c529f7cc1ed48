"""The answer while the database does not serve. It asks nobody anything: who reads, and in which language, stands in
the cookie or nowhere."""

from __future__ import annotations

import re

from flask import Response, current_app, jsonify, request
from flask_babel import force_locale
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.exceptions import HTTPException
from wtforms import ValidationError

from inventory import text
from inventory.security import outage
from inventory.web.language import own_path

_SECRET = re.compile(r"pass|^code$|token|secret|otp", re.IGNORECASE)
"""Names of fields whose values are not to stand in a page, hidden or not."""

Fields = list[tuple[str, str]]


def answer(reason: str) -> tuple[Response, int, dict[str, str]]:
    """503: as JSON to a page that sends by itself and keeps what it sent, else as a page that keeps what was typed."""
    outage.note(reason)
    headers = {"Retry-After": outage.RETRY_AFTER}
    if request.accept_mimetypes.best == "application/json":
        return jsonify(state="away"), 503, headers
    language = text.known_language()
    kept = _kept()
    address = request.full_path.removesuffix("?")
    facts = {
        "shown_language": language,
        "sent": request.method == "POST",
        "kept": kept,
        "once": any(name == "request_id" for name, _value in kept or ()),
        "token": generate_csrf() if kept is not None else "",
        "address": own_path(address),
    }
    with force_locale(language):
        # Not by render_template: what that gives to every page begins with who is logged in.
        page = current_app.jinja_env.get_template("errors/away.html").render(facts)
    return Response(page, mimetype="text/html"), 503, headers


def _kept() -> Fields | None:
    """What was typed, to be sent again; None where nothing was, or where it must not stand in a page: secrets, files,
    and what no page of this site has sent."""
    try:
        if request.method != "POST" or request.is_json or request.files:
            return None
    except HTTPException:  # what came cannot be read
        return None
    typed = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    if not typed or any(_SECRET.search(name) and value for name, value in typed):
        return None
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return None
    return typed
