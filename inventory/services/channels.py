"""Channels: where each person wants messages, about what, and when not."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.access import Action, Actor
from inventory.domain.alerts import Level, Subject
from inventory.domain.audit import Event as AuditEvent
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.notices import ChannelKind, MessageKind, MessageStatus, check_target
from inventory.domain.offices import check_time_zone
from inventory.models import Message, NoticeChannel, Office, Person
from inventory.services import audit
from inventory.services.notices import email_channel

MOST = 10
"""Channels of one person."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a person wants to hear at one address. Times are on the clock of `time_zone`; both or neither."""

    least_level: Level
    without: frozenset[Subject]
    below: bool
    digest: bool
    time_zone: str
    quiet_from: time | None
    quiet_until: time | None


@dataclass(frozen=True, kw_only=True)
class ChannelView:
    """A channel as its person sees it; instants are aware UTC. `last_error` is that of its newest message."""

    id: int
    kind: ChannelKind
    target: str
    secret: str | None
    choices: Choices
    verified_at: datetime | None
    unsubscribed_at: datetime | None
    last_sent_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class Allowed:
    """What the installation can send: e-mail, Telegram, the services of Apprise; and whether webhooks may lie within
    its own network."""

    email: bool
    telegram: bool
    services: Sequence[str]
    private: bool

    @property
    def kinds(self) -> list[ChannelKind]:
        given = {ChannelKind.EMAIL: self.email, ChannelKind.TELEGRAM: self.telegram, ChannelKind.WEBHOOK: True}
        return [kind for kind in ChannelKind if given.get(kind, bool(self.services))]


def mine(actor: Actor) -> list[ChannelView]:
    """The actor's own channels, those first that are in use."""
    rows = db.session.scalars(
        select(NoticeChannel)
        .where(NoticeChannel.person_id == _person(actor))
        .order_by(NoticeChannel.unsubscribed_at.is_not(None), NoticeChannel.id)
        .execution_options(populate_existing=True)
    )
    return [_view(row) for row in rows]


def get(actor: Actor, channel_id: int) -> ChannelView:
    """One of the actor's own. Raises NotFound `channel_not_found`."""
    return _view(_own(actor, channel_id))


def usual(actor: Actor, now: datetime) -> Choices:
    """What a new channel of the actor's begins with: on the clock of their office."""
    return _choices(NoticeChannel(**email_channel(_person(actor), "", _time_zone(actor), now)))


def add(actor: Actor, now: datetime, kind: ChannelKind, target: str, choices: Choices, allowed: Allowed) -> int:
    """Add a channel, or take up one with this address again; its id. A new one is sent a test message, and gets
    others when that has arrived. E-mail goes to the address of the account, whatever is given.

    Raises Invalid `channel_kind_unknown`, `quiet_hours_half`, and what `check_target` raises; Refusal
    `channels_too_many`.
    """
    if kind not in allowed.kinds:
        raise Invalid("channel_kind_unknown")
    person_id = _person(actor)
    email = db.session.scalar(select(Person.email).where(Person.id == person_id)) or ""
    target = (
        email if kind is ChannelKind.EMAIL else check_target(kind, target, allowed.services, private=allowed.private)
    )
    values = _values(choices)
    row = values | {
        "person_id": person_id,
        "kind": kind.value,
        "target": target,
        "secret": secrets.token_hex(32) if kind is ChannelKind.WEBHOOK else None,
        "created_at": now,
        "verified_at": now if kind is ChannelKind.EMAIL else None,
    }

    def put(session: Session) -> int:
        # The person's row is held, so that two forms at once do not make one channel too many.
        session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
        statement = insert_or(session, NoticeChannel.__table__).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=["person_id", "kind", "target"], set_=values | {"unsubscribed_at": None}
        )
        channel_id = session.execute(statement.returning(NoticeChannel.__table__.c.id)).scalar_one()
        used = select(func.count()).where(NoticeChannel.person_id == person_id, NoticeChannel.unsubscribed_at.is_(None))
        if (session.scalar(used) or 0) > MOST:
            raise Refusal("channels_too_many", limit=MOST)
        if kind is not ChannelKind.EMAIL:
            _send_test(session, now, channel_id)
        facts = {"setting": "channel", "kind": kind.value, "id": channel_id, "after": "added"}
        audit.note(session, now, actor, AuditEvent.SETTING_CHANGED, facts=facts)
        return channel_id

    return write(put)


def change(actor: Actor, channel_id: int, choices: Choices) -> ChannelView:
    """Change what is wanted. Raises Invalid `quiet_hours_half`, NotFound."""
    _own(actor, channel_id)
    values = _values(choices)
    write(lambda s: s.execute(update(NoticeChannel).where(NoticeChannel.id == channel_id).values(values)))
    return get(actor, channel_id)


