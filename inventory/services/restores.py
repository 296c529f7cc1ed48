"""Putting a backup back: into an empty database only, and then held against what the backup says and recomputed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from inventory.adapters import archives, dumps
from inventory.db import db, on_postgresql, write
from inventory.domain.access import Actor
from inventory.domain.audit import Event
from inventory.domain.backups import Manifest, differences
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.models import ApiToken
from inventory.services import audit, backups, sessions, verification
from inventory.services.verification import Verified


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was put back. `differences`: what of it is not as the backup says, empty when all is."""

    manifest: Manifest
    differences: tuple[str, ...]
    sessions_ended: int
    tokens: int
    """Tokens of machines that are good again, also where one was revoked after the backup."""
    verified: Verified | None
    """None where the books are of an older release, that this one cannot read before they are upgraded."""

    @property
    def older(self) -> bool:
        return self.verified is None


def restore(
    actor: Actor,
    now: datetime,
    path: Path,
    keys: str,
    *,
    migrations: str,
    environment: Mapping[str, str],
    known_head: str | None = None,
) -> Restored:
    """Put a backup into the application's own database, which has to be empty, end every session in it, and verify it.

    `keys` is the text of a key file; `migrations` the folder that says which revisions are known; `known_head` the
    digest of a seal that was kept elsewhere. The backup is read twice: before all of it has been found whole nothing is
    written. Raises NotAllowed for anybody but the system; what `backups.check` does; Invalid `backup_other_kind`,
    `backup_newer`; Refusal `restore_not_empty`, `restore_leftover`, `restore_failed`, `backup_program`.
    """
    if not actor.is_system:
        raise NotAllowed("not_allowed", action="restore")
    found = backups.identities(keys)
    with path.open("rb") as file:
        _refuse_what_is_there()
        manifest = backups.read_through(file, found)
        newest = _fits(manifest, migrations)
        with archives.reading(file, found) as archive:
            _put(archive.chunks(), environment)
    wrong = _differences(manifest)
    facts = {"file": path.name, "size": path.stat().st_size, "seal": manifest.seal}
    ended, tokens = write(lambda session: _begin_anew(session, now, actor, path.name, facts))
    verified = verification.verify(actor, known_head or manifest.head or None) if newest else None
    return Restored(manifest=manifest, differences=tuple(wrong), sessions_ended=ended, tokens=tokens, verified=verified)


def _fits(manifest: Manifest, migrations: str) -> bool:
    """Whether the books are at the newest revision. Raises Invalid where they are at one that this release does not
    know, or of another kind of database."""
    if manifest.database != db.engine.dialect.name:
        raise Invalid("backup_other_kind", found=manifest.database, wanted=db.engine.dialect.name)
    known = ScriptDirectory(migrations)
    if manifest.revision not in {each.revision for each in known.walk_revisions()}:
        raise Invalid("backup_newer", revision=manifest.revision, version=manifest.version)
    return manifest.revision == known.get_current_head()


def _differences(manifest: Manifest) -> list[str]:
    with backups.snapshot() as connection:
        return differences(manifest, backups.manifest_of(connection, manifest.made_at))


def _begin_anew(session: Session, now: datetime, actor: Actor, name: str, facts: dict[str, object]) -> tuple[int, int]:
    """End every session, one that was ended after the backup would else be open again; and write down what was done.
    How many there were, and how many tokens are good."""
    ended = sessions.end_everybodys(session, now)
    audit.note(session, now, actor, Event.RESTORED, subject=name, facts=facts | {"count": ended})
    good = select(func.count()).where(ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)
    return ended, session.scalar(good) or 0


# --- into a database ---------------------------------------------------------------------------------------------


def _refuse_what_is_there() -> None:
    """Raises Refusal where there is anything that a restore would overwrite or mix with."""
    if on_postgresql():
        with db.engine.connect() as connection:
            if connection.scalar(text(ANYTHING)):
                raise Refusal("restore_not_empty")
        return
    file = _sqlite_file()
    if file.exists() and file.stat().st_size:
        raise Refusal("restore_not_empty")
    for ending in ("-wal", "-journal"):  # SQLite would play it into the restored file
        if file.with_name(file.name + ending).exists():
            raise Refusal("restore_leftover", file=file.name + ending)


ANYTHING = """
    SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace NOT IN (
        SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema'))
    OR EXISTS (SELECT FROM pg_proc WHERE pronamespace NOT IN (
        SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e'))
"""


def _put(chunks: Iterator[bytes], environment: Mapping[str, str]) -> None:
    try:
        if on_postgresql():
            _put_tables(chunks, environment)
        else:
            _put_file(chunks)
    except OSError as error:
        raise Refusal("restore_failed", why=error.strerror or str(error)) from error
    except sqlite3.Error as error:
        raise Refusal("restore_failed", why=str(error)) from error


def _put_tables(chunks: Iterator[bytes], environment: Mapping[str, str]) -> None:
    with db.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        server = dumps.server_of(raw.info, environment)
    dumps.postgres_restore(server, chunks)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))  # a dump has no statistics: without them the first pages would be slow


def _put_file(chunks: Iterator[bytes]) -> None:
    """The file gets its name when all of it is there: nobody opens half a database."""
    file = _sqlite_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    db.session.remove()
    db.engine.dispose()
    if file.exists() and not file.stat().st_size:
        file.unlink()
    with archives.NewFile(file) as new:
        for chunk in dumps.decompressed(chunks):
            new.write(chunk)
        fault = dumps.sqlite_faults(new.to_look_at())
        if fault is not None:
            raise Refusal("restore_failed", why=fault)
        new.keep()


def _sqlite_file() -> Path:
    return Path(db.engine.url.database or "").resolve()
