"""Known figures and equipment on both databases: kept as reported, corrected in sight, and recorded once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.coverage import Equipment, Figure
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.models import EquipmentReport, FigureEntry, Office, ReportedFigure
from inventory.services import coverage, coverage_files
from inventory.services.coverage import Backlog, CoverageView, Written
from inventory.services.coverage_files import Checked
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import CROWD
from tests.domain.test_coverage import published
from tests.files import csv_file, xlsx_file
from tests.world import BADUNG, DENPASAR, World

LATER = datetime(2024, 6, 3, 3, 0, tzinfo=UTC)
DAY, EARLIER = date(2024, 5, 22), date(2023, 9, 12)
TRIBUN = "Tribun Bali, 2024"
OKU_SELATAN, SELATAN, TIMUR = "16.09", "51.71.01", "51.71.02"
HEADS = ("office_code", "as_of", "measure", "value", "source", "note")


def said(day: date = DAY, source: str = TRIBUN, note: str = "", **values: Any) -> list[Figure]:
    return [Figure(measure=m, value=value, as_of=day, source=source, note=note) for m, value in values.items()]


def record(
    figures: list[Figure], office: str = DENPASAR, actor: Actor = SYSTEM, request: UUID | None = None
) -> tuple[int, int, int]:
    """How many were new, corrected, known."""
    return short(coverage.record(actor, LATER, request or uuid4(), office, figures))


def short(written: Written) -> tuple[int, int, int]:
    return written.added, written.corrected, written.known


def shown(office: str = DENPASAR, actor: Actor = SYSTEM) -> CoverageView:
    return coverage.show(actor, office)


def ids(*codes: str) -> list[int]:
    found = {row.code: row.id for row in db.session.execute(select(Office.id, Office.code))}
    return [found[code] for code in codes]


def rows(table: Any = ReportedFigure) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def printers(
    working: int, broken: int = 0, *, day: date = DAY, cards: int = 60, source: str = "own count"
) -> Equipment:
    return Equipment(kind="printer", working=working, out_of_order=broken, cards_a_day=cards, as_of=day, source=source)


def equip(office: str, *equipment: Equipment, actor: Actor = SYSTEM, request: UUID | None = None) -> Written:
    return coverage.record_equipment(actor, LATER, request or uuid4(), office, equipment)


# --- the form's figures ------------------------------------------------------------------------------------------


def test_denpasars_figures_are_kept_as_published_and_flagged(world: World) -> None:
    assert record(published(DENPASAR)) == (14, 0, 0)
    found = shown()
    assert {name: told.value for name, told in found.figures.items()} == {
        "eligible": 516_875,
        "enrolled": 511_434,
        "not_enrolled": 5_441,
        "print_ready": 42_411,
        "card_holders": 364_182,
        "digital_id": 21_053,
        "digital_id_target": 153_430,
        "population": 662_885,
    }
    assert (found.figures["print_ready"].until, found.figures["print_ready"].source) == (
        date(2017, 9, 30),
        "MENARAnews, Oct 2017",
    )
    assert (found.figures["enrolled"].until, found.figures["enrolled"].source) == (DAY, TRIBUN)
    assert [each.code for each in found.contradictions] == ["enrolment_sum", "cards_sum"]
    assert found.contradictions[0].facts["difference"] == 1_298
    digital = found.shares["digital_of_target"].share
    assert (digital.part, digital.whole, round(digital.share, 4)) == (21_053, 153_430, 0.1372)
    assert round(found.shares["target_of_enrolled"].share.share, 4) == 0.3
    assert [day for day, _, _ in found.history] == [DAY, EARLIER, date(2017, 9, 30)]
    assert found.history[1][1]["enrolled"].derived


def test_the_same_again_is_passed_over(world: World) -> None:
    assert record(published(DENPASAR)) == (14, 0, 0)
    assert record(published(DENPASAR)) == (0, 0, 14)
    assert record(said(enrolled=511_434, population=700_000)) == (1, 0, 1)
    assert rows() == 15


def test_another_value_is_a_correction_and_the_earlier_one_stays_to_be_seen(world: World) -> None:
    record(said(eligible=516_875, enrolled=511_343))
    assert record(said(enrolled=511_434, note="digits swapped")) == (0, 1, 0)
    found = shown()
    assert found.figures["enrolled"].value == 511_434
    kept = [(each.figure.value, each.superseded) for each in found.reports if each.figure.measure == "enrolled"]
    assert kept == [(511_434, False), (511_343, True)]
    assert [each.recorded_at for each in found.reports] == [LATER] * 3
    assert record(said(enrolled=511_343)) == (0, 1, 0), "and back again"
    assert shown().figures["enrolled"].value == 511_343
    revisions = db.session.scalars(select(ReportedFigure.revision).where(ReportedFigure.measure == "enrolled"))
    assert sorted(revisions) == [1, 2, 3]


def test_a_superseded_figure_contradicts_nothing(world: World) -> None:
    record(said(eligible=100, enrolled=200))
    assert [each.code for each in shown().contradictions] == ["enrolled_exceed_eligible"]
    record(said(enrolled=90))
    assert shown().contradictions == ()


def test_another_source_is_no_correction(world: World) -> None:
    record(said(eligible=100))
    assert record(said(source="Bali Post", eligible=120)) == (1, 0, 0)
    found = shown()
    assert found.figures["eligible"].value == 120
    assert [each.superseded for each in found.reports] == [False, False]
    assert [each.code for each in found.contradictions] == ["sources_differ"]


def test_a_form_sent_twice_is_recorded_once_also_after_a_correction(world: World) -> None:
    request = uuid4()
    assert record(said(enrolled=1), request=request) == (1, 0, 0)
    record(said(enrolled=2))
    assert record(said(enrolled=1), request=request) == (1, 0, 0), "what the first sending did"
    assert shown().figures["enrolled"].value == 2
    with pytest.raises(Refusal, match="request_id_reused"):
        record(said(enrolled=3), request=request)
    assert rows() == 2


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ([], "nothing_entered"),
        (said(stock_wni=1), "measure_unknown"),
        (said(source=" ", enrolled=1), "source_missing"),
        (said(enrolled=-1), "quantity_negative"),
        (said(day=LATER.date() + timedelta(days=1), enrolled=1), "day_in_future"),
        (said(day=date(2010, 12, 31), enrolled=1), "day_too_early"),
    ],
)
def test_what_cannot_be_is_refused_whole(world: World, figures: list[Figure], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        record([*said(eligible=5), *figures] if figures else [])
    assert (rows(), rows(FigureEntry)) == (0, 0)


def test_each_records_where_the_access_table_says(world: World) -> None:
    assert record(said(enrolled=1), actor=world.storekeeper) == (1, 0, 0)
    assert record(said(enrolled=1), SELATAN, world.actor("manager")) == (1, 0, 0)
    for name, office in (
        ("storekeeper", SELATAN),
        ("storekeeper", BADUNG),
        ("other_storekeeper", DENPASAR),
        ("regional", DENPASAR),
        ("administrator", DENPASAR),
    ):
        with pytest.raises(NotAllowed):
            record(said(enrolled=2), office, world.actor(name))
        with pytest.raises(NotAllowed):
            equip(office, printers(1), actor=world.actor(name))
    with pytest.raises(NotFound):
        record(said(enrolled=1), "99.99")
    assert shown(actor=world.actor("regional")).figures["enrolled"].value == 1
    for name in ("other_storekeeper", "administrator"):
        with pytest.raises(NotAllowed):
            shown(actor=world.actor(name))


# --- the database's own word -------------------------------------------------------------------------------------


BAD_FIGURES = [
    {"measure": "stock_wni"},
    {"value": -1},
    {"value": 400_000_001},
    {"source": "  "},
    {"as_of": date(2010, 12, 31)},
    {"revision": 0},
    {"revision": 1},
]


@pytest.mark.parametrize("change", BAD_FIGURES)
def test_the_database_refuses_what_is_no_figure(world: World, change: dict[str, Any]) -> None:
    record(said(enrolled=1))
    row = db.session.execute(select(ReportedFigure.__table__)).mappings().one()
    good = {name: value for name, value in row.items() if name != "id"} | {"revision": 2}
    with pytest.raises(IntegrityError):
        db.session.execute(insert(ReportedFigure).values(good | change))
    db.session.rollback()
    db.session.execute(insert(ReportedFigure).values(good))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "camera"},
        {"kind": "enrolment_set"},
        {"cards_a_day": None},
        {"cards_a_day": 0},
        {"working": -1},
        {"out_of_order": -1},
        {"source": ""},
        {"revision": 1},
    ],
)
def test_the_database_refuses_what_is_no_equipment(world: World, change: dict[str, Any]) -> None:
    equip(DENPASAR, printers(1))
    row = db.session.execute(select(EquipmentReport.__table__)).mappings().one()
    good = {name: value for name, value in row.items() if name != "id"} | {"revision": 2}
    with pytest.raises(IntegrityError):
        db.session.execute(insert(EquipmentReport).values(good | change))
    db.session.rollback()


# --- offices below -----------------------------------------------------------------------------------------------


def test_districts_are_summed_where_the_office_itself_has_not_reported(world: World) -> None:
    record(said(DAY, eligible=1000, enrolled=900, print_ready=5), SELATAN)
    record(said(EARLIER, eligible=500, enrolled=400), TIMUR)
    found = shown()
    assert (found.figures["eligible"].value, found.figures["eligible"].below) == (
        1500,
        ("Denpasar Selatan", "Denpasar Timur"),
    )
    assert (found.figures["eligible"].since, found.figures["eligible"].until) == (EARLIER, DAY)
    assert (found.figures["print_ready"].value, found.figures["print_ready"].silent) == (5, ("Denpasar Timur",))
    share = found.shares["enrolled"]
    assert (share.share.part, share.share.whole, share.since) == (1300, 1500, EARLIER)
    record(said(DAY, eligible=1600))
    found = shown()
    assert (found.figures["eligible"].value, found.figures["eligible"].below) == (1600, ())
    assert found.figures["enrolled"].value == 1300
    assert found.shares["enrolled"].share.whole == 1500, "a part is not held against a whole of other offices"
    bali = shown("51")
    assert (bali.figures["eligible"].value, bali.figures["eligible"].below) == (1600, ("Kota Denpasar",)), "not twice"
    assert bali.figures["enrolled"].below == ("Denpasar Selatan", "Denpasar Timur")
    assert bali.figures["enrolled"].silent == ("Kabupaten Badung",)


def test_a_sum_is_of_what_the_reader_may_see(world: World) -> None:
    record(said(eligible=1000), SELATAN)
    assert "eligible" in shown(actor=world.actor("manager")).figures
    assert shown(actor=world.storekeeper).figures == {}


def test_a_sum_takes_each_districts_newest_and_corrected_figure(world: World) -> None:
    record(said(EARLIER, eligible=10), SELATAN)
    record(said(DAY, eligible=20), SELATAN)
    record(said(DAY, eligible=21), SELATAN)
    record(said(EARLIER, eligible=11), SELATAN)
    assert shown().figures["eligible"].value == 21


# --- equipment ---------------------------------------------------------------------------------------------------


def test_print_capacity_left_is_told_per_district_and_rolled_up(world: World) -> None:
    sets = Equipment(kind="enrolment_set", working=1, out_of_order=2, as_of=DAY, source="own count")
    equip(SELATAN, printers(2, 1), sets)
    equip(TIMUR, printers(0, 1, cards=40))
    equip(DENPASAR, printers(3, cards=100))
    told = shown().equipment
    assert (told.working, told.out_of_order) == ({"printer": 5, "enrolment_set": 1}, {"printer": 2, "enrolment_set": 2})
    assert (told.capacity, told.reporting, told.offices) == (420, 3, 3)
    assert [(row.office_code, row.out_of_order, row.capacity) for row in told.rows] == [
        (SELATAN, 3, 120),
        (TIMUR, 1, 0),
        (DENPASAR, 0, 300),
    ]
    assert shown("51").equipment.capacity == 420
    assert shown(actor=world.storekeeper).equipment.capacity == 300
    assert shown(SELATAN).equipment.capacity == 120


def test_the_last_word_on_equipment_counts(world: World) -> None:
    request = uuid4()
    assert short(equip(DENPASAR, printers(3), request=request)) == (1, 0, 0)
    assert short(equip(DENPASAR, printers(3))) == (0, 0, 1)
    assert short(equip(DENPASAR, printers(1, 2))) == (0, 1, 0)
    assert short(equip(DENPASAR, printers(3), request=request)) == (1, 0, 0), "sent twice"
    assert short(equip(DENPASAR, printers(5, day=EARLIER))) == (1, 0, 0)
    found = shown().equipment
    assert (found.working["printer"], found.capacity) == (1, 60)
    assert coverage.equipment_of(SYSTEM, DENPASAR)["printer"].out_of_order == 2
    with pytest.raises(Refusal, match="request_id_reused"):
        equip(DENPASAR, printers(9), request=request)
    with pytest.raises(Invalid, match="nothing_entered"):
        equip(DENPASAR)
    with pytest.raises(Invalid, match="day_in_future"):
        equip(DENPASAR, printers(1, day=LATER.date() + timedelta(days=1)))
    with pytest.raises(Invalid, match="capacity_missing"):
        equip(DENPASAR, Equipment(kind="printer", working=1, out_of_order=0, as_of=DAY, source="own count"))


# --- for the projection ------------------------------------------------------------------------------------------


def test_a_backlog_is_that_of_the_newest_day_and_not_of_years_ago(world: World) -> None:
    record(published(DENPASAR))
    record(published("51.02"), BADUNG)
    denpasar, badung, oku = ids(DENPASAR, BADUNG, OKU_SELATAN)
    found = coverage.backlog_of([denpasar, badung, oku], DAY)
    assert found[denpasar] == Backlog(
        print_ready=None,
        not_enrolled=5_441,
        as_of=DAY,
        source=TRIBUN,
        digital=21_053,
        digital_as_of=DAY,
        digital_source=TRIBUN,
        enrolled=511_434,
        enrolled_as_of=DAY,
    )
    assert (found[badung].not_enrolled, found[badung].as_of, found[badung].enrolled) == (None, None, 383_965)
    assert oku not in found
    before = coverage.backlog_of([denpasar], DAY - timedelta(days=1))[denpasar]
    assert (before.not_enrolled, before.as_of, before.source) == (7_636, EARLIER, "Bali Post, 13 Sep 2023")
    assert (before.digital, before.enrolled, before.enrolled_as_of) == (6_010, 445_540, date(2017, 9, 30))
    oldest = coverage.backlog_of([denpasar], date(2017, 9, 30))[denpasar]
    assert (oldest.print_ready, oldest.not_enrolled, oldest.digital) == (42_411, 48_523, None)
    assert coverage.backlog_of([denpasar], date(2017, 9, 29)) == {}
    assert coverage.backlog_of([], DAY) == {}


def test_a_backlog_follows_corrections(world: World) -> None:
    record(said(print_ready=100))
    record(said(print_ready=10))
    record(said(source="Bali Post", not_enrolled=7))
    [denpasar] = ids(DENPASAR)
    found = coverage.backlog_of([denpasar], DAY)[denpasar]
    assert (found.print_ready, found.not_enrolled) == (10, 7)


def test_capacity_is_told_as_of_a_day(world: World) -> None:
    equip(DENPASAR, printers(5, day=EARLIER, cards=50))
    equip(DENPASAR, printers(0, 5))
    equip(SELATAN, printers(2))
    denpasar, selatan, badung = ids(DENPASAR, SELATAN, BADUNG)
    assert coverage.capacity_of([denpasar, selatan, badung], DAY) == {denpasar: 0, selatan: 120}
    assert coverage.capacity_of([denpasar, selatan], DAY - timedelta(days=1)) == {denpasar: 250}
    assert coverage.capacity_of([denpasar], EARLIER - timedelta(days=1)) == {}


def test_figures_of_thousands_of_offices_come_in_one_query(world: World) -> None:
    from sqlalchemy import event

    record(said(print_ready=1))
    equip(DENPASAR, printers(1))
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: object) -> None:
        statements.append(statement)

    many = [*ids(DENPASAR), *range(10_000, 18_000)]
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert len(coverage.backlog_of(many, DAY)) == len(coverage.capacity_of(many, DAY)) == 1
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(statements) == 2


# --- files -------------------------------------------------------------------------------------------------------


def look(
    *lines: Any, actor: Actor = SYSTEM, request: UUID | None = None, data: bytes | None = None, now: datetime = LATER
) -> Checked:
    data = csv_file(HEADS, *lines) if data is None else data
    options: dict[str, Any] = {"group_separator": ".", "max_bytes": 10_000_000}
    return coverage_files.check(actor, now, request or uuid4(), DENPASAR, "figures.csv", data, **options)


def line(office: str = DENPASAR, day: object = DAY, measure: str = "enrolled", value: object = 5, **more: str) -> tuple:
    return (office, day, measure, value, more.get("source", TRIBUN), more.get("note", ""))


def run(checked: Checked, actor: Actor = SYSTEM) -> tuple[int, int, int]:
    assert checked.entry_id is not None, checked.faults
    view = coverage_files.run(actor, LATER, checked.entry_id)
    assert view.status == "recorded"
    return view.added, view.corrected, view.known


def test_the_published_file_names_every_row_that_cannot_be_taken(world: World) -> None:
    """Percentages, stocks and the split by sex are no figures of ours; OKU Selatan's have no day; Tabanan is not in
    the small world."""
    data = (files("inventory") / "data" / "reported.csv").read_bytes()
    found = look(data=data)
    assert (found.entry_id, found.row_count) == (None, 28)
    assert [(each.row, each.field, each.code) for each in found.faults] == [
        (3, "measure", "measure_unknown"),
        (4, "measure", "measure_unknown"),
        (10, "value", "quantity_fraction"),
        (11, "value", "quantity_fraction"),
        (15, "measure", "measure_unknown"),
        (21, "measure", "measure_unknown"),
        (22, "measure", "measure_unknown"),
        *((row, "office", "office_not_found") for row in (23, 24, 25, 26)),
        *((row, "as_of", "cell_empty") for row in (27, 28, 29)),
    ]
    assert (rows(), rows(FigureEntry)) == (0, 0)


def test_the_good_rows_of_the_published_file_are_recorded_as_they_stand(world: World) -> None:
    text = (files("inventory") / "data" / "reported.csv").read_text(encoding="utf-8")
    bad = ("_male", "_female", "_percent", "stock_", "51.02", ",,")
    good = "\n".join(each for each in text.splitlines() if not any(sign in each.split("people")[0] for sign in bad))
    checked = look(data=good.encode())
    assert (checked.row_count, rows()) == (14, 0)
    assert [row.change for row in coverage_files.rows_of(SYSTEM, checked.entry_id or 0)] == ["added"] * 14
    assert run(checked) == (14, 0, 0)
    assert [each.code for each in shown().contradictions] == ["enrolment_sum", "cards_sum"]
    assert "not before 22 May 2024" in shown().reports[0].figure.note
    assert run(look(data=good.encode())) == (0, 0, 14)
    assert rows() == 14


FAULTS = [
    (line(measure="stock_wni"), "measure", "measure_unknown"),
    (line(value="1,5"), "value", "quantity_fraction"),
    (line(value="-5"), "value", "quantity_negative"),
    (line(value="1e9"), "value", "quantity_not_a_number"),
    (line(value="400.000.001"), "value", "quantity_too_large"),
    (line(value=""), "value", "cell_empty"),
    (line(office="99.99"), "office", "office_not_found"),
    (line(day="31/02/2024"), "as_of", "day_not_a_day"),
    (line(day="2024-06-04"), "as_of", "day_in_future"),
    (line(day="2010-12-31"), "as_of", "day_too_early"),
    (line(source=""), "source", "cell_empty"),
    (line(note="x" * 501), "note", "text_too_long"),
]


def test_every_bad_row_is_named_and_nothing_is_kept(world: World) -> None:
    found = look(line(), *(each for each, _, _ in FAULTS), line(value=6))
    wanted = [(number, field, code) for number, (_, field, code) in enumerate(FAULTS, start=3)]
    assert [(each.row, each.field, each.code) for each in found.faults] == [*wanted, (len(FAULTS) + 3, "", "row_twice")]
    assert (found.entry_id, found.fault_count, rows(), rows(FigureEntry)) == (None, len(wanted) + 1, 0, 0)


def test_rows_of_offices_out_of_reach_are_faults(world: World) -> None:
    found = look(line(), line(office=BADUNG), line(office=SELATAN), actor=world.storekeeper)
    assert [(each.row, each.code) for each in found.faults] == [(3, "not_allowed"), (4, "not_allowed")]
    found = look(line(), line(office=SELATAN), actor=world.actor("manager"))
    assert run(found, world.actor("manager")) == (2, 0, 0)
    with pytest.raises(NotAllowed):
        look(line(), actor=world.actor("regional"))


def test_what_a_file_would_do_is_told_before_it_does_it(world: World) -> None:
    record(said(enrolled=5, eligible=9, not_enrolled=4))
    found = look(line(), line(measure="eligible", value="10"), line(measure="prr", value="1.639"))
    told = {
        row.figure.measure: (row.change, row.earlier) for row in coverage_files.rows_of(SYSTEM, found.entry_id or 0)
    }
    assert told == {"enrolled": ("known", 5), "eligible": ("corrected", 9), "print_ready": ("added", None)}
    view = coverage_files.get(SYSTEM, found.entry_id or 0)
    assert (view.status, view.added, view.corrected, view.known) == ("checked", 1, 1, 1)
    assert rows() == 3
    assert run(found) == (1, 1, 1)
    assert run(found) == (1, 1, 1), "and once"
    assert shown().figures["print_ready"].value == 1_639
    assert rows() == 5


def test_what_a_file_would_contradict_is_told_with_what_is_on_record(world: World) -> None:
    """The enrolled of the file and the others of the record; what is on record alone is not the file's matter."""
    record(said(eligible=492765, not_enrolled=48523, villages=5, villages_online=6))
    agreeing = look(line(value=492765 - 48523), line(SELATAN, value=7))
    other = look(line(value=445540, note="dikutip apa adanya"))
    assert agreeing.entry_id is not None
    assert other.entry_id is not None
    assert coverage_files.contradictions_of(SYSTEM, agreeing.entry_id) == []
    [(code, found)] = coverage_files.contradictions_of(SYSTEM, other.entry_id)
    assert (code, found.code, found.facts["difference"]) == (DENPASAR, "enrolment_sum", 1298)
    run(other)
    assert coverage_files.contradictions_of(SYSTEM, other.entry_id) == [], "nothing waits any more"
    with pytest.raises(NotAllowed):
        coverage_files.contradictions_of(world.actor("other_storekeeper"), agreeing.entry_id)


