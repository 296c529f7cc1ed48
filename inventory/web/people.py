"""People: their accounts and roles."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import EmailField, HiddenField, PasswordField, SelectField
from wtforms.validators import AnyOf, InputRequired, Length

from inventory import security, text
from inventory.domain.access import Action, Role
from inventory.services import people
from inventory.services.people import PersonView
from inventory.web.forms import BaseForm, WordsField, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("people", __name__, url_prefix="/people")


class PersonForm(BaseForm):
    REFUSED_FIELDS = {
        "email_taken": "email",
        "email_format": "email",
        "name_missing": "full_name",
        "password_too_short": "password",
        "office_not_found": "office",
        "not_allowed": "office",
    }

    full_name = WordsField(_("Full name"), required=True, render_kw={"autofocus": True, "autocomplete": "off"})
    email = EmailField(_("E-mail address"), [InputRequired(), Length(max=255)], render_kw={"autocomplete": "off"})
    role = SelectField(_("Role"), choices=[])
    office = WordsField(
        _("Office code"),
        most=40,
        required=True,
        description=_("Such as 51.71. Managers, viewers and administrators also reach the offices below."),
    )
    password = PasswordField(
        _("First password"),
        [InputRequired(), Length(max=128)],
        description=_("At least 12 characters; the person changes it after logging in."),
        render_kw={"autocomplete": "new-password"},
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role.choices = choices(text.ROLES)


class ActiveForm(BaseForm):
    active = HiddenField(validators=[AnyOf(["0", "1"])])


@blueprint.get("")
@security.needs(Action.MANAGE_PEOPLE)
def index() -> Any:
    found = people.in_reach(security.current_actor())
    return render_template("people/index.html", people=found)


@blueprint.route("/new", methods=["GET", "POST"])
@security.needs(Action.MANAGE_PEOPLE)
def add() -> Any:
    form = PersonForm(office=request.args.get("office"))
    person = form.accept(lambda: _add(form))
    if person is not None:
        flash(gettext("%(name)s can log in now.", name=person.full_name), "success")
        return redirect(url_for("people.index"), 303)
    return render_template("people/new.html", form=form), form.status


@blueprint.post("/<int(max=2147483647):person_id>/active")
@security.needs(Action.MANAGE_PEOPLE)
def set_active(person_id: int) -> Any:
    form = ActiveForm()
    if not form.validate():
        return redirect(url_for("people.index"), 303)
    person = people.set_active(security.current_actor(), person_id, form.active.data == "1")
    if person.active:
        flash(gettext("%(name)s may log in again.", name=person.full_name), "success")
    else:
        flash(gettext("%(name)s is shut out and logged out everywhere.", name=person.full_name), "success")
    return redirect(url_for("people.index"), 303)


def _add(form: PersonForm) -> PersonView:
    return people.add(
        security.current_actor(),
        security.now(),
        email=security.normalised_email(form.email.data or ""),
        full_name=form.full_name.data or "",
        role=Role(form.role.data),
        office_code=form.office.data or "",
        password_hash=security.hashed(form.password.data or ""),
    )
