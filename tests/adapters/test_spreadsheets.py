"""Tables in files: read within bounds whatever the file says of itself, written so that no cell is a formula."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import pytest

from inventory.adapters import spreadsheets
from inventory.adapters.spreadsheets import csv_lines, neutral, read_rows, write_xlsx
from inventory.domain.errors import Invalid
from tests.files import bomb, csv_file, lying, many_members, sheet, workbook, xlsx_file

HEAD = ("Office", "Item", "Day")


def known(cells: Sequence[object]) -> int:
    return len(set(cells) & set(HEAD))


def rows(data: bytes, **options: Any) -> list[tuple[int, list[Any]]]:
    return list(read_rows(data, known, **options))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_csv_is_read_whatever_program_wrote_it(separator: str, encoding: str) -> None:
    data = csv_file(HEAD, ("51.71", "café", "2024-05-01"), separator=separator, encoding=encoding)
    assert rows(data) == [(1, list(HEAD)), (2, ["51.71", "café", "2024-05-01"])]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    data = b'Office,Item,Day\r\n\r\n"51\r\n71",a,b\r\n51.03,c,d\r\n'
    assert [number for number, cells in rows(data) if cells] == [1, 3, 4]
    book = workbook(sheet('<row r="3"><c r="B3"><v>5</v></c></row><row r="9"><c r="A9"><v>6</v></c></row>'))
    assert rows(book) == [(3, [None, 5]), (9, [6])]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03" * 100,
        b"PK\x03\x04 and nothing more",
        b"%PDF-1.7\n\x00",
        b'Office,Item\r\n"never closed',
        b"Office,Item\r\n" + b"," * 600,
        b"Office,Item\r\n" + b"a" * 300_000,
    ],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="file_not_a_table"):
        rows(data)


def test_cells_keep_what_they_are() -> None:
    data = xlsx_file(
        # A spreadsheet's own instants have no time zone.
        ("text", 12, 12.5, -5, 1e9, date(2024, 12, 31), datetime(2024, 12, 31, 10), True, None, "١٢", "a & <b>"),  # noqa: DTZ001
    )
    [(_, cells)] = rows(data)
    assert cells[:6] == ["text", 12, 12.5, -5, 1_000_000_000, date(2024, 12, 31)]
    assert isinstance(cells[6], datetime)
    assert cells[7:] == ["TRUE", None, "١٢", "a & <b>"]


def test_texts_are_found_inline_and_shared() -> None:
    cells = '<row><c t="inlineStr"><is><t>here</t></is></c><c t="s"><v>1</v></c><c t="str"><f>x</f><v>sum</v></c></row>'
    strings = "<sst><si><t>no</t></si><si><r><t>in </t></r><rPh><t>sound</t></rPh><r><t>parts</t></r></si></sst>"
    assert rows(workbook(sheet(cells), strings)) == [(1, ["here", "in parts", "sum"])]


# --- files made to break readers ---------------------------------------------------------------------------------


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """How many bytes were inflated."""
    total = 0
    read = zipfile.ZipExtFile.read

    def counting(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        nonlocal total
        data = read(self, n)
        total += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counting)
    yield lambda: total


def test_a_bomb_is_refused_before_it_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bomb(200)
    assert len(data) < 1_000_000
    with counted(monkeypatch) as inflated:
        with pytest.raises(Invalid, match="file_inflates"):
            rows(data)
        assert inflated() < 10_000


def test_a_bomb_below_the_limit_is_known_by_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as inflated:
        with pytest.raises(Invalid, match="file_inflates"):
            rows(bomb(20))
        assert inflated() < 10_000


def test_a_bomb_that_lies_about_its_size_is_not_inflated_further(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lying(bomb(200), 900_000)
    with counted(monkeypatch) as inflated:
        with pytest.raises(Invalid, match="file_not_a_table"):
            rows(data)
        assert inflated() <= 1_000_000


def test_what_is_inflated_is_counted_over_all_parts() -> None:
    cells = "".join(f'<row><c t="inlineStr"><is><t>{number}</t></is></c></row>' for number in range(2000))
    with pytest.raises(Invalid, match="file_inflates"):
        rows(workbook(sheet(cells)), max_inflated=50_000)


def test_a_directory_of_a_hundred_thousand_members_is_not_read() -> None:
    with pytest.raises(Invalid, match="file_inflates"):
        rows(many_members(5000))


def test_a_zip_in_a_zip_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(monkeypatch) as inflated:
        assert rows(workbook(sheet("<row><c><v>1</v></c></row>"), more=[("xl/more.zip", bomb(50))])) == [(1, [1])]
        assert inflated() < 10_000
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as packed:
        packed.writestr("inner.xlsx", xlsx_file(HEAD))
    with pytest.raises(Invalid, match="file_not_a_table"):
        rows(outer.getvalue())


@pytest.mark.parametrize(
    "doctype",
    ['<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>', '<!DOCTYPE x SYSTEM "file:///etc/passwd">'],
)
def test_entities_are_not_expanded(doctype: str) -> None:
    cell = '<row><c t="inlineStr"><is><t>&b;</t></is></c></row>'
    with pytest.raises(Invalid, match="file_not_a_table"):
        rows(workbook(sheet(cell, doctype)))


def test_a_cell_in_the_last_corner_costs_nothing() -> None:
    data = workbook(sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="C1048576"><v>2</v></c></row>'))
    assert peak(lambda: rows(data)) < 2_000_000
    assert rows(data) == [(1, [1]), (1048576, [None, None, 2])]
    with pytest.raises(Invalid, match="file_not_a_table"):
        rows(workbook(sheet('<row r="1"><c r="XFD1"><v>1</v></c></row>')))
    styled = workbook(sheet('<row r="1"><c r="A1"><v>1</v></c><c r="XFD1" s="1"/></row>'))
    assert rows(styled) == [(1, [1])]


def test_a_long_text_in_many_cells_is_kept_once() -> None:
    cells = "".join("<row>" + '<c t="s"><v>0</v></c>' * 10 + "</row>" for _ in range(1000))
    data = workbook(sheet(cells), f"<sst><si><t>{'a' * 50_000}</t></si></sst>")
    assert peak(lambda: rows(data)) < 5_000_000, "ten thousand copies would be 500 MB"


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- writing -----------------------------------------------------------------------------------------------------

DANGEROUS = ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠sum"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_text_that_looks_like_a_formula_is_neutralised(text: str) -> None:
    assert neutral(text) == f"'{text}"
    line = b"".join(csv_lines([[text]])).decode("utf-8-sig")
    assert line.lstrip('"').startswith("'")
    stream = io.BytesIO()
    write_xlsx(stream, [("S", [[text, -5]])])
    [(_, cells)] = rows(stream.getvalue())
    assert str(cells[0]).startswith("'")
    assert b"<f>" not in zipfile.ZipFile(stream).read("xl/worksheets/sheet1.xml")
    assert cells[1] == -5


def test_numbers_and_days_stay_what_they_are() -> None:
    assert (
        b"".join(csv_lines([[-5, 0.5, date(2024, 5, 1), None, "a"]])).decode("utf-8-sig") == "-5,0.5,2024-05-01,,a\r\n"
    )


def test_a_table_that_is_too_long_for_a_sheet_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MAX_SHEET_ROWS", 3)
    stream = io.BytesIO()
    write_xlsx(stream, [("S", [[n] for n in range(5)])])
    assert len([n for n in zipfile.ZipFile(stream).namelist() if n.startswith("xl/worksheets/sheet")]) == 2
