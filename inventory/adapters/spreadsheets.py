"""Tables in files: CSV and XLSX, read row by row within bounds, and written so that no cell is a formula.

XLSX is read with the standard library's zip and XML readers, not with a library: a file of a kilobyte that names the
cell XFD1048576, or a long shared text in a million cells, made the fast ones ask for gigabytes and end the process.
Here a row costs what its own cells cost, and every byte that is inflated is counted.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import IO, Any
from xml.parsers import expat

from inventory.domain.errors import Invalid
from inventory.domain.imports import Cell

ZIP_MAGIC = b"PK"
MAX_INFLATED = 80_000_000
"""Bytes of all parts of a workbook that are read: a hundred thousand rows of the widest kind are 50 million."""
MAX_RATIO = 250
"""Inflated to packed. Sheets pack to a tenth or a thirtieth; bombs to a thousandth."""
MAX_DIRECTORY = 65_536
"""Bytes of a zip file's directory: a workbook has a dozen members, and reading a directory of 200,000 takes seconds."""
MAX_CELLS_IN_ROW = 500
MAX_LINE = 200_000
MAX_FORMAT = 255
"""Characters of a cell's number format, as spreadsheets have it: to look for quotes and brackets in more takes long."""
_CHUNK = 65_536

Numbered = tuple[int, list[Cell]]
"""A row's number as a spreadsheet shows it, and its cells from the first column on."""


def read_rows(
    data: bytes, recognise: Callable[[Sequence[Cell]], int], max_inflated: int = MAX_INFLATED
) -> Iterator[Numbered]:
    """The rows of a CSV or XLSX file. `recognise` counts the known headings in a row: it tells a CSV's separator.

    Raises Invalid `file_not_a_table`, `file_inflates`.
    """
    if data[:2] == ZIP_MAGIC:
        yield from _Workbook(data, max_inflated).rows()
    else:
        yield from _csv_rows(_decoded(data), recognise)


# --- CSV ---------------------------------------------------------------------------------------------------------


