"""Work without a network: what makes the pages installable, what is taken along, and the entries that come back.

Three things are everybody's and are kept by the service worker: the offline page (a shell in both languages with
nobody's data in it), its styles and scripts. They are fetched without cookies, so nobody's own page can get in.
Two things are one person's, are never kept by the service worker, and are asked for with the session: `/offline/data`
(who is logged in, their offices, what is in the stores, a token for the entries) and `/offline/entries` (one entry).
What a phone keeps of the former, and how entries wait there, stands in `static/outbox.js`.

The worker's name for its cache is a digest of all that it keeps: a new version of any of it is a new worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, jsonify, render_template, request, url_for
from flask_babel import force_locale, gettext
from flask_wtf.csrf import CSRFError, generate_csrf
from werkzeug.exceptions import HTTPException

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.calendars import day_from
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import CONSUMED, EVERYDAY_CAUSES, PRINT_REASONS
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.ranges import parse_ranges
from inventory.security import record
from inventory.services import items, offline
from inventory.services.consumption import FIRST_DAY
from inventory.services.offline import Amount, Entry, EntryKind, Taken

blueprint = Blueprint("offline", __name__)

KEPT_FILES = ("vendor/pico/pico.min.css", "blangko.css", "offline.css", "outbox.js", "offline.js", "icon.svg")
"""The static files of the offline page."""
REASONS = {
    EntryKind.PRINT: (*PRINT_REASONS, CONSUMED),
    EntryKind.SPOIL: EVERYDAY_CAUSES,
    EntryKind.USE: (*PRINT_REASONS, CONSUMED, *EVERYDAY_CAUSES),
}
CODE_LENGTH = 40

T = TypeVar("T")


# --- what is everybody's -----------------------------------------------------------------------------------------


@blueprint.get("/offline")
@security.public
def shell() -> Response:
    return _for_everybody(_shell(_version()), "text/html")


@blueprint.get("/sw.js")
@security.public
def worker() -> Response:
    """From the root, so that it may look after every page."""
    version = _version()
    kept = [url_for("offline.shell"), *(_file(name) for name in KEPT_FILES)]
    head = f'"use strict";\nconst VERSION = {_json(version)};\nconst SHELL = {_json(kept)};\n'
    return _for_everybody(head + _static("sw.js").read_text(encoding="utf-8"), "text/javascript")


@blueprint.get("/manifest.webmanifest")
@security.public
def manifest() -> Response:
    def icon(name: str, sizes: str, kind: str, purpose: str = "any") -> dict[str, str]:
        return {"src": url_for("static", filename=name), "sizes": sizes, "type": kind, "purpose": purpose}

    facts = {
        "id": "/",
        "name": "Blangko",
        "short_name": "Blangko",
        "lang": current_app.config["SETTINGS"].LANGUAGE,
        "start_url": url_for("offline.shell"),
        "scope": "/",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#0b3f73",
        "icons": [
            icon("icon-192.png", "192x192", "image/png"),
            icon("icon-512.png", "512x512", "image/png"),
            icon("icon-maskable-512.png", "512x512", "image/png", "maskable"),
            icon("icon.svg", "any", "image/svg+xml"),
        ],
    }
    return _for_everybody(_json(facts), "application/manifest+json")


def _for_everybody(body: str, kind: str) -> Response:
    return Response(body, mimetype=kind, headers={"Cache-Control": "no-cache"})


def _version() -> str:
    """A digest of all that the worker keeps, and of the worker itself."""
    known = current_app.extensions.get("offline_version")
    if known is None:
        digest = hashlib.sha256(_shell("").encode())
        for name in (*KEPT_FILES, "sw.js"):
            digest.update(_static(name).read_bytes())
        known = current_app.extensions["offline_version"] = digest.hexdigest()[:16]
    return known


def _shell(version: str) -> str:
    """The offline page, with its content in each language; the page's script shows one of them."""
    pages = {code: _in_language(code) for code in text.LANGUAGES}
    files = {name: _file(name) for name in KEPT_FILES}
    return render_template("offline/shell.html", pages=pages, files=files, version=version)


def _in_language(code: str) -> dict[str, str]:
    with force_locale(code):
        whole = render_template(
            "offline/_page.html", printed=PRINT_REASONS, spoiled=EVERYDAY_CAUSES, first_day=FIRST_DAY
        )
        return {"whole": whole, "noscript": gettext("Without a network only a browser that runs scripts can be used.")}


def _file(name: str) -> str:
    return url_for("static", filename=name)


def _static(name: str) -> Path:
    assert current_app.static_folder is not None
    return Path(current_app.static_folder) / name


def _json(value: Any) -> str:
    return current_app.json.dumps(value)


# --- what is one person's ----------------------------------------------------------------------------------------


