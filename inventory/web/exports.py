"""Exports: the tables that a person may take along, as CSV or XLSX."""

from __future__ import annotations

import tempfile
from typing import Any

from flask import Blueprint, Response, render_template, request, send_file, stream_with_context
from wtforms import SelectField

from inventory import security
from inventory.domain.access import Action
from inventory.services import exports
from inventory.web.forms import DayField, QueryForm, WordsField, choices
from inventory.web.forms import lazy as _
from inventory.web.imports import XLSX

blueprint = Blueprint("exports", __name__, url_prefix="/exports")

TABLES = {
    "movements": _("Ledger entries"),
    "balances": _("Balances"),
    "daily_totals": _("Daily totals"),
    "deliveries": _("Deliveries"),
    "transfers": _("Transfers"),
    "transfer_lines": _("Quantities of transfers"),
    "allotment_plans": _("Plans of splits and loans"),
    "allotment_lines": _("Drafts of transfers"),
    "delivery_requests": _("Delivery requests"),
    "delivery_request_lines": _("Quantities of delivery requests"),
    "stocktakes": _("Stocktakes"),
    "stocktake_lines": _("Counts of approved stocktakes"),
    "day_closings": _("Daily closings"),
    "closing_exceptions": _("Differences at closing"),
    "proposals": _("Proposals for a second person"),
    "destructions": _("Records of destruction"),
    "destruction_lines": _("Breakdowns of destructions"),
    "number_ranges": _("Number ranges, where they are"),
    "movement_ranges": _("Number ranges, moved by which entry"),
    "documents": _("Issued documents"),
    "alerts": _("Alerts"),
    "alert_events": _("History of alerts"),
    "projections": _("Projections"),
    "backtests": _("Backtests"),
    "backtest_scores": _("How well each stock was projected"),
    "reported_figures": _("Reported figures of coverage"),
    "equipment_reports": _("Reports of equipment"),
    "boards": _("Public boards, as they were chosen"),
    "board_items": _("Items of public boards"),
    "stated_rates": _("Published demand figures"),
    "offices": _("Offices"),
    "items": _("Items"),
    "calendar_days": _("Calendar"),
    "outreach_plans": _("Outreach plans"),
    "outreach_plan_lines": _("Expected and actual prints of outreach"),
    "day_caps": _("Day caps"),
    "clearing_rates": _("Clearing rates of the backlog"),
    "digital_shares": _("Digital identities"),
    "events": _("Events"),
    "event_items": _("Items of events"),
    "plan_steps": _("Changes of plans, events and day caps"),
    "imports": _("Imported files"),
    "people": _("People"),
    "job_runs": _("Runs of the jobs"),
    "audit_entries": _("Audit"),
    "seals": _("Seals"),
}
FORMATS = {"csv": _("CSV (any spreadsheet)"), "xlsx": _("XLSX (Excel)")}


class ExportForm(QueryForm):
    REFUSED_FIELDS = {
        "export_unknown": "table",
        "office_not_found": "office",
        "not_allowed": "office",
        "period_backwards": "until",
    }

    table = SelectField(_("Table"), choices=[])
    office = WordsField(
        _("Office code"), most=40, description=_("Only this office and those below it. Empty: all that you may see.")
    )
    since = DayField(_("From"), required=False, name="from")
    until = DayField(_("To"), required=False, name="to")
    format = SelectField(_("Format"), choices=[])

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        allowed = exports.names(security.current_actor())
        self.table.choices = choices({name: TABLES[name] for name in allowed})
        self.format.choices = choices(FORMATS)


@blueprint.get("")
@security.needs(Action.VIEW_OFFICE)
def index() -> Any:
    form = ExportForm()
    if "table" not in request.args:
        return render_template("exports/index.html", form=form, sent=False)
    found = form.read(lambda: _read(form))
    if found is None:
        return render_template("exports/index.html", form=form, sent=True), form.status
    return _as_file(found, form.format.data)


def _read(form: ExportForm) -> exports.Export:
    office = form.office.data or None
    asked = form.table.data, office, form.since.data, form.until.data
    return exports.take_out(security.current_actor(), security.now(), *asked, format=form.format.data)


def _as_file(found: exports.Export, format: str) -> Any:
    name = "-".join(["blangko", found.name, security.now().date().isoformat()])
    if format == "csv":
        disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(stream_with_context(exports.csv_lines(found)), mimetype="text/csv", headers=disposition)
    # A workbook's parts are packed at its end, so it is written to a file first; the file is gone when it is sent.
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    exports.write_xlsx(found, stream)
    stream.seek(0)
    return send_file(stream, mimetype=XLSX, as_attachment=True, download_name=f"{name}.xlsx")
