"""One's own account: password, second factors, recovery codes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, url_for
from flask_babel import gettext
from flask_security import current_user
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from inventory import security
from inventory.adapters import passkeys as signatures
from inventory.adapters import qr
from inventory.domain.factors import key_for_typing
from inventory.security import factors as edge
from inventory.services import factors, passkeys
from inventory.web.forms import BaseForm, WordsField
from inventory.web.forms import lazy as _

blueprint = Blueprint("account", __name__, url_prefix="/account")

PURPOSE = "new passkey"


class AppForm(BaseForm):
    REFUSED_FIELDS = {"code_wrong": "code", "factor_tries_many": "code"}

    code = StringField(
        _("Code that the app shows now"),
        [Length(max=40)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "required": True, "maxlength": 40},
    )


class NewPasskeyForm(BaseForm):
    REFUSED_FIELDS = {"passkey_name": "name", "text_too_long": "name"}

    name = WordsField(
        _("Name of the passkey"),
        most=60,
        required=True,
        description=_("Such as: phone, or blue key. It tells you later which one is lost."),
        render_kw={"autocomplete": "off"},
    )
    passkey = HiddenField(validators=[Length(max=signatures.LONGEST_ANSWER)])


@blueprint.get("")
@security.logged_in
def index() -> Any:
    return render_template("account/index.html", found=factors.of_person(_me().id), must=edge.must())


@blueprint.get("/second-factor")
@security.logged_in
def second_factor() -> Any:
    """The ways to a second factor; whoever must have one and has none sees nothing else."""
    return render_template("account/second_factor.html", found=factors.of_person(_me().id), must=edge.must())


@blueprint.route("/app", methods=["GET", "POST"])
@security.needs_fresh
def add_app() -> Any:
    form, actor = AppForm(), security.current_actor()
    secret = edge.offered_secret()
    codes = form.accept(lambda: factors.add_app(actor, security.now(), edge.key(), secret, form.code.data or ""))
    if codes is not None:
        edge.forget_secret()
        return _added(codes, gettext("The app is set up. From now on you are asked for its code when you log in."))
    picture = qr.picture(edge.address_for_app(secret, _me().email))
    page = render_template("account/app.html", form=form, picture=picture, key=key_for_typing(secret))
    return page, form.status


@blueprint.post("/app/remove")
@security.needs_fresh
def remove_app() -> Any:
    factors.remove_app(security.current_actor(), security.now(), must=edge.must())
    return _removed(gettext("The app is removed: its codes no longer work."))


@blueprint.route("/passkeys", methods=["GET", "POST"])
@security.needs_fresh
def add_passkey() -> Any:
    form = NewPasskeyForm()
    codes = form.accept(lambda: _new_passkey(form))
    if codes is not None:
        return _added(codes, gettext("The passkey is set up. You can log in with it alone."))
    form.passkey.data = form.passkey.raw_data = None
    return render_template("account/passkey.html", form=form), form.status


@blueprint.post("/passkeys/options")
@security.needs_fresh
def passkey_options() -> Any:
    """What a browser asks a new passkey."""
    me = _me()
    handle = passkeys.handle_of(me.id)
    challenge = edge.new_challenge(PURPOSE, handle)
    known = passkeys.of_person(me.id)
    return jsonify(signatures.ask_for_new(edge.site(), challenge, handle, me.email, me.full_name, known))


@blueprint.post("/passkeys/<int(max=2147483647):passkey_id>/remove")
@security.needs_fresh
def remove_passkey(passkey_id: int) -> Any:
    factors.remove_passkey(security.current_actor(), security.now(), passkey_id, must=edge.must())
    return _removed(gettext("The passkey is removed: nobody can log in with it."))


@blueprint.route("/recovery-codes", methods=["GET", "POST"])
@security.needs_fresh
def recovery_codes() -> Any:
    """New codes: shown in the answer to the form, and never again."""
    form = BaseForm()
    codes = form.accept(lambda: factors.renew_recovery_codes(security.current_actor(), security.now()))
    if codes is not None:
        return render_template("account/codes.html", codes=codes)
    page = render_template("account/recovery_codes.html", form=form, found=factors.of_person(_me().id))
    return page, form.status


def _new_passkey(form: NewPasskeyForm) -> tuple[str, ...]:
    challenge, handle = edge.take_challenge(PURPOSE)
    actor, now, answer = security.current_actor(), security.now(), form.passkey.data or ""
    return passkeys.add(actor, now, edge.site(), challenge, handle, form.name.data or "", answer)


def _added(codes: tuple[str, ...], sentence: str) -> Any:
    edge.go_on(_me().id, second=True)
    flash(sentence, "success")
    if codes:
        return render_template("account/codes.html", codes=codes)
    return redirect(url_for("account.index"), 303)


def _removed(sentence: str) -> Any:
    me = _me().id
    edge.go_on(me, second=None if factors.has_any(me) else False)
    flash(sentence, "success")
    return redirect(url_for("account.index"), 303)


def _me() -> Any:
    return current_user
