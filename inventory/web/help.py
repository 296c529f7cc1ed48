"""Help: the first steps of one's roles, and where the numbers come from."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, abort, current_app, render_template, url_for

from inventory import security, text
from inventory.domain.access import Action, Role
from inventory.services import first_steps
from inventory.services.first_steps import Guide
from inventory.web.explanations import EXPLANATIONS, GUIDES, NAMES, STEPS

blueprint = Blueprint("help", __name__)

WAYS = {
    "opening": "deliveries.record_opening",
    "consumption": "consumption.record_consumption",
    "closing": "closings.close",
    "stocktake": "stocktakes.begin",
    "outreach": "outreach.plan",
    "look": "offices.roll_up",
    "run_outs": "run_outs.show",
    "settings": "offices.settings",
}
"""The page on which a step is taken, at the role's office."""
WAYS_ANYWHERE = {
    "channel": "messages.index",
    "case": "alerts.index",
    "people": "people.index",
    "events": "events.index",
}


@blueprint.record_once
def _tell_templates(state: Any) -> None:
    app: Flask = state.app
    app.jinja_env.globals.update(
        EXPLANATIONS=EXPLANATIONS,
        NUMBERS=text.FIGURES | NAMES,
        GUIDES=GUIDES,
        STEPS=STEPS,
        way_of=way_of,
        open_guides=open_guides,
    )


@blueprint.get("/help")
@security.needs(Action.SIGN_OUT)
def index() -> Any:
    return render_template("help/index.html", guides=first_steps.guides(security.current_actor()))


@blueprint.get("/styleguide")
@security.public
def styleguide() -> Any:
    """The tokens and components of the pages, for who builds them; not in production."""
    if current_app.config["SETTINGS"].production:
        abort(404)
    return render_template("help/styleguide.html")


def open_guides(*roles: str) -> list[Guide]:
    """For templates: the guides of the reader that are not finished; of these roles only, when any are named."""
    wanted = {Role(role) for role in roles} or set(Role)
    return [guide for guide in first_steps.guides(security.current_actor(), wanted) if not guide.finished]


def way_of(step: str, office_code: str) -> str:
    """The address of the page on which a step is taken."""
    if step in WAYS:
        return url_for(WAYS[step], code=office_code)
    return url_for(WAYS_ANYWHERE[step])
