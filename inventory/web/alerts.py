"""The managers' desk, which lists all that needs a decision, and one alert explained."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from wtforms import BooleanField, SelectField

from inventory import security, text
from inventory.domain.access import Action
from inventory.domain.alerts import Level, Subject
from inventory.domain.briefs import what_there_is
from inventory.services import alerts, backtests, cases, desk
from inventory.services import briefs as case_briefs
from inventory.services.alerts import AlertView
from inventory.services.desk import Desk, Entry, Filter
from inventory.web import briefs, pictures
from inventory.web.case_forms import forms_for
from inventory.web.forms import FewOptions, PostingForm, QueryForm, WordsField, choices, item_names
from inventory.web.forms import lazy as _
from inventory.web.projections import reading_aids

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts")

WORST_FIRST = [level.value for level in reversed(Level) if level is not Level.OK]
MATTERS = {
    "proposal": _("Approval"),
    "stocktake": _("Stocktake to approve"),
    "request": _("Request for a delivery"),
    "draft": _("Draft to send"),
    "arrival": _("Transfer to count"),
}
OWNERS = {"": _("Anybody's"), "mine": _("Mine"), "nobody": _("Nobody's")}


@text.once_a_language
def _levels() -> dict[str, str]:
    return {name: str(said) for name, said in ({"": gettext("All levels")} | text.LEVELS).items()}


@text.once_a_language
def _everything() -> dict[str, str]:
    return {name: str(said) for name, said in ({"": gettext("Everything")} | text.SUBJECTS | MATTERS).items()}


class FilterForm(QueryForm):
    """An unknown level, item or office does not pass for "nothing to decide": it is said."""

    REFUSED_FIELDS = {"office_not_found": "office", "not_allowed": "office", "item_not_found": "item"}

    office = WordsField(_("Code of an office, with those below it"), most=40)
    level = SelectField(_("Level"), choices=[], default="", widget=FewOptions())
    item = SelectField(_("Item"), choices=[], default="")
    about = SelectField(_("What"), choices=[], default="", widget=FewOptions())
    owner = SelectField(_("Whose"), choices=[], default="")
    snoozed = BooleanField(_("With those put off"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.level.choices = choices(_levels(), ["", *WORST_FIRST])
        self.item.choices = choices({"": gettext("All items")} | item_names())
        self.about.choices = choices(_everything())
        people = {str(each.id): each.name for each in desk.owners(security.current_actor())}
        self.owner.choices = choices(OWNERS | people)

    def narrowed(self) -> Filter:
        owner = self.owner.data or ""
        return Filter(
            office_code=self.office.data or None,
            item_code=self.item.data or None,
            level=self.level.data or None,
            about=self.about.data or None,
            owner=int(owner) if owner.isascii() and owner.isdigit() else owner or None,
            snoozed=bool(self.snoozed.data),
        )

    @property
    def chosen(self) -> dict[str, str]:
        """What the address of the list carries on, to its pages and back from what was done there."""
        return {field.name: request.args[field.name] for field in self if request.args.get(field.name)}


class SeenForm(PostingForm):
    """Which of the listed alerts are seen: those that are ticked, or all that the page shows."""

    @property
    def alert_ids(self) -> list[int]:
        name = "shown" if request.form.get("which") == "page" else "alert"
        sent = request.form.getlist(name)
        return [int(each) for each in sent if re.fullmatch(r"[0-9]{1,9}", each, re.ASCII)]


@blueprint.get("")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    form = FilterForm()
    found = form.read(lambda: _desk(form))
    return _list(form, found, SeenForm(formdata=None)), form.status


@blueprint.post("/seen")
@security.needs(Action.ACT_ON_ALERT)
def mark_seen() -> Any:
    """Acknowledge several alerts at once, and come back to the same page of the same list."""
    actor, now = security.current_actor(), security.now()
    form, seen = FilterForm(), SeenForm()
    count = seen.accept(lambda: cases.acknowledge(actor, now, seen.request_uuid, seen.alert_ids))
    if count is not None:
        flash(ngettext("%(num)s alert is marked as seen.", "%(num)s alerts are marked as seen.", count), "success")
        kept: dict[str, Any] = form.chosen | {"page": _page()}
        return redirect(url_for("alerts.index", **kept), 303)
    return _list(form, form.read(lambda: _desk(form)), seen), seen.status


@blueprint.get("/<int(max=2147483647):alert_id>")
@security.needs(Action.VIEW_ALERT)
def show(alert_id: int) -> Any:
    return page(alert_id)


def page(alert_id: int, refused: Any = None) -> Any:
    """The page of an alert; `refused` is one of its forms that was sent and not accepted."""
    actor = security.current_actor()
    detail = alerts.get(actor, alert_id)
    about_stock = detail.alert.subject is Subject.LOW_STOCK
    tried = backtests.of_stock(actor, detail.alert.office_code, detail.alert.item_code or "") if about_stock else None
    shown = render_template(
        "alerts/show.html" if about_stock else "alerts/custody.html",
        alert=detail.alert,
        events=detail.events,
        facts=detail.alert.facts,
        tried=tried,
        case=forms_for(actor, detail, refused),
        refused=refused,
        **_brief(detail.alert),
        **reading_aids(),
    )
    return shown, refused.status if refused is not None else 200


def address(entry: Entry) -> str:
    """The page on which an entry is decided."""
    if entry.about == "proposal":
        return url_for("proposals.show", proposal_id=entry.id)
    if entry.about == "stocktake":
        return url_for("stocktakes.approve", stocktake_id=entry.id)
    if entry.about == "request":
        return url_for("requests.allot", delivery_request_id=entry.id)
    if entry.about == "draft":
        return url_for("transfers.dispatch", code=entry.office_code, draft=entry.id)
    if entry.about == "arrival":
        return url_for("transfers.receive", transfer_id=entry.id)
    return url_for("alerts.show", alert_id=entry.id)


def sentence(entry: Entry) -> str:
    """What a case says first."""
    return briefs.in_words([what_there_is(Subject(entry.about), entry.facts)])[0]


def _brief(alert: AlertView) -> dict[str, Any]:
    """The three sentences, the picture and the next steps, for the page of a case."""
    told = case_briefs.of_alert(security.current_actor(), security.now(), alert)
    stock = told.stock
    return {
        "sentences": briefs.in_words(told.sentences),
        "picture": pictures.outlook(stock.past, stock.facts, stock.expected) if stock else None,
        "drawn": stock.facts if stock else {},
        "steps": told.steps,
    }


def _desk(form: FilterForm) -> Desk:
    return desk.of_actor(security.current_actor(), security.now(), form.narrowed(), _page())


def _page() -> int:
    asked = request.args.get("page", "")
    return int(asked) if re.fullmatch(r"[0-9]{1,6}", asked, re.ASCII) else 1


def _list(form: FilterForm, found: Desk | None, seen: SeenForm) -> str:
    return render_template(
        "alerts/index.html",
        form=form,
        desk=found,
        seen=seen,
        ticked=set(seen.alert_ids) if seen.is_submitted() else set(),
        address=address,
        sentence=sentence,
        MATTERS=MATTERS,
        **reading_aids(),
    )
