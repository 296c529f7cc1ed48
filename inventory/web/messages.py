"""Messages: where one wants them and about what, an end to them without logging in, and those that never arrived."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask_babel import gettext
from wtforms import BooleanField, HiddenField, IntegerField, SelectField, SelectMultipleField
from wtforms.widgets import CheckboxInput

from inventory import security, text
from inventory.config import Config
from inventory.domain.access import Action
from inventory.domain.alerts import Level, Subject
from inventory.domain.errors import NotFound
from inventory.domain.notices import LONGEST_TARGET, ChannelKind, channel_of
from inventory.domain.offices import TIME_ZONES
from inventory.services import channels, messages
from inventory.services.channels import Allowed, ChannelView, Choices
from inventory.web.forms import BaseForm, TimeOfDayField, WordsField, choices
from inventory.web.forms import lazy as _

blueprint = Blueprint("messages", __name__, url_prefix="/messages")

KINDS = {
    "email": _("E-mail"),
    "telegram": _("Telegram"),
    "webhook": _("Webhook"),
    "other": _("Another service"),
}
MESSAGE_KINDS = {"change": _("Change"), "escalation": _("Escalation"), "test": _("Test message")}
MESSAGE_STATUSES = {"dead": _("Given up"), "waiting": _("Will be tried again")}
LEVELS = [level.value for level in Level if level is not Level.OK]


class ChannelForm(BaseForm):
    """What to send, and when not. Where to is asked of a new channel only."""

    REFUSED_FIELDS = {"quiet_hours_half": "quiet_until", "time_zone_unknown": "time_zone"}

    least_level = SelectField(_("From which level on"), choices=[])
    subjects = SelectMultipleField(_("About"), choices=[], option_widget=CheckboxInput())
    below = BooleanField(_("Also about the offices below mine"))
    digest = BooleanField(_("What happens together in one message"))
    quiet_from = TimeOfDayField(_("Quiet from"))
    quiet_until = TimeOfDayField(_("Quiet until"))
    time_zone = SelectField(_("Time zone"), choices=[])

    def __init__(self, found: Choices, **kwargs: Any) -> None:
        wanted = [subject.value for subject in Subject if subject not in found.without]
        names = ("below", "digest", "quiet_from", "quiet_until", "time_zone")
        known = {name: getattr(found, name) for name in names}
        super().__init__(least_level=found.least_level.value, subjects=wanted, data=known, **kwargs)
        self.least_level.choices = choices(text.LEVELS, LEVELS)
        self.time_zone.choices = choices({zone: zone for zone in TIME_ZONES})
        self.subjects.choices = choices(text.SUBJECTS, [subject.value for subject in Subject])

    def chosen(self) -> Choices:
        wanted = {Subject(each) for each in self.subjects.data or ()}
        return Choices(
            least_level=Level(self.least_level.data),
            without=frozenset(Subject) - wanted,
            below=bool(self.below.data),
            digest=bool(self.digest.data),
            time_zone=self.time_zone.data or "",
            quiet_from=self.quiet_from.data,
            quiet_until=self.quiet_until.data,
        )


class NewChannelForm(ChannelForm):
    REFUSED_FIELDS = {
        **ChannelForm.REFUSED_FIELDS,
        "telegram_chat_format": "target",
        "webhook_format": "target",
        "service_unknown": "target",
        "channel_kind_unknown": "kind",
    }

    kind = SelectField(_("Way"), choices=[])
    target = WordsField(
        _("Address"),
        most=LONGEST_TARGET,
        description=_(
            "Telegram: the number of the chat. Webhook: an address with https. E-mail always goes to your account's"
            " address."
        ),
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )

    def __init__(self, found: Choices, **kwargs: Any) -> None:
        super().__init__(found, **kwargs)
        self.kind.choices = choices(KINDS, [kind.value for kind in _allowed().kinds])


class OneForm(BaseForm):
    """Which of one's channels, or which message; and whether on or off."""

    number = IntegerField()
    on = HiddenField()


@blueprint.get("")
@security.needs(Action.VIEW_ALERT)
def index() -> Any:
    found = channels.mine(security.current_actor())
    return render_template("messages/index.html", channels=found, kinds=KINDS, allowed=_allowed())


