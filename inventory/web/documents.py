"""Documents: issued from the pages of what they are about, listed, printed, and held against the paper by anybody."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import BadRequest

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.calendars import day_from
from inventory.services import documents, offices, records
from inventory.services.documents import DocumentView

blueprint = Blueprint("documents", __name__)


@blueprint.get("/offices/<code:code>/documents")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    asked = request.args.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    found, pages = documents.of_office(actor, code, page)
    shown = {"office": office, "documents": found, "page": min(max(1, page), pages), "pages": pages}
    return render_template("documents/index.html", **shown)


@blueprint.get("/documents/<int(max=2147483647):document_id>.pdf")
@security.needs(Action.VIEW_STOCK)
def pdf(document_id: int) -> Any:
    asked = request.args.get("language", "")
    language = asked if asked in text.LANGUAGES else text.language()
    document, data = documents.take_out(security.current_actor(), security.now(), document_id, language)
    name = f"{document.kind}-{document.number}-{language}.pdf".replace("/", "-").replace("_", "-")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, mimetype="application/pdf", headers=headers)


@blueprint.get("/d/<token>")
@security.public
def verify(token: str) -> Any:
    return render_template("documents/verify.html", document=documents.verify(token))


@blueprint.post("/deliveries/<int(max=2147483647):delivery_id>/document")
@security.needs(Action.VIEW_STOCK)
def issue_delivery(delivery_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    return issued(records.issue_delivery(actor, now, delivery_id, link_base()))


@blueprint.post("/transfers/<int(max=2147483647):transfer_id>/document")
@security.needs(Action.VIEW_STOCK)
def issue_transfer(transfer_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    return issued(records.issue_transfer(actor, now, transfer_id, link_base()))


@blueprint.post("/stocktakes/<int(max=2147483647):stocktake_id>/sheet")
@security.needs(Action.VIEW_STOCK)
def issue_count_sheet(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    return issued(records.issue_count_sheet(actor, now, stocktake_id, link_base()))


@blueprint.post("/stocktakes/<int(max=2147483647):stocktake_id>/document")
@security.needs(Action.VIEW_STOCK)
def issue_stocktake(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    return issued(records.issue_stocktake(actor, now, stocktake_id, link_base()))


@blueprint.post("/destructions/<int(max=2147483647):destruction_id>/document")
@security.needs(Action.VIEW_STOCK)
def issue_destruction(destruction_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    return issued(records.issue_destruction(actor, now, destruction_id, link_base()))


@blueprint.post("/offices/<code:code>/stock-card/<code:item>/document")
@security.needs(Action.VIEW_STOCK)
def issue_stock_card(code: str, item: str) -> Any:
    actor, now = security.current_actor(), security.now()
    since, until = _day("from"), _day("to")
    return issued(records.issue_stock_card(actor, now, code, item, since, until, link_base()))


def issued(document: DocumentView) -> Any:
    """On to the document itself, in the reader's language."""
    return redirect(url_for("documents.pdf", document_id=document.id, language=text.language()), 303)


def link_base() -> str:
    """The address that a document's link begins with."""
    return current_app.config["SETTINGS"].PUBLIC_URL or request.host_url


def _day(name: str) -> date | None:
    given = request.form.get(name)
    try:
        return day_from(given) if given else None
    except ValueError:
        raise BadRequest from None
