"""The stock card of an office and item, and the reversal of an entry on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action, Actor
from inventory.domain.calendars import days_between
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.ledger import OF_DOCUMENTS
from inventory.domain.series import Closing, Step, periods
from inventory.services import explanations, items, ledger, offices, reversals, series, stock_cards
from inventory.services.consumption import FIRST_DAY
from inventory.services.ledger import Posting, Recorded
from inventory.services.stock_cards import MAX_DAYS, CardLine, StockCard
from inventory.web import pictures
from inventory.web.consumption import stores
from inventory.web.forms import PeriodForm, PostingForm, WordsField
from inventory.web.forms import lazy as _
from inventory.web.projections import reading_aids
from inventory.web.stock_overview import asked_number

blueprint = Blueprint("stock_cards", __name__)

USUAL_SPAN = 90
SPANS = {"30": _("30 days"), "90": _("90 days"), "365": _("A year"), "1825": _("5 years")}
"""How far back the picture may go."""


@dataclass(frozen=True, kw_only=True)
class PastRow:
    """A day or a week of the past: what was left at its end, the least at the end of any of its days, what came in,
    and by how much counts changed the books."""

    first: date
    last: date
    store: int
    lowest: int
    arrived: int
    counted: int


class ReversalForm(PostingForm):
    REFUSED_FIELDS = {"reversal_needs_reason": "note"}

    note = WordsField(_("Why is the entry reversed?"), most=500, required=True, render_kw={"autofocus": True})


@blueprint.get("/offices/<code:code>/stock-card/<code:item>")
@security.needs(Action.VIEW_STOCK)
def show(code: str, item: str) -> Any:
    actor, now = security.current_actor(), security.now()
    form = PeriodForm()
    since, until = (form.since.data, form.until.data) if form.validate() else (None, None)
    try:
        card = stock_cards.read(actor, now, code, item, since, until, page=asked_number("page"))
    except Refusal as refusal:
        if refusal.code not in form.REFUSED_FIELDS:
            raise
        form.refuse(refusal)
        card = stock_cards.read(actor, now, code, item, None, None, page=1)
    if not form.errors and form.refusal is None:
        form.since.data, form.until.data = card.since, card.until
        form.since.raw_data = form.until.raw_data = None
    may_reverse = access.may(actor, Action.REVERSE_MOVEMENT, card.office.path)
    page = render_template(
        "stock_cards/show.html",
        card=card,
        office=card.office,
        form=form,
        items=items.active(),
        reversible=_reversible(card) if may_reverse else set(),
        shown={line.seq for line in card.lines},
        asked=request.args.to_dict(),
        **_drawn(actor, now, card),
        **reading_aids(),
    )
    return page, form.status


def _drawn(actor: Actor, now: datetime, card: StockCard) -> dict[str, Any]:
    """The stock of the card's days, or of as many as are asked for before its last one, with the days ahead of a card
    that goes on to today, for those who may see them."""
    asked = request.args.get("span", "")
    span = int(asked) if asked in SPANS else max((card.until - card.since).days + 1, USUAL_SPAN)
    first = max(card.until - timedelta(days=span - 1), FIRST_DAY)
    past = series.of_stock(actor, now, card.office.code, card.item.code, first, card.until).closings
    facts, expected = {}, ()
    if card.until == card.office.today(now) and access.may(actor, Action.VIEW_ALERT, card.office.path):
        facts, expected = explanations.outlook_of(actor, now, card.office.code, card.item.code)
    return {
        "picture": pictures.outlook(past, facts, expected),
        "past": past,
        "past_rows": list(_rows_of(past)),
        "facts": facts,
        "span": span,
        "spans": SPANS,
    }


def _rows_of(past: Sequence[Closing]) -> Iterator[PastRow]:
    """The past in figures, the newest first: its days, or its weeks where they are many."""
    if not past:
        return
    by_day = {each.day: each for each in past}
    step = Step.DAY if len(past) <= MAX_DAYS else Step.WEEK
    for first, last in reversed(list(periods(past[0].day, past[-1].day, step))):
        days = [by_day[day] for day in days_between(first, last)]
        yield PastRow(
            first=first,
            last=last,
            store=days[-1].store,
            lowest=min(each.store for each in days),
            arrived=sum(each.arrived for each in days),
            counted=sum(each.counted for each in days),
        )


@blueprint.route("/movements/<int(max=9223372036854775807):movement_id>/reverse", methods=["GET", "POST"])
@security.needs(Action.REVERSE_MOVEMENT)
def reverse(movement_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    form = ReversalForm()
    if reversals.needs_approval(actor, movement_id):
        asked = form.accept(lambda: reversals.ask(actor, now, form.request_uuid, movement_id, form.note.data or ""))
        if asked is not None:
            flash(gettext("The reversal waits for a second person's approval. Nothing has changed yet."), "success")
            return redirect(url_for("proposals.show", proposal_id=asked), 303)
    else:
        posting = form.accept(lambda: ledger.reverse(actor, now, form.request_uuid, movement_id, form.note.data or ""))
        if posting is not None:
            return _reversed(posting)
    card, line = entry(ledger.find(actor, movement_id))
    page = "stock_cards/reverse.html"
    return render_template(page, card=card, office=card.office, line=line, form=form), form.status


def _reversible(card: StockCard) -> set[int]:
    """The movements on the card that a reversal would not refuse at once."""
    return {
        line.movement_id
        for line in card.lines
        if line.reverses_seq is None and line.reversed_by_seq is None and line.kind not in OF_DOCUMENTS
    }


def _reversed(posting: Posting) -> Any:
    movement = posting.movements[0]
    card, _line = entry(movement)
    left = text.number(stores(card.office.code).get(card.item.code, 0))
    if posting.replayed:
        flash(gettext("This entry was already reversed. %(left)s left.", left=left), "info")
    else:
        flash(gettext("The entry is reversed. %(left)s left.", left=left), "success")
    day = movement.effective_on.isoformat()
    page = url_for("stock_cards.show", code=card.office.code, item=card.item.code)
    return redirect(f"{page}?from={day}&to={day}", 303)


def entry(movement: Recorded) -> tuple[StockCard, CardLine]:
    """The card of the movement's day, and its line on it."""
    actor, now = security.current_actor(), security.now()
    office = offices.by_id(actor, Action.VIEW_STOCK, movement.office_id)
    item = next((item for item in items.active() if item.id == movement.item_id), None)
    if item is None:
        raise NotFound("movement_not_found")
    card = stock_cards.of_day(actor, now, office.code, item.code, movement.effective_on)
    return card, next(line for line in card.lines if line.movement_id == movement.id)