def test_what_was_recorded_in_between_is_counted_anew(world: World) -> None:
    found = look(line(value=5))
    record(said(enrolled=5))
    assert run(found) == (0, 0, 1)


def test_a_workbook_is_read_like_a_csv(world: World) -> None:
    heads = ("Kode kantor", "Per tanggal", "Data", "Jumlah", "Sumber")
    found = look(
        data=xlsx_file(heads, (51.71, DAY, "wajib KTP", 516875, TRIBUN), (DENPASAR, DAY, "Belum rekam", 5441, TRIBUN))
    )
    assert run(found) == (2, 0, 0)
    assert {name: told.value for name, told in shown().figures.items()} == {"eligible": 516_875, "not_enrolled": 5_441}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a" * 10_000_001, "file_too_large"),
        (b"", "file_not_a_table"),
        (csv_file(HEADS), "nothing_entered"),
        (csv_file(HEADS[1:], line()), "column_missing"),
        (csv_file((*HEADS, "Rusek"), line()), "column_unknown"),
        (csv_file((*HEADS, "Sumber"), line()), "column_twice"),
    ],
)
def test_a_file_that_is_no_table_of_figures_is_refused(world: World, data: bytes, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        look(data=data)
    assert rows(FigureEntry) == 0


def test_a_long_file_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage_files, "MAX_ROWS", 2)
    with pytest.raises(Invalid, match="rows_too_many"):
        look(line(value=1), line(value=2), line(value=3))


