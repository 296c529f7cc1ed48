"""The daily totals of stocks as arrays: one query, and bounded memory beside the arrays, however many stocks.

PostgreSQL packs thousands of rows into three strings of bytes, which numpy reads as they are: a country's two years are
tens of millions of rows, and each that became an object of Python's would take longer than its projection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.types import UserDefinedType

from inventory.db import db, on_postgresql
from inventory.domain.ledger import EFFECTS, PRINT_REASONS, Kind
from inventory.domain.offices import OfficeKind
from inventory.models import DailyTotal, Office

REASONS_DAYS = 365
"""Of the history's end: what the mix of reasons is taken from."""
MANY_OFFICES = 500
"""With more of them nearly the whole table is wanted, and is read as it lies; fewer are found by the index."""
PAGES = 256
"""Of the table (8 kB each, as a rule) that make one row of the answer: some twenty thousand daily totals."""
ROWS = 20_000
"""Read at a time where rows come one by one."""

# Prints first: nine rows in ten are some, and a CASE is read from its top.
_KINDS = sorted(EFFECTS, key=lambda pair: pair[0] is not Kind.PRINT)
_STORE = np.array([EFFECTS[pair].store for pair in _KINDS])
_IS_PRINT = np.array([kind is Kind.PRINT for kind, _ in _KINDS])
# Ribbon and film are used up by cards, for no reason of their own.
_REASON = np.array(
    [PRINT_REASONS.index(reason) if kind is Kind.PRINT and reason in PRINT_REASONS else -1 for kind, reason in _KINDS]
)
_KIND_BITS = 8


@dataclass(frozen=True, eq=False)
class Days:
    """What the daily totals of S stocks say, one row per stock.

    printed, served, store_change (S,T): prints, how many of them served requests that had waited, and what the store
    changed by, one column per day from `first_day` on. What outreach teams print is in their office's prints.
    last_recorded (S,): column of the last day on which the office recorded anything, for whichever item; -1 for never.
    changed_since (S,): what the store changed by after those days. reasons (S,R): new requests that the office itself
    printed in the last year of them, in the order of PRINT_REASONS.
    """

    first_day: date
    printed: np.ndarray
    served: np.ndarray
    store_change: np.ndarray
    last_recorded: np.ndarray
    changed_since: np.ndarray
    reasons: np.ndarray

    @classmethod
    def none(cls, stocks: int, first_day: date, days: int) -> Days:
        def days_of_stocks() -> np.ndarray:
            # A day's figures fit 32 bits: the query refuses one that does not.
            return np.zeros((stocks, days), dtype=np.int32)

        return cls(
            first_day=first_day,
            printed=days_of_stocks(),
            served=days_of_stocks(),
            store_change=days_of_stocks(),
            last_recorded=np.full(stocks, -1, dtype=np.int64),
            changed_since=np.zeros(stocks, dtype=np.int64),
            reasons=np.zeros((stocks, len(PRINT_REASONS)), dtype=np.int64),
        )


def read_days(stocks: Sequence[Any], first_day: date, through: date) -> Days:
    """The days from `first_day` to `through` of these stocks (rows with office_id and item_id)."""
    with read_beside(stocks, first_day, through) as days:
        return days()


@contextmanager
def read_beside(stocks: Sequence[Any], first_day: date, through: date) -> Iterator[Callable[[], Days]]:
    """The same as something to call, which waits for them. A country's days take PostgreSQL seconds: they are read by
    a thread and a connection of their own, which see what is committed, while the caller asks for what else is
    needed."""
    found = _Reading(stocks, first_day, (through - first_day).days + 1, teams())
    few = sorted(found.office_ids) if len(found.office_ids) <= MANY_OFFICES else None
    if not on_postgresql():
        yield lambda: found.all(_row_by_row(first_day, few))
    elif few is not None:
        yield lambda: found.all(_packed(db.session.connection(), _by_index(first_day, few)))
    else:
        with ThreadPoolExecutor(1, thread_name_prefix="reading") as beside:
            yield beside.submit(_as_they_lie, db.session.get_bind().engine, found, first_day).result


def _as_they_lie(engine: Engine, found: _Reading, first_day: date) -> Days:
    with engine.connect() as connection:
        return found.all(_packed(connection, _as_it_lies(first_day)))