def _decoded(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or what Windows writes. Raises Invalid `file_not_a_table`."""
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise Invalid("file_not_a_table")


def _csv_rows(text: str, recognise: Callable[[Sequence[Cell]], int]) -> Iterator[Numbered]:
    reader = csv.reader(_short_lines(text), delimiter=_separator(text, recognise), strict=True)
    try:
        for number, row in enumerate(reader, start=1):
            if len(row) > MAX_CELLS_IN_ROW:
                raise Invalid("file_not_a_table")
            yield number, list(row)
    except csv.Error:
        raise Invalid("file_not_a_table") from None


def _separator(text: str, recognise: Callable[[Sequence[Cell]], int]) -> str:
    """The separator by which one of the first lines has the most headings: remarks may stand above them."""
    lines = io.StringIO(text[:MAX_LINE]).readlines()[:20]

    def headings(separator: str) -> int:
        try:
            return max((recognise(next(csv.reader([line], delimiter=separator), [])) for line in lines), default=0)
        except csv.Error:
            return 0

    return max((";", ",", "\t"), key=headings)


def _short_lines(text: str) -> Iterator[str]:
    for line in io.StringIO(text, newline=""):
        if len(line) > MAX_LINE:
            raise Invalid("file_not_a_table")
        yield line


# --- XLSX --------------------------------------------------------------------------------------------------------


class _Workbook:
    """The first sheet of a workbook, read part by part; only the parts that a table needs are ever inflated."""

    def __init__(self, data: bytes, max_inflated: int) -> None:
        _check_directory(data)
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
            raise Invalid("file_not_a_table") from None
        self.names = set(self.zip.namelist())
        self.left = max_inflated
        self.limit = max_inflated

    def rows(self) -> Iterator[Numbered]:
        if "xl/workbook.xml" not in self.names:
            raise Invalid("file_not_a_table")
        sheet, uses_1904 = self._first_sheet()
        strings_part = "xl/sharedStrings.xml"
        self._check_declared([name for name in (sheet, strings_part, "xl/styles.xml") if name in self.names])
        strings = self._strings(strings_part) if strings_part in self.names else []
        dates = self._date_styles() if "xl/styles.xml" in self.names else set()
        reader = _SheetReader(strings, dates, date(1904, 1, 1) if uses_1904 else date(1899, 12, 30))
        parser = _parser(reader.start, reader.end, reader.characters)
        for chunk in self._chunks(sheet):
            _feed(parser, chunk)
            yield from reader.take()
        _feed(parser, b"", last=True)
        yield from reader.take()

    def _check_declared(self, names: Iterable[str]) -> None:
        """A bomb that says what it is: refused before a byte is inflated. One that lies is stopped while reading."""
        infos = [self.zip.getinfo(name) for name in names]
        inflated, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
        if inflated > self.limit or (inflated > 1_000_000 and inflated > MAX_RATIO * max(packed, 1)):
            raise Invalid("file_inflates", limit=self.limit // 1_000_000)

    def _chunks(self, name: str) -> Iterator[bytes]:
        # A member gives at most the bytes that its entry declares, and what is declared has been bounded; the count
        # holds over all members, whatever their entries say.
        try:
            with self.zip.open(name) as part:
                while chunk := part.read(_CHUNK):
                    self.left -= len(chunk)
                    if self.left < 0:
                        raise Invalid("file_inflates", limit=self.limit // 1_000_000)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, NotImplementedError, OSError):
            raise Invalid("file_not_a_table") from None

    def _parse(self, name: str, start: Any, end: Any = None, characters: Any = None) -> None:
        self._check_declared([name])
        parser = _parser(start, end, characters)
        for chunk in self._chunks(name):
            _feed(parser, chunk)
        _feed(parser, b"", last=True)

    def _first_sheet(self) -> tuple[str, bool]:
        sheets: list[str] = []
        settings: dict[str, str] = {}
        targets: dict[str, str] = {}

        def in_workbook(name: str, at: dict[str, str]) -> None:
            if _local(name) == "sheet":
                sheets.append(next((value for key, value in at.items() if _local(key) == "id" and ":" in key), ""))
            elif _local(name) == "workbookPr":
                settings.update(at)

        def in_relations(name: str, at: dict[str, str]) -> None:
            if _local(name) == "Relationship":
                targets[at.get("Id", "")] = at.get("Target", "")

        self._parse("xl/workbook.xml", in_workbook)
        if "xl/_rels/workbook.xml.rels" in self.names:
            self._parse("xl/_rels/workbook.xml.rels", in_relations)
        target = targets.get(sheets[0], "") if sheets else ""
        name = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if name not in self.names:
            raise Invalid("file_not_a_table")
        return name, settings.get("date1904") in ("1", "true")

    def _strings(self, part: str) -> list[str]:
        reader = _StringsReader()
        self._parse(part, reader.start, reader.end, reader.characters)
        return reader.strings

    def _date_styles(self) -> set[int]:
        """The styles, by their position, in which a number is a day."""
        custom: dict[str, str] = {}
        formats: list[str] = []
        inside = [False]

        def start(name: str, at: dict[str, str]) -> None:
            local = _local(name)
            if local == "numFmt":
                custom[at.get("numFmtId", "")] = at.get("formatCode", "")
            elif local == "cellXfs":
                inside[0] = True
            elif local == "xf" and inside[0]:
                formats.append(at.get("numFmtId", "0"))

        def end(name: str) -> None:
            if _local(name) == "cellXfs":
                inside[0] = False

        self._parse("xl/styles.xml", start, end)
        return {index for index, number in enumerate(formats) if _is_date(number, custom.get(number))}


def _check_directory(data: bytes) -> None:
    """Bound what opening the zip would read. Raises Invalid `file_not_a_table`, `file_inflates`."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if at < 0 or len(data) - at < 22:
        raise Invalid("file_not_a_table")
    size = struct.unpack_from("<L", data, at + 12)[0]
    if size > MAX_DIRECTORY or data.find(b"PK\x06\x07", max(0, at - 20), at) >= 0:
        raise Invalid("file_inflates", limit=MAX_INFLATED // 1_000_000)


def _is_date(number: str, code: str | None) -> bool:
    if code is not None:
        plain = re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", code[:MAX_FORMAT].split(";")[0])
        return re.search(r"[dmy]", plain, re.IGNORECASE) is not None and "0" not in plain
    return number.isdecimal() and (14 <= int(number) <= 22 or 27 <= int(number) <= 36 or 50 <= int(number) <= 58)


def _parser(start: Any, end: Any, characters: Any) -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    # No workbook declares a document type; entities are only in files made to break readers.
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise Invalid("file_not_a_table")


def _feed(parser: Any, chunk: bytes, *, last: bool = False) -> None:
    try:
        parser.Parse(chunk, last)
    except (expat.ExpatError, ValueError):
        raise Invalid("file_not_a_table") from None


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _StringsReader:
    """The texts that cells refer to by number; phonetic readings are left out."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._parts: list[str] = []
        self._inside = False
        self._phonetic = False

    def start(self, name: str, _at: dict[str, str]) -> None:
        local = _local(name)
        if local == "si":
            self._parts = []
        elif local == "rPh":
            self._phonetic = True
        elif local == "t":
            self._inside = not self._phonetic

    def end(self, name: str) -> None:
        local = _local(name)
        if local == "si":
            self.strings.append("".join(self._parts))
        elif local == "rPh":
            self._phonetic = False
        elif local == "t":
            self._inside = False

    def characters(self, text: str) -> None:
        if self._inside:
            self._parts.append(text)


@dataclass
class _SheetReader:
    """Collects a sheet's rows as the parser meets their cells. Rows are handed out by `take` and forgotten."""

    strings: list[str]
    dates: set[int]
    epoch: date
    done: list[Numbered] = field(default_factory=list)
    row: list[Cell] = field(default_factory=list)
    number: int = 0
    column: int = -1
    type: str = ""
    style: str = ""
    inside: bool = False
    parts: list[str] = field(default_factory=list)

    def take(self) -> list[Numbered]:
        taken, self.done = self.done, []
        return taken

    def start(self, name: str, at: dict[str, str]) -> None:
        local = name if ":" not in name else _local(name)
        if local == "c":
            self.column = _column(at["r"]) if "r" in at else self.column + 1
            if self.column >= MAX_CELLS_IN_ROW:
                # Formats may reach to the last column; values may not.
                self.column = MAX_CELLS_IN_ROW
            self.type, self.style = at.get("t", ""), at.get("s", "")
            self.parts = []
        elif local in ("v", "t"):
            self.inside = True
        elif local == "row":
            self.number = int(at["r"]) if at.get("r", "").isdecimal() else self.number + 1
            self.row, self.column = [], -1

    def end(self, name: str) -> None:
        local = name if ":" not in name else _local(name)
        if local in ("v", "t"):
            self.inside = False
        elif local == "c":
            if self.parts:
                self._put("".join(self.parts))
        elif local == "row" and self.row:
            self.done.append((self.number, self.row))
            self.row = []

    def characters(self, text: str) -> None:
        if self.inside:
            self.parts.append(text)

    def _put(self, text: str) -> None:
        if self.column >= MAX_CELLS_IN_ROW or self.column < 0:
            raise Invalid("file_not_a_table")
        while len(self.row) < self.column:
            self.row.append(None)
        del self.row[self.column :]
        self.row.append(self._value(text))

    def _value(self, text: str) -> Cell:
        if self.type == "s":
            if not text.isdecimal() or int(text) >= len(self.strings):
                raise Invalid("file_not_a_table")
            return self.strings[int(text)]
        if self.type in ("str", "inlineStr", "e"):
            return text
        if self.type == "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        if self.type == "d":
            return text.partition("T")[0]
        return self._number(text)

    def _number(self, text: str) -> Cell:
        try:
            value = float(text)
        except ValueError:
            return text
        if value != value or abs(value) > 1e15:
            return text
        if self.style.isdecimal() and int(self.style) in self.dates:
            return self._day(value)
        return int(value) if value.is_integer() else value

    def _day(self, serial: float) -> Cell:
        if not 0 <= serial < 2_958_466:
            return str(serial)
        day = self.epoch + timedelta(days=int(serial))
        if serial.is_integer():
            return day
        return datetime.combine(day, datetime.min.time()) + timedelta(days=serial % 1)


def _column(reference: str) -> int:
    """The position of a cell's column, from 0: A, Z, AA."""
    position = 0
    for letter in reference:
        if not ("A" <= letter <= "Z"):
            break
        position = position * 26 + ord(letter) - 64
        if position > 20_000:
            break
    return position - 1


# --- writing -----------------------------------------------------------------------------------------------------

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Also in full width: spreadsheets of some languages read those alike."""
MAX_SHEET_ROWS = 1_000_000
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def neutral(value: object) -> object:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it; all else as it is."""
    if isinstance(value, str) and value.startswith(DANGEROUS):
        return f"'{value}"
    return value


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """CSV in UTF-8 with the mark by which spreadsheets know it, a few hundred rows at a time."""
    buffer = io.StringIO(newline="")
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_plain_cell(value) for value in row])
        if number % 500 == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def write_xlsx(
    stream: IO[bytes], sheets: Iterable[tuple[str, Iterable[Sequence[object]]]], text_columns: int = 0
) -> None:
    """A workbook with these sheets (name, rows); a sheet that gets too long goes on in another.

    `text_columns` of the first sheet are formatted as text, so that a code such as 51.10 stays what is typed.
    """
    from openpyxl import Workbook  # slow to import, and only wanted here
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    for name, rows in sheets:
        sheet = book.create_sheet(name[:31])
        if text_columns and len(book.worksheets) == 1:
            for position in range(1, text_columns + 1):
                sheet.column_dimensions[get_column_letter(position)].number_format = "@"
        for number, row in enumerate(rows, start=1):
            if number % MAX_SHEET_ROWS == 0:
                sheet = book.create_sheet(f"{name[:25]} {number // MAX_SHEET_ROWS + 1}")
            cells = []
            for value in row:
                cell = WriteOnlyCell(sheet, value=_xlsx_value(value))
                if isinstance(value, str):
                    cell.data_type = "s"
                cells.append(cell)
            sheet.append(cells)
    book.save(stream)


def _plain_cell(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return "" if value is None else neutral(value)


def _xlsx_value(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()  # an instant keeps its UTC offset, which a spreadsheet's own type has not
    return neutral(_ILLEGAL.sub(" ", value)) if isinstance(value, str) else value
