"""The public board: offices choose what everybody may see of their stock, and everybody sees just that.

The manager chooses, as head of the office who answers for what it says in public. An administrator does not: who sets
the board up looks at the stock while doing so, which an administrator never sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import Action, Actor
from inventory.domain.audit import Event
from inventory.domain.boards import Choice, Precision, Shown, check_choice, shown
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.ledger import body_digest
from inventory.domain.offices import is_code, local_day, local_moment
from inventory.models import Balance, Board, BoardItem, DayClosing, Item, Office, Person, Stocktake, StocktakeLine
from inventory.services import audit, items, offices
from inventory.services.idempotency import once

PAGE = 50
"""How many offices a page of the list of boards holds."""
HISTORY = 20
WORDS_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class ItemShown:
    """A stock as everybody sees it. `names` and `units` are by language ("id", "en")."""

    code: str
    names: dict[str, str]
    units: dict[str, str]
    shown: Shown


@dataclass(frozen=True, kw_only=True)
class BoardView:
    """All that anybody may know: nothing in here is kept from whoever asks.

    `day` is the office's own today; `confirmed_at` (aware UTC) when somebody last counted the stock, by a daily
    closing or a stocktake, None where the office does not tell or nobody has.
    """

    office_code: str
    office_name: str
    time_zone: str
    day: date
    precision: Precision
    sentence: str
    tells_confirmed: bool
    confirmed_at: datetime | None
    synthetic: bool
    items: tuple[ItemShown, ...]

    def item(self, code: str | None) -> ItemShown:
        """The item that is asked for, the first without a code. Raises NotFound `board_not_found`."""
        for each in self.items:
            if code in (None, each.code):
                return each
        raise NotFound("board_not_found")


@dataclass(frozen=True, kw_only=True)
class BoardChange:
    """A choice as it was made; `chosen_at` is aware UTC, `by` None for the system."""

    version: int
    choice: Choice
    chosen_at: datetime
    by: str | None


@dataclass(frozen=True, kw_only=True)
class Listed:
    code: str
    name: str
    kind: str


# --- for everybody -----------------------------------------------------------------------------------------------


def show(code: str, now: datetime) -> BoardView:
    """An office's board, for anybody. Raises NotFound `board_not_found`: the same for an office that is not there,
    or no longer, and for one that shows no board."""
    row = db.session.execute(_current(Office.code == code)).one_or_none() if is_code(code) else None
    if row is None or not row.Board.shown:
        raise NotFound("board_not_found")
    chosen = row.Board
    held = select(BoardItem.item_id).where(BoardItem.board_id == chosen.id)
    choice = _choice(chosen, ())
    return _board(row, choice, _stocks(chosen.office_id, Item.id.in_(held)), now)


def listed(words: str = "", page: int = 1) -> tuple[list[Listed], bool]:
    """Offices that show a board, by code, PAGE at a time, and whether there are more. `words` are part of a name or
    the beginning of a code."""
    query = _listed(words)
    if query is None:
        return [], False
    first = (max(1, min(page, 10_000)) - 1) * PAGE
    rows = db.session.execute(query.order_by(Office.code).offset(first).limit(PAGE + 1)).all()
    return [Listed(code=row.code, name=row.name, kind=row.kind) for row in rows[:PAGE]], len(rows) > PAGE


def listed_after(words: str, after: str | None, limit: int) -> list[Listed]:
    """Offices that show a board, by code, from behind a code on. `words` as for `listed`."""
    query = _listed(words)
    if query is None:
        return []
    if after is not None:
        query = query.where(Office.code > after)
    rows = db.session.execute(query.order_by(Office.code).limit(limit))
    return [Listed(code=row.code, name=row.name, kind=row.kind) for row in rows]


def _listed(words: str) -> Any:
    """None for words that no office can have."""
    query = select(Office.code, Office.name, Office.kind).where(Office.active, Office.id.in_(_showing()))
    words = words.strip()[:WORDS_LENGTH].lower()
    if "\x00" in words:
        return None
    if words:
        named = func.lower(Office.name).contains(words, autoescape=True)
        query = query.where(or_(named, func.lower(Office.code).startswith(words, autoescape=True)))
    return query


# --- for the manager ---------------------------------------------------------------------------------------------


def current(actor: Actor, office_code: str) -> tuple[Choice, int]:
    """What an office chose last, and the version of it: off, and 0, where nothing was chosen yet, with the blanks
    that it holds to begin with. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.MANAGE_BOARD, office_code)
    row = db.session.scalar(select(Board).where(Board.id == _newest(office.id)))
    if row is not None:
        return _choice(row, _codes([row.id]).get(row.id, ())), row.version
    blanks = _stocks(office.id, Item.kind == "blank")
    return Choice(item_codes=tuple(each.Item.code for each in blanks)), 0


