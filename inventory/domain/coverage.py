"""Known figures: how many residents are enrolled and wait for a card, as reported, and what contradicts itself.

A figure is a count, never a resident's data. It is kept as its source reports it, also when that cannot be right:
the rules here say what contradicts what, and correct nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from inventory.domain.errors import Invalid
from inventory.domain.imports import Field
from inventory.domain.texts import check_text

MEASURES = (
    "eligible",
    "enrolled",
    "not_enrolled",
    "print_ready",
    "card_holders",
    "digital_id",
    "digital_id_target",
    "population",
    "villages",
    "villages_online",
)
"""What an office reports. `digital_id` are the residents with a digital identity (IKD), `print_ready` those who are
enrolled and whose card is not printed."""
EQUIPMENT = ("printer", "enrolment_set")

MOST = 400_000_000
"""Of one figure; more people than the country has."""
MOST_EQUIPMENT = 100_000
SOURCE_LENGTH = 200
NOTE_LENGTH = 500

DIGITAL_TARGETS = (0.25, 0.30)
"""The shares of the enrolled that are to have a digital identity: the first aim, and the one after it."""
MOST_FALL = 0.05
"""A larger fall from one report to the next is implausible for a figure that grows with the population."""
GROWING = ("eligible", "enrolled", "card_holders", "digital_id", "population", "villages")
"""Figures that hardly fall. Those who wait do, when they are served."""

FIELDS: tuple[Field, ...] = (
    Field(
        name="office", holds="office", id=("Kode kantor", "Kantor"), en=("Office code", "office_code"), required=True
    ),
    Field(name="as_of", holds="day", id=("Per tanggal", "Tanggal"), en=("As of", "Date"), required=True),
    Field(name="measure", holds="words", id=("Data",), en=("Measure",), required=True),
    Field(name="value", holds="quantity", id=("Jumlah", "Nilai"), en=("Value",), required=True, limit=MOST),
    Field(name="source", holds="words", id=("Sumber",), en=("Source",), required=True, most=SOURCE_LENGTH),
    Field(name="note", holds="words", id=("Keterangan", "Catatan"), en=("Note",), most=NOTE_LENGTH),
    # Published lists carry these as well; the code and the measure say the same.
    Field(name="place", holds="words", id=("Tempat",), en=("Place",)),
    Field(name="unit", holds="words", id=("Satuan",), en=("Unit",)),
)
"""The columns of a file of figures; the last two are passed over."""
TEMPLATE_FIELDS = FIELDS[:6]
MAX_ROWS = 20_000
"""Of one file: three figures of each district of the country fit."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A count as a source reports it, as of a day."""

    measure: str
    value: int
    as_of: date
    source: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """Machines of one kind at one office: how many work, how many do not. `cards_a_day` is what one working printer
    can print in a working day; None for what is no printer."""

    kind: str
    working: int
    out_of_order: int
    as_of: date
    source: str
    cards_a_day: int | None = None
    note: str = ""

    @property
    def capacity(self) -> int:
        """Cards a day that the working ones can print."""
        return self.working * (self.cards_a_day or 0)


@dataclass(frozen=True)
class Contradiction:
    """Figures of one day that cannot all be right: the rule, the figures that it is about, and their numbers."""

    code: str
    as_of: date
    measures: tuple[str, ...]
    facts: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a whole, both of the same day. `derived` when the enrolled are the eligible less the not enrolled,
    because nobody reports them."""

    part: int
    whole: int
    as_of: date
    derived: bool = False

    @property
    def share(self) -> float:
        return self.part / self.whole

    def lacking(self, target: float) -> int:
        """How many are lacking until the part is `target` (a share) of the whole; 0 when it is reached."""
        return max(0, -(-round(target * 10_000) * self.whole // 10_000) - self.part)


SHARES: Mapping[str, tuple[str, str]] = {
    "enrolled": ("enrolled", "eligible"),
    "owned": ("card_holders", "eligible"),
    "digital": ("digital_id", "enrolled"),
    "digital_of_target": ("digital_id", "digital_id_target"),
    "target_of_enrolled": ("digital_id_target", "enrolled"),
    "villages_online": ("villages_online", "villages"),
}
"""Which part of which whole."""


_SPELLINGS = {
    "wajib ktp": "eligible",
    "sudah rekam": "enrolled",
    "belum rekam": "not_enrolled",
    "siap cetak": "print_ready",
    "prr": "print_ready",
    "pemegang ktp el": "card_holders",
    "ikd": "digital_id",
    "target ikd": "digital_id_target",
    "penduduk": "population",
    "desa": "villages",
    "desa daring": "villages_online",
}


def measure_of(text: str) -> str:
    """The measure that a file's cell names, by its code or in Indonesian; what it says itself when it names none."""
    words = re.sub(r"[\s_\-]+", " ", text.strip()).casefold()
    code = words.replace(" ", "_")
    return code if code in MEASURES else _SPELLINGS.get(words, text.strip())


