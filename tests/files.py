"""Files for the import's tests: tables as CSV and XLSX, and files made to break readers."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Sequence

SHEET = (
    '<?xml version="1.0"?>{doctype}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<sheetData>{rows}</sheetData></worksheet>"
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def csv_file(*rows: Sequence[object], separator: str = ";", encoding: str = "utf-8") -> bytes:
    return "".join(separator.join(map(str, row)) + "\r\n" for row in rows).encode(encoding)


def xlsx_file(*rows: Sequence[object]) -> bytes:
    """As a spreadsheet program writes it."""
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(list(row))  # type: ignore[union-attr]
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def workbook(sheet: str | bytes, strings: str | None = None, more: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """A bare workbook with this XML as its sheet."""
    parts: list[tuple[str, str | bytes]] = [
        (
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/>'
            "</sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_DOCUMENT}/worksheet"'
            ' Target="worksheets/sheet1.xml"/></Relationships>',
        ),
        ("xl/worksheets/sheet1.xml", sheet),
        *more,
    ]
    if strings is not None:
        parts.append(("xl/sharedStrings.xml", strings))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts:
            packed.writestr(name, content)
    return stream.getvalue()


def sheet(rows: str, doctype: str = "") -> str:
    return SHEET.format(rows=rows, doctype=doctype)


def bomb(megabytes: int) -> bytes:
    """A workbook of some kilobytes whose sheet inflates to this many megabytes."""
    return workbook(b"<worksheet><sheetData>" + b" " * (megabytes * 1_000_000))


def lying(data: bytes, declared: int) -> bytes:
    """The same zip file with its directory declaring this many bytes for the sheet."""
    changed = bytearray(data)
    at = data.rfind(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack_from("<H", data, at + 28)[0]
        if data[at + 46 : at + 46 + length].endswith(b"sheet1.xml"):
            struct.pack_into("<L", changed, at + 24, declared)
        at = data.rfind(b"PK\x01\x02", 0, at)
    return bytes(changed)


def many_members(count: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for number in range(count):
            packed.writestr(f"{number}", b"")
    return stream.getvalue()
