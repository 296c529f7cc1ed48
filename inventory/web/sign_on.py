"""Single sign-on: to the provider, and back from it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, request
from werkzeug.exceptions import NotFound

from inventory import security
from inventory.domain.errors import NotAllowed
from inventory.security import record, sign_on
from inventory.security.origin import visitor
from inventory.services.sign_on import person_for
from inventory.web.language import own_path

blueprint = Blueprint("sign_on", __name__, url_prefix="/sign-on")


@blueprint.before_request
def _where_there_is_a_provider() -> None:
    if not current_app.config["SETTINGS"].OIDC_ISSUER:
        raise NotFound


@blueprint.get("")
@security.public
def start() -> Any:
    return sign_on.start(own_path(request.args.get("next", "")))


@blueprint.get("/back")
@security.public
def back() -> Any:
    try:
        told = sign_on.finish()
        arrived = person_for(security.now(), told, visitor())
    except NotAllowed as refusal:
        record.log_in_refused(None, refusal.code, how="oidc")
        raise
    return sign_on.enter(arrived, told)
