"""The language switch."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, redirect, request, session
from flask_security import current_user, user_authenticated
from werkzeug.exceptions import BadRequest

from inventory import security, text
from inventory.services import people

blueprint = Blueprint("language", __name__)


def init_app(app: Flask) -> None:
    user_authenticated.connect(_prefer_the_accounts_language, app)
    app.jinja_env.globals["page_to_return_to"] = page_to_return_to


@blueprint.post("/language")
@security.public
def choose() -> Any:
    chosen = request.form.get("language", "")
    if chosen not in text.LANGUAGES:
        raise BadRequest
    session["language"] = chosen
    if current_user.is_authenticated:
        people.set_language(security.current_actor(), chosen)
    return redirect(own_path(request.form.get("next", "")), 303)


def own_path(target: str) -> str:
    """`target` when it is a path on this site, else the first page."""
    parts = urlsplit(target)
    # Browsers read a backslash as a slash and drop tabs and newlines: "/\evil" and "/<tab>/evil" leave the site.
    plain = target.isprintable() and "\\" not in target
    if plain and target.startswith("/") and not target.startswith("//") and not parts.netloc and not parts.scheme:
        return target
    return "/"


def page_to_return_to() -> str:
    """The page that the reader is on, when it can be asked for again."""
    rule = request.url_rule
    if rule is None or "GET" not in (rule.methods or ()):
        return "/"
    return request.full_path.removesuffix("?")


def _prefer_the_accounts_language(_app: Flask, user: Any, **_extra: Any) -> None:
    """At a shared desk the last reader's choice must not outlive their session."""
    session.pop(text.OF_ACCOUNT, None)
    if user.language:
        session.pop("language", None)
        session[text.OF_ACCOUNT] = user.language
