"""People: their accounts and roles."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from wtforms import EmailField, HiddenField, PasswordField, SelectField
from wtforms.validators import AnyOf, InputRequired, Length

from inventory import security, text
from inventory.domain.access import Action, Role
from inventory.security.lockout import account_key
from inventory.services import factors, lockout, people
from inventory.services.people import PersonView
from inventory.web.forms import BaseForm, WordsField, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("people", __name__, url_prefix="/people")


class PersonForm(BaseForm):
    REFUSED_FIELDS = {
        "email_taken": "email",
        "email_format": "email",
        "name_missing": "full_name",
        "passphrase_too_short": "password",
        "passphrase_too_long": "password",
        "passphrase_common": "password",
        "passphrase_known": "password",
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
        [InputRequired(), Length(max=512)],
        description=_("At least 15 characters, such as a sentence; the person changes it after logging in."),
        render_kw={"autocomplete": "new-password"},
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role.choices = choices(text.ROLES)


class PasswordForm(BaseForm):
    REFUSED_FIELDS = {
        "passphrase_too_short": "password",
        "passphrase_too_long": "password",
        "passphrase_common": "password",
        "passphrase_known": "password",
    }

    password = PasswordField(
        _("New first password"),
        [InputRequired(), Length(max=512)],
        description=_("At least 15 characters, such as a sentence; the person changes it after logging in."),
        render_kw={"autocomplete": "new-password"},
    )


class ActiveForm(BaseForm):
    active = HiddenField(validators=[AnyOf(["0", "1"])])


@blueprint.get("")
@security.needs(Action.MANAGE_PEOPLE)
def index() -> Any:
    actor, words = security.current_actor(), request.args.get("q", "").strip()
    found = people.find(actor, words, request.args.get("page", 1, type=int))
    locks = lockout.locked(actor, security.now(), {person.id: account_key(person.email) for person in found.people})
    return render_template("people/index.html", found=found, words=words, most=people.WORDS_LENGTH, locks=locks)


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
        people.get(security.current_actor(), person_id)
        return redirect(url_for("people.index"), 303)
    person = people.set_active(security.current_actor(), security.now(), person_id, form.active.data == "1")
    if person.active:
        flash(gettext("%(name)s may log in again.", name=person.full_name), "success")
    else:
        flash(gettext("%(name)s is shut out and logged out everywhere.", name=person.full_name), "success")
    return redirect(url_for("people.index"), 303)


@blueprint.route("/<int(max=2147483647):person_id>/second-factor", methods=["GET", "POST"])
@security.needs(Action.MANAGE_PEOPLE)
def second_factor(person_id: int) -> Any:
    """Take the second factors from somebody who has lost them."""
    form, actor = BaseForm(), security.current_actor()
    person, found = people.get(actor, person_id), factors.of_managed(actor, person_id)
    taken = form.accept(lambda: factors.take_away(actor, security.now(), person_id) or person)
    if taken is None:
        return render_template("people/second_factor.html", form=form, person=person, found=found), form.status
    sentence = gettext("%(name)s has no second factor any more and is logged out everywhere.", name=taken.full_name)
    flash(sentence, "success")
    return redirect(url_for("people.index"), 303)


@blueprint.route("/<int(max=2147483647):person_id>/password", methods=["GET", "POST"])
@security.needs(Action.MANAGE_PEOPLE)
def password(person_id: int) -> Any:
    """Give a new first password to somebody who has forgotten theirs."""
    form, actor = PasswordForm(), security.current_actor()
    person = people.wholly_managed(actor, person_id)
    if person.id == actor.person_id:
        return redirect(url_for("account.index"), 303)
    known = [person.full_name, person.email, *(code for _role, code, _name in person.roles)]
    given = form.accept(
        lambda: people.set_password(actor, security.now(), person_id, security.hashed(form.password.data or "", known))
    )
    if given is None:
        return render_template("people/password.html", form=form, person=person), form.status
    flash(gettext("%(name)s has a new first password and is logged out everywhere.", name=given.full_name), "success")
    return redirect(url_for("people.index"), 303)


@blueprint.post("/<int(max=2147483647):person_id>/log-out")
@security.needs(Action.MANAGE_PEOPLE)
def log_out(person_id: int) -> Any:
    count = people.log_out(security.current_actor(), security.now(), person_id)
    flash(ngettext("%(num)d session has ended.", "%(num)d sessions have ended.", count), "success")
    return redirect(url_for("people.index"), 303)


@blueprint.post("/<int(max=2147483647):person_id>/unlock")
@security.needs(Action.MANAGE_PEOPLE)
def unlock(person_id: int) -> Any:
    actor = security.current_actor()
    person = people.get(actor, person_id)
    lockout.lift(actor, security.now(), person_id, account_key(person.email))
    flash(gettext("%(name)s can try again from any device.", name=person.full_name), "success")
    return redirect(url_for("people.index"), 303)


def _add(form: PersonForm) -> PersonView:
    known = [form.full_name.data or "", form.email.data or "", form.office.data or ""]
    return people.add(
        security.current_actor(),
        security.now(),
        email=security.normalised_email(form.email.data or ""),
        full_name=form.full_name.data or "",
        role=Role(form.role.data),
        office_code=form.office.data or "",
        password_hash=security.hashed(form.password.data or "", known),
    )
