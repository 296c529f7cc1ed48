"""Service accounts: the machines that use the API, and their tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from wtforms import SelectField, SelectMultipleField
from wtforms.widgets import CheckboxInput

from inventory import security
from inventory.domain.access import Action
from inventory.domain.scopes import NAME_LENGTH, PURPOSE_LENGTH, TOKEN_NAME_LENGTH, USUAL_TOKEN_DAYS, ApiScope
from inventory.security import tokens
from inventory.services import service_accounts
from inventory.services.service_accounts import TokenView
from inventory.web.forms import PostingForm, WordsField, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("service_accounts", __name__, url_prefix="/service-accounts")

SCOPES = {
    ApiScope.STOCK_READ.value: _("Read offices, stock and movements"),
    ApiScope.ALERTS_READ.value: _("Read alerts"),
    ApiScope.ALERTS_WRITE.value: _("Act on alerts"),
    ApiScope.MOVEMENTS_WRITE.value: _("Record cards printed, spoiled and sent back"),
    ApiScope.MOVEMENTS_REVERSE.value: _("Reverse entries"),
    ApiScope.DELIVERIES_WRITE.value: _("Record deliveries"),
    ApiScope.REQUESTS_WRITE.value: _("Ask for deliveries"),
    ApiScope.TRANSFERS_WRITE.value: _("Send and receive transfers"),
    ApiScope.STOCKTAKES_WRITE.value: _("Count the stock"),
    ApiScope.DESTRUCTIONS_WRITE.value: _("Propose destructions"),
    ApiScope.FIGURES_WRITE.value: _("Report figures and outreach"),
    ApiScope.ALLOTMENTS_WRITE.value: _("Split deliveries over offices"),
    ApiScope.IMPORTS_WRITE.value: _("Import files"),
}
LASTS = {"30": _("30 days"), "90": _("90 days"), "180": _("180 days"), "365": _("One year")}


class AccountForm(PostingForm):
    REFUSED_FIELDS = {
        "name_missing": "name",
        "scopes_missing": "scopes",
        "office_not_found": "office",
        "not_allowed": "office",
    }

    name = WordsField(_("Name of the system"), most=NAME_LENGTH, required=True, render_kw={"autofocus": True})
    purpose = WordsField(_("What it does here"), most=PURPOSE_LENGTH)
    office = WordsField(
        _("Office code"),
        most=40,
        required=True,
        description=_("Such as 51.71. It also reaches the offices below."),
    )
    scopes = SelectMultipleField(_("What it may do"), choices=[], option_widget=CheckboxInput())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scopes.choices = choices(SCOPES)


class TokenForm(PostingForm):
    REFUSED_FIELDS = {"name_missing": "name"}

    name = WordsField(
        _("Name of the token"),
        most=TOKEN_NAME_LENGTH,
        required=True,
        description=_("Where it is used, such as the name of the server."),
    )
    lasts = SelectField(_("Lasts"), choices=[], default=str(USUAL_TOKEN_DAYS))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lasts.choices = choices(LASTS)


class EndForm(PostingForm):
    """One button that ends something; ended twice it stays as it is."""


@blueprint.get("")
@security.needs(Action.MANAGE_PEOPLE)
def index() -> Any:
    found = service_accounts.in_reach(security.current_actor())
    return render_template("service_accounts/index.html", accounts=found)


@blueprint.route("/new", methods=["GET", "POST"])
@security.needs(Action.MANAGE_PEOPLE)
def add() -> Any:
    form = AccountForm(office=request.args.get("office"))
    account = form.accept(
        lambda: service_accounts.make(
            security.current_actor(),
            security.now(),
            form.request_uuid,
            name=form.name.data or "",
            purpose=form.purpose.data or "",
            office_code=form.office.data or "",
            scopes=form.scopes.data or [],
        )
    )
    if account is not None:
        flash(gettext("The account is there. Now make a token for it."), "success")
        return redirect(url_for("service_accounts.show", account_id=account.id), 303)
    return render_template("service_accounts/new.html", form=form), form.status


@blueprint.route("/<int(max=2147483647):account_id>", methods=["GET", "POST"])
@security.needs(Action.MANAGE_PEOPLE)
def show(account_id: int) -> Any:
    """The account; a form on it makes a token, whose secret this answer alone shows."""
    actor = security.current_actor()
    service_accounts.get(actor, account_id)
    form, secret = TokenForm(), tokens.new()
    made = form.accept(lambda: _token(form, account_id, secret))
    page = render_template(
        "service_accounts/show.html",
        account=service_accounts.get(actor, account_id),
        form=form if made is None else TokenForm(formdata=None),
        end=EndForm(formdata=None),
        made=made,
        secret=secret if made is not None else None,
        now=security.now(),
        scopes=SCOPES,
    )
    return page, form.status if made is None else 201


@blueprint.post("/<int(max=2147483647):account_id>/tokens/<int(max=2147483647):token_id>/revoke")
@security.needs(Action.MANAGE_PEOPLE)
def revoke(account_id: int, token_id: int) -> Any:
    form = EndForm()
    actor = security.current_actor()
    if form.accept(lambda: service_accounts.revoke(actor, security.now(), account_id, token_id)) is not None:
        flash(gettext("The token is revoked: it opens nothing any more."), "success")
    return _back(form, account_id)


@blueprint.post("/<int(max=2147483647):account_id>/close")
@security.needs(Action.MANAGE_PEOPLE)
def close(account_id: int) -> Any:
    form = EndForm()
    actor = security.current_actor()
    if form.accept(lambda: service_accounts.close(actor, security.now(), account_id)) is not None:
        flash(gettext("The account is closed, with all of its tokens."), "success")
    return _back(form, account_id)


def _back(form: EndForm, account_id: int) -> Any:
    if form.refusal is not None:
        raise form.refusal
    return redirect(url_for("service_accounts.show", account_id=account_id), 303)


def _token(form: TokenForm, account_id: int, secret: str) -> TokenView:
    moment = security.now()
    return service_accounts.add_token(
        security.current_actor(),
        moment,
        form.request_uuid,
        account_id,
        name=form.name.data or "",
        expires_at=moment + timedelta(days=int(form.lasts.data)),
        digest=tokens.digest(secret),
        prefix=secret[: tokens.SHOWN],
    )
