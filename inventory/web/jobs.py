"""Runs of the scheduled jobs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, render_template
from flask_babel import lazy_gettext as _

from inventory import security, text
from inventory.domain.access import Action
from inventory.services import runs, seals, watchers
from inventory.services import verification as services_verification

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

STATUSES = {"running": _("Running"), "done": _("Done"), "failed": _("Failed")}
COUNTS = {
    "stocks": _("stocks reviewed"),
    "changed": _("levels changed"),
    "custody": _("left undone"),
    "movements": _("movements"),
    "balances": _("balances"),
    "seals": _("seals"),
    "faults": _("faults"),
    "tried": _("stocks tried"),
    "windows": _("past windows"),
    "worse": _("take the average"),
}
"""What is shown of a run's counts; the rest is on pages of its own."""


@blueprint.get("")
@security.needs(Action.VIEW_JOBS)
def index() -> Any:
    actor = security.current_actor()
    found = runs.latest(actor)
    state = watchers.overview(actor, security.now(), current_app.extensions["jobs"], current_app.extensions["chores"])
    return render_template("jobs/index.html", runs=found, state=state, jobs=text.JOBS, statuses=STATUSES, counts=COUNTS)


@blueprint.get("/verification")
@security.needs(Action.VIEW_JOBS)
def verification() -> Any:
    last, good = services_verification.last_runs(security.current_actor())
    return render_template(
        "jobs/verification.html", last=last, good=good, head=seals.head(), up_to=seals.sealed_up_to()
    )
