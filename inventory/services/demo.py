"""A demonstration: real offices, published stocks where there are any, and made-up histories that lead to them.

Every movement is posted through `inventory.services.ledger` with the origin "synthetic", and every delivery says so in
its number and note.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from importlib.resources import files
from random import Random
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Role
from inventory.domain.boards import Choice, Precision
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.coverage import MEASURES, Figure
from inventory.domain.demo_history import BEFORE_ELECTION, SATURDAY, Arrival, DayEntry, Profile, make_history
from inventory.domain.errors import Refusal
from inventory.domain.ledger import CONSUMED, PRINT_REASONS, SPOIL_CAUSES, Kind, Line
from inventory.models import CalendarDay, Delivery, Movement, Office, OutreachPlan, Person
from inventory.services import boards, calendars, coverage, events, items, ledger, offices, outreach, people
from inventory.services.deliveries import Handover
from inventory.services.events import Happening
from inventory.services.offices import ROOT_CODE, OfficeView
from inventory.services.outreach import Planning

DENPASAR = "51.71"
BLANK = "ktp-wni"
HISTORY_DAYS = 730
"""Calendar days of history before the last day: two years, as far back as a projection looks."""

PASSWORD = "blangko untuk peragaan"  # noqa: S105  (of demonstration accounts only, and shown to whoever makes them)
ACCOUNTS = (
    ("gudang@denpasar.test", "Petugas Gudang Denpasar", Role.STOREKEEPER, DENPASAR),
    ("gudang@badung.test", "Petugas Gudang Badung", Role.STOREKEEPER, "51.03"),
    ("kepala@denpasar.test", "Kepala Disdukcapil Denpasar", Role.MANAGER, DENPASAR),
    ("pemantau@bali.test", "Pemantau Provinsi Bali", Role.VIEWER, "51"),
    ("admin@blangko.test", "Administrator Pusat", Role.ADMINISTRATOR, ROOT_CODE),
)

SYNTHETIC_NOTE = "Data sintetis untuk peragaan"
OUTREACH_NAME = "Jemput bola (data sintetis)"
MORNING, AFTERNOON = time(9, 30), time(15, 30)
"""When, on the office's clock, a delivery is recorded, and what was used up since the last one."""

ELECTIONS = (
    ("Pemilihan umum 14 Februari 2024", date(2024, 2, 14)),
    ("Pemilihan kepala daerah 27 November 2024", date(2024, 11, 27)),
)
OUTREACH_PLANS = (
    (0, "SMA Negeri 1 Denpasar (data sintetis)", 180),
    (2, "Kantor Perbekel Pemecutan Kelod (data sintetis)", 120),
)
"""Denpasar's: in how many weeks after the first free Saturday, where, and how many cards are expected."""

