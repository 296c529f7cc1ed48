"""Files that are sent in: the field, what may be wrong with a file as a whole, and reading no more than is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import current_app
from flask_babel import gettext
from flask_wtf.file import FileField
from wtforms.validators import InputRequired, ValidationError

from inventory import text
from inventory.domain.imports import Fault, Field
from inventory.web.forms import BaseForm, PostingForm
from inventory.web.forms import lazy as _

REFUSALS = (
    "file_too_large",
    "file_inflates",
    "file_not_a_table",
    "rows_too_many",
    "column_missing",
    "column_unknown",
    "column_twice",
    "nothing_entered",
)


class FileForm(PostingForm):
    """`templates/_files.html` shows it."""

    REFUSED_FIELDS = dict.fromkeys(REFUSALS, "file")

    file = FileField(_("File"), [InputRequired()], render_kw={"accept": ".csv,.tsv,.txt,.xlsx"})

    def validate_file(self, field: FileField) -> None:
        if not getattr(field.data, "filename", ""):
            raise ValidationError(gettext("Choose a file."))

    @property
    def limit(self) -> int:
        """The largest file in bytes."""
        return current_app.config["SETTINGS"].MAX_UPLOAD_BYTES

    @property
    def sent(self) -> tuple[str, bytes]:
        """The name and the content of the file; of one that is too large, enough to see that."""
        return self.file.data.filename or "", self.file.data.stream.read(self.limit + 1)


class ConfirmForm(BaseForm):
    """Nothing but the token: what is recorded is the file that was looked through."""


def faults_in_words(faults: Iterable[Fault], fields: Iterable[Field]) -> list[tuple[Any, str, str]]:
    """Of each fault its row, the heading of its column and its sentence, in the reader's language."""
    headings = {field.name: field.heading(text.language()) for field in fields}
    return [(each.row, headings.get(each.field, ""), text.sentence_for(each.code, each.facts)) for each in faults]
