"""The sole writer of movements, balances and daily totals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    case,
    cast,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, on_postgresql, write
from inventory.domain.access import Action, Actor, require
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import (
    FIGURES,
    NEVER_NEGATIVE,
    Effect,
    Line,
    Original,
    body_digest,
    check_line,
    check_moment,
    first_day_below_zero,
    reversal_of,
    total_effect,
)
from inventory.domain.offices import OfficeKind
from inventory.domain.proposals import needs_second_person
from inventory.models import Balance, DailyTotal, Delivery, DeliveryRequestLine, Item, Movement, Office, StockCheck
from inventory.services import audit, ledger_at_once, ledger_bulk, ledger_many, open_requests, ranges
from inventory.services.ledger_at_once import Beside, Facts
from inventory.services.ledger_rows import (
    COLUMNS,
    INSERT,
    Key,
    Recorded,
    changes_stock,
    day_effects,
    find_request,
    original_of,
    receipts_of,
    recorded,
    row_of,
)
from inventory.services.ledger_rows import effect_on as effect_on
from inventory.services.ledger_rows import find as find
from inventory.services.ledger_rows import parts_of as parts_of

References = Mapping[str, int]
"""Columns of a movement that name the document behind it, such as {"delivery_id": 7}."""

Lines = Sequence[tuple[Line, References]]
"""Lines, each with the references of its own movement beside the document's."""

Document = Callable[[Session], References | Sequence[References]]
"""Runs first in a posting's own transaction: checks, or writes the document behind it. What it returns is set on
every movement; a sequence holds one for each line, for a document of several rows."""


@dataclass(frozen=True)
class Posting:
    """The movements of one request. `replayed` when the request had been posted before and nothing was written."""

    movements: tuple[Recorded, ...]
    replayed: bool


def post(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    lines: Sequence[Line],
    *,
    extra: Mapping[str, object] | None = None,
    origin: str = "entered",
    document: Document | None = None,
    expecting: Iterable[Key] = (),
) -> Posting:
    """Write `lines` in one transaction, all or none, once per `request_id`.

    The callers of this function have checked what the actor may do and where. `extra` is what else the request says,
    so that the same request id with another body is told apart. `expecting` are stocks to which more or less is on its
    way by it, see `want_a_look`.

    Raises Refusal `not_enough_stock` (item, figure, available), `day_below_zero` (item, day, figure, closing),
    `request_id_reused`, `already_reversed`, `bast_already_recorded`, `range_not_here`, `range_known`,
    `range_moved_on`; Invalid for a line that cannot be, `ranges_missing`, `ranges_differ`, `ranges_not_kept`.
    """
    if not lines:
        raise Invalid("nothing_entered")
    for line in lines:
        check_line(line)
    _check_moments(now, lines)
    digest = body_digest(actor.person_id, lines, extra)
    stamp = _stamp(actor, now, request_id, digest, origin)
    if document is None and not expecting and (written := _at_once(lines, stamp)):
        return Posting(written, replayed=False)
    try:
        movements = write(lambda session: _record(session, lines, stamp, document, expecting))
    except (IntegrityError, Refusal) as error:
        # A repeated request must find its movements whatever stopped it this time: the stock that it took itself,
        # the delivery that it wrote itself, or the unique request id. Only then is the error told.
        earlier = find_request(request_id)
        if earlier is None:
            raise _in_words(error) from error
        if earlier[0] != digest:
            raise Refusal("request_id_reused") from error
        return Posting(earlier[1], replayed=True)
    return Posting(movements, replayed=False)


def _in_words(error: IntegrityError | Refusal) -> Exception:
    """The refusal behind a broken constraint, when it is one that people can run into; else the error itself."""
    if isinstance(error, IntegrityError):
        message = str(error.orig)
        if "reverses_id" in message:
            return Refusal("already_reversed")
        if "bast_number" in message:
            return Refusal("bast_already_recorded")
        if "imported_days" in message:
            return Refusal("day_already_imported")
        if "imports" in message:
            return Refusal("file_already_imported")
    return error


def posts_at_once() -> bool:
    """Whether `post_at_once` is worth a try on this database."""
    return on_postgresql()