def teams() -> dict[int, int]:
    """The office of each outreach team: what a team prints is its office's demand."""
    rows = db.session.execute(select(Office.id, Office.parent_id).where(Office.kind == OfficeKind.OUTREACH.value))
    found: dict[int, int] = {}
    for team_id, office_id in rows:
        if office_id is not None:
            found[team_id] = office_id
    return found


# --- adding up ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """Some daily totals (N,): `column` is counted from the first day on, `kind` a place in _KINDS."""

    office: np.ndarray
    item: np.ndarray
    column: np.ndarray
    kind: np.ndarray
    quantity: np.ndarray
    served: np.ndarray


class _Reading:
    """Days that are being added up."""

    def __init__(self, stocks: Sequence[Any], first_day: date, days: int, team_of: Mapping[int, int]) -> None:
        self.days = days
        self.found = Days.none(len(stocks), first_day, days)
        offices = np.array([stock.office_id for stock in stocks], dtype=np.int64)
        items = np.array([stock.item_id for stock in stocks], dtype=np.int64)
        wanted = set(offices.tolist())
        teams_of_these = {team_id: office_id for team_id, office_id in team_of.items() if office_id in wanted}
        self.office_ids = wanted | set(teams_of_these)
        self._offices = offices
        # Whose each office's figures are: its own, for a team its office's, and nobody's (0) for one that is not asked
        # for. Ids count from 1.
        self._owner = np.zeros(max(self.office_ids) + 1, dtype=np.int64)
        self._owner[offices] = offices
        for team_id, office_id in teams_of_these.items():
            self._owner[team_id] = office_id
        self._row = np.full((int(offices.max()) + 1, int(items.max()) + 1), -1, dtype=np.int64)
        self._row[offices, items] = np.arange(len(stocks))
        self._last = np.full(self._row.shape[0], -1, dtype=np.int64)

    def all(self, parts: Iterable[_Part]) -> Days:
        for part in parts:
            self.add(part)
        self.found.last_recorded[:] = self._last[self._offices]
        return self.found

    def add(self, part: _Part) -> None:
        known = part.office < self._owner.size
        owner = np.where(known, self._owner[np.where(known, part.office, 0)], 0)
        past = part.column < self.days
        np.maximum.at(self._last, owner[past], part.column[past])
        of_item = (owner > 0) & (part.item < self._row.shape[1])
        row = np.where(of_item, self._row[owner, np.where(of_item, part.item, 0)], -1)
        own = owner == part.office
        self._add_days(part, row, own, past & (row >= 0))
        later = own & ~past & (row >= 0)
        np.add.at(self.found.changed_since, row[later], (_STORE[part.kind] * part.quantity)[later])

    def _add_days(self, part: _Part, row: np.ndarray, own: np.ndarray, counts: np.ndarray) -> None:
        found = self.found
        cell = row * self.days + part.column
        prints = counts & _IS_PRINT[part.kind]
        np.add.at(found.printed.reshape(-1), cell[prints], part.quantity[prints].astype(np.int32))
        waited = prints & (part.served > 0)
        np.add.at(found.served.reshape(-1), cell[waited], part.served[waited].astype(np.int32))
        change = _STORE[part.kind] * part.quantity
        moved = counts & own & (change != 0)
        np.add.at(found.store_change.reshape(-1), cell[moved], change[moved].astype(np.int32))
        reason = _REASON[part.kind]
        lately = counts & own & (reason >= 0) & (part.column >= self.days - REASONS_DAYS)
        np.add.at(found.reasons, (row[lately], reason[lately]), (part.quantity - part.served)[lately])


# --- reading -----------------------------------------------------------------------------------------------------


