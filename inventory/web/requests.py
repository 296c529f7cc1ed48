"""Delivery requests: the list, one request, asking, allotting, cancelling and closing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import HiddenField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.errors import Refusal
from inventory.domain.quantities import MAX_QUANTITY
from inventory.services import deliveries, items, offices, requests
from inventory.services.items import ItemView
from inventory.services.requests import Allotment, Asking, RequestDetail, RequestView
from inventory.web.deliveries import USUAL_SUPPLIER
from inventory.web.forms import DayField, PostingForm, QuantityField, WordsField, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("requests", __name__)

ONE = "/requests/<int(max=2147483647):delivery_request_id>"


class AskForm(PostingForm):
    """`ask_form` adds a quantity for each item."""

    REFUSED_FIELDS = {
        "supplier_missing": "supplier",
        "day_in_future": "asked_on",
        "day_too_early": "asked_on",
        "needed_before_asked": "needed_by",
    }
    codes: ClassVar[tuple[str, ...]] = ()

    supplier = WordsField(_("Supplier"), required=True, render_kw={"list": "suppliers", "autofocus": True})
    asked_on = DayField(_("Asked on"))
    needed_by = DayField(_("Needed by (if there is a day)"), required=False)
    note = WordsField(_("Note"), most=500)

    def asking(self) -> Asking:
        assert self.asked_on.data is not None, "a valid form has a day"
        return Asking(
            supplier=self.supplier.data or "",
            asked_on=self.asked_on.data,
            needed_by=self.needed_by.data,
            asked={code: self[asked_name(code)].data for code in self.codes if self[asked_name(code)].data},
            note=self.note.data or "",
        )


class DecisionForm(PostingForm):
    """What somebody decides upon a request as they saw it: one that changed meanwhile is shown again."""

    seen = HiddenField()

    def __init__(self, request: RequestView, **kwargs: Any) -> None:
        super().__init__(seen=str(request.version), **kwargs)
        self.now_is = request.version

    @property
    def version(self) -> int:
        """The version of the request that was seen; none, where the page did not come back whole."""
        seen = self.seen.data or ""
        return int(seen) if re.fullmatch(r"[0-9]{1,9}", seen, re.ASCII) else 0

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        if refusal.code == "delivery_request_changed":
            self.seen.data = str(self.now_is)  # the page that says so shows the request as it is now


class AllotForm(DecisionForm):
    """`allot_form` adds what each line is given, and in how many cartons."""

    codes: ClassVar[tuple[str, ...]] = ()

    note = WordsField(_("Note"), most=500)

    def answers(self) -> dict[str, Allotment]:
        return {
            code: Allotment(allotted=self[allotted_name(code)].data, cartons=self[cartons_name(code)].data)
            for code in self.codes
        }


class EndForm(DecisionForm):
    REFUSED_FIELDS = {"delivery_request_needs_reason": "why"}

    why = WordsField(_("Why?"), most=500, required=True, render_kw={"autofocus": True})


def asked_name(code: str) -> str:
    return f"asked-{code}"


def allotted_name(code: str) -> str:
    return f"allotted-{code}"


def cartons_name(code: str) -> str:
    return f"cartons-{code}"


def ask_form(offered: Sequence[ItemView], suggested: Mapping[str, int]) -> type[AskForm]:
    """The form with a quantity for each item, filled in with what the last review suggests."""

    class Form(AskForm):
        codes = tuple(item.code for item in offered)

    for item in offered:
        field = QuantityField(text.in_language(item.names), none=True, default=suggested.get(item.code))
        setattr(Form, asked_name(item.code), field)
    return Form


def allot_form(request: RequestView) -> type[AllotForm]:
    class Form(AllotForm):
        codes = tuple(line.item_code for line in request.lines)

    for line in request.lines:
        known = line.asked if line.allotted is None else line.allotted
        given = QuantityField(_("Allotted (0 if nothing)"), required=True, default=known)
        setattr(Form, allotted_name(line.item_code), given)
        boxes = QuantityField(_("Cartons"), none=True, default=line.cartons)
        setattr(Form, cartons_name(line.item_code), boxes)
    return Form


@blueprint.get("/requests")
@security.needs(Action.ALLOT_DELIVERY)
def waiting() -> Any:
    found = requests.waiting(security.current_actor(), security.now())
    return render_template("requests/waiting.html", requests=found, names=item_names())


@blueprint.get("/offices/<code:code>/requests")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    found = requests.of_office(actor, security.now(), code)
    return render_template("requests/index.html", office=office, requests=found, names=item_names())


@blueprint.route("/offices/<code:code>/requests/new", methods=["GET", "POST"])
@security.needs(Action.REQUEST_DELIVERY)
def ask(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.REQUEST_DELIVERY, code)
    suggested = requests.suggested(actor, code)
    form: Any = ask_form(items.active(), _asked_for(suggested))(supplier=USUAL_SUPPLIER, asked_on=office.today(now))
    form.asked_on.limit(office.today(now))
    made = form.accept(lambda: requests.ask(actor, now, form.request_uuid, code, form.asking()))
    if made is not None:
        flash(gettext("The request is recorded."), "success")
        return redirect(url_for("requests.show", delivery_request_id=made), 303)
    quantities = [form[asked_name(item)] for item in form.codes]
    shown = {"office": office, "form": form, "quantities": quantities, "suggested": suggested}
    return render_template("requests/new.html", **shown, suppliers=deliveries.supplier_names(actor)), form.status


@blueprint.get(ONE)
@security.needs(Action.VIEW_STOCK)
def show(delivery_request_id: int) -> Any:
    return _page("requests/show.html", requests.get(security.current_actor(), security.now(), delivery_request_id))


@blueprint.route(f"{ONE}/allot", methods=["GET", "POST"])
@security.needs(Action.ALLOT_DELIVERY)
def allot(delivery_request_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = requests.get(actor, now, delivery_request_id, Action.ALLOT_DELIVERY)
    form: Any = allot_form(found.request)(found.request)
    done = form.accept(
        lambda: requests.allot(
            actor, now, form.request_uuid, delivery_request_id, form.version, form.answers(), form.note.data or ""
        )
    )
    if done is not None:
        flash(gettext("The allotment is recorded."), "success")
        return redirect(url_for("requests.show", delivery_request_id=done), 303)
    lines = [
        (line, form[allotted_name(line.item_code)], form[cartons_name(line.item_code)]) for line in found.request.lines
    ]
    return _page("requests/allot.html", found, form=form, lines=lines), form.status


@blueprint.route(f"{ONE}/cancel", methods=["GET", "POST"])
@security.needs(Action.REQUEST_DELIVERY)
def cancel(delivery_request_id: int) -> Any:
    return _end(delivery_request_id, requests.cancel, "requests/cancel.html", _("The request is cancelled."))


@blueprint.route(f"{ONE}/close", methods=["GET", "POST"])
@security.needs(Action.REQUEST_DELIVERY)
def close(delivery_request_id: int) -> Any:
    return _end(delivery_request_id, requests.close, "requests/close.html", _("The request is closed."))


def _end(delivery_request_id: int, end: Callable[..., int], page: str, said: Any) -> Any:
    actor, now = security.current_actor(), security.now()
    found = requests.get(actor, now, delivery_request_id, Action.REQUEST_DELIVERY)
    form: Any = EndForm(found.request)
    done = form.accept(
        lambda: end(actor, now, form.request_uuid, delivery_request_id, form.version, form.why.data or "")
    )
    if done is not None:
        flash(str(said), "success")
        return redirect(url_for("requests.show", delivery_request_id=done), 303)
    return _page(page, found, form=form), form.status


def _asked_for(suggested: Mapping[str, int]) -> Mapping[str, int]:
    """What the form begins with: of one item that the address names, the quantity that it names."""
    item, quantity = request.args.get("item", ""), request.args.get("quantity", "")
    if not item or not re.fullmatch(r"[0-9]{1,9}", quantity, re.ASCII) or int(quantity) > MAX_QUANTITY:
        return suggested
    return {item: int(quantity)}


def _page(page: str, found: RequestDetail, **shown: Any) -> str:
    office = offices.get(security.current_actor(), Action.VIEW_STOCK, found.request.office_code)
    return render_template(page, office=office, detail=found, request_=found.request, names=item_names(), **shown)