def test_a_file_sent_twice_is_found_again(world: World) -> None:
    request = uuid4()
    first = look(line(), request=request)
    assert look(line(), request=request).entry_id == first.entry_id
    with pytest.raises(Refusal, match="request_id_reused"):
        look(line(value=6), request=request)
    assert rows(FigureEntry) == 1


def test_a_file_that_nobody_records_is_dropped_after_a_day(world: World) -> None:
    left = look(line(value=1))
    look(line(value=2), now=LATER + timedelta(hours=23))
    assert rows(FigureEntry) == 2
    look(line(value=3), now=LATER + timedelta(hours=25))
    with pytest.raises(NotFound, match="figure_entry_not_found"):
        coverage_files.run(SYSTEM, LATER, left.entry_id or 0)
    assert rows() == 0


def test_a_file_belongs_to_those_who_may_record_there(world: World) -> None:
    found = look(line(), line(office=SELATAN), actor=world.actor("manager"))
    assert found.entry_id is not None
    for name in ("other_storekeeper", "regional"):
        with pytest.raises(NotAllowed):
            coverage_files.get(world.actor(name), found.entry_id)
    for does in (coverage_files.run, lambda actor, _now, entry: coverage_files.rows_of(actor, entry)):
        with pytest.raises(NotAllowed):
            does(world.storekeeper, LATER, found.entry_id)
    assert rows() == 0


