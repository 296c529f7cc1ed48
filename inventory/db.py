"""The database session, and transactions that are right on PostgreSQL and on SQLite."""

from __future__ import annotations

import logging
import random
import select
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from sqlalchemy import Connection, DateTime, Dialect, Engine, Executable, MetaData, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import Pool
from sqlalchemy.types import TypeDecorator

from inventory.config import Config

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

ATTEMPTS = 5
"""How often a transaction is tried when the database itself asks for another try (deadlock, serialization, busy)."""

PATIENCE = 8.0
"""After so many seconds no further try begins: a busy SQLite file takes five of them to say so each time."""

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


class Reader(BoundSession):
    """The library's session. For a while it may read from another server than the primary: see `read_apart`."""

    APART = "reads from"

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        return self.info.get(self.APART) or super().get_bind(*args, **kwargs)


@event.listens_for(Reader, "before_flush")
def _write_nothing_apart(session: Session, *_: object) -> None:
    if Reader.APART in session.info:
        raise RuntimeError("what is written goes through `write`, never to where is only read")


# Services hand out plain values, so nothing needs to be re-read after a commit; expiring would cost every page
# a second look at the account that is logged in.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "class_": Reader})
migrate = Migrate()

log = logging.getLogger(__name__)

T = TypeVar("T")


def write(work: Callable[[Session], T]) -> T:
    """Run `work(session)` in one write transaction and commit it; nothing is kept when it raises.

    `work` may be called up to ATTEMPTS times: when the database reports a deadlock, a serialization failure or a
    busy SQLite file the transaction is rolled back and tried again after a short random pause. So it must not have
    effects outside the session.

    A connection that breaks is no reason for another try: where it broke during COMMIT nobody knows whether the
    transaction came through. Whoever sends the same request id again finds out.
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
    began = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            begin_write(session)
            result = work(session)
            session.commit()
        except OperationalError as error:
            session.rollback()
            if not _once_more(attempt, began, error):
                raise
        except BaseException:
            session.rollback()
            raise
        else:
            return result
    raise AssertionError("unreachable")


class Ready(NamedTuple):
    """A statement of PostgreSQL's as the server is sent it, and the names of its parameters in their order."""

    text: str
    names: tuple[str, ...]


def ready(statement: Any) -> Ready:
    """All of its parameters are given by name. Made once: to make it out anew each time takes as long as the answer,
    and to look for the names in a long text a tenth of a posting."""
    made = statement.compile(dialect=_NUMBERING)
    return Ready(str(made), tuple(made.positiontup))


_NUMBERING = psycopg.dialect(paramstyle="numeric_dollar")


def write_at_once(statement: Ready, values: Mapping[str, Any]) -> Sequence[Any]:
    """One statement of PostgreSQL's that is a transaction of its own, sent in one round trip; its rows.

    It ends what the session was reading, and is tried again as often and for the same reasons as what `write` runs.
    """
    _end_reading()
    read_here()
    began = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _rows(statement, values)
        except OperationalError as error:
            if not _once_more(attempt, began, error):
                raise
    raise AssertionError("unreachable")


def glance(statement: Executable, values: Mapping[str, Any]) -> Any | None:
    """The one row of a SELECT, if it has one; it is made once, and all of its parameters are given by name.

    Without a transaction around it where none is under way, which on PostgreSQL takes one round trip instead of three.
    Always of the primary.
    """
    if not on_postgresql() or (db.session.registry.has() and db.session().in_transaction() and not is_apart()):
        return db.session.execute(statement, values).one_or_none()
    rows = _rows(_ready(statement), values)
    return rows[0] if rows else None


@lru_cache(maxsize=64)
def _ready(statement: Executable) -> Ready:
    return ready(statement)


def on_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def _rows(statement: Ready, values: Mapping[str, Any]) -> list[Any]:
    """What PostgreSQL answers to a statement that is a transaction of its own. The driver itself is asked, on a
    connection of the pool: the engine's own books of a statement take twice as long as the driver. Raises what the
    engine raises."""
    from psycopg import RawCursor
    from psycopg.rows import namedtuple_row

    engine, given = db.engine, [values[name] for name in statement.names]
    errors: Any = engine.dialect.loaded_dbapi.Error
    try:
        with _on_its_own(engine) as driver:
            cursor: Any = RawCursor(driver, row_factory=namedtuple_row)
            return cursor.execute(statement.text, given).fetchall()
    except errors as error:
        told: Any = DBAPIError.instance(
            statement.text, dict(values), error, errors, engine.hide_parameters, dialect=engine.dialect
        )
        raise told from error


@contextmanager
def _on_its_own(engine: Engine) -> Iterator[Any]:
    """The driver's connection, on which each statement is a transaction of its own. After an error by which it is of
    no more use those that lie in the pool are not used either."""
    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    fit = False
    try:
        driver.autocommit = True
        yield driver
        fit = True
    except Exception as error:
        fit = not (driver.closed or _cannot_write(error))
        if not fit:
            engine.dispose()
        raise
    finally:
        if fit and driver.info.transaction_status == IDLE:
            driver.autocommit = False
        else:  # it ended, or nobody has read the answer
            connection.invalidate()
        connection.close()