@blueprint.route("/new", methods=["GET", "POST"])
@security.needs(Action.VIEW_ALERT)
def add() -> Any:
    actor, now = security.current_actor(), security.now()
    form = NewChannelForm(channels.usual(actor, now))
    made = form.accept(
        lambda: channels.add(actor, now, ChannelKind(form.kind.data), form.target.data or "", form.chosen(), _allowed())
    )
    if made is not None:
        if form.kind.data == ChannelKind.EMAIL:
            flash(gettext("You get e-mail from now on."), "success")
        else:
            flash(gettext("A test message is on its way. When it has arrived, others follow."), "success")
        return redirect(url_for("messages.index"), 303)
    return render_template("messages/channel.html", form=form, channel=None, kinds=KINDS), form.status


@blueprint.route("/change", methods=["GET", "POST"])
@security.needs(Action.VIEW_ALERT)
def change() -> Any:
    channel = _channel(request.args.get("channel", type=int))
    if channel is None:
        return redirect(url_for("messages.index"), 303)
    form = ChannelForm(channel.choices)
    if form.accept(lambda: channels.change(security.current_actor(), channel.id, form.chosen())) is not None:
        flash(gettext("Your choice is kept."), "success")
        return redirect(url_for("messages.index"), 303)
    return render_template("messages/channel.html", form=form, channel=channel, kinds=KINDS), form.status


@blueprint.post("/test")
@security.needs(Action.VIEW_ALERT)
def test() -> Any:
    form = OneForm()
    if form.validate() and form.number.data:
        channels.send_test(security.current_actor(), security.now(), form.number.data)
        flash(gettext("A test message is on its way."), "success")
    return redirect(url_for("messages.index"), 303)


@blueprint.post("/subscription")
@security.needs(Action.VIEW_ALERT)
def subscribe() -> Any:
    form = OneForm()
    if form.validate() and form.number.data:
        wanted = form.on.data == "1"
        channels.set_subscribed(security.current_actor(), security.now(), form.number.data, wanted)
        said = gettext("Messages come here again.") if wanted else gettext("No more messages come here.")
        flash(said, "success")
    return redirect(url_for("messages.index"), 303)


@blueprint.route("/unsubscribe/<signed>", methods=["GET", "POST"])
@security.public
def unsubscribe(signed: str) -> Any:
    """An end to messages by a signed link. Looking at it ends nothing: programs that check mail open every link.
    Mail programs send the POST themselves (RFC 8058) and have no token of ours, so the signature alone counts."""
    channel_id = channel_of(current_app.config["SECRET_KEY"], signed)
    if channel_id is None:
        raise NotFound("channel_not_found")
    if request.method == "POST":
        channels.unsubscribe(security.now(), channel_id)
    return render_template("messages/unsubscribe.html", done=request.method == "POST")


@blueprint.record_once
def _accept_without_token(state: BlueprintSetupState) -> None:
    state.app.extensions["csrf"].exempt(unsubscribe)


@blueprint.get("/undelivered")
@security.needs(Action.MANAGE_PEOPLE)
def undelivered() -> Any:
    found, total = messages.undelivered(security.current_actor())
    texts = {"kinds": KINDS, "message_kinds": MESSAGE_KINDS, "statuses": MESSAGE_STATUSES}
    return render_template("messages/undelivered.html", messages=found, total=total, **texts)


@blueprint.post("/undelivered/again")
@security.needs(Action.MANAGE_PEOPLE)
def try_again() -> Any:
    form = OneForm()
    if form.validate() and form.number.data:
        messages.try_again(security.current_actor(), security.now(), form.number.data)
        flash(gettext("The message is tried again."), "success")
    return redirect(url_for("messages.undelivered"), 303)


def _channel(channel_id: int | None) -> ChannelView | None:
    return channels.get(security.current_actor(), channel_id) if channel_id else None


def _allowed() -> Allowed:
    settings: Config = current_app.config["SETTINGS"]
    return Allowed(
        email=bool(settings.SMTP_URL),
        telegram=bool(settings.TELEGRAM_TOKEN),
        services=settings.message_services,
        private=settings.PRIVATE_WEBHOOKS,
    )
