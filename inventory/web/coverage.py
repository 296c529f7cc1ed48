"""Coverage: known figures and equipment of an office and those below it, and how they are entered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext

from inventory import security, text
from inventory.adapters.spreadsheets import csv_lines
from inventory.domain import access
from inventory.domain.access import Action, Actor
from inventory.domain.coverage import (
    DIGITAL_TARGETS,
    EQUIPMENT,
    FIELDS,
    MAX_ROWS,
    MEASURES,
    MOST,
    MOST_EQUIPMENT,
    NOTE_LENGTH,
    SOURCE_LENGTH,
    Contradiction,
    Equipment,
    Figure,
)
from inventory.domain.offices import OfficeKind
from inventory.services import coverage, coverage_files, offices
from inventory.services.coverage import Written
from inventory.services.coverage_files import Checked, EntryView
from inventory.services.offices import OfficeView
from inventory.web import pictures
from inventory.web.files import ConfirmForm, FileForm, faults_in_words
from inventory.web.forms import DayField, PostingForm, QuantityField, WordsField
from inventory.web.forms import lazy as _

blueprint = Blueprint("coverage", __name__)

GROUPS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_("Enrolment"), ("eligible", "enrolled", "card_holders")),
    (_("Who waits"), ("not_enrolled", "print_ready")),
    (_("Digital identities"), ("digital_id", "digital_id_target")),
    (_("Villages and population"), ("villages", "villages_online", "population")),
)


class ReportForm(PostingForm):
    REFUSED_FIELDS = {"day_in_future": "as_of", "day_too_early": "as_of", "source_missing": "source"}

    as_of = DayField(_("As of"), description=_("The day that the figures are of."))
    source = WordsField(
        _("Where the figures come from"),
        most=SOURCE_LENGTH,
        required=True,
        description=_("Such as: the office's own monthly report, or a newspaper with its date."),
    )
    note = WordsField(_("Note"), most=NOTE_LENGTH)


class FiguresForm(ReportForm):
    """One day and source; every figure may be left empty, and is then not reported."""

    def figures(self) -> list[Figure]:
        said = {"as_of": self.as_of.data, "source": self.source.data or "", "note": self.note.data or ""}
        counted = ((measure, self[measure].data) for measure in MEASURES)
        return [Figure(measure=measure, value=value, **said) for measure, value in counted if value is not None]


for _measure in MEASURES:
    setattr(FiguresForm, _measure, QuantityField(text.MEASURES[_measure], none=True, limit=MOST))


def _machines(label: Any, **kwargs: Any) -> QuantityField:
    return QuantityField(label, none=True, limit=MOST_EQUIPMENT, **kwargs)


class EquipmentForm(ReportForm):
    """Of each kind how many work and how many do not; a kind of which both are left empty is not reported."""

    REFUSED_FIELDS = {**ReportForm.REFUSED_FIELDS, "capacity_missing": "cards_a_day"}

    printer_working = _machines(_("Printers that work"))
    printer_out_of_order = _machines(_("Printers out of order"))
    cards_a_day = _machines(
        _("Cards that one working printer prints a day"), description=_("In a working day, at the usual pace.")
    )
    enrolment_set_working = _machines(_("Enrolment sets that work"))
    enrolment_set_out_of_order = _machines(_("Enrolment sets out of order"))

    def equipment(self) -> list[Equipment]:
        return list(self._reported())

    def _reported(self) -> Iterator[Equipment]:
        for kind in EQUIPMENT:
            working, out_of_order = self[f"{kind}_working"].data, self[f"{kind}_out_of_order"].data
            if working is None and out_of_order is None:
                continue
            assert self.as_of.data is not None, "a valid form has a day"
            yield Equipment(
                kind=kind,
                working=working or 0,
                out_of_order=out_of_order or 0,
                cards_a_day=self.cards_a_day.data if kind == "printer" else None,
                as_of=self.as_of.data,
                source=self.source.data or "",
                note=self.note.data or "",
            )


@blueprint.get("/offices/<code:code>/coverage")
@security.needs(Action.VIEW_STOCK)
def show(code: str) -> Any:
    actor = security.current_actor()
    asked = request.args.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 6 else 1
    found = coverage.show(actor, code, page)
    return render_template(
        "coverage/show.html",
        found=found,
        office=found.office,
        above=offices.ancestors(actor, Action.VIEW_STOCK, found.office),
        below=_below(actor, found.office),
        groups=GROUPS,
        aims=DIGITAL_TARGETS,
        wrong=_in_words(found.contradictions),
        picture=pictures.progress(found.history, DIGITAL_TARGETS),
    )


@blueprint.route("/offices/<code:code>/coverage/figures", methods=["GET", "POST"])
@security.needs(Action.RECORD_FIGURES)
def record(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.RECORD_FIGURES, code)
    form = FiguresForm(as_of=office.today(now))
    form.as_of.limit(office.today(now))
    written = form.accept(lambda: coverage.record(actor, now, form.request_uuid, code, form.figures()))
    if written is not None:
        return _back(code, written)
    fields = [(heading, [form[measure] for measure in measures]) for heading, measures in GROUPS]
    return render_template("coverage/figures.html", office=office, form=form, groups=fields), form.status


@blueprint.route("/offices/<code:code>/coverage/equipment", methods=["GET", "POST"])
@security.needs(Action.RECORD_FIGURES)
def record_equipment(code: str) -> Any:
    actor, now = security.current_actor(), security.now()
    office = offices.get(actor, Action.RECORD_FIGURES, code)
    before = coverage.equipment_of(actor, code)
    printers = before.get("printer")
    form = EquipmentForm(as_of=office.today(now), cards_a_day=printers.cards_a_day if printers else None)
    form.as_of.limit(office.today(now))
    written = form.accept(lambda: coverage.record_equipment(actor, now, form.request_uuid, code, form.equipment()))
    if written is not None:
        return _back(code, written)
    return render_template("coverage/equipment.html", office=office, form=form, before=before), form.status


@blueprint.route("/offices/<code:code>/coverage/files", methods=["GET", "POST"])
@security.needs(Action.RECORD_FIGURES)
def send_in(code: str) -> Any:
    office = offices.get(security.current_actor(), Action.RECORD_FIGURES, code)
    form = FileForm()
    checked = form.accept(lambda: _check(code, form))
    if checked is not None and checked.entry_id is not None:
        return redirect(url_for("coverage.show_file", entry_id=checked.entry_id), 303)
    return _file_page(office, form, checked)


@blueprint.get("/offices/<code:code>/coverage/files/template")
@security.needs(Action.RECORD_FIGURES)
def template(code: str) -> Any:
    """An empty file to fill in; its second line is an example that is passed over."""
    office = offices.get(security.current_actor(), Action.RECORD_FIGURES, code)
    example = " · ".join((office.code, "2024-05-22", "enrolled", "511434", "Tribun Bali, 2024"))
    lines = csv_lines([coverage_files.template_rows(text.language()), [f"# {example}"]])
    disposition = f'attachment; filename="figures-{office.code}.csv"'
    return Response(lines, mimetype="text/csv", headers={"Content-Disposition": disposition})


@blueprint.get("/coverage-files/<int(max=2147483647):entry_id>")
@security.needs(Action.RECORD_FIGURES)
def show_file(entry_id: int) -> Any:
    return _entry_page(coverage_files.get(security.current_actor(), entry_id), ConfirmForm())


@blueprint.post("/coverage-files/<int(max=2147483647):entry_id>")
@security.needs(Action.RECORD_FIGURES)
def run_file(entry_id: int) -> Any:
    actor = security.current_actor()
    found = coverage_files.get(actor, entry_id)
    form = ConfirmForm()
    done = form.accept(lambda: coverage_files.run(actor, security.now(), entry_id))
    if done is None:
        return _entry_page(found, form)
    flash(_said(done.added, done.corrected, done.known), "success")
    return redirect(url_for("coverage.show_file", entry_id=entry_id), 303)


def _below(actor: Actor, office: OfficeView) -> list[OfficeView]:
    """The offices right below that have a coverage of their own and that the actor may look at."""
    there = offices.children(actor, Action.VIEW_STOCK, office)
    kept = (each for each in there if each.kind is not OfficeKind.OUTREACH)
    return [each for each in kept if access.may(actor, Action.VIEW_STOCK, each.path)]


def _back(code: str, written: Written) -> Any:
    flash(_said(written.added, written.corrected, written.known), "success")
    return redirect(url_for("coverage.show", code=code), 303)


def _said(added: int, corrected: int, known: int) -> str:
    counted = (
        (added, gettext("%(count)s new", count=text.number(added))),
        (corrected, gettext("%(count)s corrected", count=text.number(corrected))),
        (known, gettext("%(count)s already known", count=text.number(known))),
    )
    return gettext("Recorded: %(counts)s.", counts=", ".join(words for number, words in counted if number))


def _check(code: str, form: FileForm) -> Checked:
    name, data = form.sent
    return coverage_files.check(
        security.current_actor(),
        security.now(),
        form.request_uuid,
        code,
        name,
        data,
        group_separator=text.group_separator(),
        max_bytes=form.limit,
    )


def _file_page(office: OfficeView, form: FileForm, checked: Checked | None) -> Any:
    page = render_template(
        "coverage/files.html",
        office=office,
        form=form,
        checked=checked,
        faults=faults_in_words(checked.faults if checked else (), FIELDS),
        columns=coverage_files.template_rows(text.language()),
        most_rows=MAX_ROWS,
    )
    return page, 422 if checked else form.status


def _entry_page(found: EntryView, form: ConfirmForm) -> Any:
    actor = security.current_actor()
    office = offices.get(actor, Action.RECORD_FIGURES, found.office_code)
    shown: dict[str, Any] = {"rows": [], "wrong": []}
    if found.status == "checked":
        shown["rows"] = coverage_files.rows_of(actor, found.id)
        shown["wrong"] = [
            (code, each.as_of, text.contradiction(each.code, each.facts))
            for code, each in coverage_files.contradictions_of(actor, found.id)
        ]
    return render_template("coverage/file.html", office=office, found=found, form=form, **shown), form.status


def _in_words(found: Iterable[Contradiction]) -> Mapping[tuple[date, str], list[str]]:
    """The sentences that belong beside a figure, by its day and measure."""
    said: dict[tuple[date, str], list[str]] = defaultdict(list)
    for each in found:
        for measure in each.measures:
            said[each.as_of, measure].append(text.contradiction(each.code, each.facts))
    return said
