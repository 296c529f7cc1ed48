"""Pages for what went wrong: what happened, that nothing was recorded, and a way back."""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, jsonify, render_template, request, session
from flask_babel import force_locale, gettext
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from inventory import text
from inventory.domain.errors import Refusal
from inventory.security import record

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
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(InternalServerError, _broken)
    app.register_error_handler(HTTPException, _http_error)


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


def _broken(_error: InternalServerError) -> Any:
    # The database may be what is broken, so this page must not ask it who is reading, nor in which language.
    language = session.get("language")
    if language not in text.LANGUAGES:
        language = current_app.config["SETTINGS"].LANGUAGE
    with force_locale(language):
        return render_template("errors/broken.html", shown_language=language), 500


def _page(status: int, sentence: str) -> str:
    return render_template("errors/error.html", title=TITLES.get(status, TITLES[400]), sentence=sentence)
