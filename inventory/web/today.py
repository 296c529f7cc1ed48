"""A storekeeper's today, on one page for a thumb: what is left, what was used up, what else there is to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from flask import Blueprint, Response, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import force_locale, gettext
from wtforms import HiddenField
from wtforms.validators import ValidationError

from inventory import security, text
from inventory.domain import access
from inventory.domain.access import Action
from inventory.domain.ledger import CONSUMED, EVERYDAY_CAUSES, PRINT_REASONS, Kind
from inventory.domain.ranges import Ranges
from inventory.services import consumption, items, offices, stocktakes, today, undo
from inventory.services.consumption import Printed
from inventory.services.items import ItemView
from inventory.services.ledger import Posting
from inventory.services.today import Today
from inventory.web.consumption import (
    DAY_REFUSALS,
    MOMENT_REFUSALS,
    ranges_name,
    stores,
    waiting_name,
)
from inventory.web.forms import (
    BaseForm,
    DayField,
    PostingForm,
    QuantityField,
    RangesField,
    TimeOfDayField,
    WordsField,
    item_names,
)
from inventory.web.forms import lazy as _

blueprint = Blueprint("today", __name__)

BUTTONS = 6
"""Items to choose from by buttons; of more, from a list."""
REMEMBERED = "item"
"""The cookie with the item that was used last on this phone."""
A_YEAR = 365 * 24 * 3600


class TodayForm(PostingForm):
    """`today_form` adds a number for each reason that the item can be used up for."""

    REFUSED_FIELDS = DAY_REFUSALS | MOMENT_REFUSALS
    printed_for: ClassVar[tuple[str, ...]] = ()

    item = HiddenField()
    day = DayField(_("Day"))
    at = TimeOfDayField(
        _("Time of day"),
        description=_("The stock is being counted: say when it happened, so that it stands before or after the count."),
    )
    note = WordsField(_("Note"), most=500)

    def counters(self) -> Iterator[tuple[Any, str]]:
        """The numbers to be entered, each with the kind of movement that it makes."""
        yield from ((self[reason], Kind.PRINT.value) for reason in self.printed_for)
        yield from ((self[cause], Kind.SPOIL.value) for cause in EVERYDAY_CAUSES)

    def printed(self) -> dict[str, Printed]:
        return {reason: Printed(self[reason].data, self._waiting(reason)) for reason in self.printed_for}

    def spoiled(self) -> dict[str, int]:
        return {cause: self[cause].data for cause in EVERYDAY_CAUSES}

    def ranges(self) -> dict[str, Ranges]:
        reasons = (*self.printed_for, *EVERYDAY_CAUSES)
        return {reason: self[ranges_name(reason)].data for reason in reasons if ranges_name(reason) in self}

    def _waiting(self, reason: str) -> int:
        return self[waiting_name(reason)].data if waiting_name(reason) in self else 0


class UndoForm(BaseForm):
    posting = HiddenField()

    def validate_posting(self, field: Any) -> None:
        try:
            UUID(field.data or "")
        except ValueError:
            raise ValidationError(gettext("The page was not sent whole. Open it again.")) from None


def today_form(item: ItemView) -> type[TodayForm]:
    """The form for an item: cards are printed for reasons, of a ribbon or film some are used up."""

    class Form(TodayForm):
        printed_for = PRINT_REASONS if item.is_blank else (CONSUMED,)

    for reason in (*Form.printed_for, *EVERYDAY_CAUSES):
        label = text.REASONS[reason]
        setattr(Form, reason, QuantityField(label, render_kw={"placeholder": "0"}))
        if item.numbered:
            setattr(Form, ranges_name(reason), RangesField())
    if item.is_blank:
        for reason in Form.printed_for:
            setattr(Form, waiting_name(reason), QuantityField(text.REASONS[reason], render_kw={"placeholder": "0"}))
    return Form


@blueprint.get("/today")
@security.needs(Action.POST_MOVEMENT)
def home() -> Any:
    """The today of the only office where the person records; else the offices to choose from."""
    places = offices.tops(security.current_actor(), Action.POST_MOVEMENT)
    if len(places) != 1:
        return redirect(url_for("offices.index"))
    return redirect(url_for("today.show", code=places[0].code))


@blueprint.route("/offices/<code:code>/today", methods=["GET", "POST"])
@security.needs(Action.POST_MOVEMENT)
def show(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    asked = request.form.get("item") or request.args.get("item")
    seen = today.of_office(actor, now, code, asked or request.cookies.get(REMEMBERED))
    form = _form(seen)
    posting = form.accept(
        lambda: consumption.post_used(
            actor,
            now,
            form.request_uuid,
            code,
            form.item.data,
            form.day.data,
            form.printed(),
            form.spoiled(),
            form.note.data or "",
            form.at.data if "at" in form else None,
            ranges=form.ranges(),
        )
    )
    if posting is not None:
        return _remembering(_recorded(posting, code, form.item.data), form.item.data)
    page = current_app.make_response((_page(seen, form), form.status))
    return _remembering(page, seen.chosen.item.code) if asked else page


@blueprint.post("/offices/<code:code>/today/undo")
@security.needs(Action.POST_MOVEMENT)
def take_back(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    form = UndoForm()
    offices.get(actor, Action.POST_MOVEMENT, code)
    minutes = current_app.config["SETTINGS"].UNDO_MINUTES
    posting = form.accept(lambda: undo.undo(actor, now, code, UUID(form.posting.data), minutes, _why()))
    if posting is None:
        seen = today.of_office(actor, now, code, request.cookies.get(REMEMBERED))
        return _page(seen, _form(seen, sent=False), undoing=form), form.status
    item_code = next((item.code for item in items.active() if item.id == posting.movements[0].item_id), "")
    left = text.number(stores(code).get(item_code, 0))
    if posting.replayed:
        flash(gettext("This was already undone. %(left)s left.", left=left), "info")
    else:
        flash(gettext("Undone: nothing of it counts any more. %(left)s left.", left=left), "success")
    return redirect(url_for("today.show", code=code, item=item_code), 303)


def _why() -> str:
    """What the ledger keeps as the reason, in the installation's language: the same whoever reads the page how."""
    with force_locale(current_app.config["SETTINGS"].LANGUAGE):
        return gettext("Undone right after it was entered")