# --- many at once ------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(database_url: str, make_app: Callable[..., Flask]) -> Flask:
    options = {} if database_url.startswith("sqlite") else {"SQLALCHEMY_ENGINE_OPTIONS": CROWD}
    return make_app(database_url, CLOCK=lambda: LATER, **options)


def test_the_same_file_confirmed_twice_at_once_is_recorded_once(crowd: Flask) -> None:
    with crowd.app_context():
        lines = [line(office, measure=m, value=7) for office in (DENPASAR, SELATAN) for m in ("enrolled", "eligible")]
        one, two = look(*lines), look(*lines)
        calls = [lambda each=each: run(each) for each in (one, two)]
        outcomes = done(at_once(crowd, [calls[n % 2] for n in range(8)]))
        assert len(outcomes) == 8
        assert rows() == 4
        views = [coverage_files.get(SYSTEM, each.entry_id or 0) for each in (one, two)]
        assert sorted((view.added, view.known) for view in views) == [(0, 4), (4, 0)]


def test_the_same_figures_entered_by_many_at_once_are_kept_once(crowd: Flask) -> None:
    with crowd.app_context():
        calls = [lambda: coverage.record(SYSTEM, LATER, uuid4(), DENPASAR, said(enrolled=5, eligible=9))] * 8
        outcomes = at_once(crowd, calls)
        assert refused_codes(outcomes) == {}
        assert sorted(short(each) for each in outcomes) == [(0, 0, 2)] * 7 + [(2, 0, 0)]
        assert rows() == 2