def preview(actor: Actor, now: datetime, office_code: str, choice: Choice) -> BoardView:
    """The board as `choice` would show it, whether it is on or not. Raises what `choose` raises for the choice, but
    for one that shows nothing."""
    office = offices.get(actor, Action.MANAGE_BOARD, office_code)
    choice = check_choice(replace(choice, on=False), _known())
    row = db.session.execute(_confirmed_of(Office.code == office.code)).one()
    return _board(row, choice, _stocks(office.id, Item.code.in_(choice.item_codes)), now)


def choose(actor: Actor, now: datetime, request_id: UUID, office_code: str, choice: Choice, version: int) -> int:
    """Choose what an office's board shows from now on, or that there is none; who and when is kept. `version` is that
    of the choice which this one replaces. Returns the new version.

    Raises NotFound, NotAllowed, what `check_choice` raises, and Refusal `board_changed` (somebody has chosen
    meanwhile), `request_id_reused`.
    """
    office = offices.get(actor, Action.MANAGE_BOARD, office_code)
    known = _known()
    choice = check_choice(choice, known)
    digest = body_digest(actor.person_id, (), {"office": office.id, "version": version, **asdict(choice)})

    def put(session: Session) -> int:
        last = session.scalar(select(func.coalesce(func.max(Board.version), 0)).where(Board.office_id == office.id))
        if last != version:
            raise Refusal("board_changed")
        values = {"office_id": office.id, "version": version + 1, "shown": choice.on, "sentence": choice.sentence}
        values |= {"precision": choice.precision.value, "few_below": choice.few_below, "confirmed": choice.confirmed}
        values |= {"request_id": request_id, "request_digest": digest, "chosen_at": now}
        statement = insert(Board).values(**values, chosen_by_id=actor.person_id).returning(Board.id)
        board_id = session.execute(statement).scalar_one()
        rows = [{"board_id": board_id, "item_id": known[code]} for code in dict.fromkeys(choice.item_codes)]
        if rows:
            session.execute(insert(BoardItem), rows)
        facts = {"on": choice.on, "items": list(choice.item_codes), "precision": choice.precision.value}
        audit.note(session, now, actor, Event.BOARD_CHANGED, office_id=office.id, subject=office.code, facts=facts)
        return version + 1

    try:
        return once(Board, Board.version, request_id, digest, put)
    except IntegrityError:
        # Both read the same last version, and the other one's word is the next.
        raise Refusal("board_changed") from None


