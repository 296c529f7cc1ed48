"""Imports on both databases: every fault is named before anything is written, and a file is written whole and once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Effect
from inventory.models import Delivery, Import, ImportedDay, Movement
from inventory.services import imports, ledger, verification
from inventory.services.imports import ImportView
from tests.concurrent import at_once, audit, done, meanwhile
from tests.conftest import NOW, TODAY
from tests.files import csv_file, xlsx_file
from tests.world import BADUNG, BLANK, DENPASAR, World

USE = ("Kode kantor", "Kode barang", "Tanggal", "Baru", "Hilang", "Melayani tunggakan", "Gagal cetak", "Keterangan")
GOT = (
    "Office code",
    "Item code",
    "BAST number",
    "BAST date",
    "Day of arrival",
    "Received",
    "Defective",
    "Funding source",
    "Supplier",
)
HAD = ("Office code", "Item code", "Day", "Quantity")
DAY = TODAY - timedelta(days=10)


def look(
    kind: str,
    *rows: Any,
    actor: Actor = SYSTEM,
    office: str = DENPASAR,
    request: UUID | None = None,
    name: str = "file.csv",
    data: bytes | None = None,
    separator: str = ".",
) -> ImportView:
    heads = {"consumption": USE, "deliveries": GOT, "opening": HAD}[kind]
    data = csv_file(heads, *rows) if data is None else data
    options: dict[str, Any] = {"group_separator": separator, "max_bytes": 10_000_000}
    found = imports.check(actor, NOW, request or uuid4(), office, kind, name, data, **options)
    return imports.get(actor, found)


def use(day: date = DAY, new: object = 10, *, office: str = DENPASAR, item: str = BLANK, lost: object = "") -> tuple:
    return (office, item, day, new, lost, "", "", "")


def faults(view: ImportView) -> list[tuple[int, str, str]]:
    return [(fault.row, fault.field, fault.code) for fault in view.faults]


def movements() -> int:
    return db.session.scalar(select(func.count()).select_from(Movement)) or 0


def test_a_days_consumption_becomes_movements_with_their_reasons(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    found = look("consumption", (DENPASAR, BLANK, DAY, "20", 5, 22, 3, "jemput bola"))
    assert (found.status, found.row_count, movements()) == ("checked", 1, 1)
    assert set(found.totals) == {
        (BLANK, "print", "new", 20),
        (BLANK, "print", "lost", 5),
        (BLANK, "spoil", "misprint", 3),
    }
    view = imports.run(SYSTEM, NOW, found.id)
    assert (view.status, view.imported_at) == ("imported", NOW)
    assert world.figures() == Effect(received=100, store=72, printed=25, spoiled=3)
    rows = db.session.execute(
        select(Movement.reason, Movement.served_waiting, Movement.origin, Movement.note, Movement.import_id)
        .where(Movement.import_id == found.id)
        .order_by(Movement.seq)
    ).all()
    assert [tuple(row) for row in rows] == [
        ("new", 20, "imported", "jemput bola", found.id),
        ("lost", 2, "imported", "jemput bola", found.id),
        ("misprint", 0, "imported", "jemput bola", found.id),
    ]
    assert db.session.scalar(select(Import.content).where(Import.id == found.id)) is None
    audit()
    assert verification.verify(SYSTEM).faults == ()


def test_deliveries_become_documents_that_can_be_reversed(world: World) -> None:
    row = (DENPASAR, BLANK, "470/1", DAY, DAY, "2.000", 12, "APBN", "Ditjen Dukcapil")
    other = (BADUNG, BLANK, "470/2", DAY, DAY, 500, "", "apbd", "Ditjen Dukcapil")
    found = look("deliveries", row, other)
    assert movements() == 0
    imports.run(SYSTEM, NOW, found.id)
    assert world.figures() == Effect(received=2000, store=1988, spoiled=12)
    by_delivery = db.session.execute(
        select(Delivery.bast_number, func.sum(Movement.quantity))
        .join(Movement, Movement.delivery_id == Delivery.id)
        .group_by(Delivery.bast_number)
    ).all()
    assert {number: int(total) for number, total in by_delivery} == {"470/1": 2000, "470/2": 500}
    assert faults(look("deliveries", row)) == [(2, "bast_number", "bast_already_recorded")]
    movement = db.session.scalar(select(Movement.id).where(Movement.reason == "defective"))
    assert movement is not None
    world.reverse_receipt(NOW, movement)
    assert look("deliveries", row).status == "checked"
    audit()


def test_opening_stock_comes_first_and_once(world: World) -> None:
    found = look("opening", (DENPASAR, BLANK, DAY, "1.639"), (DENPASAR, "ribbon", DAY, 4))
    imports.run(SYSTEM, NOW, found.id)
    assert world.figures() == Effect(received=1639, store=1639)
    assert faults(look("opening", (DENPASAR, BLANK, DAY, 5))) == [(2, "item", "opening_not_first")]


def test_an_opening_that_came_too_late_in_between_is_refused_whole(world: World) -> None:
    found = look("opening", (DENPASAR, BLANK, DAY, 10), (DENPASAR, "kia", DAY, 10))
    world.deliver(NOW, TODAY, 5)
    view = imports.run(SYSTEM, NOW, found.id)
    assert (view.status, faults(view)) == ("refused", [(2, "item", "opening_not_first")])
    assert movements() == 1


FAULTS = [
    (use(new="1,639"), "new", "quantity_fraction"),
    (use(new="1e9"), "new", "quantity_not_a_number"),
    (use(new="-5"), "new", "quantity_negative"),
    (use(new="1.5"), "new", "quantity_fraction"),
    (use(new="١٢"), "new", "quantity_not_a_number"),
    (use(new="99.999.999"), "new", "quantity_too_large"),
    (use(office="99.99"), "office", "office_not_found"),
    (use(office=""), "office", "cell_empty"),
    (use(item="kartu"), "item", "item_not_found"),
    (use(item="ribbon"), "new", "reason_not_for_item"),
    (use(TODAY + timedelta(days=1)), "day", "day_in_future"),
    (use(date(2010, 12, 31)), "day", "day_too_early"),
    ((DENPASAR, BLANK, "31/02/2024", 1, "", "", "", ""), "day", "day_not_a_day"),
    ((DENPASAR, BLANK, "05/13/2024", 1, "", "", "", ""), "day", "day_not_a_day"),
    ((DENPASAR, BLANK, DAY, 3, 1, 5, "", ""), "served_waiting", "served_waiting_exceeds_print"),
    ((DENPASAR, BLANK, DAY, 3, 1, "", "", "x" * 501), "note", "text_too_long"),
    ((DENPASAR, BLANK, DAY, 3, 1, "", "", "", "more"), "", "cell_without_heading"),
]


def test_every_bad_row_is_named_with_its_column_before_anything_is_written(world: World) -> None:
    world.deliver(NOW, DAY, 1000)
    view = look("consumption", use(DAY), *(row for row, _, _ in FAULTS), use(DAY, 7), use(DAY - timedelta(days=1)))
    wanted = [(number, field, code) for number, (_, field, code) in enumerate(FAULTS, start=3)]
    wanted += [(len(FAULTS) + 3, "day", "row_twice"), (len(FAULTS) + 4, "", "day_below_zero")]
    assert faults(view) == wanted
    assert (view.status, view.fault_count, movements()) == ("refused", len(wanted), 1)
    with pytest.raises(Refusal, match="import_not_ready"):
        imports.run(SYSTEM, NOW, view.id)
    assert movements() == 1


@pytest.mark.parametrize(
    ("cell", "code"), [(-5, "quantity_negative"), (1.5, "quantity_fraction"), (1e9, "quantity_too_large"), ("12.0", "")]
)
def test_real_numbers_of_a_spreadsheet_are_held_to_the_same(world: World, cell: object, code: str) -> None:
    world.deliver(NOW, DAY, 1000)
    view = look("consumption", data=xlsx_file(USE, use(new=cell)))
    assert faults(view) == [(2, "new", code or "quantity_fraction")]


@pytest.mark.parametrize(("separator", "typed"), [(".", "1.639"), (",", "1,639"), (".", " 1639 "), (",", "1639")])
def test_numbers_follow_the_users_language(world: World, separator: str, typed: str) -> None:
    world.deliver(NOW, DAY, 2000)
    view = look("consumption", data=xlsx_file(USE, use(new=typed)), separator=separator)
    assert view.totals == ((BLANK, "print", "new", 1639),)


@pytest.mark.parametrize("day", ["2024-05-05", "5/5/2024", "05-05-2024", date(2024, 5, 5)])
def test_days_are_read_as_people_write_them(world: World, day: object) -> None:
    world.deliver(NOW, DAY, 2000)
    view = look("consumption", data=xlsx_file(USE, (DENPASAR, BLANK, day, 1, "", "", "", "")))
    imports.run(SYSTEM, NOW, view.id)
    assert db.session.scalar(select(Movement.effective_on).where(Movement.import_id == view.id)) == date(2024, 5, 5)


def test_a_code_that_a_spreadsheet_took_for_a_number_is_known(world: World) -> None:
    world.deliver(NOW, DAY, 2000)
    view = look("consumption", data=xlsx_file(USE, (51.71, BLANK, DAY, 1, "", "", "", "")))
    assert view.status == "checked"


def test_remarks_and_empty_rows_are_passed_over_but_counted(world: World) -> None:
    world.deliver(NOW, DAY, 2000)
    data = csv_file(("# how to fill this in",), USE, ("",), ("# " + DENPASAR, "example"), use(), use(new="x"))
    assert faults(look("consumption", data=data)) == [(6, "new", "quantity_not_a_number")]


def test_a_day_without_any_use_is_no_fault(world: World) -> None:
    world.deliver(NOW, DAY, 2000)
    view = look("consumption", use(DAY, 0), use(DAY + timedelta(days=1), 4))
    imports.run(SYSTEM, NOW, view.id)
    assert world.figures().printed == 4
    nothing = look("consumption", use(DAY + timedelta(days=2), 0))
    assert faults(imports.run(SYSTEM, NOW, nothing.id)) == [(0, "", "nothing_entered")]


@pytest.mark.parametrize(
    ("heads", "code"),
    [
        (USE[1:], "column_missing"),
        ((*USE, "Rusek"), "column_unknown"),
        ((*USE, "New"), "column_twice"),
    ],
)
def test_a_file_with_other_columns_is_refused(world: World, heads: tuple[str, ...], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        look("consumption", data=csv_file(heads, use()))


def test_files_beyond_the_limits_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="file_too_large"):
        look("consumption", data=b"a" * 10_000_001)
    monkeypatch.setattr(imports, "MAX_ROWS", 3)
    with pytest.raises(Invalid, match="rows_too_many"):
        look("consumption", *(use() for _ in range(4)))
    with pytest.raises(Invalid, match="file_not_a_table"):
        look("consumption", data=b"")
    with pytest.raises(Invalid, match="nothing_entered"):
        look("consumption", data=csv_file(USE))
    assert db.session.scalar(select(func.count()).select_from(Import)) == 0


def test_the_first_faults_are_shown_and_all_are_counted(world: World) -> None:
    view = look("consumption", *(use(DAY - timedelta(days=n), "x") for n in range(300)))
    assert (len(view.faults), view.fault_count) == (imports.MOST_FAULTS, 300)


# --- the stock ---------------------------------------------------------------------------------------------------


def test_the_row_that_first_takes_a_day_below_zero_is_named(world: World) -> None:
    world.deliver(NOW, DAY, 30)
    world.deliver(NOW, DAY + timedelta(days=3), 100)
    days = [use(DAY + timedelta(days=n), 15) for n in range(4)]
    view = look("consumption", *days)
    assert faults(view) == [(4, "", "day_below_zero")]
    assert view.faults[0].facts == {"item": BLANK, "day": DAY + timedelta(days=2), "figure": "store", "closing": -15}


def test_a_later_day_that_is_on_record_may_not_fall_below_zero_either(world: World) -> None:
    world.deliver(NOW, DAY, 30)
    world.print(NOW, TODAY, 25)
    view = look("consumption", use(DAY, 6))
    assert [(f.row, f.code, f.facts["day"]) for f in view.faults] == [(2, "day_below_zero", TODAY)]


def test_what_changed_after_the_dry_run_refuses_the_whole_file(world: World) -> None:
    world.deliver(NOW, DAY, 30)
    world.deliver(NOW, DAY, 30)
    view = look("consumption", use(DAY, 20), use(DAY + timedelta(days=1), 20))
    world.print(NOW, TODAY, 25)
    after = imports.run(SYSTEM, NOW, view.id)
    assert (after.status, faults(after)) == ("refused", [(3, "", "day_below_zero")])
    assert world.figures() == Effect(received=60, store=35, printed=25)
    assert db.session.scalar(select(func.count()).select_from(ImportedDay)) == 0


# --- once --------------------------------------------------------------------------------------------------------


def test_the_same_file_is_imported_once(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    first = look("consumption", use())
    imports.run(SYSTEM, NOW, first.id)
    assert look("consumption", use(), name="again.csv").id == first.id
    assert imports.run(SYSTEM, NOW, first.id).status == "imported"
    assert world.figures().printed == 10


def test_a_request_sent_again_finds_its_import(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    request = uuid4()
    first = look("consumption", use(), request=request)
    assert look("consumption", use(), request=request).id == first.id
    with pytest.raises(Refusal, match="request_id_reused"):
        look("consumption", use(new=11), request=request)


def test_a_day_that_another_file_filled_in_is_refused_until_that_is_reversed(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    first = look("consumption", (DENPASAR, BLANK, DAY, 10, 2, "", "", ""), name="may.csv")
    imports.run(SYSTEM, NOW, first.id)
    second = look("consumption", use(new=12), use(DAY + timedelta(days=1)))
    assert faults(second) == [(2, "day", "file_filled_in")]
    assert second.faults[0].facts == {"file": "may.csv", "day": NOW.date()}
    for movement in db.session.scalars(select(Movement.id).where(Movement.import_id == first.id)).all():
        assert look("consumption", use(new=12)).status == "refused"
        ledger.reverse(world.storekeeper, NOW, uuid4(), movement, "counted wrongly")
    third = look("consumption", use(new=12))
    assert imports.run(SYSTEM, NOW, third.id).status == "imported"
    assert world.figures() == Effect(received=100, store=88, printed=12)
    assert db.session.scalar(select(ImportedDay.import_id)) == third.id
    audit()


def test_the_same_file_at_once_is_imported_once(app: Flask, world: World) -> None:
    world.deliver(NOW, DAY, 100)
    same = [look("consumption", use()).id for _ in range(4)]
    assert len(set(same)) == 4
    db.session.rollback()
    outcomes = at_once(app, [lambda each=each: imports.run(SYSTEM, NOW, each) for each in (*same, same[0])])
    assert {o.code for o in outcomes if isinstance(o, Refusal)} <= {"file_already_imported"}
    assert all(isinstance(o, Refusal | ImportView) for o in outcomes), outcomes
    assert sum(1 for view in done(outcomes) if view.status == "imported") >= 1
    assert world.figures() == Effect(received=100, store=90, printed=10)
    assert db.session.scalar(select(func.count()).select_from(Import).where(Import.status == "imported")) == 1
    audit()


def test_a_file_imported_between_two_looks_at_it_answers_with_that_import(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's press of the button falls between finding the import and reading its rows."""
    world.deliver(NOW, DAY, 100)
    waiting = look("consumption", use()).id
    db.session.rollback()
    find = imports._find

    def find_then_wait(*args: Any) -> Any:
        found = find(*args)
        monkeypatch.setattr(imports, "_find", find)
        done(at_once(app, [lambda: imports.run(SYSTEM, NOW, waiting)]))
        return found

    monkeypatch.setattr(imports, "_find", find_then_wait)
    assert imports.run(SYSTEM, NOW, waiting).status == "imported"
    assert world.figures() == Effect(received=100, store=90, printed=10)
    audit()


