"""Destruction of spoiled blanks and write-off of obsolete ones: the list, one record, and the two forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from wtforms import SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.destructions import METHODS, Part, Witness
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.proposals import ProposalKind
from inventory.services import destructions, items, offices
from inventory.services.destructions import Record
from inventory.services.offices import OfficeView
from inventory.web.consumption import stores
from inventory.web.forms import (
    DayField,
    PeriodForm,
    PostingForm,
    QuantityField,
    RangesField,
    WordsField,
    choices,
    item_names,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("destructions", __name__)

Key = tuple[str, str]
"""An item's code and a cause."""


class RecordForm(PostingForm):
    """`record_form` adds a quantity for each item and cause."""

    REFUSED_FIELDS = {
        "day_in_future": "happened_on",
        "day_too_early": "happened_on",
        "place_missing": "place",
        "method_unknown": "method",
        "witnesses_same": "second_witness",
        "breakdown_differs": "total",
        "quantity_not_positive": "total",
    }
    keys: ClassVar[tuple[Key, ...]] = ()

    happened_on = DayField(_("Day"), render_kw={"autofocus": True})
    place = WordsField(_("Place"), required=True)
    method = SelectField(_("How"), choices=[])
    total = QuantityField(_("Total, as the record says"), required=True)
    first_witness = WordsField(_("First witness"), required=True)
    first_position = WordsField(_("Position of the first witness"), required=True)
    second_witness = WordsField(_("Second witness"), required=True)
    second_position = WordsField(_("Position of the second witness"), required=True)
    note = WordsField(_("Note"), most=500)

    def record(self) -> Record:
        assert self.happened_on.data is not None, "a valid form has a day"
        return Record(
            happened_on=self.happened_on.data,
            place=self.place.data or "",
            method=self.method.data,
            witnesses=(
                Witness(self.first_witness.data or "", self.first_position.data or ""),
                Witness(self.second_witness.data or "", self.second_position.data or ""),
            ),
            total=self.total.data,
            parts=[part for key in self.keys if (part := self._part(key)).quantity or part.ranges],
            note=self.note.data or "",
        )

    def _part(self, key: Key) -> Part:
        numbers = self[ranges_name(key)].data if ranges_name(key) in self else ()
        return Part(*key, self[part_name(key)].data or 0, numbers)

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        for key in self.keys:
            if key[0] == refusal.facts.get("item") and ranges_name(key) in self:
                self[ranges_name(key)].errors = [*self[ranges_name(key)].errors, text.sentence(refusal)]


def part_name(key: Key) -> str:
    return "-".join(("part", *key))


def ranges_name(key: Key) -> str:
    return "-".join(("ranges", *key))


def record_form(lying: Mapping[Key, int], names: Mapping[str, str], *, causes: bool) -> type[RecordForm]:
    """The form with a quantity for each item and cause; the label says how many lie there."""

    class Form(RecordForm):
        keys = tuple(lying)

    numbered = {item.code for item in items.active() if item.numbered}
    for (code, cause), left in lying.items():
        name = names.get(code, code)
        about = f"{name}: {text.REASONS[cause]}" if causes else name
        setattr(Form, part_name((code, cause)), QuantityField(f"{about} ({text.number(left)})", none=True))
        if code in numbered:
            setattr(Form, ranges_name((code, cause)), RangesField(_("Numbers: %(item)s", item=about)))
    return Form


@blueprint.get("/offices/<code:code>/destructions")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    names = item_names()
    overdue = destructions.overdue(security.now(), [office.id])
    codes = {item.id: item.code for item in items.active()}
    return render_template(
        "destructions/index.html",
        office=office,
        records=destructions.of_office(actor, code),
        lying=destructions.spoiled(actor, code),
        overdue=[(names[codes[each.item_id]], each) for each in overdue if each.item_id in codes],
        names=names,
    )


@blueprint.get("/destructions/<int(max=2147483647):destruction_id>")
@security.needs(Action.VIEW_STOCK)
def show(destruction_id: int) -> Any:
    record = destructions.get(security.current_actor(), destruction_id)
    office = offices.get(security.current_actor(), Action.VIEW_STOCK, record.proposal.office_code)
    return render_template("destructions/show.html", record=record, office=office, names=item_names())


@blueprint.route("/offices/<code:code>/destructions/new", methods=["GET", "POST"])
@security.needs(Action.PROPOSE_DESTRUCTION)
def destroy(code: str) -> Any:
    office = offices.get(security.current_actor(), Action.PROPOSE_DESTRUCTION, code)
    lying = destructions.spoiled(security.current_actor(), code)
    form_class = record_form(lying, item_names(), causes=True)
    return _propose(office, ProposalKind.DESTRUCTION, form_class, "destructions/destroy.html")


@blueprint.route("/offices/<code:code>/destructions/write-off", methods=["GET", "POST"])
@security.needs(Action.PROPOSE_DESTRUCTION)
def write_off(code: str) -> Any:
    office = offices.get(security.current_actor(), Action.PROPOSE_DESTRUCTION, code)
    lying = {(item, "obsolete"): left for item, left in stores(code).items() if left}
    form_class = record_form(lying, item_names(), causes=False)
    return _propose(office, ProposalKind.WRITE_OFF, form_class, "destructions/write_off.html")


@blueprint.get("/offices/<code:code>/spoilage-report")
@security.needs(Action.VIEW_STOCK)
def spoilage(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    today = office.today(security.now())
    form, default = PeriodForm(), (today - timedelta(days=29), today)
    since, until = (form.since.data, form.until.data) if form.validate() else (None, None)
    until = until or default[1]
    since = since or min(until - timedelta(days=29), until)
    try:
        rows = destructions.spoilage(actor, code, since, until)
    except Invalid as refusal:
        form.refuse(refusal)
        since, until = default
        rows = destructions.spoilage(actor, code, since, until)
    shown = {"office": office, "form": form, "since": since, "until": until, "rows": rows, "names": item_names()}
    return render_template("destructions/spoilage.html", **shown), form.status


def _propose(office: OfficeView, kind: ProposalKind, form_class: type[RecordForm], page: str) -> Any:
    actor, now = security.current_actor(), security.now()
    form: Any = form_class(happened_on=office.today(now))
    form.method.choices = choices(text.METHODS, METHODS)
    form.happened_on.limit(office.today(now))
    proposal_id = form.accept(
        lambda: destructions.propose(actor, now, form.request_uuid, office.code, kind, form.record())
    )
    if proposal_id is not None:
        flash(gettext("The record waits for a second person's approval. Nothing has left the books yet."), "success")
        return redirect(url_for("destructions.show", destruction_id=proposal_id), 303)
    return render_template(page, office=office, form=form, parts=_parts(form)), form.status


def _parts(form: RecordForm) -> Sequence[Any]:
    names = [name for key in form.keys for name in (part_name(key), ranges_name(key))]
    return [form[name] for name in names if name in form]