def history(actor: Actor, office_code: str) -> list[BoardChange]:
    """The last HISTORY choices of an office, the newest first. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.MANAGE_BOARD, office_code)
    rows = db.session.execute(
        select(Board, Person.full_name)
        .outerjoin(Person, Person.id == Board.chosen_by_id)
        .where(Board.office_id == office.id)
        .order_by(Board.version.desc())
        .limit(HISTORY)
    ).all()
    codes = _codes([row.Board.id for row in rows])
    return [
        BoardChange(
            version=row.Board.version,
            choice=_choice(row.Board, codes.get(row.Board.id, ())),
            chosen_at=row.Board.chosen_at,
            by=row.full_name,
        )
        for row in rows
    ]


# --- parts -------------------------------------------------------------------------------------------------------


def _known() -> dict[str, int]:
    return {item.code: item.id for item in items.active()}


def _newest(office_id: Any) -> Any:
    newest = select(Board.id).where(Board.office_id == office_id).order_by(Board.version.desc()).limit(1)
    return newest.correlate(Office).scalar_subquery()


def _showing() -> Select[Any]:
    """The offices whose newest word is to show a board."""
    later = select(Board.office_id, func.max(Board.version).label("version")).group_by(Board.office_id).subquery()
    newest = (Board.office_id == later.c.office_id) & (Board.version == later.c.version)
    some = exists().where(BoardItem.board_id == Board.id)
    return select(Board.office_id).join(later, newest).where(Board.shown, some)


def _confirmed_of(which: Any) -> Any:
    """An office, and when its stock was last counted: closings of days that stand, counts that were approved."""
    closed = (
        select(DayClosing.closed_at)
        .where(DayClosing.office_id == Office.id, DayClosing.reopened_at.is_(None))
        .order_by(DayClosing.day.desc())
        .limit(1)
    )
    at = func.coalesce(StocktakeLine.recounted_at, StocktakeLine.counted_at)
    counted = (
        select(at)
        .join(Stocktake, Stocktake.id == StocktakeLine.stocktake_id)
        .where(Stocktake.office_id == Office.id, Stocktake.status == "approved", at.is_not(None))
        .order_by(Stocktake.id.desc(), at.desc())
        .limit(1)
    )
    return select(
        Office.code,
        Office.name,
        Office.time_zone,
        closed.correlate(Office).scalar_subquery().label("closed_at"),
        closed.with_only_columns(DayClosing.day).correlate(Office).scalar_subquery().label("closed_day"),
        counted.correlate(Office).scalar_subquery().label("counted_at"),
    ).where(which)


def _current(which: Any) -> Any:
    return _confirmed_of(which).where(Office.active).add_columns(Board).join(Board, Board.id == _newest(Office.id))


def _stocks(office_id: int, which: Any) -> Sequence[Any]:
    """What an office holds of some items, in the items' order; those that its book does not know are left out."""
    return db.session.execute(
        select(Item, Balance.store, Balance.synthetic)
        .join(Balance, Balance.item_id == Item.id)
        .where(Balance.office_id == office_id, Balance.last_seq > 0, Item.active, which)
        .order_by(Item.position)
    ).all()


def _board(row: Any, choice: Choice, stocks: Sequence[Any], now: datetime) -> BoardView:
    # A day that is closed late was counted at its own end, not when somebody typed it in.
    closed_at = row.closed_at and min(row.closed_at, local_moment(row.closed_day, time(23, 59), row.time_zone))
    instants = [at for at in (closed_at, row.counted_at) if at is not None]
    return BoardView(
        office_code=row.code,
        office_name=row.name,
        time_zone=row.time_zone,
        day=local_day(now, row.time_zone),
        precision=choice.precision,
        sentence=choice.sentence,
        tells_confirmed=choice.confirmed,
        confirmed_at=max(instants) if choice.confirmed and instants else None,
        synthetic=any(stock.synthetic for stock in stocks),
        items=tuple(_item(stock, choice) for stock in stocks),
    )


def _item(stock: Any, choice: Choice) -> ItemShown:
    item: Item = stock.Item
    return ItemShown(
        code=item.code,
        names={"id": item.name_id, "en": item.name_en},
        units={"id": item.unit_id, "en": item.unit_en},
        shown=shown(stock.store, choice.precision, choice.few_below),
    )


def _choice(row: Board, codes: Sequence[str]) -> Choice:
    return Choice(
        on=row.shown,
        item_codes=tuple(codes),
        precision=Precision(row.precision),
        few_below=row.few_below,
        sentence=row.sentence,
        confirmed=row.confirmed,
    )


def _codes(board_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The items of some choices, by the choice's id."""
    rows = db.session.execute(
        select(BoardItem.board_id, Item.code)
        .join(Item, Item.id == BoardItem.item_id)
        .where(BoardItem.board_id.in_(board_ids), Item.active)
        .order_by(Item.position)
    )
    found: dict[int, tuple[str, ...]] = {}
    for board_id, code in rows:
        found[board_id] = (*found.get(board_id, ()), code)
    return found
