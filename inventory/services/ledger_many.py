"""The ledger's part for a posting of several lines on PostgreSQL: one statement, however many stocks and days they are
of. Called by `inventory.services.ledger` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import Ready, ready, write_at_once
from inventory.domain.ledger import EFFECTS, FIGURES, NEVER_NEGATIVE, Line
from inventory.models import Balance, DailyTotal, Item, Movement, StockCheck
from inventory.services.ledger_rows import INSERT, Key, Recorded, as_written, effect_on

BALANCES: Any = Balance.__table__
TOTALS: Any = DailyTotal.__table__
MOVEMENTS: Any = Movement.__table__
CHECKS: Any = StockCheck.__table__

_OF_LINE = (
    *("request_line", "office_id", "item_id", "kind", "reason", "quantity", "served_waiting", "effective_on"),
    *("shift", "happened_at", "note"),
)
_STAMP = ("actor_id", "recorded_at", "request_id", "request_digest", "origin")
_KEY = ("office_id", "item_id")
_ADDED_UP = ("quantity", "served_waiting")
_EXPECTED = ("expected_offices", "expected_items")
_CAN_RUN_OUT = tuple(
    figure for figure in NEVER_NEGATIVE if any(getattr(effect, figure) < 0 for effect in EFFECTS.values())
)
"""What a line that is no reversal can take from."""

References = Mapping[str, int]


def plain(lines: Iterable[Line]) -> bool:
    """Whether the statement knows what to do with such lines: reversals and numbers go the general way."""
    return all(line.reverses_id is None and not line.ranges for line in lines)


def write_alone(lines: Sequence[Line], stamp: Mapping[str, Any]) -> tuple[Recorded, ...]:
    """Plain lines as a transaction of its own, in one round trip. None, and nothing was written, for all that must not
    be and for what only the general way knows how to do: it says what is wrong, if anything is."""
    none: list[References] = [{}] * len(lines)
    try:
        written = write_at_once(_alone(), _values(lines, none, stamp, ()))
    except IntegrityError:  # posted before, or what the database refuses in any case
        return ()
    return _recorded(lines, none, stamp, written)


def write_in(
    session: Session,
    lines: Sequence[Line],
    references: Sequence[References],
    stamp: Mapping[str, Any],
    expecting: Iterable[Key],
) -> tuple[Recorded, ...]:
    """The same inside a posting: each line with the references of its own movement. `expecting` are more stocks, which
    there are, that somebody has to look at. Raises what the database says."""
    statement = _inside(_named(references))
    values = _values(lines, references, stamp, expecting)
    return _recorded(lines, references, stamp, session.connection().exec_driver_sql(statement, values).all())


def _named(references: Sequence[References]) -> tuple[str, ...]:
    return tuple(sorted({name for own in references for name in own}))


def _values(
    lines: Sequence[Line], references: Sequence[References], stamp: Mapping[str, Any], expecting: Iterable[Key]
) -> dict[str, Any]:
    arrays: dict[str, Iterable[Any]] = {name: [getattr(line, name) for line in lines] for name in _OF_LINE[1:]}
    arrays |= {name: [own.get(name) for own in references] for name in _named(references)}
    expected = list(expecting)
    arrays |= {name: [key[place] for key in expected] for place, name in enumerate(_EXPECTED)}
    arrays |= {"request_line": range(1, len(lines) + 1)}
    written = {name: _array(values) for name, values in arrays.items()}
    return {**stamp, **written, "is_synthetic": stamp["origin"] == "synthetic"}


def _array(values: Iterable[Any]) -> str:
    """As PostgreSQL writes arrays: the driver looks at each element several times, for most of the time that a posting
    takes here."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _recorded(
    lines: Sequence[Line], references: Sequence[References], stamp: Mapping[str, Any], written: Sequence[Any]
) -> tuple[Recorded, ...]:
    if not written:
        return ()
    return tuple(
        as_written(line, movement_id, seq, stamp["recorded_at"], own)
        for line, own, (movement_id, seq) in zip(lines, references, written, strict=True)
    )


# --- the statement -----------------------------------------------------------------------------------------------


@cache
def _alone() -> Ready:
    return ready(_statement(()))


@cache
def _inside(references: tuple[str, ...]) -> str:
    """Made once for each set of columns that name documents."""
    return str(_statement(references).compile(dialect=psycopg.dialect()))


