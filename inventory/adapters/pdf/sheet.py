"""A4 pages with head, foot, tables and signatures. Knows paper and type, and nothing of what is printed on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from fpdf import FPDF, FontFace
from fpdf.enums import TableCellFillMode

from inventory.adapters.pdf.words import Words
from inventory.domain.documents import Paper, Party

MARGIN = 16.0
FOOT = 40.0
"""Height of the foot, in millimetres as every length here."""
QR_SIZE = 22.0
FONT = "DejaVu"
GREY, SHADE, BLACK = (95, 95, 95), (236, 239, 243), (0, 0, 0)

_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
  <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
    xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
    <rdf:Description rdf:about="" xmp:CreatorTool="Blangko" xmp:CreateDate="{at}" xmp:ModifyDate="{at}"
      xmp:MetadataDate="{at}" pdf:Producer="fpdf2">
      <pdfaid:part>2</pdfaid:part>
      <pdfaid:conformance>U</pdfaid:conformance>
      <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
      <dc:language><rdf:Bag><rdf:li>{language}</rdf:li></rdf:Bag></dc:language>
    </rdf:Description>
  </rdf:RDF>
</x:xmpmeta>"""


@dataclass(frozen=True)
class Column:
    """`share` of the width. Numbers stand to the right."""

    title: str
    share: float
    align: Literal["L", "R", "C"] = "L"


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns; `heading` is a line of its own across the table."""

    cells: Sequence[str]
    strong: bool = False
    heading: bool = False


class Sheet(FPDF):
    """A paper's pages. The same paper makes the same bytes: nothing here reads the clock or makes up an id."""

    def __init__(self, paper: Paper, digest: str, title: str, words: Words) -> None:
        # PDF/A-2u: fonts inside, every letter can be read and copied, readable for as long as the record is kept.
        super().__init__(format="A4", enforce_compliance="PDF/A-2U")
        self.paper, self.digest, self.say, self.heading = paper, digest, words, title
        fonts = Path(str(files("inventory"))) / "data" / "fonts"
        self.add_font(FONT, "", fonts / "DejaVuSansCondensed.ttf")
        self.add_font(FONT, "B", fonts / "DejaVuSansCondensed-Bold.ttf")
        self._describe()
        self._code = _qr_runs(paper.link)
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, margin=FOOT)
        self.set_draw_color(150, 150, 150)
        self.set_line_width(0.2)
        self.add_page()

    def _describe(self) -> None:
        title = f"{self.heading} {self.paper.number}"
        self.set_title(title)
        self.set_creator("Blangko")
        self.set_producer("fpdf2")
        self.set_lang(self.say.language)
        self.set_creation_date(self.paper.issued_at)
        at = self.paper.issued_at.isoformat(timespec="seconds")
        self.set_xmp_metadata(_XMP.format(at=at, title=escape(title), language=self.say.language))

    # --- head and foot -------------------------------------------------------------------------------------------

    def header(self) -> None:
        width, number = self.epw - 80, f"{self.heading} · {self.say('number')} {self.paper.number}"
        self.set_xy(MARGIN, 12)
        self._type(9, strong=True)
        self.multi_cell(width, 4.4, f"{self.paper.office_name} ({self.paper.office_code})", align="L")
        bottom = self.y
        self.set_xy(MARGIN + width, 12)
        self._type(9)
        self.multi_cell(80, 4.4, number, align="R")
        self.set_y(max(bottom, self.y) + 1)
        if self.paper.synthetic:
            self._type(8, strong=True)
            self.multi_cell(self.epw, 4, self.say("synthetic"), align="C", new_x="LMARGIN")
            self.ln(1)
        self.line(MARGIN, self.y, self.w - MARGIN, self.y)
        self.set_y(self.y + 4)

    def footer(self) -> None:
        top = self.h - FOOT + 4
        self.line(MARGIN, top, self.w - MARGIN, top)
        self._draw_code(self.w - MARGIN - QR_SIZE, top + 2)
        paper, say = self.paper, self.say
        by = paper.issued_by or "Blangko"
        lines = (
            say("issued", moment=say.moment(paper.issued_at), by=by),
            say("seal", seal=_short(paper.seal_head)) if paper.seal_head else say("no_seal"),
            say("digest", digest=_short(self.digest)),
            f"{say('check')} {paper.link}",
        )
        self.set_y(top + 2)
        self._type(8)
        # The number of pages takes its place at the end, so nothing may be aligned by its width.
        self.cell(0, 4.4, say("page", page=self.page_no(), pages="{nb}"), align="L", new_x="LMARGIN", new_y="NEXT")
        self._type(7.5, color=GREY)
        for line in lines:
            self.multi_cell(self.epw - QR_SIZE - 4, 3.6, line, align="L", new_x="LMARGIN", new_y="NEXT")

    def _draw_code(self, left: float, top: float) -> None:
        size, runs = self._code
        module = QR_SIZE / size
        self.set_fill_color(*BLACK)
        for row, first, length in runs:
            self.rect(left + first * module, top + row * module, length * module, module, style="F")
        self.link(left, top, QR_SIZE, QR_SIZE, self.paper.link)

    # --- body ----------------------------------------------------------------------------------------------------

    def open_with(self, subtitle: str = "") -> None:
        """The document's name, number and day."""
        self._type(15, strong=True)
        self.multi_cell(self.epw, 7, self.heading.upper(), align="C", new_x="LMARGIN", new_y="NEXT")
        if subtitle:
            self._type(11, strong=True)
            self.multi_cell(self.epw, 5.5, subtitle, align="C", new_x="LMARGIN", new_y="NEXT")
        self._type(10)
        numbered = f"{self.say('number')} {self.paper.number} · {self.say.day(self.paper.day)}"
        self.multi_cell(self.epw, 5.5, numbered, align="C", new_x="LMARGIN", new_y="NEXT")
        self.ln(3)

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and what they are; what is not known is left out."""
        self._type(10)
        shares = (32, 100)
        with self.table(
            col_widths=shares, borders_layout="NONE", first_row_as_headings=False, line_height=5, align="L"
        ) as table:
            for name, value in pairs:
                if value:
                    row = table.row(v_align="TOP")
                    row.cell(name, align="L", style=FontFace(color=GREY))
                    row.cell(value, align="L")
        self.ln(3)

    def words(self, text: str) -> None:
        self._type(10)
        self.multi_cell(self.epw, 5, text, align="L", new_x="LMARGIN", new_y="NEXT")
        self.ln(2)

    def rows(self, columns: Sequence[Column], rows: Sequence[Row], size: float = 9, height: float = 4.6) -> None:
        """A table. Its head is on every page that it goes on to, and no row is cut in two."""
        self._type(size)
        with self.table(
            col_widths=tuple(column.share for column in columns),
            line_height=height,
            padding=(0.7, 1.2),
            headings_style=FontFace(emphasis="BOLD", fill_color=SHADE),
            cell_fill_mode=TableCellFillMode.NONE,
        ) as table:
            head = table.row(v_align="BOTTOM")
            for column in columns:
                head.cell(column.title, align=column.align)
            for each in rows:
                self._row(table, columns, each)
        self.ln(4)

    def _row(self, table: Any, columns: Sequence[Column], each: Row) -> None:
        style = FontFace(emphasis="BOLD") if each.strong or each.heading else None
        row = table.row(style=style, v_align="TOP")
        if each.heading:
            row.cell(each.cells[0], colspan=len(columns), align="L", style=FontFace("", "BOLD", fill_color=SHADE))
            return
        for column, text in zip(columns, each.cells, strict=True):
            row.cell(text, align=column.align)

    def signatures(self, signers: Sequence[tuple[str, Party]]) -> None:
        """Room to sign, up to three side by side, never cut in two."""
        for start in range(0, len(signers), 3):
            self._sign_row(signers[start : start + 3])

    def _sign_row(self, signers: Sequence[tuple[str, Party]]) -> None:
        width = self.epw / len(signers)
        above = [f"{role},\n{party.office}" for role, party in signers]
        below = ["\n".join(part for part in (p.name or "." * 34, p.position) if part) for _, p in signers]
        self._type(9.5)
        upper, lower = (max(self._height(width - 4, text) for text in texts) for texts in (above, below))
        self.ln(4)
        if self.will_page_break(upper + 20 + lower):
            self.add_page()
        top = self.y
        for number, (first, last) in enumerate(zip(above, below, strict=True)):
            left = MARGIN + number * width + 2
            for y, text in ((top, first), (top + upper + 18, last)):
                self.set_xy(left, y)
                self.multi_cell(width - 4, 4.8, text, align="C")
        self.set_xy(MARGIN, top + upper + 18 + lower)

    def _height(self, width: float, text: str) -> float:
        found: Any = self.multi_cell(width, 4.8, text, align="C", dry_run=True, output="HEIGHT")
        return float(found)

    def _type(self, size: float, *, strong: bool = False, color: tuple[int, int, int] = BLACK) -> None:
        self.set_font(FONT, "B" if strong else "", size)
        self.set_text_color(*color)


def _short(digest: str) -> str:
    """Enough of a digest to tell two apart by eye, in groups of four."""
    return " ".join(digest[start : start + 4] for start in range(0, 24, 4)) + " …"


def _qr_runs(link: str) -> tuple[int, list[tuple[int, int, int]]]:
    """The code's width in modules, and its dark runs: row, first module, length."""
    import segno

    matrix = [bytes(row) for row in segno.make(link, error="m", micro=False).matrix]
    runs: list[tuple[int, int, int]] = []
    for number, row in enumerate(matrix):
        start = 0
        while (start := row.find(1, start)) >= 0:
            end = row.find(0, start)
            end = len(row) if end < 0 else end
            runs.append((number, start, end - start))
            start = end
    return len(matrix), runs