def check_figure(figure: Figure) -> Figure:
    """The figure with its texts trimmed. Raises Invalid `measure_unknown`, `quantity_negative`, `quantity_too_large`,
    `source_missing`, `text_too_long`, `text_unprintable`."""
    if figure.measure not in MEASURES:
        raise Invalid("measure_unknown", measure=figure.measure[:40])
    _check_count(figure.value, MOST)
    return Figure(
        measure=figure.measure,
        value=figure.value,
        as_of=figure.as_of,
        source=check_source(figure.source),
        note=check_text(figure.note, NOTE_LENGTH),
    )


def check_equipment(equipment: Equipment) -> Equipment:
    """The same with its texts trimmed. Raises Invalid `equipment_unknown`, `capacity_missing` (printers say what one
    of them can print, and nothing else does), `quantity_negative`, `quantity_too_large`, `source_missing`,
    `text_too_long`, `text_unprintable`."""
    if equipment.kind not in EQUIPMENT:
        raise Invalid("equipment_unknown")
    for count in (equipment.working, equipment.out_of_order, equipment.cards_a_day or 0):
        _check_count(count, MOST_EQUIPMENT)
    if (equipment.kind == "printer") != bool(equipment.cards_a_day):
        raise Invalid("capacity_missing")
    return Equipment(
        kind=equipment.kind,
        working=equipment.working,
        out_of_order=equipment.out_of_order,
        as_of=equipment.as_of,
        source=check_source(equipment.source),
        cards_a_day=equipment.cards_a_day,
        note=check_text(equipment.note, NOTE_LENGTH),
    )


def check_source(source: str) -> str:
    """Raises Invalid `source_missing`: a figure without its source cannot be held against another."""
    source = check_text(source, SOURCE_LENGTH)
    if not source:
        raise Invalid("source_missing")
    return source


def _check_count(count: int, most: int) -> None:
    if count < 0:
        raise Invalid("quantity_negative")
    if count > most:
        raise Invalid("quantity_too_large", limit=most)


# --- what contradicts itself -------------------------------------------------------------------------------------

EXCEEDS = {
    "enrolled_exceed_eligible": ("enrolled", "eligible"),
    "not_enrolled_exceed_eligible": ("not_enrolled", "eligible"),
    "print_ready_exceed_enrolled": ("print_ready", "enrolled"),
    "card_holders_exceed_enrolled": ("card_holders", "enrolled"),
    "digital_exceed_enrolled": ("digital_id", "enrolled"),
    "digital_target_exceeds_enrolled": ("digital_id_target", "enrolled"),
    "eligible_exceed_population": ("eligible", "population"),
    "villages_online_exceed_villages": ("villages_online", "villages"),
}
"""What is a part of something else cannot be more than it."""
SUMS = {
    "enrolment_sum": (("enrolled", "not_enrolled"), "eligible"),
    "cards_sum": (("card_holders", "print_ready"), "enrolled"),
}
"""What falls into two parts is their sum."""
CODES = (*SUMS, *EXCEEDS, "sources_differ", "figure_fell")


