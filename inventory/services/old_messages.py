"""Messages that nobody asks for any more: cleared away with what they told, some at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.notices import DEAD_KEPT, MESSAGES_KEPT, MessageStatus
from inventory.models import Escalation, Message, MessageChange

AT_ONCE = 5_000
"""Rows that one transaction deletes: a message of one night may tell the changes of a whole country."""
MESSAGES_AT_ONCE = 500


def clear_away(now: datetime, limit: int = AT_ONCE) -> int:
    """Delete some of what is old, see `domain.notices.MESSAGES_KEPT` and `DEAD_KEPT`; how many rows went, 0 when
    nothing is left. What waits, however long it has, stays, and so do the changes themselves. Safe from any number of
    processes at once."""
    expired = _expired(now)
    passed_on = Escalation.done_at < now - MESSAGES_KEPT
    if not db.session.scalar(select(or_(exists().where(expired), exists().where(passed_on)))):
        db.session.rollback()
        return 0

    def work(session: Session) -> int:
        gone = _messages(session, expired, limit)
        some = select(Escalation.alert_event_id).where(passed_on).limit(max(limit - gone, 1))
        ids = list(session.scalars(some.with_for_update(skip_locked=True)))
        session.execute(delete(Escalation).where(Escalation.alert_event_id.in_(ids)))
        return gone + len(ids)

    return write(work)


def _expired(now: datetime) -> Any:
    """What was sent or dropped, and what was given up; both since it was due for the last time."""
    settled = Message.status.in_([MessageStatus.SENT.value, MessageStatus.DROPPED.value])
    return or_(
        and_(settled, Message.next_try_at < now - MESSAGES_KEPT),
        and_(Message.status == MessageStatus.DEAD.value, Message.next_try_at < now - DEAD_KEPT),
    )


def _messages(session: Session, expired: Any, limit: int) -> int:
    """Delete what these messages told, and those of them of which nothing is left; a message that is just now tried
    again is left to who does so."""
    oldest = select(Message.id).where(expired).order_by(Message.next_try_at, Message.id).limit(MESSAGES_AT_ONCE)
    ids = list(session.scalars(oldest.with_for_update(skip_locked=True)))
    key = MessageChange.channel_id, MessageChange.alert_event_id, MessageChange.kind
    told = select(*key).where(MessageChange.message_id.in_(ids)).limit(limit)
    rows = [tuple(row) for row in session.execute(told)]
    session.execute(delete(MessageChange).where(tuple_(*key).in_(rows)))
    empty = ~exists().where(MessageChange.message_id == Message.id)
    gone = session.scalars(delete(Message).where(Message.id.in_(ids), empty).returning(Message.id))
    return len(rows) + len(gone.all())
