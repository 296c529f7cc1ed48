"""Backups: the whole database as one file that only a key kept elsewhere opens, by hand and every night.

What the manifest says and what is dumped are of one snapshot, while everybody goes on working. The machine that makes
backups cannot read them: it has public keys alone. So it checks what it can, that the disk gives back what was written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import column, table

from inventory.adapters import archives, dumps
from inventory.db import db, on_postgresql
from inventory.domain.access import JOB, Actor
from inventory.domain.audit import Event
from inventory.domain.backups import FORMAT, Manifest, file_name, read_manifest, to_remove
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.schedules import Schedule
from inventory.services import audit, runs
from inventory.services.runs import RunView

BACKUP = "backup"
LOCK = 7302
"""Of the advisory lock that the nightly backup holds on PostgreSQL, so that of many schedulers one makes it."""
LOCK_FILE = ".blangko-backup.lock"
"""The same on SQLite, where all schedulers are on one machine."""
DRAFTS_KEPT = 24 * 3600
"""Seconds after which what a killed backup left is removed by the next."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where backups go, who can read them (public keys), how many stay, and what the database's programs are given of
    the environment."""

    folder: Path
    recipients: Sequence[str]
    keep: int
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Made:
    """`sha256` is that of the file as it lies there."""

    path: Path
    size: int
    sha256: str
    manifest: Manifest
    entered: bool
    """Whether it stands in the audit: a database that is about to be upgraded may not take the entry."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    encrypted: bool
    manifest: Manifest


def back_up(
    actor: Actor, now: datetime, target: Path, recipients: Sequence[str], environment: Mapping[str, str]
) -> Made:
    """Write the whole database into a new file, `target` or one in that folder, encrypted to all of the recipients; in
    the clear when there are none: the edge has made sure that this is meant.

    All or nothing: what fails leaves no file. Raises NotAllowed for anybody but the system; Refusal `backup_exists`,
    `backup_failed`, `backup_program`; Invalid `backup_recipient`, `backup_not_migrated`, `backup_folder`.
    """
    if not actor.is_system:
        raise NotAllowed("not_allowed", action="back_up")
    keys = archives.recipients(recipients)
    path = target / file_name(now, encrypted=bool(keys)) if target.is_dir() else target
    with snapshot() as connection:
        manifest, file = _write(connection, now, path, keys, environment)
    try:
        audit.record(now, actor, Event.BACKED_UP, subject=path.name, facts=_facts(path, file.size, manifest))
    except SQLAlchemyError:
        return Made(path=path, size=file.size, sha256=file.sha256, manifest=manifest, entered=False)
    return Made(path=path, size=file.size, sha256=file.sha256, manifest=manifest, entered=True)


def back_up_slot(
    plan: Plan, slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str
) -> RunView | None:
    """The scheduled backup of one slot, after which the oldest go; None when the slot is taken. See `runs.run_slot`.

    It is made before the run is written down: nobody waits for it. Raises what `back_up` does.
    """
    db.session.rollback()
    with snapshot() as connection, _alone(connection, plan.folder) as alone:
        due = alone and runs.is_due(BACKUP, slot)
        db.session.rollback()  # nothing is held open for as long as the dump takes
        if not due:
            return None
        now = clock()
        path = plan.folder / file_name(now, encrypted=True)
        manifest, file = _write(connection, now, path, archives.recipients(plan.recipients), plan.environment)
        removed = _remove_old(plan, path)

        def put(session: Any, _run: int) -> dict[str, Any]:
            facts = _facts(path, file.size, manifest)
            audit.note(session, clock(), JOB, Event.BACKED_UP, subject=path.name, facts=facts)
            counts = {"bytes": file.size, "movements": manifest.rows["movements"], "removed": removed}
            return counts | {"file": path.name, "sha256": file.sha256}

        return runs.run_slot(BACKUP, slot, schedule, clock, worker, put)


def check(actor: Actor, path: Path, keys: str) -> Checked:
    """Read a backup from its beginning to its end with a private key, and hold it against what it says of itself.
    Nothing is written. `keys` is the text of a key file, empty for a backup in the clear.

    Raises NotAllowed; Invalid `backup_needs_key`, `backup_wrong_key`, `backup_identity`, `backup_damaged`,
    `backup_unreadable`, `backup_format`.
    """
    if not actor.is_system:
        raise NotAllowed("not_allowed", action="back_up")
    with path.open("rb") as file:
        return Checked(encrypted=archives.is_encrypted(file), manifest=read_through(file, identities(keys)))


