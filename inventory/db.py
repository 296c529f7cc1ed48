"""The database session, and transactions that are right on PostgreSQL and on SQLite."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Engine, Executable, MetaData, Row, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

ATTEMPTS = 5
"""How often a transaction is tried when the database itself asks for another try (deadlock, serialization, busy)."""

WRITERS_LOCK = 7301
"""The class of the lock that postings share and a seal takes for itself; the triggers name it too."""
ASKED_POLITELY, POLITE_PAUSE = 1200, 0.05
"""How often a seal asks for that lock before it stands in line, and how long it waits in between (seconds)."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware going in, aware UTC coming out; stored as timestamptz, or as naive UTC on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Services hand out plain values, so nothing needs to be re-read after a commit; expiring would cost every page
# a second look at the account that is logged in.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate()

T = TypeVar("T")


def write(work: Callable[[Session], T]) -> T:
    """Run `work(session)` in one write transaction and commit it; nothing is kept when it raises.

    `work` may be called up to ATTEMPTS times: when the database reports a deadlock, a serialization failure or a
    busy SQLite file the transaction is rolled back and tried again after a short random pause. So it must not have
    effects outside the session.
    """
    return _write(work, db.session())


def write_apart(work: Callable[[Session], T]) -> T:
    """The same in a session of its own, whatever the session of the request is about to write or goes on reading."""
    session = db.session.session_factory()
    try:
        return _write(work, session)
    finally:
        session.close()


def _write(work: Callable[[Session], T], session: Session) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            begin_write(session)
            result = work(session)
            session.commit()
        except OperationalError as error:
            session.rollback()
            if attempt == ATTEMPTS or not wants_retry(error):
                raise
            _pause(attempt)
        except BaseException:
            session.rollback()
            raise
        else:
            return result
    raise AssertionError("unreachable")


def write_at_once(statement: str, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """One statement of PostgreSQL's that is a transaction of its own, sent in one round trip; its rows.

    It ends what the session was reading, and is tried again as often and for the same reasons as what `write` runs.
    """
    _end_reading()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _alone().connect() as connection:
                return connection.exec_driver_sql(statement, dict(values)).all()
        except OperationalError as error:
            if attempt == ATTEMPTS or not wants_retry(error):
                raise
            _pause(attempt)
    raise AssertionError("unreachable")


def glance(statement: Executable, values: Mapping[str, Any]) -> Row[Any] | None:
    """The one row of a SELECT, if it has one; it is made once, and all of its parameters are given by name.

    Without a transaction around it where none is under way, which on PostgreSQL takes one round trip instead of three.
    """
    if not on_postgresql() or (db.session.registry.has() and db.session().in_transaction()):
        return db.session.execute(statement, values).one_or_none()
    with _alone().connect() as connection:
        return connection.exec_driver_sql(_text_of(statement), dict(values)).one_or_none()


@lru_cache(maxsize=64)
def _text_of(statement: Executable) -> str:
    """What PostgreSQL is sent: to make it out anew each time takes as long as the answer."""
    made: Any = statement
    return str(made.compile(dialect=psycopg.dialect()))


def on_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def _alone() -> Engine:
    """Connections of the same pool on which each statement is a transaction of its own."""
    return _alone_beside(db.engine)


@lru_cache(maxsize=4)
def _alone_beside(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _end_reading() -> None:
    if db.session.registry.has() and db.session().in_transaction():
        db.session.rollback()


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  (spreads the retries, no secret)


def begin_write(session: Session) -> None:
    """End whatever the session was reading and start a transaction that may write.

    SQLite must know at BEGIN: a reader that turns writer fails at once when another process wrote meanwhile.
    """
    session.rollback()
    session.connection(execution_options={"sqlite_immediate": True})


def let_writers_through(session: Session) -> None:
    """Wait until every movement and audit entry that is being written has come through, and let none begin until this
    transaction ends. On PostgreSQL each INSERT of one shares the lock that is taken here (a trigger sees to that): it
    asks for no right on the tables. SQLite lets one write at a time anyway.

    Whoever stands in line for a lock holds up all who come after: for a while this asks again and again instead, so
    that nobody waits to log in because a long import is under way.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    for _ in range(ASKED_POLITELY):
        if session.scalar(text(f"SELECT pg_try_advisory_xact_lock({WRITERS_LOCK}, 0)")):
            return
        time.sleep(POLITE_PAUSE)
    session.execute(text(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK}, 0)"))


def wants_retry(error: OperationalError) -> bool:
    """Whether the database asks for the same transaction again."""
    original: Any = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return "database is locked" in str(original) or "database is busy" in str(original)
    return getattr(original, "sqlstate", None) in ("40001", "40P01")


def insert_or(session: Session, table: Any) -> Any:
    """An INSERT into `table` that knows ON CONFLICT in the session's dialect."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def in_batches(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    """The rows in their order, at most `size` at a time: a statement takes only so many parameters."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


@event.listens_for(Engine, "connect")
def _set_up_sqlite(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # the "begin" event below decides how a transaction starts
    for pragma in (
        "busy_timeout = 5000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",  # else INSERT OR REPLACE slips past the append-only trigger
    ):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin_on_sqlite(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get("sqlite_immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