def _statement(references: tuple[str, ...]) -> Any:
    """The whole of it. Its rows are the id and the number of
    each movement in the order of the lines; none when something speaks against it, and then nothing was written.

    1. The balances are held one by one in the order in which every posting takes them.
    2. All of them are there, and no day closes below zero.
    3. Balances, daily totals, looks and movements are written, their locks taken in the order of the general way, or
       postings of the two kinds could wait for each other: what an INSERT of movements takes comes last. PostgreSQL
       counts what the last SELECT asks it to count before it begins with the movements.
    """
    lines = _lines(references).cte("lines")
    wanted = _wanted(lines).cte("wanted")
    held = _held(wanted).cte("held")
    good = _good(lines, wanted, held).cte("good")
    changed = _changed(wanted, good).cte("changed")
    totalled = _totalled(lines, changed).returning(_ONE.label("done")).cte("totalled")
    looked = _looked(wanted, changed).returning(_ONE.label("done")).cte("looked")
    moved = _moved(lines, changed, references).cte("moved")
    return (
        select(moved.c.id, moved.c.seq)
        .where(_count(totalled) > _ZERO, _count(looked) >= _ZERO)
        .order_by(moved.c.request_line)
    )


# Not parameters: those are all given by name.
_ZERO = literal_column("0", Integer)
_ONE = literal_column("1", Integer)


def _count(part: CTE) -> ColumnElement[int]:
    return select(func.count()).select_from(part).scalar_subquery()


