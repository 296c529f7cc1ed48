"""People who log in, and the roles that they hold at offices."""

from __future__ import annotations

from datetime import datetime

from flask_security import RoleMixin, UserMixin
from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from inventory.db import Base, UtcDateTime
from inventory.domain.access import Role
from inventory.models.offices import Office, one_of


class Membership(Base, RoleMixin):
    """A role at an office; `inventory.domain.access` says what it allows and how far it reaches."""

    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("person_id", "office_id", "name"),
        CheckConstraint(one_of("name", tuple(Role)), name="role"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    office_id: Mapped[int] = mapped_column(ForeignKey("offices.id"), index=True)
    name: Mapped[str] = mapped_column(String(16))
    office: Mapped[Office] = relationship(lazy="joined", innerjoin=True)


class Person(Base, UserMixin):
    """An account. The columns after `active` are those that Flask-Security reads and writes."""

    __tablename__ = "people"
    __table_args__ = (
        CheckConstraint("kind = 'person' OR (kind = 'service' AND password IS NULL AND NOT active)", name="kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    full_name: Mapped[str] = mapped_column(String(120))
    language: Mapped[str | None] = mapped_column(String(5))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    active: Mapped[bool] = mapped_column(default=True)
    password: Mapped[str | None] = mapped_column(String(255))
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    password_given: Mapped[bool] = mapped_column(default=False, server_default=false())
    """That somebody else chose the password and knows it: whoever logs in by it does nothing before they change it."""
    kind: Mapped[str] = mapped_column(String(8), server_default="person")
    """`service` for a machine: an actor like any other, that cannot log in. See `inventory.models.service_accounts`."""
    roles: Mapped[list[Membership]] = relationship(lazy="selectin", order_by=Membership.id)
