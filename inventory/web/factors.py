"""Second factors asked for: when somebody logs in, and when it has to be known that they are still there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Flask, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from flask_security import current_user
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import Length

from inventory import security
from inventory.adapters import passkeys as signatures
from inventory.domain.access import Actor
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.factors import FEW_CODES
from inventory.domain.passphrases import LONGEST
from inventory.security import factors as edge
from inventory.security import passwords, record
from inventory.security.lockout import device_key
from inventory.services import factors, passkeys
from inventory.web.forms import BaseForm
from inventory.web.forms import lazy as _
from inventory.web.language import own_path

blueprint = Blueprint("factors", __name__)

CARRIED_APART = "confirm"
"""What the names of the confirming form's own fields begin with: none that it carries for another form does."""
MOST_CARRIED = 500
TRIES_MANY = ("factor_tries_many", "passphrase_tries_many")


class FactorForm(BaseForm):
    """A second factor, one of three."""

    REFUSED_FIELDS = {"code_wrong": "code", "factor_tries_many": "code"}

    code = StringField(
        _("Code from your app"),
        [Length(max=60)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True, "maxlength": 40},
    )
    recovery = StringField(
        _("Recovery code"),
        [Length(max=60)],
        description=_("One of the ten that you were shown once. It works once."),
        render_kw={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false", "maxlength": 40},
    )
    passkey = HiddenField(validators=[Length(max=signatures.LONGEST_ANSWER)])

    @property
    def typed(self) -> str:
        return self.recovery.data or self.code.data or ""

    @property
    def status(self) -> int:
        return 429 if self.refusal is not None and self.refusal.code in TRIES_MANY else super().status


class ConfirmForm(FactorForm):
    """The same, or the passphrase of somebody without a second factor; and where to go on."""

    REFUSED_FIELDS = {
        **FactorForm.REFUSED_FIELDS,
        "passphrase_wrong": "passphrase",
        "passphrase_tries_many": "passphrase",
    }

    passphrase = PasswordField(_("Password"), [Length(max=4 * LONGEST)], render_kw={"autocomplete": "current-password"})
    next = HiddenField()
    resend = HiddenField()


class PasskeyForm(BaseForm):
    passkey = HiddenField(validators=[Length(max=signatures.LONGEST_ANSWER)])


@blueprint.record_once
def _register(state: Any) -> None:
    app: Flask = state.app
    app.register_error_handler(edge.NotFresh, _ask_first)
    app.jinja_env.globals["FEW_CODES"] = FEW_CODES


# --- logging in --------------------------------------------------------------------------------------------------


@blueprint.route("/login/second-factor", methods=["GET", "POST"])
@security.public
def enter() -> Any:
    """After a right passphrase: a code, a recovery code or a passkey."""
    person = edge.entering()
    if person is None:
        return redirect(url_for("security.login", **_next()), 303)
    form = FactorForm()
    way = form.accept(lambda: _taken(form, edge.actor_of(person), "log_in"))
    if way is None:
        found = factors.of_person(person.id)
        return _answer(form, "factors/enter.html", found=found, next_page=request.args.get("next", ""))
    edge.enter(person, way)
    _warn_of_few(person.id, way)
    return redirect(own_path(request.args.get("next", "")), 303)


@blueprint.post("/login/second-factor/passkey")
@security.public
def enter_options() -> Any:
    """What a browser asks the passkey of somebody whose passphrase was right."""
    person = edge.entering()
    if person is None:
        return jsonify(state="over"), 409
    return _options("log_in", person.id)


@blueprint.post("/login/passkey/options")
@security.public
def log_in_options() -> Any:
    """What a browser asks any passkey of this site's that it finds: no account is named, so none is told of."""
    challenge = edge.new_challenge("log-in")
    return jsonify(signatures.ask_for_signature(edge.site(), challenge, [], verified=True))


@blueprint.post("/login/passkey")
@security.public
def log_in() -> Any:
    """Log in by a passkey alone: what one has, and the device made sure by finger or PIN who has it."""
    form = PasskeyForm()
    owner = form.accept(lambda: _owner(form))
    if owner is None:
        reason = form.refusal.code if form.refusal else "not_sent_whole"
        record.log_in_refused(None, reason, how="passkey")
        sentence = form.refusal_sentence or gettext("The page was not sent whole. Try again.")
        flash(sentence, "error")
        return redirect(url_for("security.login", **_next()), 303)
    edge.complete(edge.by_id(owner), "passkey")
    return redirect(own_path(request.args.get("next", "")), 303)


def _owner(form: PasskeyForm) -> int:
    challenge, _handle = edge.take_challenge("log-in")
    answer = form.passkey.data or ""
    return passkeys.check(security.now(), edge.site(), challenge, answer, of=None, verified=True)


# --- who is still there ------------------------------------------------------------------------------------------


@blueprint.route("/confirm", methods=["GET", "POST"])
@security.logged_in
def confirm() -> Any:
    """Who is there? What was sent before the question is sent on to where it was going."""
    form = ConfirmForm(prefix=CARRIED_APART)
    if request.method == "GET":
        form.next.data = own_path(request.args.get("next", ""))
    target = own_path(form.next.data or "")
    carried = _carried(request.form.items(multi=True)) if form.resend.data else []
    if not carried:
        form.resend.data = ""
    person: Any = current_user
    way = form.accept(lambda: _confirmed(form, person))
    if way is None:
        return _question(form, target, carried)
    edge.confirmed(second=way != "passphrase")
    _warn_of_few(person.id, way)
    if form.resend.data and edge.takes_post(target):
        return redirect(target, 307)
    return redirect(target, 303)


@blueprint.post("/confirm/passkey")
@security.logged_in
def confirm_options() -> Any:
    person: Any = current_user
    return _options("confirm", person.id)


def _confirmed(form: ConfirmForm, person: Any) -> str:
    if factors.has_any(person.id):
        return _taken(form, security.current_actor(), "confirm")
    if not passwords.is_own(security.current_actor(), form.passphrase.data or "", security.now()):
        raise Invalid("passphrase_wrong")
    return "passphrase"


def _ask_first(_error: edge.NotFresh) -> Any:
    """The question in the place of the answer. A form that was sent is carried along; files cannot be."""
    here = request.full_path.removesuffix("?")
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("factors.confirm", next=here), 303)
    form = ConfirmForm(formdata=None, prefix=CARRIED_APART)
    form.next.data, form.resend.data = here, "1"
    files = any(file.filename for file in request.files.values())
    carried = [] if files else _carried(request.form.items(multi=True))
    form.resend.data = "1" if carried else ""
    page, _status = _question(form, here, carried, files=files, lost=not carried)[:2]
    return page, 403


