"""What the papers say, in both languages. They are records: their wording stands with the code that draws them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

LANGUAGES = ("id", "en")

Pair = tuple[str, str]
"""Indonesian, English."""

TITLES: Mapping[str, Pair] = {
    "delivery": ("Berita acara serah terima", "Record of hand-over"),
    "transfer": ("Berita acara serah terima", "Record of hand-over"),
    "count_sheet": ("Lembar hitung", "Count sheet"),
    "stocktake": ("Berita acara stock opname", "Record of stocktake"),
    "destruction": ("Berita acara pemusnahan", "Record of destruction"),
    "stock_card": ("Kartu persediaan", "Stock card"),
    "monthly_report": ("Laporan bulanan", "Monthly report"),
    "late_entries": ("Laporan susulan", "Late entries"),
}
# The ledger's own words, as the pages show them.
MOVEMENTS: Mapping[str, Pair] = {
    "receipt": ("Penerimaan", "Receipt"),
    "print": ("Pencetakan", "Print"),
    "spoil": ("Kerusakan", "Spoilage"),
    "dispatch": ("Pengiriman", "Dispatch"),
    "arrival": ("Kiriman tiba", "Arrival"),
    "return": ("Pengembalian", "Return"),
    "destroy": ("Pemusnahan", "Destruction"),
    "count": ("Stock opname", "Stocktake"),
}
REASONS: Mapping[str, Pair] = {
    "supplied": ("Pasokan", "Delivery"),
    "opening": ("Stok awal", "Opening stock"),
    "new": ("Kartu baru", "New card"),
    "lost": ("Kartu hilang", "Lost card"),
    "damaged": ("Kartu rusak", "Damaged card"),
    "changed_data": ("Perubahan data", "Changed data"),
    "moved_in": ("Pindah datang", "Moved in"),
    "consumed": ("Habis terpakai", "Used up"),
    "misprint": ("Gagal cetak", "Misprint"),
    "encoding_failure": ("Gagal encode", "Encoding failure"),
    "defective": ("Cacat", "Defective"),
    "obsolete": ("Tidak berlaku lagi", "Obsolete"),
    "distribution": ("Distribusi", "Distribution"),
    "loan": ("Pinjam pakai", "Loan"),
    "return": ("Pengembalian pinjaman", "Returned loan"),
    "outreach": ("Jemput bola", "Outreach"),
    "handed_over": ("Diserahkan", "Handed over"),
    "short": ("Kurang", "Short"),
    "cancelled": ("Dibatalkan", "Cancelled"),
    "arrived": ("Tiba", "Arrived"),
    "arrived_damaged": ("Tiba dalam keadaan rusak", "Arrived damaged"),
    "to_supplier": ("Ke pemasok", "To the supplier"),
    "destroyed": ("Dimusnahkan", "Destroyed"),
    "found": ("Ditemukan", "Found"),
}
STATUSES: Mapping[str, Pair] = {
    "dispatched": ("Dalam perjalanan", "On the way"),
    "received": ("Diterima", "Received"),
    "cancelled": ("Dibatalkan", "Cancelled"),
}
FUNDING_SOURCES: Mapping[str, Pair] = {
    "apbn": ("APBN", "State budget (APBN)"),
    "apbd": ("Hibah daerah (APBD)", "Regional grant (APBD)"),
}
PLACES: Mapping[str, Pair] = {
    "store": ("Gudang", "Store"),
    "spoiled": ("Rusak, menunggu pemusnahan", "Spoiled, awaiting destruction"),
    "transit": ("Dalam perjalanan ke kantor lain", "On the way to other offices"),
    "missing": ("Selisih kurang", "Missing"),
}
WORDS: Mapping[str, Pair] = {
    "number": ("Nomor", "No."),
    "page": ("Halaman {page} dari {pages}", "Page {page} of {pages}"),
    "issued": ("Diterbitkan {moment} oleh {by}", "Issued {moment} by {by}"),
    "seal": ("Segel buku: {seal}", "Seal of the books: {seal}"),
    "no_seal": ("Segel buku: belum ada", "Seal of the books: none yet"),
    "digest": ("Sidik dokumen: {digest}", "Digest: {digest}"),
    "check": ("Periksa keasliannya di:", "Check that it is genuine at:"),
    "synthetic": ("DATA BUATAN UNTUK PERAGAAN", "MADE-UP DATA FOR A DEMONSTRATION"),
    "bast_number": ("Nomor BAST", "BAST number"),
    "bast_on": ("Tanggal BAST", "Date on the BAST"),
    "received_on": ("Tanggal tiba", "Day of arrival"),
    "handing_over": ("Yang menyerahkan", "Handing over"),
    "taking_over": ("Yang menerima", "Taking over"),
    "carrier": ("Yang membawa", "Carried by"),
    "funding": ("Sumber dana", "Funding source"),
    "condition": ("Keadaan barang", "Condition"),
    "note": ("Catatan", "Note"),
    "purpose": ("Keperluan", "Purpose"),
    "status": ("Status", "Status"),
    "sender": ("Pengirim", "Sender"),
    "receiver": ("Penerima", "Receiver"),
    "dispatched_on": ("Tanggal kirim", "Day of dispatch"),
    "expected_on": ("Perkiraan tiba", "Expected on"),
    "due_on": ("Dikembalikan paling lambat", "Due back on"),
    "item": ("Barang", "Item"),
    "unit": ("Satuan", "Unit"),
    "asked": ("Diminta", "Asked"),
    "allotted": ("Alokasi", "Allotted"),
    "sent": ("Dikirim", "Sent"),
    "received": ("Diterima", "Received"),
    "good": ("Baik", "Good"),
    "defective": ("Cacat", "Defective"),
    "damaged": ("Rusak", "Damaged"),
    "short": ("Kurang", "Short"),
    "over": ("Lebih", "Over"),
    "cartons": ("Dus", "Cartons"),
    "total": ("Jumlah", "Total"),
    "in_words": ("Terbilang", "In words"),
    "count_on": ("Tanggal hitung", "Day of the count"),
    "blind": (
        "Hitung tanpa melihat buku. Tulis jumlah, jam selesai menghitung dan paraf untuk setiap barang.",
        "Count without looking at the books. Write the count, the time at which it was done and your initials.",
    ),
    "counted": ("Hitungan", "Count"),
    "counted_at": ("Jam", "Time"),
    "initials": ("Paraf", "Initials"),
    "recounted": ("Hitung ulang", "Recount"),
    "book": ("Buku", "Book"),
    "difference": ("Selisih", "Difference"),
    "counted_by": ("Yang menghitung", "Counted by"),
    "recounted_by": ("Yang menghitung ulang", "Recounted by"),
    "approved_by": ("Yang menyetujui", "Approved by"),
    "approved_on": ("Tanggal persetujuan", "Approved on"),
    "not_approved": ("belum disetujui", "not approved yet"),
    "destroyed_on": ("Tanggal pemusnahan", "Day of destruction"),
    "place": ("Tempat", "Place"),
    "method": ("Cara", "Method"),
    "cause": ("Penyebab", "Cause"),
    "quantity": ("Jumlah", "Quantity"),
    "officer": ("Yang memusnahkan", "Destroyed by"),
    "witness": ("Saksi {number}", "Witness {number}"),
    "period": ("Masa", "Period"),
    "from_to": ("{first} sampai {last}", "{first} to {last}"),
    "day": ("Tanggal", "Day"),
    "entry": ("Uraian", "Entry"),
    "entry_number": ("No.", "No."),
    "reference": ("Dokumen, catatan", "Document, note"),
    "in": ("Masuk", "In"),
    "out": ("Keluar", "Out"),
    "left": ("Sisa", "Left"),
    "carried": ("Sisa sebelumnya", "Carried forward"),
    "no_entries": ("Tidak ada catatan dalam masa ini.", "No entries in this period."),
    "reverses": ("membatalkan no. {seq}", "reverses no. {seq}"),
    "opening": ("Awal bulan", "Opening"),
    "closing": ("Akhir bulan", "Closing"),
    "month": ("Bulan", "Month"),
    "no_items": ("Belum ada persediaan yang dicatat.", "No stock is recorded yet."),
    "adds_up": (
        "Awal bulan ditambah dan dikurangi setiap baris sama dengan akhir bulan. Pembatalan sudah dihitung.",
        "Opening and every line below it come to the closing. Reversals are taken off already.",
    ),
    "to_report": ("Susulan untuk laporan", "Supplement to report"),
    "late_text": (
        "Catatan di bawah ini untuk bulan tersebut atau sebelumnya, tetapi dicatat setelah laporannya diterbitkan.",
        "These entries are for that month or before it, but were recorded after its report was issued.",
    ),
    "acknowledged": ("Mengetahui", "Acknowledged"),
    "made_by": ("Yang membuat", "Made by"),
    "recorded": ("Dicatat", "Recorded"),
}

# fmt: off
_MONTHS: Mapping[str, tuple[str, ...]] = {
    "id": (
        "Januari", "Februari", "Maret", "April", "Mei", "Juni",
        "Juli", "Agustus", "September", "Oktober", "November", "Desember",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
}
_UNITS_ID = (
    "nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh", "sebelas",
)
_UNITS_EN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS_EN = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on


class Words:
    """The words, numbers and days of one language."""

    def __init__(self, language: str, time_zone: str) -> None:
        self.language = language
        self._index = LANGUAGES.index(language)
        self._zone = ZoneInfo(time_zone)

    def __call__(self, word: str, texts: Mapping[str, Pair] = WORDS, /, **facts: object) -> str:
        said = texts[word][self._index]
        return said.format(**facts) if facts else said

    def number(self, value: int | None) -> str:
        """1.639 or 1,639, with a true minus; a dash for what is not known."""
        if value is None:
            return "–"
        grouped = f"{value:,}".replace("-", "−")
        return grouped.replace(",", ".") if self.language == "id" else grouped

    def signed(self, value: int) -> str:
        return ("+" if value > 0 else "") + self.number(value)

    def day(self, value: date) -> str:
        name = _MONTHS[self.language][value.month - 1]
        return f"{value.day} {name} {value.year}"

    def short_day(self, value: date) -> str:
        return f"{value.day} {_MONTHS[self.language][value.month - 1][:3]} {value.year}"

    def month(self, first: date) -> str:
        return f"{_MONTHS[self.language][first.month - 1]} {first.year}"

    def moment(self, instant: datetime) -> str:
        """On the office's own clock, with that clock's name."""
        local = instant.astimezone(self._zone)
        return f"{self.short_day(local)} {local:%H:%M} {local.tzname()}"

    def time(self, instant: datetime) -> str:
        return f"{instant.astimezone(self._zone):%H:%M}"

    def in_words(self, value: int) -> str:
        """A whole number from 0 up to the thousand millions, spelled out."""
        if not 0 <= value < 10**12:
            raise ValueError("too large to be spelled out")
        return _indonesian(value) if self.language == "id" else _english(value)


def _indonesian(value: int) -> str:
    if value < 12:
        return _UNITS_ID[value]
    if value < 20:
        return f"{_UNITS_ID[value - 10]} belas"
    for size, name in ((10**9, "miliar"), (10**6, "juta"), (1000, "ribu"), (100, "ratus"), (10, "puluh")):
        if value >= size:
            count, rest = divmod(value, size)
            # "Satu" melts into the name up to the thousands: seratus, seribu, but satu juta.
            said = f"se{name}" if count == 1 and size <= 1000 else f"{_indonesian(count)} {name}"
            return said if not rest else f"{said} {_indonesian(rest)}"
    raise AssertionError("unreachable")


def _english(value: int) -> str:
    if value < 20:
        return _UNITS_EN[value]
    if value < 100:
        tens, units = divmod(value, 10)
        return _TENS_EN[tens - 2] + (f"-{_UNITS_EN[units]}" if units else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            count, rest = divmod(value, size)
            said = f"{_english(count)} {name}"
            return said if not rest else f"{said} {_english(rest)}"
    raise AssertionError("unreachable")
