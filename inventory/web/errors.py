"""Pages for what went wrong: what happened, that nothing was recorded, and a way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, current_app, jsonify, render_template, request
from flask_babel import force_locale, gettext
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from inventory import text
from inventory.db import ERRORS, unavailable
from inventory.domain.errors import Refusal
from inventory.security import record
from inventory.web import away

TITLES = {
    400: _("This request cannot be read"),
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("This does not work here"),
    409: _("Refused"),
    413: _("Too large"),
    422: _("This cannot be right"),
    429: _("Too many requests"),
    502: _("Another service does not answer"),
}
SENTENCES = {
    400: _("The request was incomplete. Nothing was recorded."),
    403: _("Your role does not allow this here."),
    404: _("There is no such page, or none that you may see."),
    405: _("This address does not take that kind of request. Nothing was recorded."),
    413: _("What was sent is too large. Nothing was recorded. Split the file, or save it as XLSX."),
    429: _("Wait a moment and try again. Nothing was recorded."),
}


def init_app(app: Flask) -> None:
    app.register_error_handler(Refusal, _with_a_database(_refused))
    app.register_error_handler(CSRFError, _with_a_database(_stale_form))
    for kind in ERRORS:
        app.register_error_handler(kind, _from_database)
    app.register_error_handler(InternalServerError, _broken)
    app.register_error_handler(HTTPException, _with_a_database(_http_error))


def _with_a_database(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A page that says what went wrong names its reader; where the database cannot say who that is, this goes first."""

    @wraps(handler)
    def handled(error: Any) -> Any:
        try:
            return handler(error)
        except ERRORS as failure:
            return _from_database(failure)

    return handled


def _refused(refusal: Refusal) -> Any:
    record.refused(refusal)
    return _page(refusal.status, text.sentence(refusal)), refusal.status


def _stale_form(error: CSRFError) -> Any:
    if request.accept_mimetypes.best == "application/json":
        # A page that sends by itself: what was typed stays with it.
        return jsonify(state="stale"), 400
    sentence = gettext(
        "This page has been open too long, or you have logged out since. Nothing was recorded. Open the page again,"
        " log in if asked, and send it once more."
    )
    return render_template(
        "errors/error.html", title=gettext("Open the page again"), sentence=sentence, again=True
    ), 400


def _http_error(error: HTTPException) -> Any:
    status = error.code or 500
    if status == 413:
        _let_the_rest_pass()
    page = _page(status, str(SENTENCES.get(status, SENTENCES[400])))
    # A 405 must say which methods there are, a 429 when to try again.
    kept = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return page, status, kept


def _let_the_rest_pass() -> None:
    """Read on for a while without keeping anything: a browser that is cut off while it sends shows no page."""
    stream, left = request.environ.get("wsgi.input"), 4 * (request.max_content_length or 0)
    left = min(left, (request.content_length or 0))
    while stream is not None and left > 0:
        chunk = stream.read(min(left, 65_536))
        if not chunk:
            return
        left -= len(chunk)


def _from_database(error: Exception) -> Any:
    reason = unavailable(error)
    if reason is None:
        raise error  # a fault of ours, which is logged and apologised for like any other
    return away.answer(reason)


def _broken(error: InternalServerError) -> Any:
    # What fails after the page was made comes here alone.
    reason = unavailable(error.original_exception)
    if reason is not None:
        return away.answer(reason)
    # The database may be what is broken, so this page must not ask it who is reading, nor in which language.
    language = text.known_language()
    with force_locale(language):
        page = current_app.jinja_env.get_template("errors/broken.html").render(shown_language=language)
    return page, 500


def _page(status: int, sentence: str) -> str:
    return render_template("errors/error.html", title=TITLES.get(status, TITLES[400]), sentence=sentence)
