"""Imports of past records: sending a file in, what was found in it, and recording it.

A file is recorded within the request that asks for it: the ledger takes all of it in one transaction, so there is
nothing to clean up when a process dies, and on SQLite nobody else could write down how far it has got meanwhile.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from flask_babel import gettext
from wtforms import RadioField

from inventory import security, text
from inventory.adapters.spreadsheets import csv_lines, write_xlsx
from inventory.domain.access import Action
from inventory.domain.imports import FIELDS, KINDS, MAX_ROWS
from inventory.services import imports, items, offices
from inventory.services.imports import ImportView
from inventory.web.files import ConfirmForm, FileForm, faults_in_words
from inventory.web.forms import BaseForm, choices, item_names
from inventory.web.forms import lazy as _

blueprint = Blueprint("imports", __name__)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS_PER_SECOND = 1500
"""About as many as a modest machine records: so that people know how long to wait."""

MEANINGS = {
    "office": _("The office's code, such as 51.71.01. Format the column as text."),
    "item": _("The item's code, one of those below."),
    "day": _("2024-12-31 or 31/12/2024, or a cell formatted as a date."),
    "quantity": _("A whole number. Empty is zero."),
    "words": _("Text."),
    "funding": _("apbn (state budget) or apbd (regional grant)."),
}
WAITING = _("How many of the printed cards served requests that had waited for stock.")


class ImportForm(FileForm):
    REFUSED_FIELDS = {
        **FileForm.REFUSED_FIELDS,
        "import_kind_unknown": "kind",
        "file_already_imported": "file",
    }

    kind = RadioField(_("What the file holds"), choices=[], default="consumption")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind.choices = choices(text.IMPORT_KINDS, KINDS)


@blueprint.route("/offices/<code:code>/imports", methods=["GET", "POST"])
@security.needs(Action.IMPORT_RECORDS)
def index(code: str) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.IMPORT_RECORDS, code)
    form = ImportForm()
    found = form.accept(lambda: _check(code, form))
    if found is not None:
        return redirect(url_for("imports.show", import_id=found), 303)
    latest = imports.latest(actor, code)
    page = render_template("imports/index.html", office=office, form=form, imports=latest, most_rows=MAX_ROWS)
    return page, form.status


@blueprint.get("/imports/<int(max=2147483647):import_id>")
@security.needs(Action.IMPORT_RECORDS)
def show(import_id: int) -> Any:
    return _page(imports.get(security.current_actor(), import_id), ConfirmForm())


@blueprint.post("/imports/<int(max=2147483647):import_id>")
@security.needs(Action.IMPORT_RECORDS)
def run(import_id: int) -> Any:
    actor = security.current_actor()
    found = imports.get(actor, import_id)
    form = ConfirmForm()
    if found.status == "imported":
        flash(gettext("This file was already imported, and is imported once."), "info")
        return redirect(url_for("imports.show", import_id=import_id), 303)
    done = form.accept(lambda: imports.run(actor, security.now(), import_id))
    if done is None or done.status != "imported":
        return _page(done or found, form)
    flash(gettext("%(rows)s rows are imported.", rows=text.number(done.row_count)), "success")
    return redirect(url_for("imports.show", import_id=import_id), 303)


@blueprint.get("/offices/<code:code>/imports/template")
@security.needs(Action.IMPORT_RECORDS)
def template(code: str) -> Any:
    """An empty file to fill in: `kind` and `format` (csv or xlsx) are in the query."""
    office = offices.get(security.current_actor(), Action.IMPORT_RECORDS, code)
    kind = request.args.get("kind", "consumption")
    headings = imports.template_rows(kind, text.language())
    name = f"{kind}-{office.code}"
    if request.args.get("format") != "xlsx":
        remark = "# " + " · ".join(str(cell) for cell in _example(kind, office.code))
        lines = csv_lines([headings, [remark]])
        return Response(
            lines,
            mimetype="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )
    stream = io.BytesIO()
    sheets = [(str(text.IMPORT_KINDS[kind]), [headings]), (gettext("Help"), _help(kind, office.code))]
    write_xlsx(stream, sheets, text_columns=2)
    stream.seek(0)
    return send_file(stream, mimetype=XLSX, as_attachment=True, download_name=f"{name}.xlsx")


def _check(code: str, form: ImportForm) -> int:
    name, data = form.sent
    return imports.check(
        security.current_actor(),
        security.now(),
        form.request_uuid,
        code,
        form.kind.data,
        name,
        data,
        group_separator=text.group_separator(),
        max_bytes=form.limit,
    )


def _page(found: ImportView, form: BaseForm) -> Any:
    office = offices.get(security.current_actor(), Action.IMPORT_RECORDS, found.office_code)
    page = render_template(
        "imports/show.html",
        found=found,
        office=office,
        form=form,
        faults=faults_in_words(found.faults, FIELDS[found.kind]),
        names=item_names(),
        seconds=found.row_count // MOST_ROWS_PER_SECOND,
    )
    return page, 409 if form.is_submitted() and found.status == "refused" else form.status


def _example(kind: str, office_code: str) -> list[object]:
    """A row such as people write it."""
    values = {
        "office": office_code,
        "item": items.active()[0].code,
        "day": "2024-05-13",
        "bast_on": "2024-05-13",
        "received_on": "2024-05-14",
        "bast_number": "470/123/2024",
        "quantity": 1639,
        "received": 2000,
        "new": 225,
        "lost": 12,
        "misprint": 3,
        "funding_source": "apbn",
        "supplier": "Ditjen Dukcapil",
    }
    return [values.get(field.name, "") for field in FIELDS[kind]]


def _help(kind: str, office_code: str) -> Iterator[Sequence[object]]:
    """The second sheet: what each column means, an example, and the codes of the items."""
    yield [gettext("Column"), gettext("Required"), gettext("Meaning"), gettext("Example")]
    for field, example in zip(FIELDS[kind], _example(kind, office_code), strict=True):
        meaning = WAITING if field.name == "served_waiting" else MEANINGS[field.holds]
        yield [field.heading(text.language()), gettext("yes") if field.required else "", str(meaning), example]
    yield []
    yield [gettext("Item code"), gettext("Item")]
    for item in items.active():
        yield [item.code, text.in_language(item.names)]
