"""Papers as PDF: readable, whole, the same bytes each time, and with a code that leads back to the record."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw
import pytest
import zxingcpp
from flask_babel import force_locale

from inventory import text
from inventory.adapters.pdf import draw
from inventory.adapters.pdf.sheet import FOOT, MARGIN
from inventory.adapters.pdf.words import (
    FUNDING_SOURCES,
    MOVEMENTS,
    PLACES,
    REASONS,
    STATUSES,
    TITLES,
    WORDS,
    Words,
)
from inventory.domain.documents import KINDS
from tests.adapters import papers
from tests.adapters.papers import DIGEST, LINK

POINTS_PER_MM = 72 / 25.4
EACH, AWKWARD = papers.one_of_each(), papers.awkward()
ALL = EACH | AWKWARD


@contextmanager
def opened(data: bytes) -> Iterator[Any]:
    document = pdfium.PdfDocument(data)
    try:
        yield document
    finally:
        document.close()


@cache
def drawn(name: str, language: str = "id") -> bytes:
    return draw(ALL[name], DIGEST, language)


def pages_of(data: bytes) -> list[str]:
    """What can be selected and copied, page by page, spaces and lines made one."""
    with opened(data) as document:
        return [" ".join(page.get_textpage().get_text_bounded().split()) for page in document]


def boxes(page: Any) -> Iterator[tuple[float, float, float, float]]:
    """Left, bottom, right, top of every letter, in millimetres from the lower left corner."""
    found = page.get_textpage()
    for index in range(found.count_chars()):
        if not chr(raw.FPDFText_GetUnicode(found, index)).isspace():
            yield tuple(edge / POINTS_PER_MM for edge in found.get_charbox(index))


def test_there_is_a_paper_of_every_kind() -> None:
    assert set(EACH) == set(KINDS) == set(TITLES)


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("name", ALL)
def test_every_page_says_what_it_is_and_keeps_inside_its_margins(name: str, language: str) -> None:
    paper = ALL[name]
    title = Words(language, "Asia/Makassar")(paper.kind, TITLES)
    data = drawn(name, language)
    shown = pages_of(data)
    for number, page in enumerate(shown, start=1):
        whole = page.replace(" ", "")
        assert f"{title} · {'Nomor' if language == 'id' else 'No.'} 00012/51.71/2024" in page
        assert paper.office_name.replace(" ", "") in whole
        assert (f"Halaman {number} dari {len(shown)}" if language == "id" else f"Page {number} of {len(shown)}") in page
        assert LINK in page
    assert f'<rdf:li xml:lang="x-default">{title} 00012/51.71/2024</rdf:li>'.encode() in data
    with opened(data) as document:
        for page in document:
            width = page.get_width() / POINTS_PER_MM
            for left, bottom, right, _top in boxes(page):
                assert left >= MARGIN - 0.5, name
                assert right <= width - MARGIN + 0.5, name
                assert bottom >= 6, name


@pytest.mark.parametrize("name", [*EACH, *(pytest.param(name, marks=pytest.mark.slow) for name in AWKWARD)])
def test_the_same_paper_makes_the_same_bytes(name: str) -> None:
    assert draw(ALL[name], DIGEST, "id") == drawn(name)


def test_another_process_at_another_time_makes_the_same_bytes() -> None:
    code = (
        "import hashlib; from tests.adapters import papers; from inventory.adapters.pdf import draw;"
        "print(hashlib.sha256(draw(papers.one_of_each()['stock_card'], papers.DIGEST, 'en')).hexdigest())"
    )
    # A second apart, with sets and dictionaries in another order.
    runs = [
        subprocess.run(
            [sys.executable, "-c", f"import time; time.sleep({wait}); {code}"],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "TZ": zone},
        ).stdout
        for wait, seed, zone in ((0, "1", "UTC"), (1.1, "2", "Asia/Jayapura"))
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["delivery", "long_card"])
def test_the_code_on_every_page_holds_the_link(name: str) -> None:
    with opened(drawn(name)) as document:
        for page in document:
            image = page.render(scale=2).to_pil()
            assert [code.text for code in zxingcpp.read_barcodes(image)] == [LINK]


def test_it_is_an_archivable_file_in_its_language() -> None:
    for language in ("id", "en"):
        data = drawn("delivery", language)
        assert data.startswith(b"%PDF-1.7")
        assert b"<pdfaid:part>2</pdfaid:part>" in data
        assert b"<pdfaid:conformance>U</pdfaid:conformance>" in data
        assert b"/OutputIntents" in data
        assert f"/Lang ({language})".encode() in data
        assert b'xmp:CreateDate="2024-05-31T16:30:00+00:00"' in data
        fonts = set(re.findall(rb"/BaseFont /([^\s/]+)", data))
        assert fonts
        assert all(b"+" in font and b"DejaVu" in font.replace(b"MPDF", b"DejaVu") for font in fonts), fonts
        assert data.count(b"/FontFile2") >= 2


def test_a_record_of_hand_over_says_all_that_was_counted() -> None:
    [page] = pages_of(drawn("delivery"))
    assert "Blangko KTP-el WNI keping 10.000 4.000 2 3.990 37 10 0" in page
    assert "Ribbon rol 8 – – 10 0 0 2" in page
    assert "Satu dus basah di sudut, isinya utuh." in page
    assert page.count("Budi Santoso") == page.count("Ni Made Ayu Suartini") - 1 == 2
    [page] = pages_of(draw(EACH["transfer"], DIGEST, "en"))
    assert "Citizen card blank cards 1,040 1,035 2 3" in page
    assert "Received, 16 May 2024" in page


def test_a_count_sheet_tells_nothing_of_the_books() -> None:
    [page] = pages_of(drawn("count_sheet"))
    below = page.split("Barang Satuan Hitungan Jam Paraf")[1].split("Yang menghitung")[0]
    assert below.strip() == (
        "Blangko KTP-el WNI keping Blangko KTP-el WNA keping Blangko KIA keping Ribbon rol Film rol"
    )


def test_a_stocktake_shows_count_recount_book_and_difference() -> None:
    [page] = pages_of(drawn("stocktake"))
    assert "Blangko KTP-el WNI keping 00:30 1.636 1.637 1.639 −2" in page
    assert "Ribbon rol 00:42 0 – 0 0" in page
    assert "Film rol 00:45 12 – 11 +1" in page
    assert "belum disetujui" in pages_of(drawn("unapproved"))[0]


@pytest.mark.parametrize(
    ("language", "words"),
    [("id", "seribu enam ratus tiga puluh sembilan"), ("en", "one thousand six hundred thirty-nine")],
)
def test_a_destruction_says_its_total_in_figures_and_words(language: str, words: str) -> None:
    [page] = pages_of(drawn("destruction", language))
    assert words in page
    assert page.count("1.639" if language == "id" else "1,639") == 1
    for name in ("Wayan Sudarma", "Luh Putu Sri", "I Gusti Ngurah Bagus Oka"):
        assert name in page


@pytest.mark.parametrize(
    ("value", "indonesian", "english"),
    [
        (0, "nol", "zero"),
        (11, "sebelas", "eleven"),
        (12, "dua belas", "twelve"),
        (20, "dua puluh", "twenty"),
        (100, "seratus", "one hundred"),
        (110, "seratus sepuluh", "one hundred ten"),
        (1_000, "seribu", "one thousand"),
        (1_111, "seribu seratus sebelas", "one thousand one hundred eleven"),
        (64_500, "enam puluh empat ribu lima ratus", "sixty-four thousand five hundred"),
        (101_000, "seratus satu ribu", "one hundred one thousand"),
        (1_000_000, "satu juta", "one million"),
        (10_000_000, "sepuluh juta", "ten million"),
    ],
)
def test_numbers_are_spelled_out(value: int, indonesian: str, english: str) -> None:
    assert Words("id", "Asia/Jakarta").in_words(value) == indonesian
    assert Words("en", "Asia/Jakarta").in_words(value) == english


def test_a_long_card_repeats_its_head_and_cuts_no_row() -> None:
    data = drawn("long_card")
    shown = pages_of(data)
    assert len(shown) > 5
    assert all("No. Tanggal Uraian Dokumen, catatan Masuk Keluar Sisa" in page for page in shown)
    joined = " ".join(shown)
    for seq in range(1_201, 1_501):
        assert len(re.findall(rf"(?<![\d./]){seq // 1000}\.{seq % 1000:03} \d+ \w+ 2024 P", joined)) == 1, seq
    with opened(data) as document:
        for page in document:
            # Nothing of the table reaches into the foot, where only the small grey lines stand.
            foot = [box for box in boxes(page) if box[1] < FOOT - 4]
            assert all(top - bottom < 4 for _left, bottom, _right, top in foot)


def test_an_empty_card_says_so_and_carries_its_balance() -> None:
    [page] = pages_of(draw(AWKWARD["empty_card"], DIGEST, "en"))
    assert "No entries in this period." in page
    assert page.count("1,000,000") == 2


def test_a_month_shows_every_item_and_every_line() -> None:
    shown = " ".join(pages_of(drawn("seven_items")))
    for number in range(7):
        assert f"Barang nomor {number}" in shown
    assert "Pencetakan: Perubahan data −411 −412 −413 −414 −415" in shown
    assert "Pencetakan: Perubahan data −416 −417" in shown
    assert "Akhir bulan 19.400 21.399 23.398 25.397 27.396" in shown


def test_made_up_data_says_so_on_every_page() -> None:
    assert all("DATA BUATAN" in page for page in pages_of(drawn("synthetic")))
    assert not any("DATA BUATAN" in page for page in pages_of(drawn("transfer")))


def test_every_word_is_there_in_both_languages_with_the_same_facts() -> None:
    for texts in (TITLES, MOVEMENTS, REASONS, STATUSES, FUNDING_SOURCES, PLACES, WORDS):
        for word, pair in texts.items():
            assert all(pair), word
            assert re.findall(r"{\w+}", pair[0]) == re.findall(r"{\w+}", pair[1]), word


def test_papers_use_the_words_of_the_pages(make_app: Any) -> None:
    both = (
        (MOVEMENTS, text.KINDS),
        (REASONS, text.REASONS),
        (STATUSES, text.TRANSFER_STATUSES),
        (FUNDING_SOURCES, text.FUNDING_SOURCES),
        (TITLES, text.DOCUMENT_KINDS),
        (PLACES, text.ACCOUNTS),
    )
    with make_app("sqlite:///:memory:").test_request_context():
        for index, language in enumerate(("id", "en")):
            with force_locale(language):
                for here, there in both:
                    assert {word: pair[index] for word, pair in here.items()} == {
                        word: str(said) for word, said in there.items()
                    }