_NAMESPACE = UUID("8f0d3c0a-6b0e-4c55-9f6a-6d2f0e6d7a51")


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A stock of the demonstration: whose, of what, and its profile. `source` is where the stock that it ends with
    was published, empty when that stock is made up like everything before it."""

    office: str
    item: str
    profile: Profile
    source: str = ""


MOSTLY_DAMAGED: Mapping[str, float] = {"new": 12, "lost": 8, "damaged": 70, "changed_data": 8, "moved_in": 2}
MOSTLY_NEW: Mapping[str, float] = {"new": 46, "lost": 20, "damaged": 18, "changed_data": 12, "moved_in": 4}
FOREIGN: Mapping[str, float] = {"new": 62, "lost": 6, "damaged": 3, "changed_data": 25, "moved_in": 4}
CHILD: Mapping[str, float] = {"new": 91, "lost": 5, "damaged": 2, "changed_data": 1, "moved_in": 1}

_CITY = Profile(
    per_day=330,
    ends_with=0,
    reasons={"new": 40, "lost": 18, "damaged": 21, "changed_data": 14, "moved_in": 7},
    gets=(1000, 2000, 2000, 2000, 3000, 3000, 4000, 6000),
)
_REGENCY = Profile(per_day=150, ends_with=0, opening_days=20)
_FOREIGN = Profile(
    per_day=9,
    ends_with=0,
    reasons=FOREIGN,
    gets=(500,),
    asks=2000,
    growth=1.12,
    low_days=(3, 20),
    ramadan=1,
    after_lebaran=1,
    outreach_a_year=0,
    capacity=4,
)
_SMALL = Profile(per_day=45, ends_with=0, gets=(500, 500, 1000), asks=2000)
_CHILD = replace(_SMALL, reasons=CHILD, gets=(1000, 2000), asks=3000, outreach_a_year=0)
_CONSUMABLE = Profile(
    per_day=0.9,
    ends_with=0,
    reasons={CONSUMED: 1},
    noise=0,
    spoil_rate=0,
    defective_rate=0,
    pack=6,
    asks=60,
    gets=(6, 12, 24, 30),
    outreach_a_year=0,
    capacity=9,
    low_days=(3, 12),
)

_BALI_POST = "Bali Post, 13 Sep 2023"
_TRIBUN = "Tribun Bali, 2024"
_OFFICE_2025 = "published by the office, 15 Aug 2025"
_OFFICE_2019 = "published by the office, 2 Jan 2019"

HOLDINGS: tuple[Holding, ...] = tuple(
    Holding(
        office=office,
        item=item,
        profile=replace(like, per_day=per_day, ends_with=ends_with, **more),
        source=source,
    )
    for office, item, per_day, ends_with, source, like, more in (
        # Published ends, of `data/reported.csv` and `data/published_stock.csv`.
        (DENPASAR, BLANK, 330, 1639, _BALI_POST, _CITY, {"shortages": ((0.3, 6), (0.68, 4)), "quiet_days": 11}),
        ("51.03", BLANK, 215, 2011, _TRIBUN, _REGENCY, {"reasons": MOSTLY_DAMAGED, "shortages": ((0.45, 5),)}),
        ("51.03", "ktp-wna", 14, 718, _TRIBUN, _FOREIGN, {}),
        (DENPASAR, "ktp-wna", 9, 539, _OFFICE_2025, _FOREIGN, {}),
        ("51.06", BLANK, 45, 8, _OFFICE_2019, _SMALL, {"shortages": ((0.35, 7), (0.75, 3)), "quiet_days": 8}),
        # Made-up ends: safe, to be watched, low, nearly out.
        ("51.01", BLANK, 110, 6240, "", _REGENCY, {}),
        ("51.02", BLANK, 165, 3390, "", _REGENCY, {"shortages": ((0.55, 4),)}),
        ("51.04", BLANK, 185, 1275, "", _REGENCY, {"shortages": ((0.25, 3), (0.8, 5)), "quiet_days": 6}),
        ("51.05", BLANK, 75, 2130, "", _SMALL, {"shortages": ((0.6, 4),), "quiet_days": 4}),
        ("51.07", BLANK, 150, 64, "", _REGENCY, {"shortages": ((0.5, 8),), "quiet_days": 9}),
        ("51.08", BLANK, 260, 12870, "", _CITY, {"reasons": MOSTLY_NEW}),
        ("16.09", BLANK, 120, 2260, "", _REGENCY, {"reasons": MOSTLY_NEW, "ramadan": 0.72, "after_lebaran": 1.35}),
        (DENPASAR, "kia", 85, 2875, "", _CHILD, {}),
        (DENPASAR, "ribbon", 0.9, 21, "", _CONSUMABLE, {}),
        (DENPASAR, "film", 0.3, 8, "", _CONSUMABLE, {"gets": (6, 12), "asks": 24}),
    )
)
"""The stocks of regencies and cities. Daily means are Denpasar's published 225 to 500 and Bangli's 30 to
60, and for the others in between, by population. See `district_holdings` for the districts."""

DISTRICTS_OF = {DENPASAR: 18.0, "16.09": 4.0}
"""Whose districts print as well, and about how many cards on a day each."""


@dataclass(frozen=True)
class Account:
    email: str
    password: str
    role: Role
    office_name: str


@dataclass(frozen=True)
class Demo:
    """What a demonstration holds: offices, synthetic movements, Denpasar's last day, and the accounts."""

    offices: int
    movements: int
    last_day: date
    accounts: tuple[Account, ...]


