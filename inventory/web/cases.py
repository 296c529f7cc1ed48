"""What people do with an alert: seen, given to somebody, put off, commented, resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask_babel import gettext

from inventory import security
from inventory.domain.access import Action
from inventory.domain.alerts import Level
from inventory.domain.cases import Done
from inventory.services import alerts, cases
from inventory.web.alerts import page
from inventory.web.case_forms import form_of

blueprint = Blueprint("cases", __name__, url_prefix="/alerts/<int(max=2147483647):alert_id>")


@blueprint.post("/seen")
@security.needs(Action.ACT_ON_ALERT)
def seen(alert_id: int) -> Any:
    actor, now = security.current_actor(), security.now()

    def work(form: Any) -> None:
        cases.acknowledge(actor, now, form.request_uuid, [alert_id])

    return _answer("seen", alert_id, work, gettext("Marked as seen."))


@blueprint.post("/owner")
@security.needs(Action.ACT_ON_ALERT)
def owner(alert_id: int) -> Any:
    actor, now = security.current_actor(), security.now()

    def work(form: Any) -> None:
        person_id = int(form.person.data) if form.person.data else None
        cases.assign(actor, now, form.request_uuid, alert_id, person_id)

    return _answer("owner", alert_id, work, gettext("It is written down who takes charge."))


@blueprint.post("/snooze")
@security.needs(Action.ACT_ON_ALERT)
def snooze(alert_id: int) -> Any:
    actor, now = security.current_actor(), security.now()

    def work(form: Any) -> None:
        level = Level(form.level.data) if form.level.data else None
        cases.snooze(actor, now, form.request_uuid, alert_id, form.until.data, level)

    return _answer("snooze", alert_id, work, gettext("Put off. The alert keeps its history meanwhile."))


@blueprint.post("/comment")
@security.needs(Action.ACT_ON_ALERT)
def comment(alert_id: int) -> Any:
    actor, now = security.current_actor(), security.now()

    def work(form: Any) -> None:
        cases.comment(actor, now, form.request_uuid, alert_id, form.remark.data or "")

    return _answer("comment", alert_id, work, gettext("The comment is in the history."))


@blueprint.post("/resolve")
@security.needs(Action.ACT_ON_ALERT)
def resolve(alert_id: int) -> Any:
    actor, now = security.current_actor(), security.now()

    def work(form: Any) -> None:
        cases.resolve(actor, now, form.request_uuid, alert_id, Done(form.done.data), form.words.data or "")

    return _answer("resolve", alert_id, work, gettext("Resolved. If it is no better, the next review opens it again."))


def _answer(name: str, alert_id: int, work: Callable[[Any], None], said: str) -> Any:
    """Do what the form asks and go back to the alert, or show its page with the form again."""
    actor = security.current_actor()
    form = form_of(name, actor, alerts.get(actor, alert_id).alert, sent=True)

    def done() -> bool:
        work(form)
        return True

    if form.accept(done):
        flash(said, "success")
        return redirect(url_for("alerts.show", alert_id=alert_id), 303)
    return page(alert_id, form)