def post_at_once(
    actor: Actor, now: datetime, request_id: UUID, line: Line, beside: Beside, facts: Facts
) -> Recorded | None:
    """What `post` does, and what is to be written `beside` it: all of it or nothing. None, and nothing was written, for
    all but the simplest of lines, where the `facts` are no more so, and for what cannot be: `post` says why. Raises
    Invalid."""
    check_line(line)
    check_moment(line, now, facts.time_zone)
    stamp = _stamp(actor, now, request_id, body_digest(actor.person_id, [line]), "entered")
    return ledger_at_once.write(line, stamp, beside, facts) if posts_at_once() else None


def hold(session: Session, office_id: int) -> dict[int, int]:
    """Inside a posting: hold all balance rows of an office until it ends; item id → number of the last movement.

    Every posting changes the balance row first, so none of that office is under way when this comes back. The rows
    are taken in the order in which postings take them.
    """
    rows = session.execute(
        select(Balance.item_id, Balance.last_seq)
        .where(Balance.office_id == office_id)
        .order_by(Balance.item_id)
        .with_for_update(key_share=True)
    )
    return {row.item_id: row.last_seq for row in rows}


def post_in_bulk(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    digest: str,
    keys: Iterable[Key],
    lines_of: Callable[[Key], Lines],
    *,
    document: Callable[[Session], References],
    origin: str = "imported",
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the lines of many stocks in one transaction, all or none; how many. `lines_of` gives one stock's lines
    when their turn comes, so that only some are held in memory, and may not use the session: the database is busy
    meanwhile. `progress` is told how many are written.

    That it is done once is for `document` to see to, which runs first: it refuses when the request was carried out.
    `digest` stands for what was asked. Raises what `post` raises, but for `request_id_reused`.
    """
    ordered = sorted(keys)
    stamp = {
        "actor_id": actor.person_id,
        "recorded_at": now,
        "request_id": request_id,
        "request_digest": digest,
        "origin": origin,
    }

    def record(session: Session) -> int:
        marked = {**stamp, **document(session)}
        stocks, last = _stocks_in_bulk(ranges.known_items(session), ordered, lines_of), 0

        def tell(number: int) -> None:
            nonlocal last
            last = number
            progress(number)

        moved = (ledger_bulk.write_all if on_postgresql() else _write_one_by_one)(session, stocks, marked, tell)
        if not last:
            raise Invalid("nothing_entered")
        _look_at(session, now, moved)
        return last

    try:
        return write(record)
    except IntegrityError as error:
        raise _in_words(error) from error


def _stocks_in_bulk(
    known: Mapping[int, ranges.KnownItem], ordered: Iterable[Key], lines_of: Callable[[Key], Lines]
) -> Iterator[ledger_bulk.Stock]:
    """The stocks that have lines, checked, their lines numbered one after the other."""
    written = 0
    for key in ordered:
        lines = lines_of(key)
        for line, _ in lines:
            check_line(line)
            ranges.check_kept(known[line.item_id], line)
        if lines:
            yield ledger_bulk.Stock(key, lines, written + 1)
            written += len(lines)


def _write_one_by_one(
    session: Session, stocks: Iterator[ledger_bulk.Stock], stamp: Mapping[str, Any], progress: Callable[[int], None]
) -> list[Key]:
    """What `ledger_bulk.write_all` does, for SQLite."""
    moved = []
    for stock in stocks:
        lines = [line for line, _ in stock.lines]
        rows = _post_key(session, stock.key, list(enumerate(lines, start=stock.first)), stamp)
        none = dict.fromkeys(name for _, own in stock.lines for name in own)
        each_own = zip(rows, stock.lines, strict=True)
        _insert_many(session, INSERT, [{**none, **row, **own} for row, (_, own) in each_own])
        moved += [stock.key] if changes_stock(lines) else []
        progress(stock.last)
    return moved


def require_untouched(session: Session, key: Key) -> Mapping[str, int]:
    """Inside a posting: hold the balance row, and refuse (`opening_not_first`) unless nothing was ever received."""
    _open_balance(session, key)
    received = session.scalar(
        select(Balance.received)
        .where(Balance.office_id == key[0], Balance.item_id == key[1])
        .with_for_update(key_share=True)
    )
    if received:
        raise Refusal("opening_not_first")
    return {}


def reverse(actor: Actor, now: datetime, request_id: UUID, movement_id: int, note: str) -> Posting:
    """Undo one movement that one person may undo. The reversal counts on the day of the original.

    Raises NotFound `movement_not_found`, NotAllowed, Refusal `needs_second_person` (of a receipt: see
    `services.proposals`), `already_reversed`, `reversal_of_reversal`, `part_of_document`, and what `post` raises.
    """
    original, office_path = original_of(movement_id, request_id)
    require(actor, Action.REVERSE_MOVEMENT, office_path)
    line = reversal_of(original, note)
    if needs_second_person(original.kind, original.reason, reversal=True):
        raise Refusal("needs_second_person")
    noted = note_reversal(actor, now, [original])
    return _unless_reversed(original.id, request_id, lambda: post(actor, now, request_id, [line], document=noted))


def note_reversal(actor: Actor, now: datetime, originals: Sequence[Original]) -> Callable[[Session], References]:
    """The part of a posting that writes into the audit which entries are taken back."""

    def put(session: Session) -> References:
        for each in originals:
            item = session.scalar(select(Item.code).where(Item.id == each.item_id))
            facts = {"movement": each.id, "kind": each.kind.value, "reason": each.reason, "quantity": each.quantity}
            facts |= {"item": item, "day": each.effective_on}
            audit.note(session, now, actor, Event.REVERSED, office_id=each.office_id, subject=str(each.id), facts=facts)
        return {}

    return put


def check_reversible(movement_id: int, note: str, request_id: UUID | None = None) -> Original:
    """The receipt that a second person is asked to take back, as far as it can be said now. Raises what `reverse`
    raises, apart from what depends on the stock."""
    original, _path = original_of(movement_id, request_id)
    reversal_of(original, note)
    return original


def reverse_receipt(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    movement_id: int,
    note: str,
    approval: Callable[[Session], References],
) -> Posting:
    """Undo a receipt, and all of its delivery: the number of its record becomes free again.

    The caller has checked what the actor may do; `approval` settles, in the same transaction, what a second person
    approved. Raises what `reverse` raises.
    """
    original, _path = original_of(movement_id, request_id)
    delivery_id = db.session.scalar(select(Movement.delivery_id).where(Movement.id == movement_id))
    parts = [original] if delivery_id is None else receipts_of(delivery_id, request_id)
    lines = [reversal_of(part, note) for part in parts]

    def settle(session: Session) -> References:
        return {**approval(session), **(_void(session, delivery_id, now) if delivery_id is not None else {})}

    said, asked = {"reverses": movement_id}, _asked_with(delivery_id)

    def work() -> Posting:
        return post(actor, now, request_id, lines, extra=said, document=settle, expecting=asked)

    return _unless_reversed(movement_id, request_id, work)


def _asked_with(delivery_id: int | None) -> list[Key]:
    """What was asked for by the request that a delivery names: all of it is expected again when it is taken back."""
    line = DeliveryRequestLine.delivery_request_id == Delivery.delivery_request_id
    query = select(Delivery.office_id, DeliveryRequestLine.item_id).join(DeliveryRequestLine, line)
    return [(row[0], row[1]) for row in db.session.execute(query.where(Delivery.id == delivery_id))]


def _void(session: Session, delivery_id: int, now: datetime) -> Mapping[str, int]:
    voided = session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.voided_at.is_(None))
        .values(voided_at=now)
        .returning(Delivery.delivery_request_id)
    ).one_or_none()
    if voided is None:
        raise Refusal("already_reversed")
    if voided.delivery_request_id is not None:
        open_requests.give_back(session, voided.delivery_request_id)
    return {"delivery_id": delivery_id}


def _unless_reversed(movement_id: int, request_id: UUID, work: Callable[[], Posting]) -> Posting:
    try:
        return work()
    except Refusal:
        # Of two who reverse the same entry at once, the second finds the figures gone that it wanted to take back:
        # what it wants to know is that the entry has been reversed.
        if original_of(movement_id, request_id)[0].reversed_by_id is not None:
            raise Refusal("already_reversed") from None
        raise


# --- writing -----------------------------------------------------------------------------------------------------


def _at_once(lines: Sequence[Line], stamp: Mapping[str, Any]) -> tuple[Recorded, ...]:
    """All of them in one round trip, where that goes. Else none, and nothing was written: then the general way is gone,
    which says what is wrong, if anything is."""
    if not posts_at_once() or not ledger_many.plain(lines):
        return ()
    one = ledger_at_once.write(lines[0], stamp) if len(lines) == 1 else None
    return (one,) if one else ledger_many.write_alone(lines, stamp)


def _record(
    session: Session,
    lines: Sequence[Line],
    stamp: Mapping[str, Any],
    document: Document | None,
    expecting: Iterable[Key],
) -> tuple[Recorded, ...]:
    references = document(session) if document else {}
    per_line = [references] * len(lines) if isinstance(references, Mapping) else references
    # Without a document it has been tried before.
    if (document or expecting) and on_postgresql() and ledger_many.plain(lines):
        expected = _stocks_of(session, expecting)
        if written := ledger_many.write_in(session, lines, per_line, stamp, expected):
            return written
    with_numbers = ranges.of_lines(session, lines)
    by_key: dict[Key, list[tuple[int, Line]]] = defaultdict(list)
    for number, line in enumerate(lines, start=1):
        by_key[line.office_id, line.item_id].append((number, line))
    rows: list[dict[str, Any]] = []
    # Every transaction takes the balance rows in the same order, so two of them never wait for each other.
    for key in sorted(by_key):
        posted = _post_key(session, key, by_key[key], stamp)
        rows += [{**row, **per_line[row["request_line"] - 1]} for row in posted]
    ranges.move(session, stamp["request_id"], with_numbers, per_line[0].get("transfer_id"))
    _ask_for_a_look(session, stamp["recorded_at"], lines, expecting)
    # In the order of the lines, so that the ids tell in which order a posting moved a number.
    rows.sort(key=lambda row: row["request_line"])
    return tuple(recorded(row) for row in _insert_movements(session, rows))


def _post_key(
    session: Session, key: Key, numbered: Sequence[tuple[int, Line]], stamp: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Move one stock's balance and daily totals; the rows of its movements, which are still to be inserted."""
    lines = [line for _, line in numbered]
    balance = _move_balance(session, key, lines, synthetic=stamp["origin"] == "synthetic")
    first_seq = balance["last_seq"] - len(numbered) + 1
    _add_to_daily_totals(session, key, lines)
    _check_later_days(session, key, lines, balance)
    return [
        {**row_of(line), **stamp, "seq": seq, "request_line": number}
        for seq, (number, line) in enumerate(numbered, start=first_seq)
    ]


def _insert_movements(session: Session, rows: list[dict[str, Any]]) -> Sequence[Any]:
    """The movements of one posting, in its order: what the ledger holds of them."""
    if len(rows) < MANY or not on_postgresql():
        return session.execute(INSERT.returning(*COLUMNS, sort_by_parameter_order=True), rows).all()
    statement = _from_arrays(INSERT, rows).returning(*COLUMNS, Movement.request_line)
    return sorted(session.connection().execute(statement), key=lambda row: row.request_line)


def _stamp(actor: Actor, now: datetime, request_id: UUID, digest: str, origin: str) -> dict[str, Any]:
    """What all movements of a posting have in common."""
    return {
        "actor_id": actor.person_id,
        "recorded_at": now,
        "request_id": request_id,
        "request_digest": digest,
        "origin": origin,
    }


def _check_moments(now: datetime, lines: Sequence[Line]) -> None:
    told = [line for line in lines if line.happened_at is not None and line.reverses_id is None]
    if not told:
        return
    offices = select(Office.id, Office.time_zone).where(Office.id.in_({line.office_id for line in told}))
    zones = {row.id: row.time_zone for row in db.session.execute(offices)}
    for line in told:
        check_moment(line, now, zones[line.office_id])


def _move_balance(session: Session, key: Key, lines: Sequence[Line], *, synthetic: bool) -> dict[str, Any]:
    """Apply the lines to the balance row by one conditional UPDATE; the new row. Raises `not_enough_stock`."""
    effect = total_effect(lines)
    statement = _conditional_update(key, effect, lines, synthetic)
    row = session.execute(statement).mappings().one_or_none()
    if row is None:
        # The first movement of this item here, or too little. Looked at under a lock: a receipt that comes in between
        # makes it enough, and then the same update goes through.
        _open_balance(session, key)
        _refuse_shortage(session, key, total_effect(lines))
        row = session.execute(statement).mappings().one()
    return dict(row)


def _conditional_update(key: Key, effect: Effect, lines: Sequence[Line], synthetic: bool) -> Any:
    table: Any = Balance.__table__
    columns = table.c
    moved = {figure: getattr(effect, figure) for figure in FIGURES if getattr(effect, figure)}
    enough = [columns[figure] >= -by for figure, by in moved.items() if by < 0 and figure in NEVER_NEGATIVE]
    first = min(line.effective_on for line in lines)
    last = max(line.effective_on for line in lines)
    values: dict[str, Any] = {figure: columns[figure] + by for figure, by in moved.items()}
    values["last_seq"] = columns.last_seq + len(lines)
    values["first_on"] = case((columns.first_on < first, columns.first_on), else_=first)
    values["last_on"] = case((columns.last_on > last, columns.last_on), else_=last)
    if synthetic:
        values["synthetic"] = True
    return (
        update(table)
        .where(columns.office_id == key[0], columns.item_id == key[1], *enough)
        .values(values)
        .returning(*columns)
    )


def _open_balance(session: Session, key: Key) -> None:
    statement = insert_or(session, Balance.__table__).values(office_id=key[0], item_id=key[1])
    session.execute(statement.on_conflict_do_nothing())


def _refuse_shortage(session: Session, key: Key, effect: Effect) -> None:
    """Lock the balance row, and raise `not_enough_stock` if it does not allow `effect`."""
    balance = (
        session.execute(
            select(Balance.__table__, Item.code.label("item"))
            .join(Item, Item.id == Balance.item_id)
            .where(Balance.office_id == key[0], Balance.item_id == key[1])
            .with_for_update(key_share=True, of=Balance)  # references to the row may go on
        )
        .mappings()
        .one()
    )
    for figure in NEVER_NEGATIVE:
        needed = -getattr(effect, figure)
        if needed > balance[figure]:
            item, available = balance["item"], balance[figure]
            raise Refusal("not_enough_stock", item=item, figure=figure, available=available, asked=needed)


def _add_to_daily_totals(session: Session, key: Key, lines: Iterable[Line]) -> None:
    sums: dict[tuple[date, str, str], list[int]] = defaultdict(lambda: [0, 0])
    touched: set[tuple[date, str, str]] = set()
    for line in lines:
        where = line.effective_on, line.kind.value, line.reason
        sums[where][0] += line.quantity
        sums[where][1] += line.served_waiting
        if line.reverses_id is not None:
            touched.add(where)
    grown: list[dict[str, Any]] = []
    for where, (quantity, served) in sorted(sums.items()):
        total = {"office_id": key[0], "item_id": key[1], "day": where[0], "kind": where[1], "reason": where[2]}
        total |= {"quantity": quantity, "served_waiting": served}
        if where in touched:
            _change_total(session, total)
        else:
            grown.append(total)
    if grown:
        _grow_totals(session, grown)


def want_a_look(session: Session, now: datetime, keys: Iterable[Key]) -> None:
    """Inside a transaction that makes more or less come to these stocks, and posts nothing: have them held against
    their cases soon, as postings have those that they move. A stock that never had anything waits for its first one."""
    _look_at(session, now, sorted(_stocks_of(session, keys)))


def _ask_for_a_look(session: Session, now: datetime, lines: Sequence[Line], expecting: Iterable[Key]) -> None:
    by_key: dict[Key, list[Line]] = defaultdict(list)
    for line in lines:
        by_key[line.office_id, line.item_id].append(line)
    moved = {key for key, those in by_key.items() if changes_stock(those)}
    # All in one order, and after the balances: so two that ask for the same never wait for each other.
    _look_at(session, now, sorted(moved | _stocks_of(session, expecting)))


def _stocks_of(session: Session, keys: Iterable[Key]) -> set[Key]:
    """The stocks that there are for these: what comes to an outreach team counts for its office."""
    wanted = set(keys)
    if not wanted:
        return set()
    is_team = (Office.kind == OfficeKind.OUTREACH.value) & Office.parent_id.is_not(None)
    counts_for = case((is_team, Office.parent_id), else_=Office.id)
    offices = select(Office.id, counts_for).where(Office.id.in_({office_id for office_id, _ in wanted}))
    whose = {row[0]: row[1] for row in session.execute(offices)}
    stocks = {(whose[office_id], item_id) for office_id, item_id in wanted}
    known = tuple_(Balance.office_id, Balance.item_id).in_(stocks)
    return {(row.office_id, row.item_id) for row in session.execute(select(*_KEY).where(known))}


_KEY = Balance.office_id, Balance.item_id


def _look_at(session: Session, now: datetime, keys: Sequence[Key]) -> None:
    """Have these stocks, in order, held against their cases soon: see `services.stock_checks`. A row that is there
    already is counted up, so that whoever looked at the stock before this posting can tell."""
    if not keys:
        return
    table = StockCheck.__table__
    statement = insert_or(session, table)
    again = statement.on_conflict_do_update(
        index_elements=["office_id", "item_id"], set_={"postings": table.c.postings + 1}
    )
    rows = [{"office_id": office_id, "item_id": item_id, "since": now, "postings": 1} for office_id, item_id in keys]
    _insert_many(session, again, rows)


MANY = 8
"""Rows from which on PostgreSQL is given one array for each column, which is several times faster."""


def _insert_many(session: Session, statement: Any, rows: list[dict[str, Any]]) -> None:
    """An INSERT of rows that nobody reads back. By the connection: the session would look at each row once more, for a
    third of the time."""
    if len(rows) < MANY or not on_postgresql():
        session.connection().execute(statement, rows)
    else:
        session.connection().execute(_from_arrays(statement, rows))


def _from_arrays(statement: Any, rows: list[dict[str, Any]]) -> Any:
    """The INSERT with the rows in their order."""
    types = {name: statement.table.c[name].type for name in rows[0]}
    arrays = [cast([row[name] for row in rows], ARRAY(kind)) for name, kind in types.items()]
    return statement.from_select(list(types), select(*(func.unnest(array) for array in arrays)))


def _grow_totals(session: Session, totals: list[dict[str, Any]]) -> None:
    table = DailyTotal.__table__
    statement = insert_or(session, table)
    grow = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={
            "quantity": table.c.quantity + statement.excluded.quantity,
            "served_waiting": table.c.served_waiting + statement.excluded.served_waiting,
        },
    )
    _insert_many(session, grow, totals)


def _change_total(session: Session, total: dict[str, Any]) -> None:
    # What a reversal takes off was put there by its original, so the row exists. An upsert would not do: the database
    # holds the row that it might insert, a negative one, against the CHECK before it looks for the conflict.
    columns = DailyTotal.__table__.c
    session.execute(
        update(DailyTotal)
        .where(*(key == total[key.name] for key in DailyTotal.__table__.primary_key))
        .values(
            quantity=columns.quantity + total["quantity"],
            served_waiting=columns.served_waiting + total["served_waiting"],
        )
    )


def _check_later_days(session: Session, key: Key, lines: Sequence[Line], balance: Mapping[str, Any]) -> None:
    """Back-dated lines may not make the closing balance of their own or any later day negative."""
    since = min(line.effective_on for line in lines)
    if since >= balance["last_on"]:
        return
    below = first_day_below_zero(balance, day_effects(session, key, since), since)
    if below is not None:
        day, figure, closing = below
        item = session.scalar(select(Item.code).where(Item.id == key[1]))
        raise Refusal("day_below_zero", item=item, day=day, figure=figure, closing=closing)
