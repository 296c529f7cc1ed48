"""Stocktakes: the list, opening one, counting blind, counting again, approving, correcting and cancelling."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from wtforms import HiddenField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.errors import Refusal
from inventory.domain.offices import local_day, local_moment
from inventory.domain.ranges import Ranges
from inventory.domain.stocktakes import WORDS_LENGTH, Counted
from inventory.services import items, offices, stocktakes
from inventory.services.stocktakes import StocktakeView
from inventory.web.forms import PostingForm, QuantityField, RangesField, TimeOfDayField, WordsField, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("stocktakes", __name__)

STOCKTAKE = "/stocktakes/<int(max=2147483647):stocktake_id>"


class BeginForm(PostingForm):
    record_number = WordsField(_("Number of the record (berita acara), where there is one"), most=80)
    note = WordsField(_("Note"), most=WORDS_LENGTH)


class CountForm(PostingForm):
    """`count_form` adds a quantity and a time of day for each item. Nothing of the book is on it, not even hidden."""

    codes: ClassVar[tuple[str, ...]] = ()

    def counts(self, now: datetime, time_zone: str) -> dict[str, Counted]:
        """What was typed, by item code; an item left empty is counted later."""
        today = local_day(now, time_zone)
        return {
            code: Counted(quantity=self[count_name(code)].data, at=self._at(code, today, time_zone))
            for code in self.codes
            if self[count_name(code)].data is not None
        }

    def _at(self, code: str, today: Any, time_zone: str) -> datetime | None:
        typed = self[at_name(code)].data
        return local_moment(today, typed, time_zone) if typed else None

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        if refusal.code in ("count_in_future", "count_before_opening"):
            for code in self.codes:
                if self[at_name(code)].data:
                    self[at_name(code)].errors = [text.sentence(refusal)]


class DecideForm(PostingForm):
    """What an approver decides on. It carries the differences shown: only those are booked."""

    shown = HiddenField()
    numbered: ClassVar[tuple[str, ...]] = ()

    def ranges(self) -> dict[str, Ranges]:
        """The numbers missing or found, of the items whose numbers are kept."""
        return {code: self[ranges_name(code)].data for code in self.numbered}

    def number_fields(self, codes: Iterable[str]) -> list[Any]:
        """The fields to ask for, of those of these items that differ."""
        return [self[ranges_name(code)] for code in codes if code in self.numbered]

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        wrong = ranges_name(str(refusal.facts.get("item")))
        if wrong in self:
            self[wrong].errors = [*self[wrong].errors, text.sentence(refusal)]

    def differences(self) -> dict[str, int]:
        """Raises Refusal `differences_changed` for what this page never wrote."""
        try:
            pairs = [each.rpartition(":") for each in (self.shown.data or "").split()]
            return {code: int(number) for code, _colon, number in pairs}
        except ValueError:
            raise Refusal("differences_changed") from None

    def show(self, differences: dict[str, int]) -> None:
        self.shown.data = " ".join(f"{code}:{number}" for code, number in differences.items())
        self.shown.raw_data = None


class CorrectForm(DecideForm):
    note = WordsField(_("Note"), most=WORDS_LENGTH)


class CancelForm(PostingForm):
    REFUSED_FIELDS = {"stocktake_cancel_needs_reason": "why"}

    why = WordsField(
        _("Why is the stocktake cancelled?"), most=WORDS_LENGTH, required=True, render_kw={"autofocus": True}
    )


def ranges_name(code: str) -> str:
    return f"ranges-{code}"


def decide_form(base: type[DecideForm]) -> Any:
    """The form with a field for the numbers of each item whose numbers are kept."""

    class Form(base):
        numbered = tuple(item.code for item in items.active() if item.numbered)

    names = item_names()
    for code in Form.numbered:
        setattr(Form, ranges_name(code), RangesField(_("Numbers that differ: %(item)s", item=names[code])))
    return Form()


def count_name(code: str) -> str:
    return f"count-{code}"


def at_name(code: str) -> str:
    return f"at-{code}"


def count_form(codes: Iterable[str], names: dict[str, str]) -> type[CountForm]:
    class Form(CountForm):
        pass

    Form.codes = tuple(codes)
    for code in Form.codes:
        setattr(Form, count_name(code), QuantityField(names.get(code, code), none=True))
        setattr(Form, at_name(code), TimeOfDayField(_("Counted at (empty: now)")))
    return Form


@blueprint.get("/offices/<code:code>/stocktakes")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    return render_template("stocktakes/index.html", office=office, stocktakes=stocktakes.of_office(actor, code))


@blueprint.route("/offices/<code:code>/stocktakes/new", methods=["GET", "POST"])
@security.needs(Action.COUNT_STOCK)
def begin(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.COUNT_STOCK, code)
    form: Any = BeginForm()
    begun = form.accept(
        lambda: stocktakes.begin(
            actor,
            now,
            form.request_uuid,
            code,
            record_number=form.record_number.data,
            note=form.note.data,
        )
    )
    if begun is not None:
        return redirect(url_for("stocktakes.count", stocktake_id=begun), 303)
    return render_template("stocktakes/new.html", office=office, form=form), form.status


@blueprint.get(STOCKTAKE)
@security.needs(Action.VIEW_STOCK)
def show(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = stocktakes.get(actor, now, stocktake_id)
    known = {each.item_code: each for each in stocktakes.known_now(actor, now, stocktake_id)}
    return _page("show", found, known=known, took_part=stocktakes.took_part(actor, stocktake_id))


@blueprint.route(f"{STOCKTAKE}/count", methods=["GET", "POST"])
@security.needs(Action.COUNT_STOCK)
def count(stocktake_id: int) -> Any:
    return _counting(stocktake_id, "count")


@blueprint.route(f"{STOCKTAKE}/recount", methods=["GET", "POST"])
@security.needs(Action.COUNT_STOCK)
def recount(stocktake_id: int) -> Any:
    return _counting(stocktake_id, "recount")


@blueprint.route(f"{STOCKTAKE}/approve", methods=["GET", "POST"])
@security.needs(Action.APPROVE)
def approve(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = stocktakes.get(actor, now, stocktake_id, Action.APPROVE)
    form = decide_form(DecideForm)
    approved = form.accept(
        lambda: stocktakes.approve(actor, now, form.request_uuid, stocktake_id, form.differences(), form.ranges())
    )
    if approved is not None:
        flash(gettext("The stocktake is approved, and its differences are booked."), "success")
        return redirect(url_for("stocktakes.show", stocktake_id=stocktake_id), 303)
    try:
        _found, compared, since = stocktakes.for_approval(actor, now, stocktake_id)
    except Refusal as refusal:
        return _page("closed", found, refusal=text.sentence(refusal)), refusal.status
    form.show({each.item_code: each.difference for each in compared})
    numbers = form.number_fields(each.item_code for each in compared if each.difference)
    return _page("approve", found, form=form, compared=compared, since=since, numbers=numbers), form.status


@blueprint.route(f"{STOCKTAKE}/correct", methods=["GET", "POST"])
@security.needs(Action.APPROVE)
def correct(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = stocktakes.get(actor, now, stocktake_id, Action.APPROVE)
    form = decide_form(CorrectForm)
    corrected = form.accept(
        lambda: stocktakes.correct(
            actor, now, form.request_uuid, stocktake_id, form.differences(), form.note.data or "", form.ranges()
        )
    )
    if corrected is not None:
        flash(gettext("The correction is booked."), "success")
        return redirect(url_for("stocktakes.show", stocktake_id=stocktake_id), 303)
    compared = [each for each in stocktakes.known_now(actor, now, stocktake_id) if each.left]
    form.show({each.item_code: each.left for each in compared})
    numbers = form.number_fields(each.item_code for each in compared)
    return _page("correct", found, form=form, compared=compared, numbers=numbers), form.status


@blueprint.route(f"{STOCKTAKE}/cancel", methods=["GET", "POST"])
@security.needs(Action.COUNT_STOCK)
def cancel(stocktake_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = stocktakes.get(actor, now, stocktake_id, Action.COUNT_STOCK)
    if found.status == "counted":
        security.ask_when_needed(Action.APPROVE)  # to decline what was counted is as much as to approve it
    form: Any = CancelForm()
    cancelled = form.accept(lambda: stocktakes.cancel(actor, now, stocktake_id, form.why.data))
    if cancelled is not None:
        flash(gettext("The stocktake is cancelled. Nothing was booked."), "success")
        return redirect(url_for("stocktakes.show", stocktake_id=stocktake_id), 303)
    return _page("cancel", found, form=form), form.status


def _counting(stocktake_id: int, round_: str) -> Any:
    """The page of the first or the second count, for the items that still wait for it."""
    actor, now = security.current_actor(), security.now()
    found = stocktakes.get(actor, now, stocktake_id, Action.COUNT_STOCK)
    names = item_names()
    # A repeated request names items that no longer wait, so the form takes every item of the stocktake.
    form: Any = count_form([line.item_code for line in found.lines], names)()
    enter = stocktakes.count if round_ == "count" else stocktakes.recount
    saved = form.accept(lambda: enter(actor, now, form.request_uuid, stocktake_id, form.counts(now, found.time_zone)))
    if saved is not None:
        return _after_counting(saved)
    waiting = [line for line in found.lines if line.waits == round_]
    rows = [(line, form[count_name(line.item_code)], form[at_name(line.item_code)]) for line in waiting]
    return _page("count", found, form=form, rows=rows, again=round_ == "recount"), form.status


def _after_counting(saved: StocktakeView) -> Any:
    """On to what is still to be counted, or to the stocktake when that is nothing."""
    waits = {line.waits for line in saved.lines}
    if saved.status == "counting" and "count" in waits:
        flash(gettext("Saved. Some items are still to be counted."), "success")
        return redirect(url_for("stocktakes.count", stocktake_id=saved.id), 303)
    if saved.status == "counting" and "recount" in waits:
        flash(gettext("Saved. Please count the following items once more."), "info")
        return redirect(url_for("stocktakes.recount", stocktake_id=saved.id), 303)
    flash(gettext("Everything is counted. Somebody else approves the count."), "success")
    return redirect(url_for("stocktakes.show", stocktake_id=saved.id), 303)


def _page(name: str, found: StocktakeView, **shown: Any) -> str:
    office = offices.get(security.current_actor(), Action.VIEW_STOCK, found.office_code)
    return render_template(f"stocktakes/{name}.html", stocktake=found, office=office, names=item_names(), **shown)
