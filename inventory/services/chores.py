"""What is done every few seconds: whether it still is, and whether what waits for it is waiting too long.

Chores record no runs, which a row every ten seconds would bury. Each leaves one row instead: when it last had a good
round. That is not enough: a round may be good and leave things lying. So the oldest of what waits is looked at too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.notices import CLAIM_LASTS, MessageStatus
from inventory.domain.watchers import BEAT_SECONDS
from inventory.models import AlertEvent, ChoreRound, Message, NoticeToFanOut, StockCheck

STOCK_CHECKS = "stock checks"
MESSAGES = "messages"
OLD_MESSAGES = "old messages"
OLD_REQUESTS = "old requests"
OLD_LOG_INS = "old log-ins"

WRITTEN_EVERY = timedelta(seconds=BEAT_SECONDS)
"""How often a good round is written down, so that chores of every second do not wear out the table."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """How a round went: `held_up` says why nothing could be done; with `idle` there was nothing to do that would have
    shown whether what held it up is over."""

    held_up: str | None = None
    idle: bool = False


@dataclass(frozen=True, kw_only=True)
class LastRound:
    """`good_at`: the last good round, None when there was none. `waiting_since`: since when the oldest of what is due
    waits, None when nothing does. Instants are aware UTC."""

    good_at: datetime | None
    held_up: str | None
    waiting_since: datetime | None


def note(chore: str, now: datetime, round: Round) -> None:
    """Write down how a round of a chore went; nothing is written where that says nothing new. One that failed is not
    written down: it is the good ones that must not fail to come."""
    row = db.session.execute(
        select(ChoreRound.good_at, ChoreRound.held_up).where(ChoreRound.chore == chore)
    ).one_or_none()
    db.session.rollback()
    if row is not None and _is_known(row.good_at, row.held_up, now, round):
        return
    held_up = round.held_up[:300] if round.held_up is not None else None
    values: dict[str, Any] = {"held_up": held_up} | ({} if held_up is not None else {"good_at": now})

    def put(session: Session) -> None:
        statement = insert_or(session, ChoreRound.__table__).values({"chore": chore} | values)
        session.execute(statement.on_conflict_do_update(index_elements=["chore"], set_=values))

    write(put)


def last_round(chore: str, now: datetime) -> LastRound:
    """What is on record of a chore. For services and machines that ask: it names no office."""
    row = db.session.execute(
        select(ChoreRound.good_at, ChoreRound.held_up).where(ChoreRound.chore == chore)
    ).one_or_none()
    waiting = _WAITING.get(chore)
    return LastRound(
        good_at=row.good_at if row else None,
        held_up=row.held_up if row else None,
        waiting_since=waiting(now) if waiting else None,
    )


def messages_by_state(now: datetime) -> dict[str, int]:
    """How many messages are due and wait, keep failing, or were given up. For machines that ask."""
    failing = and_(Message.status == MessageStatus.WAITING.value, Message.last_error.is_not(None))
    due = and_(Message.status == MessageStatus.WAITING.value, Message.next_try_at <= now)
    wanted = {"due": due, "failing": failing, "dead": Message.status == MessageStatus.DEAD.value}
    return {name: db.session.scalar(select(func.count(Message.id)).where(which)) or 0 for name, which in wanted.items()}


def waiting(chore: str, now: datetime) -> timedelta:
    """For how long the oldest of what a chore has to do has been waiting; nothing when nothing does. For machines."""
    asked = _WAITING.get(chore)
    since = asked(now) if asked else None
    return max(now - since, timedelta()) if since is not None else timedelta()


def stocks_to_check() -> int:
    """How many stocks wait to be held against their alerts. For machines that ask."""
    return db.session.scalar(select(func.count()).select_from(StockCheck)) or 0


def _is_known(good_at: datetime | None, held_up: str | None, now: datetime, round: Round) -> bool:
    if round.held_up is not None:
        return round.held_up[:300] == held_up
    if held_up is not None:
        return round.idle
    # One that lies ahead was written by a clock that was wrong.
    return good_at is not None and good_at <= now < good_at + WRITTEN_EVERY


# --- what waits --------------------------------------------------------------------------------------------------


def _messages_waiting_since(now: datetime) -> datetime | None:
    """Messages that are due and not tried, claims that nobody takes over, changes of which no message was made."""
    due = select(func.min(Message.next_try_at)).where(
        Message.status == MessageStatus.WAITING.value, Message.next_try_at <= now
    )
    claimed = select(func.min(Message.claimed_at)).where(
        Message.status == MessageStatus.SENDING.value, Message.claimed_at <= now - CLAIM_LASTS
    )
    untold = select(func.min(AlertEvent.at)).join(NoticeToFanOut, NoticeToFanOut.alert_event_id == AlertEvent.id)
    return _first(db.session.scalar(query) for query in (due, claimed, untold))


def _stocks_waiting_since(_now: datetime) -> datetime | None:
    return db.session.scalar(select(func.min(StockCheck.since)))


def _first(instants: Iterable[datetime | None]) -> datetime | None:
    return min((each for each in instants if each is not None), default=None)


_WAITING: Mapping[str, Callable[[datetime], datetime | None]] = {
    MESSAGES: _messages_waiting_since,
    STOCK_CHECKS: _stocks_waiting_since,
}
