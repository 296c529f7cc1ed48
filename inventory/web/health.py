"""For load balancers and supervisors: whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app

from inventory import security
from inventory.services import health

blueprint = Blueprint("health", __name__)

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.get("/healthz")
@security.public
def alive() -> Any:
    return "ok\n", PLAIN


@blueprint.get("/readyz")
@security.public
def ready() -> Any:
    state = health.database_state(current_app.extensions["migrate"].directory)
    return f"{state}\n", 200 if state == "ready" else 503, PLAIN
