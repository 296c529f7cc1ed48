"""The banner over the pages that the review feeds, when the review is late."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, g, request
from flask_security import current_user

from inventory import security
from inventory.domain.access import Action, may_somewhere
from inventory.services import reviews, watchers
from inventory.services.watchers import Late

blueprint = Blueprint("watchers", __name__)

PAGES = ("alerts.", "run_outs.", "offices.show", "offices.roll_up")
"""Beginnings of the endpoints whose pages show what the review found; home leads to one of them."""


@blueprint.app_context_processor
def _banner() -> dict[str, Any]:
    return {"late_review": late_review}


def late_review() -> tuple[Late, float | None] | None:
    """Whether the review is late, and how many hours ago it was done, for those who may see alerts, on the pages that
    it feeds. It is asked of the runs with each page: no process has to live for it but the one that answers."""
    if not (request.endpoint or "").startswith(PAGES) or not current_user.is_authenticated:
        return None
    if not may_somewhere(security.current_actor(), Action.VIEW_ALERT):
        return None
    if "late_review" not in g:
        g.late_review = _late_review()
    return g.late_review


def _late_review() -> tuple[Late, float | None] | None:
    job = next((job for job in current_app.extensions["jobs"] if job.name == reviews.REVIEW), None)
    late = watchers.late(security.now(), job) if job else None
    if late is None:
        return None
    return late, (security.now() - late.good_at).total_seconds() / 3600 if late.good_at else None
