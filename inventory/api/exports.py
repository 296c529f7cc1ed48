"""Exports: the tables that somebody may take along, as CSV or as lines of JSON, piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context
from marshmallow import fields

from inventory import security
from inventory.api.answers import Answer
from inventory.api.auth import needs
from inventory.api.fields import Choice, Code, Day
from inventory.api.operations import reads
from inventory.api.schemas import Schema
from inventory.api.specification import Resource
from inventory.domain.access import Action
from inventory.services import exports
from inventory.services.exports import TABLES, Export

blueprint = Resource("exports", __name__, description="Whole tables, within reach.")

CSV, LINES = "text/csv", "application/jsonl"
NAMES = tuple(table.name for table in TABLES)


class ExportQuery(Schema):
    form = Choice(("csv", "jsonl"), load_default="csv")
    under = Code(load_default=None, metadata={"description": "Only this office and those below it."})
    since = Day(load_default=None, data_key="from")
    until = Day(load_default=None, data_key="to")


class TableSchema(Answer):
    name = fields.Str()
    has_days = fields.Bool(metadata={"description": "Whether it can be narrowed to a period."})


class TablesSchema(Answer):
    data = fields.List(fields.Nested(TableSchema))


@reads(blueprint, "/exports", Action.VIEW_OFFICE, (TablesSchema, {"data": [{"name": "movements", "has_days": True}]}))
def index() -> Any:
    """The tables that one may export."""
    named = exports.names(security.current_actor())
    return {"data": [{"name": name, "has_days": exports.has_days(name)} for name in named]}


@blueprint.get(f"/exports/<any({', '.join(NAMES)}):table>")
@needs(Action.VIEW_OFFICE, fields={"period_backwards": "to", "office_not_found": "under"})
@blueprint.arguments(ExportQuery, location="query")
@blueprint.doc(
    responses={
        200: {
            "description": "The table, all of it.",
            "content": {
                CSV: {"schema": {"type": "string"}, "example": "office,item,store\r\n51.71,ktp-wni,1639\r\n"},
                LINES: {
                    "schema": {"type": "string"},
                    "example": '{"office": "51.71", "item": "ktp-wni", "store": 1639}\n',
                },
            },
        }
    }
)
def show(said: dict[str, Any], table: str) -> Any:
    """One table, as the page for exports gives it: the same columns, the same reach.

    In CSV a cell that a spreadsheet would take for a formula is made harmless; lines of JSON are as they are.
    """
    asked = table, said["under"], said["since"], said["until"]
    found = exports.take_out(security.current_actor(), security.now(), *asked, format=said["form"])
    lines, kind = (exports.csv_lines(found), CSV) if said["form"] == "csv" else (_json_lines(found), LINES)
    name = f"blangko-{table}-{security.now().date().isoformat()}.{said['form']}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(stream_with_context(lines), mimetype=kind, headers=headers)


def _json_lines(found: Export) -> Iterator[bytes]:
    for row in found.rows:
        yield json.dumps(dict(zip(found.headings, row, strict=True)), ensure_ascii=False, default=str).encode() + b"\n"