def contradictions(figures: Iterable[Figure]) -> list[Contradiction]:
    """What is wrong with the figures that count of one office, the newest day first.

    Of several figures for the same measure and day, the last one given counts; when they are of different sources and
    differ, that is a contradiction too.
    """
    by_day: dict[date, dict[str, list[Figure]]] = defaultdict(lambda: defaultdict(list))
    for figure in figures:
        by_day[figure.as_of][figure.measure].append(figure)
    found: list[Contradiction] = []
    for day in sorted(by_day, reverse=True):
        counting = {measure: given[-1] for measure, given in by_day[day].items()}
        found += _of_day(day, {measure: figure.value for measure, figure in counting.items()})
        found += _of_sources(day, by_day[day])
    falls = list(_falls({day: {m: given[-1].value for m, given in by_day[day].items()} for day in by_day}))
    return sorted(found + falls, key=lambda each: each.as_of, reverse=True)


def _of_day(day: date, values: Mapping[str, int]) -> Iterator[Contradiction]:
    for code, (parts, whole) in SUMS.items():
        if all(measure in values for measure in (*parts, whole)):
            total = sum(values[part] for part in parts)
            if total != values[whole]:
                facts = {measure: values[measure] for measure in (*parts, whole)}
                difference = abs(total - values[whole])
                yield Contradiction(code, day, (*parts, whole), facts | {"sum": total, "difference": difference})
    for code, (part, whole) in EXCEEDS.items():
        if part in values and whole in values and values[part] > values[whole]:
            facts = {part: values[part], whole: values[whole], "difference": values[part] - values[whole]}
            yield Contradiction(code, day, (part, whole), facts)


def _of_sources(day: date, given: Mapping[str, Sequence[Figure]]) -> Iterator[Contradiction]:
    for measure, figures in given.items():
        counting = figures[-1]
        for other in figures[:-1]:
            if other.source != counting.source and other.value != counting.value:
                facts = {
                    "measure": measure,
                    "value": counting.value,
                    "source": counting.source,
                    "other": other.value,
                    "other_source": other.source,
                }
                yield Contradiction("sources_differ", day, (measure,), facts)


def _falls(values: Mapping[date, Mapping[str, int]]) -> Iterator[Contradiction]:
    before: dict[str, tuple[date, int]] = {}
    for day in sorted(values):
        for measure in GROWING:
            value = values[day].get(measure)
            if value is None:
                continue
            if measure in before and value < before[measure][1] * (1 - MOST_FALL):
                since, earlier = before[measure]
                facts: dict[str, object] = {
                    "measure": measure,
                    "value": value,
                    "earlier": earlier,
                    "since": since,
                    "difference": earlier - value,
                }
                yield Contradiction("figure_fell", day, (measure,), facts)
            before[measure] = (day, value)


# --- shares ------------------------------------------------------------------------------------------------------


def shares_by_day(figures: Iterable[Figure]) -> list[tuple[date, dict[str, Share]]]:
    """The shares that the figures of each day tell, by the names of SHARES, the newest day first.

    A part is never held against a whole of another day: between two reports both have changed.
    """
    by_day: dict[date, dict[str, int]] = defaultdict(dict)
    for figure in figures:
        by_day[figure.as_of][figure.measure] = figure.value
    found = []
    for day in sorted(by_day, reverse=True):
        values = by_day[day]
        derived = "enrolled" not in values and values.get("eligible", -1) >= values.get("not_enrolled", MOST)
        if derived:
            values = values | {"enrolled": values["eligible"] - values["not_enrolled"]}
        shares = {
            name: Share(part=values[part], whole=values[whole], as_of=day, derived=derived and "enrolled" in each)
            for name, each in SHARES.items()
            for part, whole in (each,)
            if part in values and values.get(whole)
        }
        if shares:
            found.append((day, shares))
    return found


def latest_shares(figures: Iterable[Figure]) -> dict[str, Share]:
    """The newest share of each name."""
    found: dict[str, Share] = {}
    for _, shares in shares_by_day(figures):
        found = shares | found
    return found


# --- offices below -----------------------------------------------------------------------------------------------


def topmost(paths: Iterable[str]) -> list[str]:
    """Of materialised paths, those that do not lie below another one of them: what an office reports holds what the
    offices below it report, so that theirs is not counted once more."""
    found: list[str] = []
    for path in sorted(paths):
        if not found or not path.startswith(found[-1]):
            found.append(path)
    return found
