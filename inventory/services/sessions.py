"""Sessions: who is logged in, on what, since when; and how that ends, at once and everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select, true, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from inventory.config import Config
from inventory.db import db, on_postgresql, write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.errors import NotFound
from inventory.domain.sessions import KEPT, SEEN_EVERY, End, digest
from inventory.models import LoginSession, Person
from inventory.services import audit, devices

SHOWN = 50
AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    idle: timedelta
    """Without a page for so long, a session is over."""
    absolute: timedelta
    """And so long after the log-in in any case."""

    @classmethod
    def of(cls, settings: Config) -> Limits:
        """Those of an installation."""
        return cls(idle=timedelta(minutes=settings.IDLE_MINUTES), absolute=timedelta(hours=settings.SESSION_HOURS))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where somebody logs in: the network address, and what the browser calls itself in words of ours."""

    address: str
    device: str


@dataclass(frozen=True, kw_only=True)
class SessionView:
    """Instants are aware UTC."""

    id: int
    started_at: datetime
    last_seen_at: datetime
    address: str
    device: str


def begin(
    person_id: int,
    now: datetime,
    key: str,
    place: Place,
    *,
    old_key: str,
    device: tuple[str, str],
    alone: bool,
    also: Callable[[Session], None] | None = None,
) -> None:
    """Somebody has logged in: `key` is the new random key of this session, `old_key` the one that the same browser
    carried before, `device` the browser's old and new key as a known device. With `alone` all other sessions of theirs
    end: something changed by which they log in. `also` is done in the same transaction.

    What the caller has not committed yet, such as a new password, is committed before.
    """
    db.session.commit()

    def work(session: Session) -> None:
        if old_key:
            _end(session, now, End.RENEWED, LoginSession.digest == digest(old_key))
        if alone:
            end_within(session, now, person_id, End.CREDENTIALS_CHANGED)
        session.add(
            LoginSession(
                person_id=person_id,
                digest=digest(key),
                started_at=now,
                last_seen_at=now,
                address=place.address[:45],
                device=place.device[:60],
            )
        )
        devices.remember(session, now, person_id, *device)
        if also is not None:
            also(session)

    write(work)


def find(key: str, uniquifier: str, now: datetime, limits: Limits) -> tuple[Person, SessionView] | None:
    """Who is logged in by this key at present, with the session; in one statement. None when it has ended, was idle for
    too long or is too old, and when the person was shut out."""
    row = db.session.execute(
        select(Person, LoginSession)
        .join(LoginSession, LoginSession.person_id == Person.id)
        .where(LoginSession.digest == digest(key), _lives(now, limits))
        .where(Person.fs_uniquifier == uniquifier, Person.active)
    ).one_or_none()
    return (row.Person, _view(row.LoginSession)) if row else None


def seen(session_id: int, now: datetime) -> None:
    """Write down that somebody is still there, at most once a minute. A database that cannot take it just now is not
    waited for: the next page will say the same."""
    session = db.session()
    session.rollback()
    sqlite = not on_postgresql()
    try:
        if sqlite:  # it may be at a long import, and nobody is to wait for that
            session.connection().exec_driver_sql("PRAGMA busy_timeout = 50")
        session.execute(
            update(LoginSession)
            .where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
            .where(LoginSession.last_seen_at <= now - SEEN_EVERY)
            .values(last_seen_at=now)
        )
        session.commit()
    except OperationalError:
        session.rollback()
    finally:
        if sqlite:
            session.connection().exec_driver_sql("PRAGMA busy_timeout = 5000")
            session.rollback()


def mine(actor: Actor, now: datetime, limits: Limits) -> list[SessionView]:
    """One's own sessions that last, the newest first."""
    rows = db.session.scalars(
        select(LoginSession)
        .where(LoginSession.person_id == actor.person_id, _lives(now, limits))
        .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
        .limit(SHOWN)
    )
    return [_view(row) for row in rows]