@blueprint.get("/offline/data")
@security.needs(Action.POST_MOVEMENT)
def data() -> Any:
    """What to take along. The token is for the page that asks and is not to be kept."""
    actor, now = security.current_actor(), security.now()
    return jsonify(
        state="in",
        person={"id": actor.person_id, "name": actor.name},
        language=text.language(),
        token=generate_csrf(),
        as_of=now.isoformat(),
        first_day=FIRST_DAY.isoformat(),
        most=MAX_QUANTITY,
        offices=[_office(taken, now) for taken in offline.take_along(actor, now)],
        items=[
            {"code": item.code, "names": item.names, "consumable": not item.is_blank, "numbered": item.numbered}
            for item in items.active()
        ],
    )


@blueprint.post("/offline/entries")
@security.needs(Action.POST_MOVEMENT)
def enter() -> Any:
    """One entry. `id` tells the phone that it was this entry that was recorded or refused: nothing that stands
    between it and here says that."""
    sent = request.get_json(silent=True)
    try:
        entry = _entry(sent)
        new = offline.record(security.current_actor(), security.now(), entry)
    except Refusal as refusal:
        return _answer(refusal, id=sent.get("id") if isinstance(sent, dict) else None)
    return jsonify(state="recorded", id=str(entry.request_id), replayed=not new)


@blueprint.errorhandler(Refusal)
def _not_for_them(refusal: Refusal) -> Any:
    """Who is logged in records nothing: told who they are, the phone shows them their own entries and no one else's."""
    return _answer(refusal, person=security.current_actor().person_id)


def _answer(refusal: Refusal, **facts: Any) -> Any:
    record.refused(refusal)
    body = {"state": "refused", "code": refusal.code, "sentence": text.sentence(refusal), **facts}
    return jsonify(body), refusal.status


@blueprint.errorhandler(CSRFError)
def _stale(_error: CSRFError) -> Any:
    """The token belongs to a session that is over: ask for `/offline/data` again."""
    return jsonify(state="stale"), 400


@blueprint.errorhandler(HTTPException)
def _failed(error: HTTPException) -> Any:
    if error.code is None:  # a response that was raised, such as the one that asks to log in
        return error
    return jsonify(state="failed"), error.code


def _office(taken: Taken, now: datetime) -> dict[str, Any]:
    office = taken.office
    return {
        "code": office.code,
        "name": office.name,
        "time_zone": office.time_zone,
        "clock": now.astimezone(ZoneInfo(office.time_zone)).tzname(),
        "store": dict(taken.store),
        "synthetic": taken.synthetic,
    }


def _entry(sent: Any) -> Entry:
    """The entry that a phone sent. Raises Invalid `entry_unreadable`, and what reading number ranges raises."""
    body = _of_type(sent, dict)
    kind = _read(EntryKind, body.get("kind"))
    amounts = _of_type(body.get("amounts"), dict)
    if not set(amounts) <= set(REASONS[kind]):
        raise Invalid("entry_unreadable")
    return Entry(
        request_id=_read(UUID, _words(body, "id")),
        person_id=_whole(body.get("person")),
        kind=kind,
        office_code=_code(body, "office"),
        item_code=_code(body, "item"),
        day=_read(day_from, _words(body, "day")),
        amounts={reason: _amount(_of_type(amount, dict)) for reason, amount in amounts.items()},
        note=_words(body, "note"),
        late=body.get("late") is True,
    )


def _amount(sent: Mapping[str, Any]) -> Amount:
    return Amount(
        quantity=_whole(sent.get("quantity", 0)),
        served_waiting=_whole(sent.get("served_waiting", 0)),
        ranges=parse_ranges(_words(sent, "ranges")),
    )


def _code(body: Mapping[str, Any], name: str) -> str:
    code = _words(body, name)
    if not (code and len(code) <= CODE_LENGTH and code.isascii() and code.isprintable()):
        raise Invalid("entry_unreadable")
    return code


def _words(body: Mapping[str, Any], name: str) -> str:
    words = _of_type(body.get(name, ""), str)
    _read(str.encode, words)  # half of a pair of surrogates is no text that a database takes
    return words


def _whole(value: Any) -> int:
    """A count from 0 to MAX_QUANTITY, or a person's id: nothing that a database cannot hold."""
    if type(value) is not int or not 0 <= value <= 2**31 - 1:
        raise Invalid("entry_unreadable")
    return value


def _of_type(value: Any, wanted: type[T]) -> T:
    if not isinstance(value, wanted):
        raise Invalid("entry_unreadable")
    return value


def _read(reader: Callable[[Any], T], value: Any) -> T:
    try:
        return reader(value)
    except (ValueError, TypeError):
        raise Invalid("entry_unreadable") from None
