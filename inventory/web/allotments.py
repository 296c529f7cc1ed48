"""Allotments: splitting a delivery and lending between offices, worked out, changed by hand, kept as drafts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import RadioField, SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.drafts import MODES, OPEN
from inventory.domain.errors import Refusal
from inventory.services import allotments, drafts, offices, requests
from inventory.services.allotments import LoanTerms, Proposal, SplitTerms
from inventory.services.drafts import DraftView
from inventory.services.offices import OfficeView
from inventory.web.forms import BaseForm, PostingForm, QuantityField, choices, item_names, item_units
from inventory.web.forms import lazy as _

blueprint = Blueprint("allotments", __name__)

# Why an office gets just so many, see `domain.allotment.Share`; `day` is when it then runs out.
RULES = {
    "together": _("Brought level with the others, as near as whole packs allow: it then lasts until %(day)s."),
    "unmet": _("Beyond the common day: here these packs spare most unmet requests. It then lasts until %(day)s."),
    "enough": _("Needs none: it lasts until %(day)s, no shorter than the others with theirs."),
    "least": _("The minimum that was set; it needs less. It then lasts until %(day)s."),
    "most": _("The most that was allowed. It then lasts until %(day)s."),
    "lends": _("Lasts longest: it lends, and still lasts until %(day)s."),
    "borrows": _("Runs out early: with this it lasts until %(day)s."),
    "keeps": _("Neither lends nor borrows: it lasts until %(day)s."),
    "fixed": _("Set by hand: there is no projection for this office."),
}
LEFT_OUT = {
    "not_reviewed": _("No review has looked at its stock of this item yet."),
    "not_enough_data": _("Not enough data"),
}
NAME = re.compile(r"way-([0-9A-Za-z.]{1,40})-([0-9A-Za-z.]{1,40})")


class TermsForm(BaseForm):
    """What to work out, sent by GET. `terms_form` adds a quantity for each office without a projection."""

    REFUSED_FIELDS = {
        "pack_range": "pack",
        "packs_too_many": "pack",
        "reserve_exceeds_quantity": "reserve",
        "least_exceeds_quantity": "least",
        "least_exceeds_most": "most",
        "quantity_not_positive": "quantity",
    }
    fixed_codes: ClassVar[tuple[str, ...]] = ()

    mode = RadioField(_("What is to be worked out?"), choices=[], default="split")
    item = SelectField(_("Item"), choices=[])
    pack = QuantityField(_("Whole packs of"), none=True, description=_("Left empty: the item's usual pack."))
    reserve = QuantityField(
        _("Kept back"), description=_("Of a split: at this office. Of loans: in each sender's store.")
    )
    quantity = QuantityField(_("Quantity to split"), none=True, description=_("The reserve included."))
    least = QuantityField(_("Minimum for each office"))
    most = QuantityField(_("Most for each office"), none=True, description=_("What its store or a journey can take."))
    keep_days = QuantityField(
        _("Working days that a sender keeps"), none=True, description=_("Left empty: its own lead time.")
    )
    least_shipment = QuantityField(_("Smallest shipment"), description=_("No smaller one is proposed."))
    most_shipments = QuantityField(_("Most shipments"), none=True)

    def __init__(self, **kwargs: Any) -> None:
        # An address that only names a delivery request is not a sent form: the fields begin with what it asks for.
        super().__init__(formdata=request.args if self.asked else None, meta={"csrf": False}, **kwargs)

    def offer(self) -> None:
        self.mode.choices = choices(text.ALLOTMENT_MODES, MODES)
        self.item.choices = choices(item_names())

    @property
    def asked(self) -> bool:
        return "item" in request.args

    def propose(self, office: OfficeView) -> Proposal:
        actor, now = security.current_actor(), security.now()
        if self.mode.data == "loans":
            return allotments.propose_loans(actor, now, office.code, self.item.data, self._loan_terms())
        return allotments.propose_split(actor, now, office.code, self.item.data, self._split_terms())

    def _split_terms(self) -> SplitTerms:
        return SplitTerms(
            quantity=self.quantity.data or 0,
            reserve=self.reserve.data,
            pack=self.pack.data,
            least=self.least.data,
            most=self.most.data,
            fixed={code: self[fixed_name(code)].data for code in self.fixed_codes if self[fixed_name(code)].data},
        )

    def _loan_terms(self) -> LoanTerms:
        return LoanTerms(
            pack=self.pack.data,
            keep_days=self.keep_days.data,
            reserve=self.reserve.data,
            most=self.most.data,
            least_shipment=self.least_shipment.data,
            most_shipments=self.most_shipments.data,
        )


class PlanForm(PostingForm):
    """`plan_form` adds a quantity for each way from one office to another."""

    ways: ClassVar[tuple[tuple[str, str], ...]] = ()

    def planned(self) -> dict[tuple[str, str], int]:
        return {ends: self[way_name(*ends)].data or 0 for ends in self.ways}


class DropForm(BaseForm):
    """Nothing but its token."""


def fixed_name(code: str) -> str:
    return f"fixed-{code}"


def way_name(sender: str, receiver: str) -> str:
    return f"way-{sender}-{receiver}"


def terms_form(codes: Iterable[str]) -> Any:
    """The form with a quantity for each office that has no projection."""

    class Form(TermsForm):
        fixed_codes = tuple(codes)

    for code in Form.fixed_codes:
        setattr(Form, fixed_name(code), QuantityField(_("Set by hand")))
    return Form


def plan_form(proposal: Proposal) -> Any:
    """The form with the proposed quantity of each way; and with those that were sent, should the stocks by now propose
    other ways than the page showed."""
    proposed = {(way.sender_code, way.receiver_code): way.quantity for way in proposal.ways}
    sent = [found.groups() for name in request.form if (found := NAME.fullmatch(name))]
    ends = [*proposed, *((each[0], each[1]) for each in sent if (each[0], each[1]) not in proposed)]

    class Form(PlanForm):
        ways = tuple(ends)

    for sender, receiver in Form.ways:
        field = QuantityField(_("Quantity"), default=proposed.get((sender, receiver), 0))
        setattr(Form, way_name(sender, receiver), field)
    return Form


def why(rule: str, out_after: date | str | None) -> str:
    """The sentence that explains a line. `out_after` is a day, as ISO text where it was kept with a draft."""
    day = date.fromisoformat(out_after) if isinstance(out_after, str) else out_after
    shown = gettext("more than a year from now") if day is None else text.day(day)
    return str(RULES[rule]) % {"day": shown}


def why_of_draft(draft: DraftView) -> str:
    """Why a draft was planned; what it says of the day holds for the proposed quantity only."""
    if draft.why["rule"] != "fixed" and draft.why["proposed"] != draft.quantity:
        return gettext("Set by hand: %(number)s were proposed.", number=text.number(draft.why["proposed"]))
    return why(draft.why["rule"], draft.why.get("out_after"))


@blueprint.route("/offices/<code:code>/allotment", methods=["GET", "POST"])
@security.needs(Action.ALLOT_DELIVERY)
def plan(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.ALLOT_DELIVERY, code)
    form = terms_form(_codes_to_fix())(**_from_request())
    form.offer()
    proposal = form.read(lambda: form.propose(office)) if form.asked else None
    status = form.status if form.asked else 200
    saving: Any = None
    if proposal is not None:
        saving = plan_form(proposal)()
        made = saving.accept(
            lambda: allotments.save(actor, security.now(), saving.request_uuid, proposal, saving.planned())
        )
        if made is not None:
            flash(gettext("The plan is kept. Its drafts wait for the storekeepers who send them."), "success")
            return redirect(url_for("allotments.show", plan_id=made), 303)
        status = saving.status
    fixed = {code: form[fixed_name(code)] for code in form.fixed_codes}
    left_out = [(each, fixed.get(each.code)) for each in (proposal.left_out if proposal else ())]
    shown = {"office": office, "form": form, "proposal": proposal, "saving": saving, "left_out": left_out}
    shown |= {
        "plans": allotments.of_office(actor, code),
        "names": item_names(),
        "units": item_units(),
        "quantities": _quantities(saving),
    }
    return render_template("allotments/plan.html", **shown, **_texts()), status


@blueprint.get("/allotments/<int(max=2147483647):plan_id>")
@security.needs(Action.ALLOT_DELIVERY)
def show(plan_id: int) -> Any:
    actor = security.current_actor()
    found = allotments.get(actor, plan_id)
    office = offices.get(actor, Action.ALLOT_DELIVERY, found.office_code)
    shown = {"plan": found, "office": office, "names": item_names(), "units": item_units(), "form": DropForm()}
    return render_template("allotments/show.html", **shown, **_texts())


@blueprint.post("/allotments/drafts/<int(max=2147483647):draft_id>/drop")
@security.needs(Action.ALLOT_DELIVERY)
def drop(draft_id: int) -> Any:
    plan_id = drafts.drop(security.current_actor(), security.now(), draft_id)
    flash(gettext("The draft is dropped."), "success")
    return redirect(url_for("allotments.show", plan_id=plan_id), 303)


def _texts() -> dict[str, Any]:
    shown = {"why": why, "why_of_draft": why_of_draft, "LEFT_OUT": LEFT_OUT, "OPEN_DRAFTS": OPEN}
    return shown | {"day_of": date.fromisoformat}


def _codes_to_fix() -> list[str]:
    """The offices for which the address sets a quantity by hand."""
    names = (name.removeprefix("fixed-") for name in request.args if name.startswith("fixed-"))
    return sorted(code for code in names if re.fullmatch(r"[0-9A-Za-z.]{1,40}", code))


def _from_request() -> Mapping[str, Any]:
    """What a delivery request that the address names asks for."""
    asked = request.args.get("request", "")
    if "item" in request.args or not re.fullmatch(r"[0-9]{1,9}", asked, re.ASCII):
        return {}
    try:
        found = requests.get(security.current_actor(), security.now(), int(asked)).request
    except Refusal:
        return {}
    line = found.lines[0]
    return {"item": line.item_code, "quantity": line.asked if line.allotted is None else line.allotted}


def _quantities(saving: Any) -> dict[tuple[str, str], Any]:
    return {ends: saving[way_name(*ends)] for ends in saving.ways} if saving is not None else {}
