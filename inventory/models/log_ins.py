"""Tries to log in, devices that are known, and accounts elsewhere by which people sign on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.lockout import DEVICE_TRIES, Counter
from inventory.models.offices import one_of


class LogInTries(Base):
    """How often something was tried since it was last forgotten. `key` is a keyed hash of what it is about."""

    __tablename__ = "log_in_tries"
    __table_args__ = (
        CheckConstraint(one_of("counter", tuple(Counter)), name="counter"),
        CheckConstraint("length(key) = 64", name="key"),
        CheckConstraint("tries >= 0", name="tries"),
        Index("ix_log_in_tries_last_at", "last_at"),
    )

    counter: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    tries: Mapped[int]
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """From when on the next try is taken."""


class TriedFrom(Base):
    """An address from which an account was tried, as a keyed hash, so that they can be counted and not read."""

    __tablename__ = "log_in_tried_from"
    __table_args__ = (
        CheckConstraint("length(account_key) = 64 AND length(address_key) = 64", name="keys"),
        Index("ix_log_in_tried_from_last_at", "last_at"),
    )

    account_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    address_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KnownDevice(Base):
    """A browser from which this person has logged in; it carries the random key of which this is the digest. Several
    people may share one."""

    __tablename__ = "known_devices"
    __table_args__ = (
        UniqueConstraint("person_id", "digest"),
        CheckConstraint("length(digest) = 64", name="digest"),
        CheckConstraint(f"wrong BETWEEN 0 AND {DEVICE_TRIES}", name="wrong"),
        Index("ix_known_devices_digest", "digest"),
        Index("ix_known_devices_used_at", "used_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    digest: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    wrong: Mapped[int] = mapped_column(default=0, server_default="0")
    """Wrong passwords since the last right one."""


class SignOnIdentity(Base):
    """Somebody's account at a provider of single sign-on."""

    __tablename__ = "sign_on_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        UniqueConstraint("person_id", "issuer"),
        CheckConstraint("issuer <> '' AND subject <> ''", name="named"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    linked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)