def _carried(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of another form, all or none: what went on without some of them would be another entry."""
    found = [(name, value) for name, value in fields if not name.startswith(f"{CARRIED_APART}-")]
    return found if len(found) <= MOST_CARRIED else []


def _question(form: ConfirmForm, target: str, carried: Any, *, files: bool = False, lost: bool = False) -> Any:
    person: Any = current_user
    form.next.data = target
    found = factors.of_person(person.id)
    return _answer(form, "factors/confirm.html", found=found, carried=carried, files=files, lost=lost)


# --- both --------------------------------------------------------------------------------------------------------


def _taken(form: FactorForm, actor: Actor, purpose: str) -> str:
    """Take the second factor that was given: `passkey`, `code` or `recovery`."""
    if not form.passkey.data:
        return factors.check(actor, security.now(), edge.key(), form.typed, purpose, device_key=device_key())
    challenge, _handle = edge.take_challenge(purpose)
    passkeys.check(security.now(), edge.site(), challenge, form.passkey.data, of=actor, verified=False, action=purpose)
    return "passkey"


def _options(purpose: str, person_id: int) -> Any:
    challenge, known = edge.new_challenge(purpose), passkeys.of_person(person_id)
    return jsonify(signatures.ask_for_signature(edge.site(), challenge, known, verified=False))


def _answer(form: FactorForm, template: str, **values: Any) -> Any:
    """The page with the form, empty of codes: one that was wrong is not typed better by changing it."""
    for field in (form.passkey, form.code):
        field.data = field.raw_data = None
    page = render_template(template, form=form, **values)
    return page, form.status, _when_to_try_again(form.refusal)


def _when_to_try_again(refusal: Refusal | None) -> dict[str, str]:
    if refusal is None or refusal.code not in TRIES_MANY:
        return {}
    return {"Retry-After": str(refusal.facts["seconds"])}


def _warn_of_few(person_id: int, way: str) -> None:
    if way != "recovery":
        return
    left = factors.of_person(person_id).codes_left
    if left <= FEW_CODES:
        flash(
            ngettext(
                "%(num)d recovery code is left. Make new ones under My account.",
                "%(num)d recovery codes are left. Make new ones under My account.",
                left,
            ),
            "info",
        )


def _next() -> dict[str, Any]:
    found = request.args.get("next")
    return {"next": found} if found else {}
