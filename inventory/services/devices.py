"""Known devices: browsers from which their people have logged in before."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from inventory.db import db, insert_or
from inventory.domain.lockout import DEVICE_KEPT, DEVICE_TRIES
from inventory.domain.sessions import digest
from inventory.models import KnownDevice


def is_known(person_id: int, key: str, now: datetime) -> bool:
    """Whether this person has logged in on the browser that carries this key, not too long ago and not too often
    wrong since."""
    return bool(
        db.session.scalar(
            select(KnownDevice.id)
            .where(KnownDevice.digest == digest(key), KnownDevice.person_id == person_id)
            .where(KnownDevice.wrong < DEVICE_TRIES, KnownDevice.used_at > now - DEVICE_KEPT)
        )
    )


def remember(session: Session, now: datetime, person_id: int, old_key: str, new_key: str) -> None:
    """A person logged in on a browser, in the caller's transaction: it is known from now on, by a new key, and so that
    the old one is worth nothing any more also to the others who use the browser."""
    old, new = digest(old_key), digest(new_key)
    session.execute(update(KnownDevice).where(KnownDevice.digest == old).values(digest=new))
    statement = insert_or(session, KnownDevice.__table__).values(person_id=person_id, digest=new, used_at=now, wrong=0)
    session.execute(
        statement.on_conflict_do_update(index_elements=["person_id", "digest"], set_={"used_at": now, "wrong": 0})
    )
