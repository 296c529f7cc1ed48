"""The ledger's part for many movements at once on PostgreSQL: the same law, by statements over many stocks each.

Called by `inventory.services.ledger` alone, inside a posting. Movements go in by COPY, which runs the same triggers
and checks as an INSERT; the daily totals are what the database then adds up from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Date, Integer, and_, cast, column, false, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from inventory.db import copy_in
from inventory.domain.errors import Refusal
from inventory.domain.ledger import EFFECTS, FIGURES, NEVER_NEGATIVE, Effect, Line, effect_of, first_day_below_zero
from inventory.models import Balance, DailyTotal, Item, Movement

AT_ONCE = 20_000
"""Lines that go into the database together. So many more are read meanwhile."""

Key = tuple[int, int]

BALANCES: Any = Balance.__table__
TOTALS: Any = DailyTotal.__table__
MOVEMENTS: Any = Movement.__table__


class Stock(NamedTuple):
    """A stock and its checked lines, each with the references of its own movement. `first` is the number of the first
    line in the request; the lines of the next stock follow on the last."""

    key: Key
    lines: Sequence[tuple[Line, Mapping[str, int]]]
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


def write_all(
    session: Session, stocks: Iterator[Stock], stamp: Mapping[str, Any], progress: Callable[[int], None]
) -> list[Key]:
    """Write the lines of `stocks`, which come in the order of their keys; the keys whose stock is another by them.
    `progress` is told how many lines are written.

    The next stocks are read while the database takes in those before, so reading them may not use the session. Raises
    Refusal `not_enough_stock`, `day_below_zero`, and what the database says.
    """
    changed: list[Key] = []
    some: list[_Change] = []
    for _ in _read_into(some, stocks):
        pass
    while some:
        following: list[_Change] = []
        first_seqs = _move_balances(session, some, synthetic=stamp["origin"] == "synthetic")
        rows = _rows(some, first_seqs, stamp, _read_into(following, stocks))
        copy_in(session, MOVEMENTS, _COLUMNS, rows)
        _add_to_daily_totals(session, stamp["request_id"], some)
        changed += [each.key for each in some if each.by.store or each.by.received]
        for each in some:
            progress(each.stock.last)
        some = following
    return changed


class _Change(NamedTuple):
    """What the lines of a stock do to it: on the whole, and day by day."""

    stock: Stock
    by: Effect
    days: dict[date, list[int]]

    @property
    def key(self) -> Key:
        return self.stock.key


_PARTS = {
    what: [(place, unit) for place, unit in enumerate(effect) if unit]
    for what, effect in ((each, effect) for each, effect in EFFECTS.items())
}
"""What one unit of a movement adds to which of the FIGURES."""


def _change(stock: Stock) -> _Change:
    days: dict[date, list[int]] = {}
    for line, _ in stock.lines:
        day = days.get(line.effective_on)
        if day is None:
            day = days[line.effective_on] = [0] * len(FIGURES)
        for place, unit in _PARTS[line.kind, line.reason]:
            day[place] += unit * line.quantity
    return _Change(stock, Effect(*map(sum, zip(*days.values(), strict=True))), days)


def _read_into(found: list[_Change], stocks: Iterator[Stock]) -> Iterator[None]:
    """Stock by stock, until there are lines enough."""
    count = 0
    while count < AT_ONCE and (stock := next(stocks, None)) is not None:
        found.append(_change(stock))
        count += len(stock.lines)
        yield


# --- balances ----------------------------------------------------------------------------------------------------


def _move_balances(session: Session, some: Sequence[_Change], *, synthetic: bool) -> dict[Key, int]:
    """Move the balances of all these stocks; with which number the movements of each go on. Raises Refusal."""
    wanted = _unnest("wanted", [each.key for each in some], office_id=Integer, item_id=Integer)
    _open_and_hold(session, wanted)
    before = {
        (row["office_id"], row["item_id"]): dict(row)
        for row in session.execute(select(*BALANCES.c).join(wanted, _same_stock(BALANCES, wanted))).mappings()
    }
    _check(session, some, before)
    rows = [(*each.key, len(each.stock.lines), min(each.days), max(each.days), *each.by) for each in some]
    figures = dict.fromkeys(FIGURES, BigInteger)
    columns = {"office_id": Integer, "item_id": Integer, "count": Integer, "first_on": Date, "last_on": Date}
    moved = _unnest("moved", rows, **columns, **figures)
    values = {figure: BALANCES.c[figure] + moved.c[figure] for figure in FIGURES}
    values["last_seq"] = BALANCES.c.last_seq + moved.c["count"]
    values["first_on"] = func.least(BALANCES.c.first_on, moved.c.first_on)
    values["last_on"] = func.greatest(BALANCES.c.last_on, moved.c.last_on)
    if synthetic:
        values["synthetic"] = true()
    enough = [BALANCES.c[figure] >= -moved.c[figure] for figure in NEVER_NEGATIVE]
    found = session.execute(update(BALANCES).where(_same_stock(BALANCES, moved), *enough).values(values))
    if found.rowcount != len(some):  # pyright: ignore[reportAttributeAccessIssue]  (of a DML statement)
        raise AssertionError("rows that are held have changed")
    return {key: row["last_seq"] + 1 for key, row in before.items()}


def _open_and_hold(session: Session, wanted: Any) -> None:
    """One by one in the order in which every posting takes them, those that are not there yet as well: PostgreSQL
    locks a row that is in the way of an INSERT even if it is not to be changed."""
    keys = [wanted.c.office_id, wanted.c.item_id]
    statement = insert(BALANCES).from_select(["office_id", "item_id"], select(*keys).order_by(*keys))
    held = statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"], set_={"last_seq": BALANCES.c.last_seq}, where=false()
    )
    session.execute(held)


def _check(session: Session, some: Sequence[_Change], before: Mapping[Key, Mapping[str, Any]]) -> None:
    """Raises `not_enough_stock`, `day_below_zero` of the first stock that has too little."""
    # What is dated before the last day that there is must be held against the days since, which are not all here.
    old = [each for each in some if (before[each.key]["last_on"] or date.min) > min(each.days)]
    known = _effects_since(session, old) if old else {}
    for each in some:
        balance = before[each.key]
        short = [f for f in NEVER_NEGATIVE if getattr(each.by, f) < 0 and balance[f] < -getattr(each.by, f)]
        if short:
            available, asked = balance[short[0]], -getattr(each.by, short[0])
            item = _item_code(session, each.key)
            raise Refusal("not_enough_stock", item=item, figure=short[0], available=available, asked=asked)
        after = {figure: balance[figure] + getattr(each.by, figure) for figure in FIGURES}
        days = _together(each.days, known[each.key]) if each.key in known else each.days
        below = first_day_below_zero(after, days, min(each.days))
        if below is not None:
            day, figure, closing = below
            item = _item_code(session, each.key)
            raise Refusal("day_below_zero", item=item, day=day, figure=figure, closing=closing)


def _effects_since(session: Session, some: Sequence[_Change]) -> dict[Key, dict[date, list[int]]]:
    """What the days did until now, per stock, from the first one on that its lines are for."""
    rows = [(*each.key, min(each.days)) for each in some]
    asked = _unnest("asked", rows, office_id=Integer, item_id=Integer, since=Date)
    columns: list[Any] = [TOTALS.c[name] for name in ("office_id", "item_id", "day", "kind", "reason", "quantity")]
    query = select(*columns).join(asked, and_(_same_stock(TOTALS, asked), TOTALS.c.day >= asked.c.since))
    found: dict[Key, dict[date, list[int]]] = {each.key: {} for each in some}
    for office_id, item_id, day, kind, reason, quantity in map(tuple, session.execute(query)):
        figures = found[office_id, item_id].setdefault(day, [0] * len(FIGURES))
        for place, by in enumerate(effect_of(kind, reason).times(quantity)):
            figures[place] += by
    return found


def _together(one: Mapping[date, Sequence[int]], other: Mapping[date, Sequence[int]]) -> dict[date, list[int]]:
    nothing = [0] * len(FIGURES)
    return {
        day: [a + b for a, b in zip(one.get(day, nothing), other.get(day, nothing), strict=True)]
        for day in one.keys() | other.keys()
    }


def _item_code(session: Session, key: Key) -> str | None:
    return session.scalar(select(Item.code).where(Item.id == key[1]))


# --- movements and daily totals ----------------------------------------------------------------------------------

_REFERENCES = ("delivery_id", "transfer_id", "proposal_id", "stocktake_id", "import_id")
_STAMP = ("actor_id", "recorded_at", "request_id", "request_digest", "origin")
_COLUMNS = (
    *("office_id", "item_id", "seq", "request_line", "kind", "reason", "quantity", "served_waiting", "effective_on"),
    *("reverses_id", "shift", "happened_at", "note", *_REFERENCES, *_STAMP),
)


def _rows(
    some: Iterable[_Change], first_seqs: Mapping[Key, int], stamp: Mapping[str, Any], meanwhile: Iterator[None]
) -> Iterator[tuple[Any, ...]]:
    """The rows of movements in the order of _COLUMNS; `meanwhile` is driven forward as they are taken."""
    # The same in each row: written out once, for the database's own types cost as much as all of the rest.
    stamped = (stamp["actor_id"], stamp["recorded_at"].isoformat(), *(str(stamp[name]) for name in _STAMP[2:]))
    common = {name: stamp.get(name) for name in _REFERENCES}
    usual = (*common.values(), *stamped)
    for each in some:
        stock = each.stock
        to_seq = first_seqs[stock.key] - stock.first
        for number, (line, own) in enumerate(stock.lines, start=stock.first):
            yield (
                *(*stock.key, to_seq + number, number, line.kind.value, line.reason, line.quantity),
                *(line.served_waiting, line.effective_on, line.reverses_id, line.shift, line.happened_at, line.note),
                *(usual if not own else (*{**common, **own}.values(), *stamped)),
            )
        next(meanwhile, None)
    for _ in meanwhile:
        pass


def _add_to_daily_totals(session: Session, request_id: Any, some: Sequence[_Change]) -> None:
    columns = MOVEMENTS.c
    where = [columns[name] for name in ("office_id", "item_id", "effective_on", "kind", "reason")]
    sums = [func.sum(columns[name]).label(name) for name in ("quantity", "served_waiting")]
    reversal = columns.reverses_id.is_not(None)
    # By the request's own index, whatever the planner believes of a table that has just grown.
    those = and_(
        columns.request_id == request_id, columns.request_line.between(some[0].stock.first, some[-1].stock.last)
    )
    added = select(*where, *sums).where(those).group_by(*where)
    names = [*(key.name for key in TOTALS.primary_key), "quantity", "served_waiting"]
    statement = insert(TOTALS).from_select(names, added.having(~func.bool_or(reversal)))
    more = {name: TOTALS.c[name] + statement.excluded[name] for name in ("quantity", "served_waiting")}
    session.execute(statement.on_conflict_do_update(index_elements=list(TOTALS.primary_key), set_=more))
    if any(line.reverses_id is not None for each in some for line, _ in each.stock.lines):
        # What a reversal takes off is there: an upsert would hold the negative row against the CHECK first.
        less = added.having(func.bool_or(reversal)).subquery()
        same = [TOTALS.c[key.name] == less.c[each.name] for key, each in zip(TOTALS.primary_key, where, strict=True)]
        changed = {name: TOTALS.c[name] + less.c[name] for name in ("quantity", "served_waiting")}
        session.execute(update(TOTALS).where(*same).values(changed))


# --- sets of rows in a statement ---------------------------------------------------------------------------------


def _unnest(name: str, rows: Sequence[Sequence[Any]], **types: Any) -> Any:
    """Rows as a table of a statement, with columns of these names and types."""
    arrays = (
        cast(list(values), ARRAY(kind)) for values, kind in zip(zip(*rows, strict=True), types.values(), strict=True)
    )
    columns = (column(each, kind) for each, kind in types.items())
    return func.unnest(*arrays).table_valued(*columns, name=name).render_derived()


def _same_stock(one: Any, other: Any) -> Any:
    return and_(one.c.office_id == other.c.office_id, one.c.item_id == other.c.item_id)