def _form(seen: Today, *, sent: bool = True) -> Any:
    """The form for the chosen item, empty or as it was sent; `sent` is False when what was sent is another one."""
    actor, now = security.current_actor(), security.now()
    made = today_form(seen.chosen.item)
    form = made(**({} if sent else {"formdata": None}), item=seen.chosen.item.code, day=seen.day)
    form.day.limit(seen.day)
    if not stocktakes.asks_for_time(actor, now, seen.office.code):
        del form.at
    return form


def _page(seen: Today, form: Any, undoing: UndoForm | None = None) -> str:
    actor, now = security.current_actor(), security.now()
    minutes = current_app.config["SETTINGS"].UNDO_MINUTES
    return render_template(
        "today/show.html",
        seen=seen,
        office=seen.office,
        form=form,
        undoing=undoing,
        entries=undo.own_entries(actor, now, seen.office.code, minutes),
        names=item_names(),
        buttons=BUTTONS,
        may_reverse=access.may(actor, Action.REVERSE_MOVEMENT, seen.office.path),
        other_day=_other_day(form, seen.day),
        clock=now,
    )


def _other_day(form: Any, day: date) -> bool:
    """Whether the form is for another day than today, or for none that can be read."""
    return form.day.data != day or bool(form.day.errors)


def _recorded(posting: Posting, code: str, item_code: str) -> Response:
    """Back to today, saying what was recorded and what is left. A script is told where to go on."""
    left = text.number(stores(code).get(item_code, 0))
    if posting.replayed:
        flash(gettext("This was already recorded, and is recorded once. %(left)s left.", left=left), "info")
    else:
        number = text.number(sum(movement.quantity for movement in posting.movements))
        name = item_names().get(item_code, item_code)
        said = {"number": number, "item": name, "left": left}
        flash(gettext("Recorded: %(number)s × %(item)s. %(left)s left.", **said), "success")
    address = url_for("today.show", code=code)
    if request.accept_mimetypes.best == "application/json":
        return jsonify(state="recorded", next=address)
    return current_app.make_response(redirect(address, 303))


def _remembering(response: Response, item_code: str) -> Response:
    secure = current_app.config["SETTINGS"].production
    response.set_cookie(REMEMBERED, item_code, max_age=A_YEAR, httponly=True, secure=secure, samesite="Lax")
    return response
