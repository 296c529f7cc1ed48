"""One's own log-ins: where one is logged in, and ending that."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext, ngettext

from inventory import security
from inventory.domain.access import Action
from inventory.security import sessions as here
from inventory.services import sessions

blueprint = Blueprint("log_ins", __name__, url_prefix="/account/sessions")


@blueprint.get("")
@security.needs(Action.SIGN_OUT)
def index() -> Any:
    found = sessions.mine(security.current_actor(), security.now(), here.limits())
    settings = here.limits()
    return render_template("log_ins/index.html", sessions=found, this=here.current_id(), limits=settings)


@blueprint.post("/<int(max=2147483647):session_id>/end")
@security.needs(Action.SIGN_OUT)
def end(session_id: int) -> Any:
    sessions.end(security.current_actor(), security.now(), session_id)
    flash(gettext("That session has ended."), "success")
    return redirect(url_for("log_ins.index"), 303)


@blueprint.post("/end-others")
@security.needs(Action.SIGN_OUT)
def end_others() -> Any:
    count = sessions.end_others(security.current_actor(), security.now(), here.current_key())
    flash(ngettext("%(num)d other session has ended.", "%(num)d other sessions have ended.", count), "success")
    return redirect(url_for("log_ins.index"), 303)
