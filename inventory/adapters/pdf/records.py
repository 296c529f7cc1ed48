"""What stands on the pages of each kind of document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inventory.adapters.pdf.sheet import Column, Row, Sheet
from inventory.adapters.pdf.words import FUNDING_SOURCES, MOVEMENTS, PLACES, REASONS, STATUSES, TITLES, Words
from inventory.domain.documents import (
    CardEntry,
    CountSheet,
    DeliveredLine,
    DeliveryRecord,
    DestructionRecord,
    ItemMonth,
    ItemName,
    LateEntries,
    MonthlyReport,
    Paper,
    Party,
    StockCardRecord,
    StocktakeRecord,
    TransferRecord,
)
from inventory.domain.reports import ACCOUNTS, rows_of

ITEMS_ACROSS = 5
"""How many items stand side by side in a monthly report."""


def draw_record(paper: Paper, digest: str, language: str) -> bytes:
    words = Words(language, paper.time_zone)
    sheet = Sheet(paper, digest, words(paper.kind, TITLES), words)
    _DRAWN[paper.kind](sheet, words, paper.record)
    return bytes(sheet.output())


def _delivery(sheet: Sheet, say: Words, record: DeliveryRecord) -> None:
    sheet.open_with()
    sheet.facts(
        [
            (say("bast_number"), record.bast_number),
            (say("bast_on"), say.day(record.bast_on)),
            (say("received_on"), say.day(record.received_on)),
            (say("handing_over"), _who(record.handed_over)),
            (say("taking_over"), _who(record.taken_over)),
            (say("funding"), say(record.funding_source, FUNDING_SOURCES)),
            (say("condition"), record.condition),
        ]
    )
    counts: list[tuple[str, Callable[[DeliveredLine], int | None]]] = [
        ("asked", lambda line: line.asked),
        ("allotted", lambda line: line.allotted),
        ("cartons", lambda line: line.cartons),
        ("received", lambda line: line.received),
        ("defective", lambda line: line.defective),
        ("short", lambda line: line.short),
        ("over", lambda line: line.over),
    ]
    known = [(word, of) for word, of in counts if any(of(line) is not None for line in record.lines)]
    columns = [Column(say("item"), 34), Column(say("unit"), 13), *(Column(say(w), 15, "R") for w, _ in known)]
    rows = [Row([*_item(say, line.item), *(say.number(of(line)) for _, of in known)]) for line in record.lines]
    sheet.rows(columns, rows)
    sheet.signatures([(say("handing_over"), record.handed_over), (say("taking_over"), record.taken_over)])


def _transfer(sheet: Sheet, say: Words, record: TransferRecord) -> None:
    sheet.open_with()
    closed = say(record.status, STATUSES) + (f", {say.day(record.closed_on)}" if record.closed_on else "")
    sheet.facts(
        [
            (say("bast_number"), record.bast_number),
            (say("sender"), _who(record.sender)),
            (say("receiver"), _who(record.receiver)),
            (say("carrier"), record.custodian),
            (say("purpose"), say(record.purpose, REASONS)),
            (say("dispatched_on"), say.day(record.dispatched_on)),
            (say("expected_on"), say.day(record.expected_on)),
            (say("due_on"), say.day(record.due_on) if record.due_on else ""),
            (say("status"), closed),
            (say("note"), record.note),
        ]
    )
    columns = [Column(say("item"), 40), Column(say("unit"), 16)]
    said = ("sent", "good", "damaged", "short", *(["over"] if any(each.over for each in record.lines) else []))
    columns += [Column(say(word), 18, "R") for word in said]
    rows = []
    for each in record.lines:
        figures = (each.sent, each.received, each.damaged, each.short, each.over)[: len(said)]
        rows.append(Row([*_item(say, each.item), *(say.number(figure) for figure in figures)]))
    sheet.rows(columns, rows)
    carrier = Party(office=record.sender.office, name=record.custodian)
    signers = [("handing_over", record.sender), ("carrier", carrier), ("taking_over", record.receiver)]
    sheet.signatures([(say(role), party) for role, party in signers])


def _count_sheet(sheet: Sheet, say: Words, record: CountSheet) -> None:
    sheet.open_with()
    sheet.facts([(say("count_on"), say.day(record.count_on))])
    sheet.words(say("blind"))
    columns = [Column(say("item"), 44), Column(say("unit"), 16), Column(say("counted"), 28)]
    columns += [Column(say("counted_at"), 20), Column(say("initials"), 24)]
    sheet.rows(columns, [Row([*_item(say, item), "", "", ""]) for item in record.items], size=10, height=9)
    sheet.signatures([(say("counted_by"), Party(office=sheet.paper.office_name))])


def _stocktake(sheet: Sheet, say: Words, record: StocktakeRecord) -> None:
    sheet.open_with()
    approved_by = _who(record.approved_by) if record.approved_by else say("not_approved")
    sheet.facts(
        [
            (say("count_on"), say.day(record.counted_on)),
            (say("counted_by"), _who(record.counted_by)),
            (say("recounted_by"), _who(record.recounted_by) if record.recounted_by else ""),
            (say("approved_by"), approved_by),
            (say("approved_on"), say.day(record.approved_on) if record.approved_on else ""),
            (say("note"), record.note),
        ]
    )
    columns = [Column(say("item"), 40), Column(say("unit"), 15), Column(say("counted_at"), 14, "R")]
    columns += [Column(say(word), 19, "R") for word in ("counted", "recounted", "book", "difference")]
    rows = [
        Row(
            [
                *_item(say, line.item),
                say.time(line.counted_at),
                say.number(line.count),
                say.number(line.recount),
                say.number(line.book),
                say.signed(line.difference),
            ]
        )
        for line in record.lines
    ]
    sheet.rows(columns, rows)
    signers = [("counted_by", record.counted_by), ("recounted_by", record.recounted_by)]
    signers.append(("approved_by", record.approved_by or Party(office=sheet.paper.office_name)))
    sheet.signatures([(say(role), party) for role, party in signers if party])


def _destruction(sheet: Sheet, say: Words, record: DestructionRecord) -> None:
    sheet.open_with()
    sheet.facts(
        [
            (say("destroyed_on"), say.day(record.destroyed_on)),
            (say("place"), record.place),
            (say("method"), record.method),
            (say("note"), record.note),
        ]
    )
    columns = [Column(say("item"), 52), Column(say("unit"), 18), Column(say("cause"), 40)]
    columns.append(Column(say("quantity"), 24, "R"))
    rows = [Row([*_item(say, each.item), say(each.cause, REASONS), say.number(each.quantity)]) for each in record.lines]
    rows.append(Row([say("total"), "", "", say.number(record.total)], strong=True))
    sheet.rows(columns, rows)
    sheet.facts([(say("in_words"), say.in_words(record.total))])
    witnesses = [(say("witness", number=n), each) for n, each in enumerate(record.witnesses, start=1)]
    sheet.signatures([(say("officer"), record.officer), *witnesses, (say("approved_by"), record.approver)])


def _stock_card(sheet: Sheet, say: Words, record: StockCardRecord) -> None:
    language = say.language
    sheet.open_with(record.item.name(language))
    period = say("from_to", first=say.day(record.since), last=say.day(record.until))
    sheet.facts([(say("period"), period), (say("unit"), record.item.unit(language))])
    columns = [Column(say("entry_number"), 11, "R"), Column(say("day"), 21), Column(say("entry"), 42)]
    columns += [Column(say("reference"), 44), *(Column(say(word), 17, "R") for word in ("in", "out", "left"))]
    rows = [Row(["", say.short_day(record.since), say("carried"), "", "", "", say.number(record.opening)], strong=True)]
    rows += [_card_row(say, line) for line in record.lines]
    if not record.lines:
        rows.append(Row(["", "", say("no_entries"), "", "", "", ""]))
    totals = [say.number(total) for total in (record.came, record.went, record.closing)]
    rows.append(Row(["", say.short_day(record.until), say("total"), "", *totals], strong=True))
    sheet.rows(columns, rows, size=8.5, height=4.2)


def _card_row(say: Words, line: CardEntry) -> Row:
    entry = f"{say(line.kind, MOVEMENTS)}: {say(line.reason, REASONS)}"
    if line.reverses_seq is not None:
        entry = f"{entry} ({say('reverses', seq=say.number(line.reverses_seq))})"
    came = say.number(line.change) if line.change > 0 else ""
    went = say.number(-line.change) if line.change < 0 else ""
    cells = [say.number(line.seq), say.short_day(line.day), entry, line.reference, came, went, say.number(line.left)]
    return Row(cells)


def _monthly_report(sheet: Sheet, say: Words, record: MonthlyReport) -> None:
    sheet.open_with(say.month(record.period.first))
    if not record.items:
        sheet.words(say("no_items"))
    for start in range(0, len(record.items), ITEMS_ACROSS):
        if start:
            sheet.add_page()
        _month_table(sheet, say, record.items[start : start + ITEMS_ACROSS])
    if record.items:
        sheet.words(say("adds_up"))
    sheet.signatures([(say("made_by"), Party(office=sheet.paper.office_name)), _approval(sheet, say)])


def _month_table(sheet: Sheet, say: Words, items: Sequence[ItemMonth]) -> None:
    across = [f"{each.item.name(say.language)} ({each.item.unit(say.language)})" for each in items]
    columns = [Column(say("entry"), 50), *(Column(title, 128 / max(3, len(items)), "R") for title in across)]
    rows: list[Row] = []
    for index, place in enumerate(ACCOUNTS):
        accounts = [each.accounts[index] for each in items]
        rows.append(Row([say(place, PLACES)], heading=True))
        rows.append(Row([say("opening"), *(say.number(account.opening) for account in accounts)]))
        for kind, reason in rows_of(place, (each.accounts for each in items)):
            found = [_change(say, account, kind, reason) for account in accounts]
            rows.append(Row([f"{say(kind, MOVEMENTS)}: {say(reason, REASONS)}", *found]))
        rows.append(Row([say("closing"), *(say.number(account.closing) for account in accounts)], strong=True))
    sheet.rows(columns, rows, size=8.5, height=4.2)


def _change(say: Words, account: Any, kind: str, reason: str) -> str:
    for change in account.changes:
        if (change.kind, change.reason) == (kind, reason):
            return say.signed(change.quantity)
    return "–"


def _late_entries(sheet: Sheet, say: Words, record: LateEntries) -> None:
    sheet.open_with(say.month(record.period.first))
    sheet.facts([(say("to_report"), record.report)])
    sheet.words(say("late_text"))
    columns = [Column(say("item"), 36), Column(say("entry_number"), 11, "R"), Column(say("day"), 22)]
    columns += [Column(say("entry"), 42), Column(say("quantity"), 18, "R"), Column(say("recorded"), 46)]
    rows = [
        Row(
            [
                line.item.name(say.language),
                say.number(line.seq),
                say.short_day(line.day),
                f"{say(line.kind, MOVEMENTS)}: {say(line.reason, REASONS)}",
                say.number(line.quantity),
                "\n".join(part for part in (say.moment(line.recorded_at), line.by) if part),
            ]
        )
        for line in record.lines
    ]
    sheet.rows(columns, rows, size=8.5, height=4.2)
    sheet.signatures([_approval(sheet, say)])


# --- parts -------------------------------------------------------------------------------------------------------


def _who(party: Party) -> str:
    return ", ".join(part for part in (party.name, party.position, party.office) if part)


def _item(say: Words, item: ItemName) -> list[str]:
    return [item.name(say.language), item.unit(say.language)]


def _approval(sheet: Sheet, say: Words) -> tuple[str, Party]:
    return say("acknowledged"), Party(office=sheet.paper.office_name)


_DRAWN: Mapping[str, Callable[[Sheet, Words, Any], None]] = {
    "delivery": _delivery,
    "transfer": _transfer,
    "count_sheet": _count_sheet,
    "stocktake": _stocktake,
    "destruction": _destruction,
    "stock_card": _stock_card,
    "monthly_report": _monthly_report,
    "late_entries": _late_entries,
}
