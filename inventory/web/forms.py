"""Forms: fields that read numbers and days as people write them, and forms that survive a refusal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

from flask import request
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import DateField, Field, HiddenField, SelectField, StringField, TextAreaField, TimeField
from wtforms.fields import Choice, SelectChoice  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)
from wtforms.validators import InputRequired, Length, ValidationError
from wtforms.widgets import Select, TextInput

from inventory import text
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.quantities import MAX_QUANTITY
from inventory.domain.ranges import count, parse_ranges, write_ranges
from inventory.security import record
from inventory.services import items
from inventory.services.consumption import FIRST_DAY
from inventory.services.items import ItemView

T = TypeVar("T")

lazy: Any = lazy_gettext
"""WTForms shows whatever turns into a string, but its type hints ask for str."""

_ = lazy


class WtformsTexts:
    """WTForms' own messages from our catalogue: the library ships none in Indonesian."""

    def gettext(self, string: str) -> str:
        return text.wtforms_texts.gettext(string)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        # The domain's own ngettext fills in placeholders at once; WTForms fills in its own ones later.
        return text.wtforms_texts.get_translations().ungettext(singular, plural, n)


_WTFORMS_TEXTS = WtformsTexts()


class BaseForm(FlaskForm):
    """A form that can be refused: the page shows it again with the sentence and everything that was typed.

    `REFUSED_FIELDS` names, per code of a refusal, the field that the refusal is about.
    """

    REFUSED_FIELDS: ClassVar[Mapping[str, str]] = {}

    class Meta(FlaskForm.Meta):
        def get_translations(self, form: Any) -> Any:
            return _WTFORMS_TEXTS

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            # A form is sent as one: the library would read JSON, too, whose values may be no text.
            return None if request.is_json else super().wrap_formdata(form, formdata)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refusal: Refusal | None = None

    @property
    def status(self) -> int:
        """The status of the page that shows this form."""
        if self.refusal is not None:
            return self.refusal.status
        return 422 if self.errors else 200

    @property
    def refusal_sentence(self) -> str:
        return text.sentence(self.refusal) if self.refusal is not None else ""

    def accept(self, work: Callable[[], T]) -> T | None:
        """What `work` returns, or None when the form is not sent, not valid, or refused: then it is shown (again)."""
        return self.read(work) if self.is_submitted() else None

    def read(self, work: Callable[[], T]) -> T | None:
        """Like `accept`, for a form that is sent by GET."""
        if not self.validate():
            return None
        try:
            return work()
        except Refusal as refusal:
            self.refuse(refusal)
            return None

    def refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        record.refused(refusal)
        field = self.REFUSED_FIELDS.get(refusal.code)
        if field is not None:
            self[field].errors = [*self[field].errors, text.sentence(refusal)]


class QueryForm(BaseForm):
    """A form that is sent by GET: it changes nothing, so it carries no token and can be bookmarked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(formdata=request.args, meta={"csrf": False}, **kwargs)


class PostingForm(BaseForm):
    """A form that writes to the ledger. Its hidden request id makes a second click find what the first one wrote."""

    request_id = HiddenField(default=lambda: str(uuid4()))

    def validate_request_id(self, field: Field) -> None:
        try:
            UUID(field.data or "")
        except ValueError:
            renew_request_id(self)
            raise ValidationError(
                gettext("The page was not sent whole. Check the figures and send it again.")
            ) from None

    @property
    def request_uuid(self) -> UUID:
        return UUID(self.request_id.data)

    def refuse(self, refusal: Refusal) -> None:
        super().refuse(refusal)
        if refusal.code == "request_id_reused":
            # The old id belongs to what is already recorded: kept, it would refuse this page for ever.
            renew_request_id(self)


def renew_request_id(form: PostingForm) -> None:
    form.request_id.data = str(uuid4())
    form.request_id.raw_data = None


class QuantityField(Field):
    """A whole number as the reader's language writes it. Empty is 0 unless `required`; what was typed stays.
    `limit` is the largest that makes sense."""

    widget = TextInput()

    def __init__(
        self,
        label: Any = None,
        *,
        required: bool = False,
        none: bool = False,
        limit: int = MAX_QUANTITY,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, **kwargs)
        self.required, self.empty, self.limit = required, None if none else 0, limit
        self.render_kw = {"inputmode": "numeric", "autocomplete": "off"} | (self.render_kw or {})
        if required:
            self.render_kw["required"] = True

    def process_formdata(self, valuelist: list[str]) -> None:
        typed = valuelist[0] if valuelist else ""
        self.data = self.empty
        if not typed.strip() and not self.required:
            return
        try:
            self.data = text.quantity_from(typed, self.limit)
        except Invalid as refusal:
            raise ValueError(text.sentence(refusal)) from None

    def _value(self) -> str:
        if self.raw_data is not None:
            return self.raw_data[0] if self.raw_data else ""
        return "" if self.data is None else self._written()

    def _written(self) -> str:
        return text.number(self.data)


class RangesField(TextAreaField):
    """Number ranges as people write them: A100001–A100500, A100700. What was typed stays."""

    def __init__(self, label: Any = None, **kwargs: Any) -> None:
        super().__init__(label or _("Number ranges"), **kwargs)
        self.render_kw = {
            "rows": 2,
            "autocomplete": "off",
            "spellcheck": "false",
            "placeholder": "A100001-A100500, A100700",
            "data-scan": "ranges",
        } | (self.render_kw or {})

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data: Any = ()
        try:
            self.data = parse_ranges(valuelist[0] if valuelist else "")
        except Invalid as refusal:
            raise ValueError(text.sentence(refusal)) from None

    def _value(self) -> str:
        if self.raw_data is not None:
            return self.raw_data[0] if self.raw_data else ""
        return write_ranges(self.data or ())


def counted_by(quantity: Any, ranges: Any) -> None:
    """Let a quantity that was left empty be that of the numbers."""
    if ranges.data and not (quantity.raw_data and quantity.raw_data[0].strip()):
        quantity.data = count(ranges.data)
        quantity.process_errors = []


class ShareField(QuantityField):
    """A percentage with at most two decimals, with a decimal point or a decimal comma; None when it is left empty."""

    def process_formdata(self, valuelist: list[str]) -> None:
        typed = valuelist[0].strip().removesuffix("%").strip() if valuelist else ""
        self.data = None
        if not typed and not self.required:
            return
        if not re.fullmatch(r"[0-9]{1,3}([.,][0-9]{1,2})?", typed, re.ASCII):
            raise ValueError(str(_("Enter a percentage such as 95.")))
        self.data = float(typed.replace(",", ".")) / 100

    def _written(self) -> str:
        return text.decimals(self.data * 100).removesuffix(".0").removesuffix(",0")


class DayField(DateField):
    """A calendar day, not before the ledger's first; `limit` sets the last one."""

    def __init__(self, label: Any = None, *, required: bool = True, **kwargs: Any) -> None:
        super().__init__(label, [InputRequired()] if required else [], **kwargs)
        self.required = required
        self.render_kw = {"min": FIRST_DAY.isoformat()} | (self.render_kw or {})

    def limit(self, last: date) -> None:
        assert self.render_kw is not None
        self.render_kw["max"] = last.isoformat()

    def process_formdata(self, valuelist: list[str]) -> None:
        if not self.required and not any(valuelist):
            self.data = None
            return
        super().process_formdata(valuelist)

    def pre_validate(self, form: Any) -> None:
        if self.data is not None and self.data < FIRST_DAY:
            raise ValidationError(text.sentence_for("day_too_early", {"day": self.data, "first": FIRST_DAY}))


