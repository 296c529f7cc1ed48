"""Runs of the scheduled jobs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask_babel import lazy_gettext as _

from inventory import security
from inventory.domain.access import Action
from inventory.services import runs

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

JOBS = {
    "low-stock review": _("Low-stock review"),
    "low-stock review by hand": _("Low-stock review by hand"),
}
STATUSES = {"running": _("Running"), "done": _("Done"), "failed": _("Failed")}
COUNTS = {"stocks": _("stocks reviewed"), "changed": _("levels changed")}


@blueprint.get("")
@security.needs(Action.VIEW_JOBS)
def index() -> Any:
    found = runs.latest(security.current_actor())
    return render_template("jobs/index.html", runs=found, jobs=JOBS, statuses=STATUSES, counts=COUNTS)
