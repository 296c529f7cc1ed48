"""Sending messages: claimed by one process, sent outside any transaction, and the outcome written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from inventory.adapters.notifications import SendFailed
from inventory.db import db, write
from inventory.domain.access import Action, Actor, Reach, may_somewhere, reach
from inventory.domain.alerts import SEVERITY
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.notices import (
    CLAIM_LASTS,
    LINES,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    ChannelKind,
    MessageKind,
    MessageStatus,
    pause_after,
)
from inventory.models import (
    Alert,
    AlertEvent,
    Item,
    Membership,
    Message,
    MessageChange,
    NoticeChannel,
    Office,
    Person,
)
from inventory.models.alerts import rank_of
from inventory.services.offices import in_reach

AT_ONCE = 50
"""Messages that a process claims at a time: what it loses when it is killed comes back after CLAIM_LASTS."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One change as a message tells it; `facts` are those of the change."""

    alert_id: int
    office_code: str
    office_name: str
    item_code: str | None
    subject: str
    from_level: str
    to_level: str
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message to be sent: to whom, and what it tells. Instants are aware UTC.

    `lines` are the changes that are named, the worst first; `counts` counts all of them by their level now, and
    `total` is their number. Of several changes of one alert the last is told.
    """

    id: int
    key: str
    attempts: int
    kind: MessageKind
    created_at: datetime
    channel_id: int
    channel: ChannelKind
    target: str
    secret: str | None
    language: str | None
    name: str
    time_zone: str
    region_code: str | None
    region_name: str | None
    total: int
    counts: dict[str, int]
    lines: tuple[Line, ...]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Delivered:
    """What became of the messages of one batch. `postponed` were not tried: the server they go through is away, as the
    words of `away` say."""

    sent: int = 0
    failed: int = 0
    postponed: int = 0
    dropped: int = 0
    away: str | None = None

    @property
    def claimed(self) -> int:
        return self.sent + self.failed + self.postponed + self.dropped


Send = Callable[[Outgoing], None]
"""Sends one message. Raises SendFailed; anything else that it raises counts as a failure too."""


def deliver(clock: Callable[[], datetime], send: Send, chance: Callable[[], float], limit: int = AT_ONCE) -> Delivered:
    """Send a batch of the messages that are due; nobody else sends them meanwhile.

    A message is marked as being sent before it goes out and as sent afterwards, and between the two a process can
    die. It is then sent again after CLAIM_LASTS: rather twice than never. So within this database each change is
    told once to each channel, but a receiver may see one message twice; it carries the same Message-ID and
    Idempotency-Key both times, and a webhook can tell by them. A failed one is tried again after `pause_after`, up
    to MAX_ATTEMPTS times; then it is dead, and shown. `chance` gives a random number from 0 to 1.
    """
    claimed = _claimed(clock(), limit)
    found = {"sent": 0, "failed": 0, "postponed": 0, "dropped": 0}
    away: dict[ChannelKind, str] = {}
    for message_id in claimed:
        outgoing = _outgoing(message_id)
        if outgoing is None:
            _settle(message_id, None, {"status": MessageStatus.DROPPED.value})
            found["dropped"] += 1
        elif outgoing.channel in away:
            words = away[outgoing.channel]
            _settle(outgoing.id, outgoing.attempts, _put_off(clock(), outgoing.attempts, words, chance(), tried=False))
            found["postponed"] += 1
        else:
            failure = _tried(send, outgoing)
            if failure is not None and failure.away:
                away[outgoing.channel] = str(failure)
            _settle(outgoing.id, outgoing.attempts, _outcome(clock(), outgoing, failure, chance()))
            found["failed" if failure else "sent"] += 1
    return Delivered(**found, away=next(iter(away.values()), None))


def _claimed(now: datetime, limit: int) -> list[int]:
    due = or_(
        and_(Message.status == MessageStatus.WAITING.value, or_(Message.next_try_at <= now, _put_off_ahead(now))),
        and_(
            Message.status == MessageStatus.SENDING.value,
            or_(Message.claimed_at <= now - CLAIM_LASTS, Message.claimed_at >= now + CLAIM_LASTS),
        ),
    )
    if not db.session.scalar(select(Message.id).where(due).limit(1)):
        db.session.rollback()
        return []
    some = select(Message.id).where(due).order_by(Message.next_try_at, Message.id).limit(limit)
    claim = (
        update(Message)
        .where(Message.id.in_(some.with_for_update(skip_locked=True)))
        .values(status=MessageStatus.SENDING.value, claimed_at=now, attempts=Message.attempts + 1)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(write(lambda session: list(session.scalars(claim))))


def _put_off_ahead(now: datetime) -> Any:
    """SQL: whether a message waits for a time that only a clock could name that was ahead. It has waited long enough:
    the first try of what was made then, and what would wait for longer than any pause."""
    new = and_(Message.attempts == 0, Message.created_at > now + CLAIM_LASTS)
    return or_(new, and_(Message.attempts > 0, Message.next_try_at > now + LONGEST_PAUSE))


def _tried(send: Send, outgoing: Outgoing) -> SendFailed | None:
    try:
        send(outgoing)
    except SendFailed as failure:
        return failure
    except Exception as error:  # whatever a library raises: one message must not hold up the others
        return SendFailed(f"{type(error).__name__}: {error}")
    return None


def _outcome(now: datetime, outgoing: Outgoing, failure: SendFailed | None, chance: float) -> dict[str, Any]:
    if failure is None:
        return {"status": MessageStatus.SENT.value, "sent_at": now, "last_error": None}
    if failure.permanent or outgoing.attempts >= MAX_ATTEMPTS:
        return {"status": MessageStatus.DEAD.value, "last_error": str(failure)[:300]}
    return _put_off(now, outgoing.attempts, str(failure), chance, tried=True)


def _put_off(now: datetime, attempts: int, words: str, chance: float, *, tried: bool) -> dict[str, Any]:
    return {
        "status": MessageStatus.WAITING.value,
        "attempts": attempts if tried else attempts - 1,
        "next_try_at": now + pause_after(attempts, chance),
        "last_error": words[:300],
    }


def _settle(message_id: int, attempts: int | None, values: dict[str, Any]) -> None:
    """Write the outcome, unless the claim has run out and somebody else has it: the attempts tell the claims apart."""
    mine = [Message.id == message_id, Message.status == MessageStatus.SENDING.value]
    if attempts is not None:
        mine.append(Message.attempts == attempts)
    is_sent = values["status"] == MessageStatus.SENT.value

    def put(session: Session) -> None:
        settled = update(Message).where(*mine).values(claimed_at=None, **values).returning(Message.channel_id)
        channel_id = session.scalar(settled.execution_options(synchronize_session=False))
        if is_sent and channel_id is not None:
            took = update(NoticeChannel).where(NoticeChannel.id == channel_id, NoticeChannel.verified_at.is_(None))
            session.execute(took.values(verified_at=values["sent_at"]))

    write(put)


def any_fails() -> bool:
    """Whether a message waits that could not be sent so far. For the chore that sends them."""
    failing = and_(Message.status == MessageStatus.WAITING.value, Message.last_error.is_not(None))
    return bool(db.session.scalar(select(exists().where(failing))))


# --- what a message says -----------------------------------------------------------------------------------------


def _outgoing(message_id: int) -> Outgoing | None:
    """The message with what it tells; None when it should not be sent any more."""
    row = db.session.execute(
        select(Message, NoticeChannel, Person.full_name, Person.language, Office.code, Office.name)
        .join(NoticeChannel, NoticeChannel.id == Message.channel_id)
        .join(Person, Person.id == NoticeChannel.person_id)
        .outerjoin(Office, Office.id == Message.region_id)
        .where(Message.id == message_id, Person.active, NoticeChannel.unsubscribed_at.is_(None))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        return None
    message, channel, name, language, region_code, region_name = row
    last = _last_changes(message_id)
    counts = _counts(last)
    if message.region_id is not None and not counts:
        return None
    return Outgoing(
        id=message.id,
        key=message.key,
        attempts=message.attempts,
        kind=MessageKind(message.kind),
        created_at=message.created_at,
        channel_id=channel.id,
        channel=ChannelKind(channel.kind),
        target=channel.target,
        secret=channel.secret,
        language=language,
        name=name,
        time_zone=channel.time_zone,
        region_code=region_code,
        region_name=region_name,
        total=sum(counts.values()),
        counts=counts,
        lines=tuple(_lines(last)),
        facts=message.facts,
    )


def _last_changes(message_id: int) -> Any:
    """The ids of the events that a message tells: of each alert the last."""
    told = select(MessageChange.alert_event_id).where(MessageChange.message_id == message_id)
    return (
        select(func.max(AlertEvent.id).label("id"))
        .where(AlertEvent.id.in_(told))
        .group_by(AlertEvent.alert_id)
        .subquery()
    )


def _counts(last: Any) -> dict[str, int]:
    query = select(AlertEvent.to_level, func.count()).join(last, last.c.id == AlertEvent.id)
    found = {row[0]: row[1] for row in db.session.execute(query.group_by(AlertEvent.to_level))}
    return {
        level.value: found[level.value]
        for level in sorted(SEVERITY, key=lambda each: -SEVERITY[each])
        if level.value in found
    }


def _lines(last: Any) -> Sequence[Line]:
    rows = db.session.execute(
        select(AlertEvent.alert_id, AlertEvent.from_level, AlertEvent.to_level, AlertEvent.facts)
        .add_columns(Alert.subject, Office.code, Office.name, Item.code.label("item_code"))
        .join(last, last.c.id == AlertEvent.id)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .join(Office, Office.id == Alert.office_id)
        .outerjoin(Item, Item.id == Alert.item_id)
        .order_by(rank_of(AlertEvent.to_level).desc(), Office.code, AlertEvent.id)
        .limit(LINES)
    )
    return [
        Line(
            alert_id=row.alert_id,
            office_code=row.code,
            office_name=row.name,
            item_code=row.item_code,
            subject=row.subject,
            from_level=row.from_level,
            to_level=row.to_level,
            facts=row.facts,
        )
        for row in rows
    ]


# --- what could not be delivered ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Undelivered:
    """A message that was given up, or that keeps failing; instants are aware UTC."""

    id: int
    name: str
    channel: str
    kind: str
    status: str
    attempts: int
    created_at: datetime
    next_try_at: datetime
    last_error: str | None
    region_name: str | None


def undelivered(actor: Actor, limit: int = 200) -> tuple[list[Undelivered], int]:
    """The messages to people whom the actor manages that were given up or have failed so far, the newest first, at
    most `limit`; and how many there are. Addresses are not shown. Raises NotAllowed."""
    if not may_somewhere(actor, Action.MANAGE_PEOPLE):
        raise NotAllowed("not_allowed", action=Action.MANAGE_PEOPLE.value)
    wanted = _undelivered_to(reach(actor, Action.MANAGE_PEOPLE))
    rows = db.session.execute(
        select(Message, NoticeChannel.kind, Person.full_name, Office.name)
        .join(NoticeChannel, NoticeChannel.id == Message.channel_id)
        .join(Person, Person.id == NoticeChannel.person_id)
        .outerjoin(Office, Office.id == Message.region_id)
        .where(*wanted)
        .order_by(Message.id.desc())
        .limit(limit)
    )
    found = [
        Undelivered(name=name, channel=channel, region_name=region, **{each: getattr(row, each) for each in _SHOWN})
        for row, channel, name, region in rows
    ]
    counted = select(func.count(Message.id)).join(NoticeChannel, NoticeChannel.id == Message.channel_id)
    return found, db.session.scalar(counted.where(*wanted)) or 0


_SHOWN = ("id", "kind", "status", "attempts", "created_at", "next_try_at", "last_error")


def try_again(actor: Actor, now: datetime, message_id: int) -> None:
    """Have a message that was given up tried anew. Raises NotFound `message_not_found`, NotAllowed.

    One that is waiting already is left as it is: asking twice sends nothing twice.
    """
    if not may_somewhere(actor, Action.MANAGE_PEOPLE):
        raise NotAllowed("not_allowed", action=Action.MANAGE_PEOPLE.value)
    wanted = (Message.id == message_id, *_of_people(reach(actor, Action.MANAGE_PEOPLE)))
    joined = select(Message.id).join(NoticeChannel, NoticeChannel.id == Message.channel_id)
    if db.session.scalar(joined.where(*wanted)) is None:
        raise NotFound("message_not_found")
    anew = {"status": MessageStatus.WAITING.value, "attempts": 0, "next_try_at": now}
    dead = (Message.id == message_id, Message.status == MessageStatus.DEAD.value)
    write(lambda session: session.execute(update(Message).where(*dead).values(anew)))


def _undelivered_to(allowed: Reach) -> tuple[Any, ...]:
    failing = and_(Message.status == MessageStatus.WAITING.value, Message.attempts > 0)
    return (or_(Message.status == MessageStatus.DEAD.value, failing), *_of_people(allowed))


def _of_people(allowed: Reach) -> tuple[Any, ...]:
    managed = select(Membership.person_id).join(Office).where(in_reach(allowed))
    return (NoticeChannel.person_id.in_(managed),)