def test_two_files_of_the_same_day_at_once_fill_it_in_once(app: Flask, world: World) -> None:
    world.deliver(NOW, DAY, 100)
    ids = [look("consumption", use(new=n)).id for n in range(1, 5)]
    db.session.rollback()
    outcomes = at_once(app, [lambda each=each: imports.run(SYSTEM, NOW, each) for each in ids])
    assert sorted(view.status for view in done(outcomes)) == ["imported", "refused", "refused", "refused"]
    assert world.figures().printed in (1, 2, 3, 4)
    audit()


def test_a_print_that_comes_in_between_does_not_break_the_law(app: Flask, world: World) -> None:
    world.deliver(NOW, DAY, 100)
    view = look("consumption", use(new=60), use(DAY + timedelta(days=1), 30))
    db.session.rollback()
    with meanwhile(app, lambda: World(app).print(NOW, TODAY, 5), after="UPDATE imports") as happened:
        assert imports.run(SYSTEM, NOW, view.id).status == "imported"
    assert happened.is_set()
    assert world.figures() == Effect(received=100, store=5, printed=95)
    audit()


# --- who ---------------------------------------------------------------------------------------------------------


def test_a_storekeeper_imports_for_the_own_office_only(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    view = look("consumption", use(), use(office=BADUNG), actor=world.storekeeper)
    assert faults(view) == [(3, "office", "not_allowed")]
    own = look("consumption", use(), actor=world.storekeeper)
    stranger = world.actor("other_storekeeper")
    for call in (imports.get, lambda actor, number: imports.run(actor, NOW, number)):
        with pytest.raises(NotAllowed):
            call(stranger, own.id)
    with pytest.raises(NotAllowed):
        look("consumption", use(), actor=world.actor("viewer"))
    imports.run(world.storekeeper, NOW, own.id)
    with pytest.raises(Refusal, match="file_already_imported"):
        look("consumption", use(), actor=stranger, office=BADUNG)
    with pytest.raises(NotFound):
        imports.get(world.storekeeper, 999)


def test_a_manager_imports_for_all_offices_below(world: World) -> None:
    found = look("opening", (DENPASAR, BLANK, DAY, 5), ("51.71.01", BLANK, DAY, 5), actor=world.actor("manager"))
    assert imports.run(world.actor("manager"), NOW, found.id).status == "imported"


def test_a_file_that_nobody_came_back_for_is_dropped(world: World) -> None:
    world.deliver(NOW, DAY, 100)
    left = look("consumption", use())
    db.session.execute(text("UPDATE imports SET checked_at = '2024-05-01 00:00:00+00'"))
    db.session.commit()
    look("consumption", use(new=3))
    assert imports.get(SYSTEM, left.id).status == "expired"
    with pytest.raises(Refusal, match="import_not_ready"):
        imports.run(SYSTEM, NOW, left.id)
    assert [view.status for view in imports.latest(SYSTEM, DENPASAR)] == ["checked", "expired"]


def test_many_rows_of_many_stocks_keep_the_law(world: World) -> None:
    days = [DAY - timedelta(days=n) for n in range(150)]
    stock = [
        (DENPASAR, BLANK, days[-1], "9.000"),
        (DENPASAR, "kia", days[-1], "9.000"),
        (BADUNG, BLANK, days[-1], 9000),
    ]
    imports.run(SYSTEM, NOW, look("opening", *stock).id)
    rows = [(office, item, day, 3, 2, 4, 1, "x") for office, item, *_ in stock for day in days]
    view = look("consumption", *rows)
    told: list[int] = []
    assert imports.run(SYSTEM, NOW, view.id, told.append).status == "imported"
    assert (view.movement_count, told) == (1350, [450, 900, 1350])
    assert world.figures() == Effect(received=9000, store=8100, printed=750, spoiled=150)
    waited = select(func.sum(Movement.served_waiting)).where(Movement.import_id == view.id)
    assert db.session.scalar(waited) == 4 * len(rows)
    audit()
    assert verification.verify(SYSTEM).faults == ()
