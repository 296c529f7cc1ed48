"""Second factors: authenticator apps, passkeys, recovery codes, and what keeps them from being tried out."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from inventory.db import Base, UtcDateTime
from inventory.domain.factors import TryKind
from inventory.models.offices import one_of


class AuthenticatorApp(Base):
    """A person's app with codes by time. The secret is encrypted under a key that the database does not hold."""

    __tablename__ = "authenticator_apps"
    __table_args__ = (CheckConstraint("last_step >= 0", name="last_step"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(255))
    last_step: Mapped[int] = mapped_column(BigInteger)
    """The half minute of the newest code that was used: no code of it or of one before works again."""
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Passkey(Base):
    """A passkey's public half."""

    __tablename__ = "passkeys"
    __table_args__ = (
        UniqueConstraint("person_id", "name"),
        CheckConstraint("name <> ''", name="name"),
        CheckConstraint("sign_count >= 0", name="sign_count"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    handle: Mapped[bytes] = mapped_column(LargeBinary(64))
    """What the key knows its person by: random, the same for all of a person's keys."""
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(2000))
    sign_count: Mapped[int] = mapped_column(BigInteger)
    """How often it has signed, as it says itself; 0 for ever from one that lives in several devices."""
    transports: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(60))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """One of the codes for a lost phone: its digest alone, and when it was used up."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("person_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    digest: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FactorTry(Base):
    """How often in a row somebody got a thing wrong, and until when nothing more is tried."""

    __tablename__ = "factor_tries"
    __table_args__ = (
        CheckConstraint(one_of("kind", tuple(TryKind)), name="kind"),
        CheckConstraint("wrong >= 1", name="wrong"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    wrong: Mapped[int]
    refused_until: Mapped[datetime] = mapped_column(UtcDateTime)


class SpentChallenge(Base):
    """What a passkey has signed once, so that the answer does not count twice; kept while it would still count."""

    __tablename__ = "spent_challenges"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    spent_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