def test_corrections_at_once_are_all_kept_and_the_last_one_counts(crowd: Flask) -> None:
    with crowd.app_context():
        calls = [
            lambda value=value: coverage.record(SYSTEM, LATER, uuid4(), DENPASAR, said(enrolled=value))
            for value in range(8)
        ]
        assert refused_codes(at_once(crowd, calls)) == {}
        kept = db.session.execute(select(ReportedFigure.revision, ReportedFigure.value)).all()
        assert sorted(row.revision for row in kept) == list(range(1, 9))
        assert {row.value for row in kept} == set(range(8))
        assert shown().figures["enrolled"].value == max(kept)[1]


def test_one_form_sent_many_times_at_once_is_recorded_once(crowd: Flask) -> None:
    with crowd.app_context():
        request = uuid4()
        calls = [lambda: coverage.record(SYSTEM, LATER, request, DENPASAR, said(enrolled=5))] * 8
        outcomes = at_once(crowd, calls)
        assert refused_codes(outcomes) == {}
        assert len({each.entry_id for each in outcomes}) == 1
        assert rows(FigureEntry) == rows() == 1


def test_equipment_reported_at_once_is_kept_once(crowd: Flask) -> None:
    with crowd.app_context():
        outcomes = at_once(crowd, [lambda: equip(DENPASAR, printers(2, 1))] * 8)
        assert refused_codes(outcomes) == {}
        assert rows(EquipmentReport) == 1


def test_nothing_changes_a_figure_once_it_is_written() -> None:
    """There is no way to change or take away a row: the services' text has none."""
    package = files("inventory") / "services"
    for name in ("coverage.py", "coverage_files.py"):
        text = Path(str(package / name)).read_text(encoding="utf-8")
        for table in ("ReportedFigure", "EquipmentReport"):
            assert f"update({table}" not in text
            assert f"delete({table}" not in text