def _same(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(*(one.c[name] == other.c[name] for name in _KEY))


def _given(name: str, kind: Any) -> Any:
    return cast(bindparam(name, type_=kind), kind)


def _lines(references: Sequence[str]) -> Any:
    types = {name: MOVEMENTS.c[name].type for name in (*_OF_LINE, *references)}
    arrays = (_given(name, ARRAY(kind)) for name, kind in types.items())
    columns = (column(name, kind) for name, kind in types.items())
    rows = func.unnest(*arrays).table_valued(*columns, name="line").render_derived()
    return select(*rows.c)


def _wanted(lines: CTE) -> Any:
    """What the lines of each stock do to it."""
    key = [lines.c[name] for name in _KEY]
    first, last = func.min(lines.c.effective_on), func.max(lines.c.effective_on)
    by = [func.sum(effect_on(lines.c, figure)).label(f"by_{figure}") for figure in FIGURES]
    return select(*key, func.count().label("lines"), first.label("first_on"), last.label("last_on"), *by).group_by(*key)


def _held(wanted: CTE) -> Any:
    """The balances as nobody changes them any more, and what they would be."""
    after = [(BALANCES.c[figure] + wanted.c[f"by_{figure}"]).label(figure) for figure in _CAN_RUN_OUT]
    late = (BALANCES.c.last_on > wanted.c.first_on).label("is_late")
    return (
        select(BALANCES.c.office_id, BALANCES.c.item_id, BALANCES.c.last_seq, wanted.c.first_on, late, *after)
        .join(wanted, _same(BALANCES, wanted))
        .order_by(BALANCES.c.office_id, BALANCES.c.item_id)
        .with_for_update(key_share=True, of=BALANCES)
    )


def _good(lines: CTE, wanted: CTE, held: CTE) -> Any:
    """A row, if nothing speaks against it."""
    numbered = exists().where(Item.id == wanted.c.item_id, Item.numbered)
    closings = _closings(lines, held).cte("closings")
    short = or_(*(held.c[figure] < closings.c[f"later_{figure}"] for figure in _CAN_RUN_OUT))
    # Balances are read as they are once they are held, the days as they were when the statement began. Somebody who
    # has come in between may have changed them.
    seen = BALANCES.alias("seen")
    stale = exists().where(_same(seen, held), held.c.is_late, seen.c.last_seq != held.c.last_seq)
    return select(_ONE.label("done")).where(
        _count(held) == _count(wanted),
        not_(numbered),
        not_(stale),
        not_(exists().where(_same(held, closings), short)),
    )


def _closings(lines: CTE, held: CTE) -> Any:
    """For each day from a stock's first line on, what the later days did: the balance less that is how it closed."""
    names = [f"by_{figure}" for figure in _CAN_RUN_OUT]
    own = select(
        *(lines.c[name] for name in _KEY),
        lines.c.effective_on.label("day"),
        *(effect_on(lines.c, figure).label(f"by_{figure}") for figure in _CAN_RUN_OUT),
    )
    since = and_(_same(TOTALS, held), TOTALS.c.day > held.c.first_on, held.c.is_late)
    others = select(
        *(TOTALS.c[name] for name in (*_KEY, "day")), *(effect_on(TOTALS.c, figure) for figure in _CAN_RUN_OUT)
    ).join(held, since)
    days = union_all(own, others).subquery("days")
    key = [days.c[name] for name in _KEY]
    sums = {name: func.sum(days.c[name]) for name in names}
    later = (
        (func.sum(sums[name]).over(partition_by=key, order_by=days.c.day.desc()) - sums[name]).label(
            name.replace("by_", "later_")
        )
        for name in names
    )
    return select(*key, *later).group_by(*key, days.c.day)


def _changed(wanted: CTE, good: CTE) -> Any:
    columns = BALANCES.c
    values: dict[str, Any] = {figure: columns[figure] + wanted.c[f"by_{figure}"] for figure in FIGURES}
    values["last_seq"] = columns.last_seq + wanted.c.lines
    values["first_on"] = func.least(columns.first_on, wanted.c.first_on)
    values["last_on"] = func.greatest(columns.last_on, wanted.c.last_on)
    values["synthetic"] = or_(columns.synthetic, _given("is_synthetic", Boolean))
    return (
        update(BALANCES)
        .where(_same(BALANCES, wanted), exists(select(good.c.done)))
        .values(values)
        .returning(columns.office_id, columns.item_id, (columns.last_seq - wanted.c.lines).label("before"))
    )


def _totalled(lines: CTE, changed: CTE) -> Any:
    keys = [lines.c[name] for name in (*_KEY, "effective_on", "kind", "reason")]
    sums = [func.sum(lines.c[name]) for name in _ADDED_UP]
    summed = select(*keys, *sums).join(changed, _same(lines, changed)).group_by(*keys)
    names = [*(each.name for each in TOTALS.primary_key), *_ADDED_UP]
    statement = postgresql.insert(TOTALS).from_select(names, summed)
    return statement.on_conflict_do_update(
        index_elements=list(TOTALS.primary_key),
        set_={name: TOTALS.c[name] + statement.excluded[name] for name in _ADDED_UP},
    )


def _looked(wanted: CTE, changed: CTE) -> Any:
    """As the general way: whose store is another, where something has arrived, and what is expected."""
    moved = select(*(changed.c[name] for name in _KEY)).join(wanted, _same(changed, wanted))
    moved = moved.where(or_(wanted.c.by_store != _ZERO, wanted.c.by_received != _ZERO))
    arrays = (_given(name, ARRAY(Integer)) for name in _EXPECTED)
    columns = (column(name, Integer) for name in _KEY)
    expected = func.unnest(*arrays).table_valued(*columns, name="expected").render_derived()
    both = moved.union(select(*expected.c).where(exists(select(changed.c.before)))).subquery("looks")
    key = [both.c[name] for name in _KEY]
    row = select(*key, _given("recorded_at", MOVEMENTS.c.recorded_at.type), _ONE).order_by(*key)
    statement = postgresql.insert(CHECKS).from_select([*_KEY, "since", "postings"], row)
    return statement.on_conflict_do_update(
        index_elements=list(CHECKS.primary_key), set_={"postings": CHECKS.c.postings + _ONE}
    )


def _moved(lines: CTE, changed: CTE, references: Sequence[str]) -> Any:
    """In the order of the lines, so that the ids tell in which order a posting moved."""
    place = func.row_number().over(partition_by=[lines.c[name] for name in _KEY], order_by=lines.c.request_line)
    stamp = {name: _given(name, MOVEMENTS.c[name].type) for name in _STAMP}
    said = {name: lines.c[name] for name in (*_OF_LINE, *references)} | stamp | {"seq": changed.c.before + place}
    rows = select(*said.values()).join(changed, _same(lines, changed)).order_by(lines.c.request_line)
    return INSERT.from_select(list(said), rows).returning(Movement.id, Movement.seq, Movement.request_line)
