"""Messages: where people want them, which there are, and which changes each tells."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Time, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.alerts import Level
from inventory.domain.notices import ChannelKind, MessageKind, MessageStatus
from inventory.models.ledger import BIG_ID
from inventory.models.offices import one_of

TOLD_KINDS = (MessageKind.CHANGE, MessageKind.ESCALATION)


class NoticeChannel(Base):
    """An address of a person. It stays when they want no more messages there, so that none is sent by default again."""

    __tablename__ = "notice_channels"
    __table_args__ = (
        UniqueConstraint("person_id", "kind", "target"),
        CheckConstraint(one_of("kind", tuple(ChannelKind)), name="kind"),
        CheckConstraint(f"{one_of('least_level', tuple(Level))} AND least_level <> 'ok'", name="least_level"),
        CheckConstraint("target <> ''", name="target"),
        CheckConstraint("(kind = 'webhook') = (secret IS NOT NULL)", name="secret"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    kind: Mapped[str] = mapped_column(String(10))
    target: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str | None] = mapped_column(String(64))
    """With which a webhook's messages are signed. Kept in the clear: signing needs it."""
    least_level: Mapped[str] = mapped_column(String(16))
    without: Mapped[list[str]] = mapped_column(JSON)
    """Subjects that are not wanted; a subject that is new to the program is."""
    below: Mapped[bool]
    digest: Mapped[bool]
    time_zone: Mapped[str] = mapped_column(String(40))
    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_until: Mapped[time | None] = mapped_column(Time)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it took its first message; until then it gets test messages only."""
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Message(Base):
    """One message to one channel. What it says is read from the changes that it tells when it is sent."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint(one_of("kind", tuple(MessageKind)), name="kind"),
        CheckConstraint(one_of("status", tuple(MessageStatus)), name="status"),
        CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        CheckConstraint("(status = 'sending') = (claimed_at IS NOT NULL)", name="claimed"),
        CheckConstraint("(kind = 'test') = (region_id IS NULL)", name="region"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index("ix_messages_status_next_try_at", "status", "next_try_at"),
        Index("ix_messages_channel_id_status", "channel_id", "status"),
    )

    id: Mapped[int] = mapped_column(BIG_ID, primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    """The same at each attempt: the receiver can tell a repetition by it."""
    channel_id: Mapped[int] = mapped_column(ForeignKey("notice_channels.id"))
    region_id: Mapped[int | None] = mapped_column(ForeignKey("offices.id"))
    """The recipient's office through which the changes concern them."""
    kind: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(8), server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(300))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Of an escalation: since when, and after how many hours."""


class MessageChange(Base):
    """A change that a message tells: at most once per recipient and change, and once more when it is escalated."""

    __tablename__ = "message_changes"
    __table_args__ = (
        CheckConstraint(one_of("kind", TOLD_KINDS), name="kind"),
        Index("ix_message_changes_message_id", "message_id"),
    )

    channel_id: Mapped[int] = mapped_column(ForeignKey("notice_channels.id"), primary_key=True)
    alert_event_id: Mapped[int] = mapped_column(ForeignKey("alert_events.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))


class NoticeToFanOut(Base):
    """A change that nobody was told of yet. A trigger on `alert_events` writes it in the transaction of the change,
    whoever makes it; the row goes in the transaction of the messages. So no mark depends on the order of ids, in which
    transactions do not commit."""

    __tablename__ = "notices_to_fan_out"

    alert_event_id: Mapped[int] = mapped_column(ForeignKey("alert_events.id"), primary_key=True, autoincrement=False)


class Escalation(Base):
    """A change that is passed on when it is acknowledged by nobody until `due_at`."""

    __tablename__ = "escalations"
    __table_args__ = (
        Index(
            "ix_escalations_due_at",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    alert_event_id: Mapped[int] = mapped_column(ForeignKey("alert_events.id"), primary_key=True, autoincrement=False)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
