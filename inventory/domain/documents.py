"""Documents: what each kind of paper says, as plain values, and the form in which that is kept.

A document's facts hold no words of either language: codes, names as they were, numbers and days. So the same facts
are printed in Indonesian and in English, today and in ten years.
"""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from inventory.domain.reports import Account, Month

Record = TypeVar("Record")

KINDS = (
    "delivery",
    "transfer",
    "count_sheet",
    "stocktake",
    "destruction",
    "stock_card",
    "monthly_report",
    "late_entries",
)
FIGURES = ("received", "defective", "sent", "short", "difference", "destroyed", "opening", "closing", "late")
"""What a document's main figures are of."""

SUBJECT_LENGTH = 120
LINK_BASE_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class ItemName:
    """An item as it was called when the document was issued."""

    code: str
    name_id: str
    name_en: str
    unit_id: str
    unit_en: str

    def name(self, language: str) -> str:
        return self.name_id if language == "id" else self.name_en

    def unit(self, language: str) -> str:
        return self.unit_id if language == "id" else self.unit_en


@dataclass(frozen=True, kw_only=True)
class Party:
    """Who signs: an official, in which position, of which office. All but the office may be unknown."""

    office: str
    name: str = ""
    position: str = ""


Totals = Iterator[tuple[ItemName, str, int]]
"""A record's main figures: item, what is counted (one of FIGURES), how many."""


# --- hand-over ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DeliveredLine:
    """`received` counts the defective ones too. What was promised is the allotment, or else what was asked for."""

    item: ItemName
    received: int
    defective: int
    asked: int | None = None
    allotted: int | None = None
    cartons: int | None = None

    @property
    def promised(self) -> int | None:
        return self.allotted if self.allotted is not None else self.asked

    @property
    def short(self) -> int | None:
        return None if self.promised is None else max(0, self.promised - self.received)

    @property
    def over(self) -> int | None:
        return None if self.promised is None else max(0, self.received - self.promised)


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """A delivery's record of hand-over. `condition` is the note on the state in which it arrived."""

    bast_number: str
    bast_on: date
    received_on: date
    handed_over: Party
    taken_over: Party
    funding_source: str
    lines: tuple[DeliveredLine, ...]
    condition: str = ""

    def totals(self) -> Totals:
        for line in self.lines:
            yield line.item, "received", line.received
            yield line.item, "defective", line.defective


@dataclass(frozen=True, kw_only=True)
class TransferredLine:
    """What arrived is None while it is on its way. sent + over = received + damaged + short."""

    item: ItemName
    sent: int
    received: int | None = None
    damaged: int | None = None
    short: int | None = None

    def __post_init__(self) -> None:
        arrived = (self.received, self.damaged, self.short)
        came = sum(part or 0 for part in arrived)
        if None not in arrived and (came < self.sent or (self.short and came > self.sent)):
            raise ValueError(f"{self.item.code}: {self.sent} sent is not {arrived}")

    @property
    def over(self) -> int | None:
        """What came beyond what was sent; None while it is on its way."""
        return None if self.received is None else self.received + (self.damaged or 0) + (self.short or 0) - self.sent


@dataclass(frozen=True, kw_only=True)
class TransferRecord:
    bast_number: str
    purpose: str
    status: str
    sender: Party
    receiver: Party
    custodian: str
    dispatched_on: date
    expected_on: date
    due_on: date | None
    closed_on: date | None
    lines: tuple[TransferredLine, ...]
    note: str = ""

    def totals(self) -> Totals:
        for line in self.lines:
            yield line.item, "sent", line.sent
            if line.received is not None:
                yield line.item, "received", line.received
                yield line.item, "short", line.short or 0


# --- stocktakes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CountSheet:
    """A sheet for counting blindly: which items, and no figure of the books."""

    count_on: date
    items: tuple[ItemName, ...]

    def totals(self) -> Totals:
        yield from ()  # it must not say how many there should be


@dataclass(frozen=True, kw_only=True)
class CountedLine:
    """`book` is what the ledger held at `counted_at` (aware); the recount, where there is one, is what counts."""

    item: ItemName
    count: int
    counted_at: datetime
    book: int
    recount: int | None = None

    @property
    def difference(self) -> int:
        return (self.count if self.recount is None else self.recount) - self.book


@dataclass(frozen=True, kw_only=True)
class StocktakeRecord:
    """A stocktake that was counted and, when `approved_by` is known, approved by somebody else."""

    counted_on: date
    counted_by: Party
    lines: tuple[CountedLine, ...]
    recounted_by: Party | None = None
    approved_by: Party | None = None
    approved_on: date | None = None
    note: str = ""

    def totals(self) -> Totals:
        for line in self.lines:
            yield line.item, "difference", line.difference


# --- destruction -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DestroyedLine:
    """How many of one item were destroyed for one cause of their being spoiled."""

    item: ItemName
    cause: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class DestructionRecord:
    """A destruction before two witnesses. Its breakdown comes to its total, or it is no record."""

    destroyed_on: date
    place: str
    method: str
    total: int
    lines: tuple[DestroyedLine, ...]
    officer: Party
    witnesses: tuple[Party, ...]
    approver: Party
    note: str = ""

    def __post_init__(self) -> None:
        broken_down = sum(line.quantity for line in self.lines)
        if broken_down != self.total:
            raise ValueError(f"the breakdown is {broken_down}, the total {self.total}")

    def totals(self) -> Totals:
        for item in dict.fromkeys(line.item for line in self.lines):
            yield item, "destroyed", sum(line.quantity for line in self.lines if line.item == item)