def identities(text: str) -> list[Any]:
    return archives.identities(text) if text else []


def read_through(file: BinaryIO, keys: Sequence[Any]) -> Manifest:
    """What a backup says of itself, when all of it could be read."""
    file.seek(0)
    with archives.reading(file, keys) as archive:
        manifest = read_manifest(archive.manifest)
        for _ in archive.chunks():
            pass
    file.seek(0)
    return manifest


# --- one snapshot ------------------------------------------------------------------------------------------------


@contextmanager
def snapshot() -> Iterator[Connection]:
    """A connection that sees one moment of the database for as long as it is held, and keeps nobody from writing."""
    with db.engine.connect() as connection:
        if on_postgresql():
            options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection = connection.execution_options(**options)
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield connection


def manifest_of(connection: Connection, now: datetime) -> Manifest:
    """What there is in a database, whatever migration it is at. Raises Invalid `backup_not_migrated`."""
    names = inspect(connection).get_table_names()
    if not {"alembic_version", "movements", "seals"} <= set(names):
        raise Invalid("backup_not_migrated")
    rows = {name: connection.scalar(select(func.count()).select_from(table(name))) or 0 for name in sorted(names)}
    number, digest = column("id"), column("digest")
    head = connection.execute(
        select(number, digest).select_from(table("seals")).order_by(number.desc()).limit(1)
    ).first()
    revisions = connection.scalars(select(column("version_num")).select_from(table("alembic_version"))).all()
    return Manifest(
        format=FORMAT,
        version=version("blangko"),
        database=connection.dialect.name,
        revision=",".join(sorted(revisions)),
        made_at=now,
        seal=head[0] if head else 0,
        head=head[1] if head else "",
        last_movement=connection.scalar(select(func.max(column("id"))).select_from(table("movements"))) or 0,
        rows=rows,
    )


def _write(
    connection: Connection, now: datetime, path: Path, keys: Sequence[Any], environment: Mapping[str, str]
) -> tuple[Manifest, archives.NewFile]:
    """Dump what the connection sees into a file. Nothing of it is there when this fails."""
    if not path.parent.is_dir():
        raise Invalid("backup_folder", folder=path.parent.name)
    try:
        with archives.NewFile(path) as file:
            manifest = manifest_of(connection, now)
            with closing(_dump(connection, path.parent, environment)) as dump:
                archives.write(file, manifest.as_bytes(), dump, keys)
            file.keep()
    except OSError as error:
        raise Refusal("backup_failed", why=error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise Refusal("backup_failed", why=str(error)) from error
    return manifest, file


def _dump(connection: Connection, folder: Path, environment: Mapping[str, str]) -> Generator[bytes]:
    raw: Any = connection.connection.driver_connection
    if not on_postgresql():
        return dumps.compressed(dumps.sqlite_dump(raw, folder))
    name = connection.scalar(text("SELECT pg_export_snapshot()"))
    return dumps.postgres_dump(dumps.server_of(raw.info, environment), str(name))


def _facts(path: Path, size: int, manifest: Manifest) -> dict[str, object]:
    return {"file": path.name, "size": size, "seal": manifest.seal}


# --- every night -------------------------------------------------------------------------------------------------


@contextmanager
def _alone(connection: Connection, folder: Path) -> Iterator[bool]:
    """Whether this is the one scheduler that makes the backup now. It is until the context and the snapshot end."""
    if on_postgresql():
        yield bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock, 0)"), {"lock": LOCK}))
        return
    import fcntl

    try:
        held = (folder / LOCK_FILE).open("ab")
    except OSError as error:
        raise Refusal("backup_failed", why=error.strerror or str(error)) from error
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _remove_old(plan: Plan, newest: Path) -> int:
    """Remove the backups that are too many, now that the newest lies there whole, and drafts of killed ones; how many
    backups went."""
    surplus = to_remove([each.name for each in plan.folder.iterdir()], newest.name, plan.keep)
    for name in surplus:
        with suppress(FileNotFoundError):
            (plan.folder / name).unlink()
    for draft in plan.folder.glob(f".blangko-*{archives.PARTIAL}"):
        with suppress(FileNotFoundError):
            if newest.stat().st_mtime - draft.stat().st_mtime > DRAFTS_KEPT:
                draft.unlink()
    return len(surplus)