def end(actor: Actor, now: datetime, session_id: int) -> None:
    """End one of one's own sessions; one that has ended stays as it is. Raises NotFound `session_not_found` for one of
    somebody else's too."""
    of_mine = and_(LoginSession.id == session_id, LoginSession.person_id == actor.person_id)

    def work(session: Session) -> None:
        if session.scalar(select(LoginSession.id).where(of_mine)) is None:
            raise NotFound("session_not_found")
        if _end(session, now, End.ENDED, of_mine):
            audit.note(session, now, actor, Event.SESSION_ENDED, facts={"count": 1})

    write(work)


def end_others(actor: Actor, now: datetime, key: str) -> int:
    """End all of one's own sessions but the one with this key; how many there were."""
    person_id = actor.person_id
    if person_id is None:
        return 0

    def work(session: Session) -> int:
        count = end_within(session, now, person_id, End.ENDED, except_=key)
        if count:
            audit.note(session, now, actor, Event.SESSION_ENDED, facts={"count": count})
        return count

    return write(work)


def end_by_key(now: datetime, key: str, reason: End = End.LOGGED_OUT) -> None:
    """End the session that a browser carries: the person logs out there."""
    write(lambda session: _end(session, now, reason, LoginSession.digest == digest(key)))


def end_all(person_id: int, now: datetime, reason: End, *, except_: str = "") -> int:
    """End all sessions of a person at once, but the one with the key `except_`; how many there were. For services and
    edges that have checked who asks."""
    return write(lambda session: end_within(session, now, person_id, reason, except_=except_))


def end_within(session: Session, now: datetime, person_id: int, reason: End, *, except_: str = "") -> int:
    """`end_all` in the caller's transaction."""
    which = LoginSession.person_id == person_id
    if except_:
        which = and_(which, LoginSession.digest != digest(except_))
    return _end(session, now, reason, which)


def end_everybodys(session: Session, now: datetime) -> int:
    """End every session there is, in the caller's transaction: these books have just been put back. How many lasted."""
    return _end(session, now, End.ENDED_BY_ADMINISTRATOR, true())


def clear_away(now: datetime, limits: Limits, limit: int = AT_ONCE) -> int:
    """Note that sessions have expired, and delete what ended long ago, some at a time; how many rows were touched. Safe
    from any number of processes at once."""
    over = or_(LoginSession.last_seen_at <= now - limits.idle, LoginSession.started_at <= now - limits.absolute)

    def work(session: Session) -> int:
        expired = select(LoginSession.id).where(LoginSession.ended_at.is_(None), over).limit(limit)
        ids = session.scalars(expired.with_for_update(skip_locked=True)).all()
        count = _end(session, now, End.EXPIRED, LoginSession.id.in_(ids))
        old = select(LoginSession.id).where(LoginSession.ended_at < now - KEPT).limit(limit)
        ids = session.scalars(old.with_for_update(skip_locked=True)).all()
        gone = session.scalars(delete(LoginSession).where(LoginSession.id.in_(ids)).returning(LoginSession.id))
        return count + len(gone.all())

    return write(work)


def _lives(now: datetime, limits: Limits):
    return and_(
        LoginSession.ended_at.is_(None),
        # Who was seen at a time that is still to come was so before the clock was set back, nobody knows how long ago.
        LoginSession.last_seen_at > now - limits.idle,
        LoginSession.last_seen_at < now + limits.idle,
        LoginSession.started_at > now - limits.absolute,
    )


def _end(session: Session, now: datetime, reason: End, which) -> int:
    statement = update(LoginSession).where(which, LoginSession.ended_at.is_(None))
    ended = session.scalars(statement.values(ended_at=now, end_reason=reason.value).returning(LoginSession.id))
    return len(ended.all())


def _view(row: LoginSession) -> SessionView:
    return SessionView(
        id=row.id,
        started_at=row.started_at,
        last_seen_at=row.last_seen_at,
        address=row.address,
        device=row.device,
    )
