"""Transfers between offices: the list, one transfer, sending, receiving and cancelling it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import HiddenField, SelectField
from wtforms.fields import SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action, Actor
from inventory.domain.drafts import check_draft
from inventory.domain.errors import Invalid, NotFound, Refusal
from inventory.domain.ranges import Ranges
from inventory.domain.transfers import PURPOSES, WORDS_LENGTH, Arrived, short_and_over
from inventory.services import drafts, items, offices, transfers
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView
from inventory.services.transfers import Dispatch, TransferView
from inventory.web.allotments import why_of_draft
from inventory.web.consumption import DAY_REFUSALS, stores
from inventory.web.forms import (
    DayField,
    PostingForm,
    QuantityField,
    RangesField,
    WordsField,
    choices,
    counted_by,
    item_names,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("transfers", __name__)

Loan = tuple[TransferView, dict[str, int]]
"""A loan, and what is still owed on it by item code."""


class DispatchForm(PostingForm):
    """`dispatch_form` adds a quantity for each item."""

    REFUSED_FIELDS = {
        "office_not_found": "receiver",
        "same_office": "receiver",
        "purpose_unknown": "purpose",
        "loan_not_found": "repays",
        "custodian_missing": "custodian",
        "bast_number_missing": "bast_number",
        "day_in_future": "dispatched_on",
        "day_too_early": "dispatched_on",
        "expected_before_dispatch": "expected_on",
        "loan_needs_due_date": "due_on",
        "draft_differs": "receiver",
    }
    codes: ClassVar[tuple[str, ...]] = ()

    receiver = WordsField(
        _("Code of the receiving office"),
        most=40,
        required=True,
        description=_("As the list of offices writes it, such as 51.71.01."),
        render_kw={"autofocus": True},
    )
    purpose = SelectField(_("Purpose"), choices=[])
    repays = SelectField(_("Gives back the loan"), choices=[], default="")
    dispatched_on = DayField(_("Day of dispatch"))
    expected_on = DayField(_("Expected on"))
    due_on = DayField(_("Due back on (loans only)"), required=False)
    custodian = WordsField(_("Who carries the blanks"), required=True)
    bast_number = WordsField(_("Number of the record of hand-over (BAST)"), most=80, required=True)
    note = WordsField(_("Note"), most=WORDS_LENGTH)
    draft = HiddenField(default="")

    def offer_loans(self, loans: Iterable[Loan]) -> None:
        found = [
            SelectChoice(value=str(loan.id), label=f"{loan.sender_name}, {loan.bast_number}") for loan, left in loans
        ]
        self.repays.choices = [SelectChoice(value="", label=gettext("None")), *found]

    def validate(self, extra_validators: Any = None) -> bool:
        for code in self.codes:
            if ranges_name(code) in self:
                counted_by(self[sent_name(code)], self[ranges_name(code)])
        return super().validate(extra_validators)

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        short = sent_name(str(refusal.facts.get("item")))
        if short in self:
            self[short].errors = [*self[short].errors, text.sentence(refusal)]

    def out(self) -> Dispatch:
        assert self.dispatched_on.data is not None, "a valid form has a day of dispatch"
        assert self.expected_on.data is not None, "a valid form has a day of arrival"
        return Dispatch(
            receiver_code=self.receiver.data or "",
            purpose=self.purpose.data,
            dispatched_on=self.dispatched_on.data,
            expected_on=self.expected_on.data,
            sent={code: self[sent_name(code)].data for code in self.codes if self[sent_name(code)].data},
            custodian=self.custodian.data or "",
            bast_number=self.bast_number.data or "",
            due_on=self.due_on.data,
            repays_id=int(self.repays.data) if self.repays.data else None,
            note=self.note.data or "",
            ranges={code: self[ranges_name(code)].data for code in self.codes if ranges_name(code) in self},
            draft_id=number_of(self.draft.data),
        )


class ReceiptForm(PostingForm):
    """`receipt_form` adds a count of good and of damaged ones for each line.

    Nothing is filled in beforehand, since it is to be counted. A shortage is shown before it is recorded: the page
    comes back with it, and is sent once more.
    """

    REFUSED_FIELDS = DAY_REFUSALS | {"arrived_before_dispatch": "day"}
    sent: ClassVar[Mapping[str, int]] = {}

    day = DayField(_("Day of arrival"))
    shown_short = HiddenField(default="")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.short: dict[str, int] = {}
        self.over: dict[str, int] = {}

    def arrived(self) -> dict[str, Arrived]:
        return {
            code: Arrived(
                good=self[good_name(code)].data,
                damaged=self[damaged_name(code)].data,
                damaged_ranges=self._numbers(damaged_ranges_name(code)),
                short_ranges=self._numbers(short_ranges_name(code)),
            )
            for code in self.sent
        }

    def _numbers(self, name: str) -> Ranges:
        return self[name].data if name in self else ()

    def validate(self, extra_validators: Any = None) -> bool:
        for code in self.sent:
            if damaged_ranges_name(code) in self:
                counted_by(self[damaged_name(code)], self[damaged_ranges_name(code)])
        if not super().validate(extra_validators):
            return False
        for code, count in self.arrived().items():
            try:
                self.short[code], self.over[code] = short_and_over(self.sent[code], count)
            except Invalid as refusal:
                self[good_name(code)].errors = [text.sentence(refusal)]
        return not self.errors and self._difference_was_shown()

    def _difference_was_shown(self) -> bool:
        differences = {code: short - self.over[code] for code, short in self.short.items()}
        shown = " ".join(f"{code}:{short}" for code, short in differences.items() if short)
        if shown and self.shown_short.data != shown:
            short, over = sum(self.short.values()), sum(self.over.values())
            self.shown_short.errors = [
                gettext(
                    "Nothing was recorded yet: %(short)s are short, %(over)s more came than were sent. Count again,"
                    " and if that is right, record it once more.",
                    short=text.number(short),
                    over=text.number(over),
                )
            ]
        self.shown_short.data = shown
        return not self.shown_short.errors


class CancelForm(PostingForm):
    REFUSED_FIELDS = DAY_REFUSALS | {"arrived_before_dispatch": "day", "cancel_needs_reason": "why"}

    why = WordsField(
        _("Why is the transfer cancelled?"), most=WORDS_LENGTH, required=True, render_kw={"autofocus": True}
    )
    day = DayField(_("Day on which the blanks came back"))


def number_of(typed: str | None) -> int | None:
    """The id in a hidden field or an address; None where there is none."""
    return int(typed) if typed and re.fullmatch(r"[0-9]{1,9}", typed, re.ASCII) else None


def sent_name(code: str) -> str:
    return f"sent-{code}"


def good_name(code: str) -> str:
    return f"good-{code}"


def damaged_name(code: str) -> str:
    return f"damaged-{code}"


def ranges_name(code: str) -> str:
    return f"ranges-{code}"


def damaged_ranges_name(code: str) -> str:
    return f"damaged-ranges-{code}"


def short_ranges_name(code: str) -> str:
    return f"short-ranges-{code}"


def dispatch_form(offered: Sequence[ItemView], store: Mapping[str, int]) -> type[DispatchForm]:
    """The form with a quantity for each item; the label says how many are in the store."""

    class Form(DispatchForm):
        codes = tuple(item.code for item in offered)

    for item in offered:
        label = f"{text.in_language(item.names)} ({text.number(store.get(item.code, 0))})"
        setattr(Form, sent_name(item.code), QuantityField(label, none=True))
        if item.numbered:
            about = gettext("Number ranges: %(item)s", item=text.in_language(item.names))
            setattr(Form, ranges_name(item.code), RangesField(about))
    return Form


def receipt_form(transfer: TransferView) -> type[ReceiptForm]:
    class Form(ReceiptForm):
        sent = {line.item_code: line.sent for line in transfer.lines}

    for code in Form.sent:
        setattr(Form, good_name(code), QuantityField(_("In good condition"), required=True))
        setattr(Form, damaged_name(code), QuantityField(_("Damaged")))
    for line in transfer.lines:
        if line.ranges:
            setattr(Form, damaged_ranges_name(line.item_code), RangesField(_("Numbers of the damaged ones")))
            setattr(Form, short_ranges_name(line.item_code), RangesField(_("Numbers of the short ones")))
    return Form


@blueprint.get("/offices/<code:code>/transfers")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    found, owed = transfers.of_office(actor, now, code), transfers.owed(actor, now, code)
    page = "transfers/index.html"
    shown = {"office": office, "transfers": found, "owed": owed, "today": office.today(now)}
    shown |= {"drafts": drafts.to_send(actor, code), "why_of_draft": why_of_draft}
    return render_template(page, **shown, names=item_names())


@blueprint.route("/offices/<code:code>/transfers/new", methods=["GET", "POST"])
@security.needs(Action.SEND_TRANSFER)
def dispatch(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.SEND_TRANSFER, code)
    loans = [(loan, left) for loan, left in transfers.owed(actor, now, code) if loan.receiver_code == code]
    form = _open_dispatch(office, now, loans)
    transfer_id = form.accept(lambda: transfers.dispatch(actor, now, form.request_uuid, code, form.out()))
    if transfer_id is not None:
        flash(gettext("The blanks are on their way."), "success")
        return redirect(url_for("transfers.show", transfer_id=transfer_id), 303)
    quantities = [form[sent_name(item)] for item in form.codes]
    quantities += [form[ranges_name(item)] for item in form.codes if ranges_name(item) in form]
    page = "transfers/new.html"
    return render_template(page, office=office, form=form, quantities=quantities, loans=loans), form.status


@blueprint.get("/transfers/<int(max=2147483647):transfer_id>")
@security.needs(Action.VIEW_STOCK)
def show(transfer_id: int) -> Any:
    actor = security.current_actor()
    transfer = transfers.get(actor, security.now(), transfer_id)
    page = "transfers/show.html"
    return render_template(page, transfer=transfer, office=_own_end(actor, transfer), names=item_names())


@blueprint.route("/transfers/<int(max=2147483647):transfer_id>/receive", methods=["GET", "POST"])
@security.needs(Action.RECEIVE_TRANSFER)
def receive(transfer_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    transfer = transfers.get(actor, now, transfer_id, Action.RECEIVE_TRANSFER)
    office = offices.get(actor, Action.RECEIVE_TRANSFER, transfer.receiver_code)
    form: Any = receipt_form(transfer)(day=office.today(now))
    form.day.limit(office.today(now))
    received = form.accept(
        lambda: transfers.receive(actor, now, form.request_uuid, transfer_id, form.day.data, form.arrived())
    )
    if received is not None:
        flash(gettext("The transfer is received."), "success")
        return redirect(url_for("transfers.show", transfer_id=transfer_id), 303)
    lines = [(line, form[good_name(line.item_code)], form[damaged_name(line.item_code)]) for line in transfer.lines]
    numbers = {
        line.item_code: (form[damaged_ranges_name(line.item_code)], form[short_ranges_name(line.item_code)])
        for line in transfer.lines
        if line.ranges
    }
    shown = {"transfer": transfer, "office": office, "form": form, "lines": lines, "numbers": numbers}
    return render_template("transfers/receive.html", **shown, names=item_names()), form.status


@blueprint.route("/transfers/<int(max=2147483647):transfer_id>/cancel", methods=["GET", "POST"])
@security.needs(Action.SEND_TRANSFER)
def cancel(transfer_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    transfer = transfers.get(actor, now, transfer_id, Action.SEND_TRANSFER)
    office = offices.get(actor, Action.SEND_TRANSFER, transfer.sender_code)
    form: Any = CancelForm(day=office.today(now))
    form.day.limit(office.today(now))
    cancelled = form.accept(
        lambda: transfers.cancel(actor, now, form.request_uuid, transfer_id, form.day.data, form.why.data)
    )
    if cancelled is not None:
        flash(gettext("The transfer is cancelled, and the blanks are back in the store."), "success")
        return redirect(url_for("transfers.show", transfer_id=transfer_id), 303)
    page = "transfers/cancel.html"
    return render_template(page, transfer=transfer, office=office, form=form, names=item_names()), form.status


def _open_dispatch(office: OfficeView, now: datetime, loans: list[Loan]) -> Any:
    """An empty or sent form, or one that gives back the loan that the address names."""
    today = office.today(now)
    form_class = dispatch_form(items.active(), stores(office.code))
    # Most arrive by the next day. One that does not is overdue the sooner.
    expected = today + timedelta(days=1)
    form = form_class(dispatched_on=today, expected_on=expected, **_giving_back(loans), **_of_draft(office))
    form.purpose.choices = choices(text.PURPOSES, PURPOSES)
    form.offer_loans(loans)
    form.dispatched_on.limit(today)
    return form


def _giving_back(loans: list[Loan]) -> dict[str, Any]:
    asked = request.args.get("repays")
    for loan, left in loans:
        if str(loan.id) == asked:
            quantities = {sent_name(code): quantity for code, quantity in left.items()}
            return {"receiver": loan.sender_code, "purpose": "return", "repays": asked, **quantities}
    return {}


def _of_draft(office: OfficeView) -> dict[str, Any]:
    """What the draft that the address names says. One that was sent meanwhile is refused, unless this very form sent
    it: then the form is answered as it was."""
    draft_id = number_of(request.args.get("draft"))
    if draft_id is None or request.method == "POST":
        return {}
    draft = drafts.get(security.current_actor(), draft_id)
    check_draft(draft.status)
    if draft.sender_code != office.code:
        raise NotFound("draft_not_found")
    return {
        "draft": str(draft.id),
        "receiver": draft.receiver_code,
        "purpose": draft.purpose,
        sent_name(draft.item_code): draft.quantity,
    }


def _own_end(actor: Actor, transfer: TransferView) -> OfficeView:
    """The end from which the reader looks at the transfer: the sender where both may be seen."""
    sees_sender = access.may(actor, Action.VIEW_STOCK, transfer.sender_path)
    code = transfer.sender_code if sees_sender else transfer.receiver_code
    return offices.get(actor, Action.VIEW_STOCK, code)