# --- the books ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CardEntry:
    """A movement on a stock card. `change` is what it did to the store, `left` what the store then held."""

    seq: int
    day: date
    kind: str
    reason: str
    quantity: int
    change: int
    left: int
    reference: str = ""
    reverses_seq: int | None = None


@dataclass(frozen=True, kw_only=True)
class StockCardRecord:
    item: ItemName
    since: date
    until: date
    opening: int
    lines: tuple[CardEntry, ...]
    closing: int

    def __post_init__(self) -> None:
        left = self.opening
        for line in self.lines:
            left += line.change
            if line.left != left:
                raise ValueError(f"entry {line.seq} leaves {left}, not {line.left}")
        if left != self.closing:
            raise ValueError(f"the card comes to {left}, not {self.closing}")

    @property
    def came(self) -> int:
        return sum(line.change for line in self.lines if line.change > 0)

    @property
    def went(self) -> int:
        return -sum(line.change for line in self.lines if line.change < 0)

    def totals(self) -> Totals:
        yield self.item, "opening", self.opening
        yield self.item, "closing", self.closing


@dataclass(frozen=True, kw_only=True)
class ItemMonth:
    """An item's month, known up to the movement `last_seq` of the office and item."""

    item: ItemName
    last_seq: int
    accounts: tuple[Account, ...]


@dataclass(frozen=True, kw_only=True)
class MonthlyReport:
    year: int
    month: int
    items: tuple[ItemMonth, ...]

    @property
    def period(self) -> Month:
        return Month(self.year, self.month)

    def totals(self) -> Totals:
        for each in self.items:
            store = each.accounts[0]
            yield each.item, "opening", store.opening
            yield each.item, "closing", store.closing


@dataclass(frozen=True, kw_only=True)
class LateEntry:
    """A movement for a month that had been reported before it was recorded."""

    item: ItemName
    seq: int
    day: date
    recorded_at: datetime
    kind: str
    reason: str
    quantity: int
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class KnownUpTo:
    """The newest movement of an item that a report or its supplement takes in."""

    item: str
    seq: int


@dataclass(frozen=True, kw_only=True)
class LateEntries:
    """The supplement to a monthly report: what was recorded for its month since."""

    year: int
    month: int
    report: str
    """The number of the report that this supplements."""
    lines: tuple[LateEntry, ...]
    known: tuple[KnownUpTo, ...]

    @property
    def period(self) -> Month:
        return Month(self.year, self.month)

    def totals(self) -> Totals:
        for item in dict.fromkeys(line.item for line in self.lines):
            yield item, "late", sum(line.item == item for line in self.lines)


RECORDS: Mapping[str, type[Any]] = {
    "delivery": DeliveryRecord,
    "transfer": TransferRecord,
    "count_sheet": CountSheet,
    "stocktake": StocktakeRecord,
    "destruction": DestructionRecord,
    "stock_card": StockCardRecord,
    "monthly_report": MonthlyReport,
    "late_entries": LateEntries,
}


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A document as it was issued: all that its pages are drawn from, and all that its digest is taken of."""

    kind: str
    number: str
    day: date
    """The office's own day on which it was issued."""
    office_code: str
    office_name: str
    time_zone: str
    issued_at: datetime
    issued_by: str
    link: str
    """The absolute address under which anybody can hold the paper against this record."""
    seal_head: str
    """The digest of the newest seal over the ledger at that time; empty before the first."""
    synthetic: bool
    facts: dict[str, Any]

    @property
    def record(self) -> Any:
        return from_facts(RECORDS[self.kind], self.facts)


def number_text(number: int, office_code: str, year: int) -> str:
    """00012/51.71/2024: the twelfth document of that office in that year."""
    return f"{number:05}/{office_code}/{year}"


def to_facts(record: Any) -> dict[str, Any]:
    """A record as JSON can hold it: days and instants in ISO 8601."""
    return json.loads(json.dumps(asdict(record), default=_iso))


def from_facts(record_type: type[Record], facts: Mapping[str, Any]) -> Record:
    """The record again. Raises ValueError, TypeError or KeyError for facts that are none of this type."""
    hints = typing.get_type_hints(record_type)
    known = {field.name for field in fields(record_type)}  # type: ignore[arg-type]
    if set(facts) - known:
        raise ValueError(f"unknown facts: {sorted(set(facts) - known)}")
    return record_type(**{name: _read(hints[name], value) for name, value in facts.items()})


def content_of(paper: Paper) -> str:
    """The one text of a paper: the same paper, the same bytes."""
    return json.dumps(asdict(paper), default=_iso, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def paper_from(content: str) -> Paper:
    return from_facts(Paper, json.loads(content))


def digest_of(content: str) -> str:
    """SHA-256 (hex) of a document's content."""
    return hashlib.sha256(content.encode()).hexdigest()


def totals_of(paper: Paper) -> list[tuple[ItemName, str, int]]:
    """A paper's main figures, to be compared with it: item, what is counted (one of FIGURES), how many.

    Totals only: no person is named.
    """
    return list(paper.record.totals())


def _iso(value: Any) -> str:
    if isinstance(value, date):  # an instant is one, too
        return value.isoformat()
    raise TypeError(f"{value!r} is no fact")


def _read(hint: Any, value: Any) -> Any:
    """`value` as JSON held it, as the type that a field asks for."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        [hint] = [each for each in typing.get_args(hint) if each is not type(None)]
        return _read(hint, value)
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], each) for each in value)
    if is_dataclass(hint):
        return from_facts(typing.cast(type[Any], hint), value)
    if hint in (date, datetime):
        return hint.fromisoformat(value)
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {hint}")
    return value