def set_subscribed(actor: Actor, now: datetime, channel_id: int, subscribed: bool) -> ChannelView:
    """End messages to one of the actor's channels, those that wait included; or take them up again. Raises NotFound."""
    _own(actor, channel_id)
    if subscribed:
        values = {"unsubscribed_at": None}
        write(lambda s: s.execute(update(NoticeChannel).where(NoticeChannel.id == channel_id).values(values)))
    else:
        _end(now, channel_id)
    return get(actor, channel_id)


def unsubscribe(now: datetime, channel_id: int) -> None:
    """End messages to the channel that a signed link names; who holds the link needs no account. Doing it twice is
    doing it once. Raises NotFound `channel_not_found`."""
    if db.session.get(NoticeChannel, channel_id) is None:
        raise NotFound("channel_not_found")
    _end(now, channel_id)


def send_test(actor: Actor, now: datetime, channel_id: int) -> None:
    """Send a test message; one that waits already is enough. Raises NotFound, Refusal `channel_ended`."""
    if _own(actor, channel_id).unsubscribed_at is not None:
        raise Refusal("channel_ended")
    write(lambda session: _send_test(session, now, channel_id))


def _send_test(session: Session, now: datetime, channel_id: int) -> None:
    session.execute(select(NoticeChannel.id).where(NoticeChannel.id == channel_id).with_for_update())
    under_way = select(Message.id).where(
        Message.channel_id == channel_id,
        Message.kind == MessageKind.TEST.value,
        Message.status.in_([MessageStatus.WAITING.value, MessageStatus.SENDING.value]),
    )
    if session.scalar(under_way.limit(1)) is None:
        row = {"key": secrets.token_hex(16), "channel_id": channel_id, "kind": MessageKind.TEST.value}
        session.execute(insert(Message).values(row | {"next_try_at": now, "created_at": now, "facts": {}}))


def _end(now: datetime, channel_id: int) -> None:
    ended = (NoticeChannel.id == channel_id, NoticeChannel.unsubscribed_at.is_(None))
    waiting = (Message.channel_id == channel_id, Message.status == MessageStatus.WAITING.value)

    def put(session: Session) -> None:
        session.execute(update(NoticeChannel).where(*ended).values(unsubscribed_at=now))
        session.execute(update(Message).where(*waiting).values(status=MessageStatus.DROPPED.value))

    write(put)


def _person(actor: Actor) -> int:
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action=Action.VIEW_ALERT.value)
    return actor.person_id


def _own(actor: Actor, channel_id: int) -> NoticeChannel:
    row = db.session.get(NoticeChannel, channel_id, populate_existing=True)
    if row is None or row.person_id != _person(actor):
        raise NotFound("channel_not_found")
    return row


def _time_zone(actor: Actor) -> str:
    paths = [grant.path for grant in actor.grants]
    found = select(Office.time_zone).where(Office.path.in_(paths)).order_by(Office.path)
    return db.session.scalar(found.limit(1)) or "Asia/Jakarta"


def _values(choices: Choices) -> dict[str, Any]:
    """Raises Invalid `quiet_hours_half`, `time_zone_unknown`."""
    if (choices.quiet_from is None) != (choices.quiet_until is None):
        raise Invalid("quiet_hours_half")
    check_time_zone(choices.time_zone)
    return {
        "least_level": choices.least_level.value,
        "without": sorted(subject.value for subject in choices.without),
        "below": choices.below,
        "digest": choices.digest,
        "time_zone": choices.time_zone,
        "quiet_from": choices.quiet_from,
        "quiet_until": choices.quiet_until,
    }


def _choices(row: NoticeChannel) -> Choices:
    return Choices(
        least_level=Level(row.least_level),
        without=frozenset(Subject(each) for each in row.without if each in set(Subject)),
        below=row.below,
        digest=row.digest,
        time_zone=row.time_zone,
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
    )


def _view(row: NoticeChannel) -> ChannelView:
    newest = db.session.execute(
        select(Message.last_error).where(Message.channel_id == row.id).order_by(Message.id.desc()).limit(1)
    ).one_or_none()
    sent = select(func.max(Message.sent_at)).where(
        Message.channel_id == row.id, Message.status == MessageStatus.SENT.value
    )
    return ChannelView(
        id=row.id,
        kind=ChannelKind(row.kind),
        target=row.target,
        secret=row.secret,
        choices=_choices(row),
        verified_at=row.verified_at,
        unsubscribed_at=row.unsubscribed_at,
        last_sent_at=db.session.scalar(sent),
        last_error=newest.last_error if newest else None,
    )