IDLE = 0
"""As libpq says of a connection that has nothing to do."""


def _end_reading() -> None:
    if db.session.registry.has() and db.session().in_transaction():
        db.session.rollback()


def read_apart(engine: Engine) -> None:
    """Have what follows read from `engine`, until `read_here` or until something is written: nothing that decides on a
    write is ever read there. What the session has loaded so far, such as who asks, it keeps."""
    session = db.session()
    if session.new or session.dirty or session.deleted:
        session.rollback()  # what nobody asked to be written is not
    session.commit()  # after a rollback alone all of that would be read again
    session.info[Reader.APART] = engine


def read_here() -> None:
    """Have what follows read from the primary, also what has been read elsewhere before."""
    if is_apart():
        session = db.session()
        del session.info[Reader.APART]
        session.rollback()
        session.expire_all()


def is_apart() -> bool:
    """Whether the session reads from elsewhere at present."""
    return db.session.registry.has() and Reader.APART in db.session().info


def position() -> int:
    """How far the primary has written, as a number that grows; PostgreSQL only."""
    return int(_rows(Ready("SELECT pg_current_wal_lsn() - '0/0' AS written", ()), {})[0].written)


def _once_more(attempt: int, began: float, error: OperationalError) -> bool:
    """Whether a transaction that began then is worth another try, after a short random pause."""
    if attempt == ATTEMPTS or not wants_retry(error) or time.monotonic() - began > PATIENCE:
        return False
    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  (spreads the retries, no secret)
    return True


def begin_write(session: Session) -> None:
    """End whatever the session was reading and start a transaction that may write.

    SQLite must know at BEGIN: a reader that turns writer fails at once when another process wrote meanwhile.
    """
    session.rollback()
    if session.info.pop(Reader.APART, None) is not None:
        session.expire_all()
    session.connection(execution_options={"sqlite_immediate": True})


def let_writers_through(session: Session) -> None:
    """Wait until every movement and audit entry that is being written has come through, and let none begin until this
    transaction ends. On PostgreSQL each INSERT of one shares the lock that is taken here (a trigger sees to that): it
    asks for no right on the tables. SQLite lets one write at a time anyway.

    Whoever stands in line for a lock holds up all who come after: for a while this asks again and again instead, so
    that nobody waits to log in because a long import is under way.
    """
    if not on_postgresql():
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


def copy_in(session: Session, table: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows into `table` by PostgreSQL's COPY, which runs triggers and checks as an INSERT does.

    `rows` may be made while the database takes in the ones before; nothing else can be asked of it until all are
    written. Raises what SQLAlchemy raises for an INSERT.
    """
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    # Names of our own tables and columns.
    statement = f"COPY {table.name} ({', '.join(columns)}) FROM STDIN"
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except errors as error:
        raise DBAPIError.instance(statement, None, error, errors, dialect=connection.dialect) from error


# --- when the database does not serve ----------------------------------------------------------------------------

ERRORS = (DBAPIError, NoneFree)
"""What a database that does not serve raises, and many another fault: `unavailable` tells them apart."""

_STATES = {
    "08": "no connection",
    "57P": "no connection",  # it is being stopped, started, or has crashed
    "25P03": "no connection",  # it ended a transaction that did nothing for too long
    "53100": "full",
    "53": "too much at once",  # connections, memory
    "58030": "broken disk",
    "25006": "read-only",  # a standby, or a primary that has become one
    "57014": "too slow",
    "55P03": "busy",
    "40001": "busy",
    "40P01": "busy",
}
"""PostgreSQL's SQLSTATEs, or how they begin, the longer ones first where they overlap."""
_CODES = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "broken disk",
    sqlite3.SQLITE_CANTOPEN: "no connection",
    sqlite3.SQLITE_READONLY: "read-only",
}


def unavailable(error: BaseException | None) -> str | None:
    """Why the database does not serve now, in a word or two for the log; None when the fault is another's. The same
    request may well be answered in a while: nothing of it was kept, unless the connection broke during COMMIT."""
    if isinstance(error, NoneFree):
        return "no connection free"
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _CODES.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # What the client library says itself: no answer, or one that broke off.
        gone = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
        return "no connection" if gone else None
    return next((word for beginning, word in _STATES.items() if state.startswith(beginning)), None)


def engine_options(settings: Config, url: str) -> dict[str, Any]:
    """How the engine of an installation with these settings treats its connections."""
    # What people typed is no part of what a broken statement says of itself.
    options: dict[str, Any] = {"hide_parameters": True}
    if not url.startswith("postgresql"):
        return options
    given = make_url(url).query
    arguments: dict[str, Any] = {name: value for name, value in CONNECTING.items() if name not in given}
    if settings.TRANSACTION_POOLER:
        # The next transaction may have another server process, which knows no statement that this one prepared.
        arguments["prepare_threshold"] = None
    elif limits := _limits(settings):
        arguments["options"] = f"{given.get('options', '')} {limits}".strip()
    return options | {"pool_timeout": POOL_SECONDS, "connect_args": arguments}


