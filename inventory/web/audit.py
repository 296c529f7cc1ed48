"""The audit: who did what, from where and when; for those who answer for an office, and each for their own account."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, current_app, render_template, request
from wtforms import SelectField

from inventory import security
from inventory.domain.access import Action
from inventory.domain.audit import Event
from inventory.domain.offices import local_moment
from inventory.services import audit_trail
from inventory.services.audit_trail import WORDS_LENGTH, Asked, Page
from inventory.web import audit_words
from inventory.web.forms import DayField, QueryForm, WordsField, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

LAST_ID = 2**63 - 1
LAST_DAY = date.max - timedelta(days=1)
"""The last one that has a day after it."""


class AuditForm(QueryForm):
    REFUSED_FIELDS = {"office_not_found": "office", "not_allowed": "office", "period_backwards": "until"}

    person = WordsField(_("Person"), most=WORDS_LENGTH, description=_("Part of a name, or an e-mail address."))
    event = SelectField(_("What happened"), choices=[])
    office = WordsField(_("Office code"), most=40, description=_("This office and those below it."))
    since = DayField(_("From"), required=False, name="from")
    until = DayField(_("To"), required=False, name="to")
    words = WordsField(_("About"), most=WORDS_LENGTH, description=_("Part of a number, a name or a page."))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event.choices = choices({"": _("Everything"), **audit_words.EVENTS})

    @property
    def asked(self) -> Asked:
        return Asked(
            person=self.person.data or "",
            event=Event(self.event.data) if self.event.data else None,
            office_code=self.office.data or None,
            since=_midnight(self.since.data) if self.since.data else None,
            until=_midnight(min(self.until.data, LAST_DAY) + timedelta(days=1)) if self.until.data else None,
            words=self.words.data or "",
        )


@blueprint.get("")
@security.needs(Action.VIEW_AUDIT)
def index() -> Any:
    """The newest entries within reach; of these the ones that are asked for."""
    form, actor, before = AuditForm(), security.current_actor(), _before()
    sent = "event" in request.args
    found = form.read(lambda: audit_trail.find(actor, form.asked, before)) if sent else _newest(actor, before)
    status = form.status if sent else 200
    shown = {name: value for name, value in request.args.items() if name != "before"}
    return render_template("audit/index.html", form=form, sent=sent, found=found, shown=shown, **_words()), status


@blueprint.get("/mine")
@security.needs(Action.VIEW_OFFICE)
def mine() -> Any:
    """What was done under one's own name, and to one's own account."""
    found = audit_trail.mine(security.current_actor(), _before())
    return render_template("audit/mine.html", found=found, shown={}, **_words())


def _newest(actor: Any, before: int | None) -> Page:
    return audit_trail.find(actor, Asked(), before)


def _before() -> int | None:
    given = request.args.get("before", type=int)
    return given if given is not None and 0 < given <= LAST_ID else None


def _midnight(day: date) -> datetime:
    return local_moment(day, time(), current_app.config["SETTINGS"].TIME_ZONE)


def _words() -> dict[str, Any]:
    words = audit_words
    return {"events": words.EVENTS, "sentence": words.sentence, "details": words.details, "ways": words.WAYS}
