"""Papers to be drawn: one of each kind, and the awkward ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from inventory.domain.documents import (
    CardEntry,
    CountedLine,
    CountSheet,
    DeliveredLine,
    DeliveryRecord,
    DestroyedLine,
    DestructionRecord,
    ItemMonth,
    ItemName,
    KnownUpTo,
    LateEntries,
    LateEntry,
    MonthlyReport,
    Paper,
    Party,
    StockCardRecord,
    StocktakeRecord,
    TransferRecord,
    TransferredLine,
    to_facts,
)
from inventory.domain.ledger import Effect
from inventory.domain.reports import accounts_of, total_of

AT = datetime(2024, 5, 31, 16, 30, tzinfo=UTC)
"""00:30 of 1 June in Denpasar."""
DAY = date(2024, 6, 1)
LINK = "https://blangko.example.go.id/d/Q2hlY2sgdGhpcyBwYXBlciwgcGxlYXNl"
DIGEST = "0123456789abcdef" * 4
BLANK = ItemName(
    code="ktp-wni", name_id="Blangko KTP-el WNI", name_en="Citizen card blank", unit_id="keping", unit_en="cards"
)
WNA = ItemName(
    code="ktp-wna",
    name_id="Blangko KTP-el WNA",
    name_en="Foreign resident card blank",
    unit_id="keping",
    unit_en="cards",
)
KIA = ItemName(code="kia", name_id="Blangko KIA", name_en="Child card blank", unit_id="keping", unit_en="cards")
RIBBON = ItemName(code="ribbon", name_id="Ribbon", name_en="Ribbon", unit_id="rol", unit_en="rolls")
FILM = ItemName(code="film", name_id="Film", name_en="Film", unit_id="rol", unit_en="rolls")
ITEMS = (BLANK, WNA, KIA, RIBBON, FILM)
KEEPER = Party(office="Kota Denpasar", name="Ni Made Ayu Suartini", position="Pengurus barang")
HEAD = Party(office="Kota Denpasar", name="I Gusti Ngurah Bagus Oka", position="Kepala Bidang PIAK")


def paper(kind: str, record: Any, **changes: Any) -> Paper:
    made = Paper(
        kind=kind,
        number="00012/51.71/2024",
        day=DAY,
        office_code="51.71",
        office_name="Kota Denpasar",
        time_zone="Asia/Makassar",
        issued_at=AT,
        issued_by="Ni Made Ayu Suartini",
        link=LINK,
        seal_head="ab12" * 16,
        synthetic=False,
        facts=to_facts(record),
    )
    return replace(made, **changes)


def delivery(**changes: Any) -> DeliveryRecord:
    lines = (
        DeliveredLine(item=BLANK, asked=10_000, allotted=4_000, received=3_990, defective=37, cartons=2),
        DeliveredLine(item=RIBBON, asked=8, received=10, defective=0),
    )
    record = DeliveryRecord(
        bast_number="470/123/DUKCAPIL/2024",
        bast_on=date(2024, 5, 20),
        received_on=date(2024, 5, 22),
        handed_over=Party(office="Ditjen Dukcapil", name="Budi Santoso", position="Subdit Perlengkapan"),
        taken_over=KEEPER,
        funding_source="apbn",
        condition="Satu dus basah di sudut, isinya utuh.",
        lines=lines,
    )
    return replace(record, **changes)


def transfer() -> TransferRecord:
    return TransferRecord(
        bast_number="470/12/2024",
        purpose="loan",
        status="received",
        sender=KEEPER,
        receiver=Party(office="Kabupaten Badung", name="Ketut Alit"),
        custodian="I Made Kurir",
        dispatched_on=date(2024, 5, 15),
        expected_on=date(2024, 5, 16),
        due_on=date(2024, 6, 30),
        closed_on=date(2024, 5, 16),
        note="dua kotak",
        lines=(TransferredLine(item=BLANK, sent=1_040, received=1_035, damaged=2, short=3),),
    )


def stocktake() -> StocktakeRecord:
    lines = (
        CountedLine(item=BLANK, count=1_636, recount=1_637, counted_at=AT, book=1_639),
        CountedLine(item=RIBBON, count=0, counted_at=AT + timedelta(minutes=12), book=0),
        CountedLine(item=FILM, count=12, counted_at=AT + timedelta(minutes=15), book=11),
    )
    return StocktakeRecord(
        counted_on=DAY, counted_by=KEEPER, recounted_by=HEAD, approved_by=HEAD, approved_on=DAY, lines=lines
    )


def destruction() -> DestructionRecord:
    lines = (
        DestroyedLine(item=BLANK, cause="misprint", quantity=1_200),
        DestroyedLine(item=BLANK, cause="encoding_failure", quantity=400),
        DestroyedLine(item=WNA, cause="obsolete", quantity=39),
    )
    return DestructionRecord(
        destroyed_on=DAY,
        place="Halaman belakang kantor Dinas Kependudukan dan Pencatatan Sipil Kota Denpasar",
        method="Dibakar sampai habis",
        total=1_639,
        lines=lines,
        officer=KEEPER,
        witnesses=(
            Party(office="Satpol PP", name="Wayan Sudarma", position="Anggota"),
            Party(office="Inspektorat", name="Luh Putu Sri", position="Auditor"),
        ),
        approver=HEAD,
    )


def stock_card(entries: int, reference: str = "") -> StockCardRecord:
    left, lines = 1_000_000, []
    for number in range(1, entries + 1):
        change = 2_000 if number % 7 == 0 else -(number * 37 % 500) - 1
        left += change
        kind, reason = ("receipt", "supplied") if change > 0 else ("print", "changed_data")
        lines.append(
            CardEntry(
                seq=1_200 + number,
                day=date(2024, 3, 1) + timedelta(days=number * 90 // (entries + 1)),
                kind=kind,
                reason=reason,
                quantity=abs(change),
                change=change,
                left=left,
                reference=reference or (f"470/{number}/2024" if change > 0 else ""),
                reverses_seq=1_200 if number == 3 else None,
            )
        )
    return StockCardRecord(
        item=BLANK,
        since=date(2024, 3, 1),
        until=date(2024, 5, 31),
        opening=1_000_000,
        lines=tuple(lines),
        closing=left,
    )


def monthly_report(items: tuple[ItemName, ...] = ITEMS) -> MonthlyReport:
    months = []
    for number, item in enumerate(items):
        opening = Effect(received=20_000, store=19_000, spoiled=700, transit=300)
        sums = {
            ("receipt", "supplied"): 2_000 * (number + 1),
            ("receipt", "defective"): 12,
            ("print", "new"): 1_310,
            ("print", "lost"): 87,
            ("print", "damaged"): 205,
            ("print", "changed_data"): 411 + number,
            ("print", "moved_in"): 9,
            ("spoil", "misprint"): 31,
            ("spoil", "encoding_failure"): 5,
            ("dispatch", "distribution"): 500,
            ("arrival", "handed_over"): 297,
            ("arrival", "short"): 3,
            ("arrival", "arrived"): 1_000,
            ("return", "to_supplier"): 40,
            ("destroy", "destroyed"): 700,
            ("count", "short"): 2,
        }
        closing = opening.plus(total_of(sums))
        months.append(ItemMonth(item=item, last_seq=100 + number, accounts=accounts_of(opening, sums, closing)))
    return MonthlyReport(year=2024, month=5, items=tuple(months))


def late_entries(entries: int = 3) -> LateEntries:
    line = LateEntry(
        item=BLANK,
        seq=140,
        day=date(2024, 5, 30),
        recorded_at=AT + timedelta(days=2),
        kind="spoil",
        reason="encoding_failure",
        quantity=-7,
        by="Ni Made Ayu Suartini",
    )
    lines = tuple(replace(line, seq=140 + number) for number in range(entries))
    known = (KnownUpTo(item="ktp-wni", seq=139 + entries),)
    return LateEntries(year=2024, month=5, report="00012/51.71/2024", lines=lines, known=known)


def one_of_each() -> dict[str, Paper]:
    records = {
        "delivery": delivery(),
        "transfer": transfer(),
        "count_sheet": CountSheet(count_on=DAY, items=ITEMS),
        "stocktake": stocktake(),
        "destruction": destruction(),
        "stock_card": stock_card(12),
        "monthly_report": monthly_report(),
        "late_entries": late_entries(),
    }
    return {kind: paper(kind, record) for kind, record in records.items()}


WORDY = ("Dinas Kependudukan dan Pencatatan Sipil " * 4)[:119] + "x"
"""120 characters, as long as a name may be."""
UNBROKEN = "W" * 120


def awkward() -> dict[str, Paper]:
    long_item = replace(BLANK, name_id=WORDY, name_en=UNBROKEN)
    long_party = Party(office=WORDY, name=UNBROKEN, position=WORDY)
    lines = (DeliveredLine(item=long_item, asked=10_000_000, received=10_000_000, defective=9_999_999),)
    named = delivery(
        handed_over=long_party, taken_over=long_party, lines=lines, condition="Basah. " * 71, bast_number="9" * 80
    )
    many = tuple(
        replace(ITEMS[n % 5], code=f"i{n}", name_id=f"Barang nomor {n}", name_en=f"Item {n}") for n in range(7)
    )
    long_names = tuple(replace(long_item, code=f"l{n}") for n in range(5))
    return {
        "names": paper("delivery", named, office_name=WORDY, issued_by=UNBROKEN),
        "unbroken": paper("transfer", replace(transfer(), note=UNBROKEN * 4, custodian=UNBROKEN), office_name=UNBROKEN),
        "synthetic": paper("transfer", transfer(), synthetic=True, seal_head="", office_name=WORDY),
        "one_line": paper("stock_card", stock_card(1)),
        "empty_card": paper("stock_card", stock_card(0)),
        "long_card": paper("stock_card", stock_card(300)),
        "wordy_card": paper("stock_card", stock_card(12, reference="catatan yang panjang " * 24)),
        "no_items": paper("monthly_report", monthly_report(())),
        "one_item": paper("monthly_report", monthly_report((BLANK,))),
        "seven_items": paper("monthly_report", monthly_report(many)),
        "long_items": paper("monthly_report", monthly_report(long_names)),
        "long_count": paper("count_sheet", CountSheet(count_on=DAY, items=many * 6)),
        "late": paper("late_entries", late_entries(80)),
        "unapproved": paper("stocktake", replace(stocktake(), approved_by=None, approved_on=None, recounted_by=None)),
    }
