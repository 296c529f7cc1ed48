"""The daily closing: closing a day, the closed days, their differences, and the days that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext

from inventory import security
from inventory.domain.access import Action
from inventory.domain.calendars import day_from
from inventory.domain.closings import WORDS_LENGTH
from inventory.services import closings, offices
from inventory.services.items import ItemView
from inventory.web.consumption import DAY_REFUSALS
from inventory.web.forms import DayField, PostingForm, QuantityField, WordsField, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("closings", __name__)

OFFICES_SHOWN = 200
EXCEPTION = "/closing-exceptions/<int(max=2147483647):exception_id>"


class CloseForm(PostingForm):
    """`close_form` adds what is left of each item, and of blanks the cards printed. The book is not on it."""

    REFUSED_FIELDS = DAY_REFUSALS | {"day_closed": "day"}
    codes: ClassVar[tuple[str, ...]] = ()
    blanks: ClassVar[tuple[str, ...]] = ()

    day = DayField(_("Day"))

    def left(self) -> dict[str, int]:
        return {code: self[left_name(code)].data for code in self.codes}

    def printed(self) -> dict[str, int]:
        return {code: self[printed_name(code)].data for code in self.blanks}


class ReasonForm(PostingForm):
    REFUSED_FIELDS = {"clearing_needs_reason": "reason", "reopening_needs_reason": "reason"}

    reason = WordsField(_("How is it explained?"), most=WORDS_LENGTH, required=True, render_kw={"autofocus": True})


def left_name(code: str) -> str:
    return f"left-{code}"


def printed_name(code: str) -> str:
    return f"printed-{code}"


def close_form(held: Sequence[ItemView]) -> type[CloseForm]:
    class Form(CloseForm):
        codes = tuple(item.code for item in held)
        blanks = tuple(item.code for item in held if item.is_blank)

    for code in Form.codes:
        setattr(Form, left_name(code), QuantityField(_("Left in the store"), required=True))
    for code in Form.blanks:
        label = _("Printed on that day, as the population system says")
        setattr(Form, printed_name(code), QuantityField(label, required=True))
    return Form


@blueprint.get("/closings")
@security.needs(Action.VIEW_STOCK)
def overview() -> Any:
    """What needs looking after, wherever the reader may look."""
    actor, now = security.current_actor(), security.now()
    left_out, total = closings.first_unclosed(actor, now, OFFICES_SHOWN)
    exceptions = closings.open_exceptions(actor)
    shown = {"left_out": left_out, "total": total, "exceptions": exceptions}
    return render_template("closings/overview.html", **shown, names=item_names())


@blueprint.get("/offices/<code:code>/closings")
@security.needs(Action.VIEW_STOCK)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.VIEW_STOCK, code)
    return render_template("closings/index.html", office=office, days=closings.of_office(actor, code))


@blueprint.route("/offices/<code:code>/closings/new", methods=["GET", "POST"])
@security.needs(Action.CLOSE_DAY)
def close(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.CLOSE_DAY, code)
    held = closings.to_close(actor, code)
    today = office.today(now)
    form: Any = close_form(held)(day=_asked_day(today))
    form.day.limit(today)
    closed = form.accept(
        lambda: closings.close(actor, now, form.request_uuid, code, form.day.data, form.left(), form.printed())
    )
    if closed is not None:
        differ = any(item.exceptions for item in closed.items)
        said = (
            gettext("The day is closed. There are differences: somebody else looks into them.")
            if differ
            else gettext("The day is closed, and everything agrees with the book.")
        )
        flash(said, "info" if differ else "success")
        return redirect(url_for("closings.show", code=code, day=closed.day), 303)
    rows = [
        (item, form[left_name(item.code)], form[printed_name(item.code)] if item.is_blank else None) for item in held
    ]
    return render_template("closings/new.html", office=office, form=form, rows=rows), form.status


@blueprint.get("/offices/<code:code>/closings/<day:day>")
@security.needs(Action.VIEW_STOCK)
def show(code: str, day: date) -> Any:
    actor = security.current_actor()
    found = closings.get(actor, security.now(), code, day)
    own = found.closed_by_id == actor.person_id
    return render_template("closings/show.html", office=found.office, closing=found, names=item_names(), own=own)


@blueprint.route("/offices/<code:code>/closings/<day:day>/reopen", methods=["GET", "POST"])
@security.needs(Action.APPROVE)
def reopen(code: str, day: date) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.APPROVE, code)
    form: Any = ReasonForm()
    done = form.accept(lambda: closings.reopen(actor, now, code, day, form.reason.data) or True)
    if done:
        flash(gettext("The day is open again, and can be closed anew."), "success")
        return redirect(url_for("closings.index", code=code), 303)
    return render_template("closings/reopen.html", office=office, day_asked=day, form=form), form.status


@blueprint.route(f"{EXCEPTION}/clear", methods=["GET", "POST"])
@security.needs(Action.APPROVE)
def clear(exception_id: int) -> Any:
    actor, now = security.current_actor(), security.now()
    found = closings.exception(actor, exception_id, Action.APPROVE)
    form: Any = ReasonForm()
    cleared = form.accept(lambda: closings.clear(actor, now, form.request_uuid, exception_id, form.reason.data))
    if cleared is not None:
        flash(gettext("The difference is cleared."), "success")
        return redirect(url_for("closings.show", code=found.office_code, day=found.day), 303)
    office = offices.get(actor, Action.APPROVE, found.office_code)
    page = "closings/clear.html"
    return render_template(page, office=office, exception=found, form=form, names=item_names()), form.status


def _asked_day(today: date) -> date:
    """The day that the address names, or today."""
    try:
        return day_from(request.args.get("day", ""))
    except ValueError:
        return today