REPLICA = "replica"
"""What the library calls the servers for reads."""


def replica_options(settings: Config) -> dict[str, Any]:
    """The same of the servers for reads, with their address. Whatever stands there, a standby or by mistake the primary
    itself: it is asked for transactions that may write nothing."""
    options = engine_options(settings, settings.REPLICA_URL)
    given = make_url(settings.REPLICA_URL).query
    # There is somebody else to ask.
    quick = {} if "connect_timeout" in given else {"connect_timeout": REPLICA_SECONDS}
    options |= {"pool_timeout": REPLICA_SECONDS, "connect_args": options["connect_args"] | quick}
    return options | {"url": settings.REPLICA_URL, "execution_options": {"postgresql_readonly": True}}


def let_go(_error: BaseException | None = None) -> None:
    """Give the session's connection back at the end of a request, whatever state it is in: that it broke meanwhile
    changes nothing of an answer that stands."""
    try:
        db.session.remove()
    except ERRORS as error:
        log.warning("a connection ended before it was given back (%s)", unavailable(error) or type(error).__name__)
        db.session().invalidate()
        db.session.registry.clear()


def tell_of_connections(engine: Engine, tell: Callable[[int], None]) -> None:
    """Have `tell` called with the number of connections in use whenever it changes."""

    def in_use() -> int:
        pool: Any = engine.pool
        return pool.checkedout() if hasattr(pool, "checkedout") else 0

    event.listen(engine, "checkout", lambda *_: tell(in_use()))
    event.listen(engine, "checkin", lambda *_: tell(in_use() - 1))  # it comes before it is back


CONNECTING = {
    "connect_timeout": 5,
    # A server that is switched off closes nothing: these notice it, both while waiting and while sending.
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "blangko",
}
"""Parameters of libpq, where the URL does not name them itself."""
REPLICA_SECONDS = 2
"""How long a request waits for a connection to a replica, before it is served by the primary."""
POOL_SECONDS = 10
"""How long a request waits for a connection that others of its process hold."""


def _limits(settings: Config) -> str:
    seconds = {
        "statement_timeout": settings.STATEMENT_SECONDS,
        "lock_timeout": settings.LOCK_SECONDS,
        "idle_in_transaction_session_timeout": settings.IDLE_TRANSACTION_SECONDS,
    }
    return " ".join(f"-c {name}={value}s" for name, value in seconds.items() if value)


@event.listens_for(Pool, "checkout")
def _is_alive(connection: Any, _record: Any, _proxy: Any) -> None:
    """Leave connections behind that ended while they lay in the pool. Nothing is asked of the server, which would cost
    each transaction a round trip: one that ended has said so, and what it said waits to be read."""
    if not hasattr(connection, "pgconn"):
        return
    try:
        for _ in range(2):  # its last words, and then the end
            if not _has_spoken(connection.fileno()):
                return
            connection.pgconn.consume_input()
    except Exception:
        raise DisconnectionError from None


def _has_spoken(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@event.listens_for(Engine, "handle_error")
def _leave_what_cannot_write(context: Any) -> None:
    """A primary that has become a standby keeps its connections: they would refuse every write for as long as they
    lie in the pool. The next ones go where the URL finds the primary."""
    if _cannot_write(context.original_exception):
        context.is_disconnect = True


def _cannot_write(error: Any) -> bool:
    return getattr(error, "sqlstate", None) == "25006"


_NEWEST: dict[int, int] = {}
"""Of each cluster that this process has met, by its identifier, the newest timeline: each promotion begins another."""

_TIMELINE = """
    SELECT system_identifier, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
    FROM pg_control_system() WHERE NOT pg_is_in_recovery()"""


@event.listens_for(Engine, "connect")
def _take_no_older_primary(connection: Any, _record: Any) -> None:
    """A primary that another was promoted over, and that nobody has kept from coming back, takes writes like the new
    one; where it stands first in the URL it gets them. Whoever has met the new one rather goes without."""
    if not hasattr(connection, "pgconn"):
        return
    from psycopg import OperationalError as Refused

    found = _timeline_of(connection)
    if found is None:
        return
    cluster, timeline = found
    newest = _NEWEST[cluster] = max(timeline, _NEWEST.get(cluster, 0))
    if timeline < newest:
        where = f"{connection.info.host}:{connection.info.port}"
        connection.close()
        log.error("%s is a primary of timeline %s, and there is one of %s: fence it", where, timeline, newest)
        raise Refused(f"{where} was the primary before another was promoted")


def _timeline_of(connection: Any) -> tuple[int, int] | None:
    """The cluster and timeline of a primary; None of a standby, and where a managed service does not tell."""
    from psycopg import Error

    try:
        found = connection.execute(_TIMELINE, prepare=False).fetchone()
    except Error:
        if connection.broken:
            raise
        found = None
    connection.rollback()
    return found


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