class _TupleId(UserDefinedType[Any]):
    """PostgreSQL's tid: the page and line where a row lies."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "tid"


def _kind() -> Any:
    """SQL over DailyTotal: the place of its kind and reason in _KINDS."""

    place = {pair: literal_column(str(number)) for number, pair in enumerate(_KINDS)}
    prints = {reason: place[kind, reason] for kind, reason in _KINDS if kind is Kind.PRINT}
    others = [
        (and_(DailyTotal.kind == kind.value, DailyTotal.reason == reason), place[kind, reason])
        for kind, reason in _KINDS
        if kind is not Kind.PRINT
    ]
    # The constraints on movements let no other pair exist.
    return case((DailyTotal.kind == Kind.PRINT.value, case(prints, value=DailyTotal.reason)), *others)


def _packing(first_day: date) -> tuple[Any, Any, Any]:
    """SQL: of many daily totals the offices and items, days and kinds, quantities and those who waited, two by two."""

    def packed(send: Any, value: Any) -> Any:
        return func.string_agg(send(value), cast(literal_column("''"), LargeBinary))

    def pair(high: Any, low: Any) -> Any:
        # A figure that does not fit 32 bits raises an error.
        return cast(cast(high, Integer), BigInteger).op("<<")(literal_column("32")).op("|")(cast(low, Integer))

    column = type_coerce(DailyTotal.day - literal(first_day), Integer)
    day_and_kind = column.op("<<")(literal_column(str(_KIND_BITS))).op("|")(_kind())
    return (
        packed(func.int8send, pair(DailyTotal.office_id, DailyTotal.item_id)),
        packed(func.int4send, day_and_kind),
        packed(func.int8send, pair(DailyTotal.quantity, DailyTotal.served_waiting)),
    )


def _by_index(first_day: date, office_ids: list[int]) -> Select[Any, Any, Any]:
    return (
        select(*_packing(first_day))
        .where(DailyTotal.day >= first_day, DailyTotal.office_id.in_(office_ids))
        .group_by(DailyTotal.office_id, DailyTotal.item_id)
    )


def _as_it_lies(first_day: date) -> Select[Any, Any, Any]:
    """The whole table, some pages at a time: no sorting, and no memory but for those pages."""
    size_of_page = cast(func.current_setting("block_size"), Integer)
    pages = func.pg_relation_size(DailyTotal.__tablename__).op("/")(size_of_page)
    starts = func.generate_series(0, pages, PAGES).table_valued("page").render_derived()
    page = starts.c.page
    lies_at = literal_column(f"{DailyTotal.__tablename__}.ctid", _TupleId())

    def start_of(number: Any) -> Any:
        return cast(func.format("(%s,0)", number), _TupleId())

    keys, days, quantities = _packing(first_day)
    some = (
        select(keys.label("some_keys"), days.label("some_days"), quantities.label("some_quantities"))
        .where(lies_at >= start_of(page), lies_at < start_of(page + PAGES), DailyTotal.day >= first_day)
        .lateral("some")
    )
    return (
        select(some.c.some_keys, some.c.some_days, some.c.some_quantities)
        .select_from(starts)
        .join(some, literal_column("true"))
    )


def _packed(connection: Connection, query: Select[Any, Any, Any]) -> Iterator[_Part]:
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    # Past SQLAlchemy, whose results are neither binary nor streamed without a cursor on the server.
    driver: Any = connection.connection.driver_connection
    with driver.cursor(binary=True) as cursor:
        for keys, days, quantities in cursor.stream(str(compiled), compiled.params):
            if keys is None:
                continue
            key, quantity = np.frombuffer(keys, ">i4").reshape(-1, 2), np.frombuffer(quantities, ">i4").reshape(-1, 2)
            day_and_kind = np.frombuffer(days, ">i4").astype(np.int64)
            yield _Part(
                office=key[:, 0].astype(np.int64),
                item=key[:, 1].astype(np.int64),
                column=day_and_kind >> _KIND_BITS,
                kind=day_and_kind & ((1 << _KIND_BITS) - 1),
                quantity=quantity[:, 0].astype(np.int64),
                served=quantity[:, 1].astype(np.int64),
            )


def _row_by_row(first_day: date, office_ids: list[int] | None) -> Iterator[_Part]:
    column = cast(func.julianday(DailyTotal.day) - func.julianday(bindparam("first", first_day)), Integer)
    figures = DailyTotal.quantity, DailyTotal.served_waiting
    query = select(DailyTotal.office_id, DailyTotal.item_id, column, _kind(), *figures)
    query = query.where(DailyTotal.day >= first_day)
    if office_ids is not None:
        query = query.where(DailyTotal.office_id.in_(office_ids))
    for rows in db.session.execute(query).partitions(ROWS):
        yield _Part(*np.array(rows, dtype=np.int64).T)