@dataclass(frozen=True)
class _Part:
    """One posting of a history: a delivery with its record, or what was used up until the next one.

    `recorded_at` is an aware instant. Sorting parts gives the order in which they would have been recorded.
    """

    recorded_at: datetime
    name: str
    number: int
    lines: tuple[Line, ...]
    handover: Handover | None

    @property
    def order(self) -> tuple[datetime, str, int]:
        return self.recorded_at, self.name, self.number


def build(
    now: datetime,
    *,
    password_hash: Callable[[str], str],
    seed: int = 1,
    until: date | None = None,
    only: Collection[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Fill a fresh database with the demonstration; where it already is, change nothing and tell what it holds.

    Histories end on each office's latest open day that is neither after `until` nor after its own today, and start two
    years before. The same seed and days give the same histories. `only` limits them to these offices (codes), their
    districts not included. `progress` is told each month (ISO, "2024-05") as it is being posted.

    A build that was interrupted is taken up again by one with the same seed and last day: it repeats its requests, and
    the ledger writes what is missing. The accounts come last, so that they mark a demonstration as whole.

    Raises Refusal `demo_on_real_data` when the database holds movements or accounts that are not of the demonstration
    (its password is public: nobody should find such an account among their own), `demo_unfinished` when an
    interrupted build had another seed or last day.
    """
    if _is_there():
        return _summary()
    _require_no_real_data()
    offices.load(SYSTEM, _office_rows())
    items.ensure_standard()
    last_days = _post_histories(now, seed, until, only, progress)
    _record_published(now)
    _add_known_demand(now, max(last_days, default=None))
    _add_accounts(now, password_hash)
    _show_boards(now)
    return _summary(default_last_day=max(last_days, default=None))


def district_holdings(codes: Iterable[str], seed: int) -> list[Holding]:
    """Small stocks of the districts among `codes` that print; allotments come from their regency by the hundred."""
    found = []
    for code in sorted(codes):
        usual = DISTRICTS_OF.get(code.rpartition(".")[0])
        if usual is None:
            continue
        rng = Random(f"{seed}/{code}")  # noqa: S311  (repeatable, and hides nothing)
        per_day = usual * rng.uniform(0.7, 1.3)
        profile = Profile(
            per_day=per_day,
            ends_with=round(per_day * rng.uniform(2, 40)),
            reasons=MOSTLY_NEW,
            pack=100,
            asks=500,
            gets=(100, 200, 200, 300),
            grant_share=0,
            shortages=((rng.uniform(0.2, 0.8), rng.randint(2, 9)),) if rng.random() < 0.6 else (),
            outreach_a_year=0,  # outreach starts from the regency's office, with its blanks
            capacity=4,
            low_days=(1, 12),
        )
        found.append(Holding(office=code, item=BLANK, profile=profile))
    return found


# --- what is there -----------------------------------------------------------------------------------------------


def _is_there() -> bool:
    known = set(db.session.scalars(select(Person.email)))
    return all(email in known for email, *_ in ACCOUNTS) and _last_synthetic_day() is not None


def _require_no_real_data() -> None:
    ours = [email for email, *_ in ACCOUNTS]
    for stranger in (
        select(Movement.id).where(Movement.origin != "synthetic").limit(1),
        select(Person.id).where(Person.email.not_in(ours)).limit(1),
    ):
        if db.session.scalar(stranger) is not None:
            raise Refusal("demo_on_real_data")


def _last_synthetic_day() -> date | None:
    return db.session.scalar(
        select(func.max(Movement.effective_on))
        .join(Office, Office.id == Movement.office_id)
        .where(Office.code == DENPASAR, Movement.origin == "synthetic")
    )


def _summary(default_last_day: date | None = None) -> Demo:
    last_day = _last_synthetic_day() or default_last_day
    if last_day is None:
        raise ValueError("a demonstration needs at least one history")
    count = select(func.count()).select_from(Movement).where(Movement.origin == "synthetic")
    named = {code: offices.get(SYSTEM, Action.VIEW_OFFICE, code).name for *_, code in ACCOUNTS}
    return Demo(
        offices=db.session.scalar(select(func.count()).select_from(Office)) or 0,
        movements=db.session.scalar(count) or 0,
        last_day=last_day,
        accounts=tuple(Account(email, PASSWORD, role, named[code]) for email, _, role, code in ACCOUNTS),
    )


# --- offices and accounts ----------------------------------------------------------------------------------------


def _office_rows() -> list[Mapping[str, str]]:
    """Bali whole, and OKU Selatan with its districts, for an office in another time zone."""
    return [
        row
        for row in offices.official_list()
        if row["code"] in ("51", "16", "16.09") or row["code"].startswith(("51.", "16.09."))
    ]


def _add_accounts(now: datetime, password_hash: Callable[[str], str]) -> None:
    known = set(db.session.scalars(select(Person.email)))
    for email, name, role, code in ACCOUNTS:
        if email not in known:
            people.add(
                SYSTEM,
                now,
                email=email,
                full_name=f"{name} (peragaan)",
                role=role,
                office_code=code,
                password_hash=password_hash(PASSWORD),
                given=False,  # it is published, for everybody
            )


def _show_boards(now: datetime) -> None:
    """Denpasar tells the public what it has, Badung only whether it has any."""
    for code, precision in ((DENPASAR, Precision.EXACT), ("51.03", Precision.LEVEL)):
        if boards.current(SYSTEM, code)[1] == 0:
            choice = Choice(
                on=True,
                item_codes=(BLANK,),
                precision=precision,
                few_below=500,
                sentence="Data sintetis untuk peragaan.",
            )
            boards.choose(SYSTEM, now, uuid5(_NAMESPACE, f"board/{code}"), code, choice, 0)


# --- known figures ----------------------------------------------------------------------------------------------


def published_figures() -> list[tuple[str, Figure]]:
    """The published coverage figures that have a day, with their offices' codes and their newspapers."""
    text = (files("inventory") / "data" / "reported.csv").read_text(encoding="utf-8")
    return [
        (
            row["office_code"],
            Figure(
                measure=row["measure"],
                value=int(row["value"]),
                as_of=date.fromisoformat(row["as_of"]),
                source=row["source"],
                note=row["note"],
            ),
        )
        for row in csv.DictReader(io.StringIO(text))
        if row["as_of"] and row["measure"] in MEASURES
    ]


def _record_published(now: datetime) -> None:
    """Keep the published figures as they are; what is of a later day than the offices' own waits for it."""
    published = published_figures()
    for code in sorted({code for code, _ in published}):
        today = offices.get(SYSTEM, Action.VIEW_OFFICE, code).today(now)
        known = [figure for of, figure in published if of == code and figure.as_of <= today]
        if known:
            coverage.record(SYSTEM, now, uuid5(_NAMESPACE, f"figures/{code}/{today}"), code, known)


# --- histories ---------------------------------------------------------------------------------------------------


def _post_histories(
    now: datetime,
    seed: int,
    until: date | None,
    only: Collection[str] | None,
    progress: Callable[[str], None],
) -> list[date]:
    """Post every holding's history in the order in which it would have been recorded; their last days."""
    codes = [row["code"] for row in _office_rows()]
    chosen = [
        holding for holding in (*HOLDINGS, *district_holdings(codes, seed)) if only is None or holding.office in only
    ]
    parts: list[_Part] = []
    outreach: set[tuple[str, date]] = set()
    last_days: list[date] = []
    for holding in chosen:
        office = offices.get(SYSTEM, Action.VIEW_OFFICE, holding.office)
        history = _history(holding, office, now, seed, until)
        last_days.append(history[-1].day)
        outreach.update((office.code, entry.day) for entry in history if entry.outreach)
        parts.extend(_parts(holding, office, history, now))
    _post(sorted(parts, key=lambda part: part.order), seed, progress)
    _put_outreach(outreach, now)
    return last_days


def _history(holding: Holding, office: OfficeView, now: datetime, seed: int, until: date | None) -> list[DayEntry]:
    today = office.today(now)
    end = min(until or today, today)
    start = end - timedelta(days=HISTORY_DAYS)
    # Not `calendars.of_offices`: an interrupted build has left outreach days there, and must draw the same again.
    calendar = OfficeCalendar(
        working_week=office.settings.working_days,
        holidays=calendars.national_holidays(start.year, end.year),
    )
    return make_history(holding.profile, calendar, start, end, f"{seed}/{holding.office}/{holding.item}")


def _put_outreach(days: Collection[tuple[str, date]], now: datetime) -> None:
    rows = db.session.execute(select(Office.code, CalendarDay.day).join(Office, Office.id == CalendarDay.office_id))
    known = {(code, day) for code, day in rows}
    for code, day in sorted(set(days) - known):
        offices.add_calendar_day(SYSTEM, now, code, day, open_=True, name=OUTREACH_NAME)


def _add_known_demand(now: datetime, last_day: date | None) -> None:
    """Elections and school enrolment around the histories, and Denpasar's outreach after the last day."""
    if last_day is None:
        return
    for happening in _happenings(last_day):
        events.add(SYSTEM, now, uuid5(_NAMESPACE, f"event/{happening.name}"), happening)
    today = offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).today(now)
    # The first Saturdays that can still be planned: those after the last day, or after today when it is long past.
    first = max(last_day, today) + timedelta(days=1)
    saturday = first + timedelta(days=(SATURDAY - first.weekday()) % 7)
    known = set(db.session.scalars(select(OutreachPlan.place)))
    for weeks, place, quantity in OUTREACH_PLANS:
        if place in known:
            continue  # a build that was interrupted here is taken up on another day
        planning = Planning(
            day=saturday + timedelta(weeks=weeks),
            place=place,
            expected={BLANK: quantity},
            team="Tim jemput bola",
            starts=time(8),
            ends=time(13),
            note=SYNTHETIC_NOTE,
        )
        outreach.plan(SYSTEM, now, uuid5(_NAMESPACE, f"outreach/{place}"), DENPASAR, planning)


def _happenings(last_day: date) -> Iterator[Happening]:
    """The elections that there were, and school enrolment in July of each year of the histories and of the next."""
    for name, day in ELECTIONS:
        first = day - BEFORE_ELECTION
        yield Happening(kind="election", name=name, first_day=first, last_day=day - timedelta(days=1), items=(BLANK,))
    for year in range(last_day.year - 2, last_day.year + 2):
        yield Happening(
            kind="school_enrolment",
            name=f"Penerimaan siswa baru {year} (data sintetis)",
            first_day=date(year, 7, 1),
            last_day=date(year, 7, 31),
            items=("kia",),
        )


def _parts(holding: Holding, office: OfficeView, history: Sequence[DayEntry], now: datetime) -> Iterator[_Part]:
    """A history as postings: each delivery by itself, and between them what was used up, at least once a quarter.

    A posting a day would be truer to life, and take ten times as long to write."""
    make = partial(_part, holding, office, now)
    item = items.get(holding.item)
    used: list[Line] = []
    number = 0
    before = history[0].day
    for entry in history:
        if used and (entry.arrivals or _quarter(entry.day) != _quarter(before)):
            number += 1
            yield make(number, before, AFTERNOON, used)
            used = []
        line = partial(Line, office_id=office.id, item_id=item.id, effective_on=entry.day)
        for lines, handover in incoming(entry, office, line):
            number += 1
            yield make(number, entry.day, MORNING, lines, handover)
        used.extend(used_lines(entry, line))
        before = entry.day
    if used:
        yield make(number + 1, before, AFTERNOON, used)


def _quarter(day: date) -> int:
    return (day.month - 1) // 3


def _part(
    holding: Holding,
    office: OfficeView,
    now: datetime,
    number: int,
    day: date,
    clock: time,
    lines: Sequence[Line],
    handover: Handover | None = None,
) -> _Part:
    at = min(datetime.combine(day, clock, ZoneInfo(office.time_zone)), now)
    return _Part(at, f"{holding.office}/{holding.item}", number, tuple(lines), handover)


def incoming(
    entry: DayEntry, office: OfficeView, line: Callable[..., Line]
) -> Iterator[tuple[list[Line], Handover | None]]:
    if entry.opening:
        opening = line(kind=Kind.RECEIPT, reason="opening", quantity=entry.opening, note=SYNTHETIC_NOTE)
        yield [opening], None
    for arrival in entry.arrivals:
        amounts = (("supplied", arrival.good), ("defective", arrival.defective))
        lines = [line(kind=Kind.RECEIPT, reason=reason, quantity=quantity) for reason, quantity in amounts if quantity]
        yield lines, _handover(arrival, entry.day, office)


def _handover(arrival: Arrival, day: date, office: OfficeView) -> Handover:
    if arrival.granted:
        supplier = "Pemerintah daerah (hibah)"
    elif office.kind == "district":
        supplier = "Disdukcapil kabupaten/kota"
    else:
        supplier = "Ditjen Dukcapil"
    return Handover(
        bast_number=f"SINTETIS/470/{arrival.serial:03d}/{day.year}",
        bast_on=arrival.record_on,
        received_on=day,
        asked=arrival.asked,
        received=arrival.received,
        defective=arrival.defective,
        funding_source="apbd" if arrival.granted else "apbn",
        supplier=supplier,
        note=SYNTHETIC_NOTE,
    )


def used_lines(entry: DayEntry, line: Callable[..., Line]) -> Iterator[Line]:
    """The lines of what a day used up, reasons and causes in the ledger's order."""
    for reason in (*PRINT_REASONS, CONSUMED):
        if entry.printed.get(reason):
            yield line(
                kind=Kind.PRINT,
                reason=reason,
                quantity=entry.printed[reason],
                served_waiting=entry.served_waiting.get(reason, 0),
            )
    for cause in SPOIL_CAUSES:
        if entry.spoiled.get(cause):
            yield line(kind=Kind.SPOIL, reason=cause, quantity=entry.spoiled[cause])


# --- posting -----------------------------------------------------------------------------------------------------


def _post(parts: Iterable[_Part], seed: int, progress: Callable[[str], None]) -> None:
    month = ""
    for part in parts:
        if month != (month := f"{part.recorded_at:%Y-%m}"):
            progress(month)
        try:
            ledger.post(
                SYSTEM,
                part.recorded_at,
                uuid5(_NAMESPACE, f"{seed}/{part.name}/{part.number}"),
                part.lines,
                extra=asdict(part.handover) if part.handover else None,
                origin="synthetic",
                document=_document(part),
            )
        except Refusal as error:
            if error.code in ("request_id_reused", "opening_not_first"):
                raise Refusal("demo_unfinished") from error  # a part of a build with another seed or last day
            raise


def _document(part: _Part) -> ledger.Document | None:
    """What comes with a posting: a delivery's record, or that an opening stock is the first movement."""
    if part.handover is None:
        first = part.lines[0]
        if first.reason != "opening":
            return None
        key = (first.office_id, first.item_id)
        return lambda session: ledger.require_untouched(session, key)
    values: dict[str, Any] = asdict(part.handover)
    del values["received_on"]
    values |= {"office_id": part.lines[0].office_id, "item_id": part.lines[0].item_id}
    values |= {"recorded_at": part.recorded_at, "recorded_by_id": None}

    def write_delivery(session: Session) -> dict[str, int]:
        return {"delivery_id": session.execute(insert(Delivery).values(values).returning(Delivery.id)).scalar_one()}

    return write_delivery
