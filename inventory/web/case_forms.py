"""The forms by which people act on an alert, all on its own page."""

from __future__ import annotations

from typing import Any

from wtforms import SelectField

from inventory import text
from inventory.domain.access import Actor
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.cases import BY_PEOPLE, State
from inventory.services import cases
from inventory.services.alerts import AlertDetail, AlertView
from inventory.web.forms import DayField, PostingForm, WordsField, choices
from inventory.web.forms import lazy as _


class SeenForm(PostingForm):
    pass


class OwnerForm(PostingForm):
    REFUSED_FIELDS = {"owner_not_allowed": "person"}

    person = SelectField(_("Who takes charge"), choices=[])


class SnoozeForm(PostingForm):
    REFUSED_FIELDS = {
        "snooze_without_end": "until",
        "snooze_over_already": "until",
        "snooze_too_long": "until",
        "snooze_level_reached": "level",
    }

    until = DayField(_("Until the day"), required=False)
    level = SelectField(_("Or until it is as bad as"), choices=[], default="")


class CommentForm(PostingForm):
    REFUSED_FIELDS = {"comment_missing": "remark", "text_too_long": "remark"}

    remark = WordsField(_("Comment"), most=500, required=True)


class ResolveForm(PostingForm):
    REFUSED_FIELDS = {"done_needs_words": "words", "done_by_itself": "done", "text_too_long": "words"}

    done = SelectField(_("What was done?"), choices=[])
    words = WordsField(_("In words"), most=500)


FORMS: dict[str, type[PostingForm]] = {
    "seen": SeenForm,
    "owner": OwnerForm,
    "snooze": SnoozeForm,
    "comment": CommentForm,
    "resolve": ResolveForm,
}


def form_of(name: str, actor: Actor, alert: AlertView, *, sent: bool) -> Any:
    """One of the forms with its choices, as it was sent or fresh."""
    form: Any = FORMS[name]() if sent else FORMS[name](formdata=None)
    if name == "owner":
        people = {"": _("Nobody")} | {str(each.id): each.name for each in cases.owners(actor, alert.id)}
        form.person.choices = choices(people)
        if not sent:
            form.person.data = str(alert.owner_id or actor.person_id)
    elif name == "snooze":
        worse = [level.value for level in Level if SEVERITY[level] > SEVERITY[Level(alert.level)]]
        form.level.choices = choices({"": "–"} | text.LEVELS, ["", *worse])
    elif name == "resolve":
        form.done.choices = choices(text.CASE_ENDS, [done.value for done in BY_PEOPLE])
    return form


def forms_for(actor: Actor, detail: AlertDetail, refused: Any = None) -> dict[str, Any]:
    """The forms that the reader may use in the alert's state, by name; `refused` is one that is shown again."""
    if not detail.may_act:
        return {}
    names = {"comment"}
    if detail.alert.state is not State.RESOLVED:
        names |= {"owner", "snooze", "resolve"}
    if detail.alert.state is State.WAITING:
        names.add("seen")
    found = {name: form_of(name, actor, detail.alert, sent=False) for name in FORMS if name in names}
    for name, kind in FORMS.items():
        if isinstance(refused, kind):
            found[name] = refused
    return found