class PeriodForm(QueryForm):
    """From which day to which, both included; either may be left out."""

    REFUSED_FIELDS = {"period_backwards": "until", "period_too_long": "since"}

    since = DayField(_("From"), required=False, name="from")
    until = DayField(_("To"), required=False, name="to")


class TimeOfDayField(TimeField):
    """A time of day by the minute, on the office's clock; None when it is left empty."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if not any(valuelist):
            self.data = None
            return
        super().process_formdata(valuelist)


class WordsField(StringField):
    """A line of text: trimmed, bounded, and without the control characters that a database refuses."""

    def __init__(self, label: Any = None, *, most: int = 120, required: bool = False, **kwargs: Any) -> None:
        validators = [InputRequired()] if required else []
        super().__init__(label, [*validators, Length(max=most)], **kwargs)

    def process_formdata(self, valuelist: list[str]) -> None:
        typed = valuelist[0] if valuelist else ""
        self.data = "".join(" " if unicodedata.category(c) == "Cc" else c for c in typed).strip()


class FewOptions(Select):
    """A select whose options are few and the same for every reader of a language: each is drawn once."""

    @classmethod
    def render_option(cls, choice: Any, **kwargs: Any) -> Markup:
        if choice.render_kw or kwargs:
            return super().render_option(choice, **kwargs)
        return _drawn_option(choice.value, choice.label, choice.selected)

    @classmethod
    def _dispatch_render_option(cls) -> Any:
        """The library looks at the signature of `render_option` each time, which takes longer than all the options."""
        return cls.render_option


@lru_cache(maxsize=1_000)
def _drawn_option(value: str, label: str, selected: bool) -> Markup:
    select: Any = Select  # newer than its stubs
    return select.render_option(Choice(value, label, selected, {}))


class ItemField(SelectField):
    """Which item; the label says how many are in the store, and the page's script reads the data attributes."""

    def __init__(self, label: Any = None, **kwargs: Any) -> None:
        help = _("In brackets: how many are in the store.")
        super().__init__(label or _("Item"), choices=[], description=help, **kwargs)

    any_numbered = False
    """Whether the form has to ask for number ranges at all."""

    def offer(self, items: Sequence[ItemView], store: Mapping[str, int]) -> None:
        self.choices = [
            SelectChoice(
                value=item.code,
                label=f"{text.in_language(item.names)} ({text.number(store.get(item.code, 0))})",
                render_kw={
                    "data-store": store.get(item.code, 0),
                    "data-kind": "blank" if item.is_blank else "consumable",
                    **({"data-numbered": True} if item.numbered else {}),
                },
            )
            for item in items
        ]
        self.any_numbered = any(item.numbered for item in items)


def item_names() -> dict[str, str]:
    """The items' names in the reader's language, by code."""
    return {item.code: text.in_language(item.names) for item in items.active()}


def item_units() -> dict[str, str]:
    """What a number of each item counts, by code: cards, rolls."""
    return {item.code: text.in_language(item.units) for item in items.active()}


def choices(texts: Mapping[str, Any], only: Iterable[str] | None = None) -> list[Any]:
    """A select's choices from one of the dictionaries in `inventory.text`."""
    return [SelectChoice(value=code, label=str(texts[code])) for code in (only or texts)]
