"""One field to find things by name or number, from every page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from inventory import security, text
from inventory.domain.access import Action
from inventory.services import search
from inventory.services.search import Hit
from inventory.web.forms import item_names

blueprint = Blueprint("search", __name__)

GROUPS = {
    "offices": _("Offices"),
    "numbers": _("Serial numbers"),
    "deliveries": _("Deliveries"),
    "transfers": _("Transfers"),
    "documents": _("Documents"),
    "records": _("Stocktakes, requests and destructions"),
    "alerts": _("Alerts"),
    "outreach": _("Outreach"),
    "items": _("Items"),
}
RECORDS = {"stocktake": _("Stocktake"), "request": _("Delivery request"), "destruction": _("Record of destruction")}
STATES: dict[str, Any] = {
    "stocktake": text.STOCKTAKE_STATUSES,
    "request": text.REQUEST_STATUSES,
    "destruction": text.PROPOSAL_STATUSES,
}


@dataclass(frozen=True)
class Line:
    """A hit as the page shows it."""

    url: str
    title: str
    about: str
    exact: bool


@blueprint.get("/search")
@security.needs(Action.VIEW_OFFICE)
def find() -> Any:
    words = request.args.get("q", "").replace("\x00", "").strip()[: search.WORDS_LENGTH]
    kind = request.args.get("in") if request.args.get("in") in GROUPS else None
    asked = request.args.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and 0 < len(asked) < 5 else 1
    page = min(max(page, 1), search.LAST_PAGE)
    found = search.look_up(security.current_actor(), security.now(), words, kind, page)
    names = item_names()
    lines = {group.kind: [_line(hit, names) for hit in group.hits] for group in found}
    shown = {"words": words, "kind": kind, "page": page, "found": found, "lines": lines}
    return render_template("search/find.html", **shown, groups=GROUPS, last_page=search.LAST_PAGE)


def _line(hit: Hit, names: dict[str, str]) -> Line:
    url, title, about = _LINES[hit.kind](hit, names)
    return Line(url, title, " · ".join(str(part) for part in about if part), hit.exact)


_Said = tuple[str, str, tuple[Any, ...]]


def _day(hit: Hit) -> str:
    return text.day(hit.day, "medium") if hit.day else ""


def _office(hit: Hit, _names: dict[str, str]) -> _Said:
    url = url_for("offices.show", code=hit.office_code)
    return url, hit.title, (text.OFFICE_KINDS[hit.state], hit.office_code)


def _serial(hit: Hit, names: dict[str, str]) -> _Said:
    url = url_for("numbers.find", item=hit.item_code, number=hit.title)
    item = names.get(hit.item_code, hit.item_code)
    if not hit.state:
        return url, hit.title, (item, gettext("was at %(office)s", office=hit.office_name))
    place = text.FIGURES.get(hit.state, gettext("outside: gone back, or its delivery was reversed"))
    return url, hit.title, (item, place, hit.office_name, hit.range)


def _delivery(hit: Hit, names: dict[str, str]) -> _Said:
    url = url_for("deliveries.show", code=hit.office_code, delivery_id=hit.id)
    reversed_ = gettext("reversed") if hit.state else ""
    return url, hit.title, (names.get(hit.item_code, hit.item_code), hit.office_name, _day(hit), reversed_)


def _transfer(hit: Hit, _names: dict[str, str]) -> _Said:
    url = url_for("transfers.show", transfer_id=hit.id)
    ends = f"{hit.office_name} → {hit.to_office}"
    return url, hit.title or f"#{hit.id}", (ends, _day(hit), text.TRANSFER_STATUSES[hit.state])


def _document(hit: Hit, _names: dict[str, str]) -> _Said:
    url = url_for("documents.pdf", document_id=hit.id)
    return url, hit.title, (text.DOCUMENT_KINDS[hit.state], hit.office_name, _day(hit), gettext("PDF"))


def _record(hit: Hit, _names: dict[str, str]) -> _Said:
    urls = {
        "stocktake": lambda: url_for("stocktakes.show", stocktake_id=hit.id),
        "request": lambda: url_for("requests.show", delivery_request_id=hit.id),
        "destruction": lambda: url_for("destructions.show", destruction_id=hit.id),
    }
    title = f"{RECORDS[hit.subject]} #{hit.title}"
    return urls[hit.subject](), title, (hit.office_name, STATES[hit.subject][hit.state])


def _alert(hit: Hit, names: dict[str, str]) -> _Said:
    title = f"{text.SUBJECTS[hit.subject]} #{hit.title}"
    about = (names.get(hit.item_code, hit.item_code), hit.office_name, text.LEVELS[hit.state])
    return url_for("alerts.show", alert_id=hit.id), title, about


def _plan(hit: Hit, _names: dict[str, str]) -> _Said:
    url = url_for("outreach.show", outreach_plan_id=hit.id)
    return url, hit.title, (hit.office_name, _day(hit), text.OUTREACH_STATUSES[hit.state])


def _item(hit: Hit, names: dict[str, str]) -> _Said:
    if hit.state == "own":
        url, what = url_for("stock_cards.show", code=hit.office_code, item=hit.item_code), gettext("Stock card")
    else:
        url, what = url_for("run_outs.show", code=hit.office_code, item=hit.item_code), gettext("Who runs out")
    return url, names[hit.item_code], (what, hit.office_name)


_LINES: dict[str, Callable[[Hit, dict[str, str]], _Said]] = {
    "offices": _office,
    "numbers": _serial,
    "deliveries": _delivery,
    "transfers": _transfer,
    "documents": _document,
    "records": _record,
    "alerts": _alert,
    "outreach": _plan,
    "items": _item,
}
