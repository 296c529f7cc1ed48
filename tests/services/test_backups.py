"""Backups and restores, on both databases: the same rows, the same books, nothing by halves and nothing overwritten."""

from __future__ import annotations

import errno
import json
import os
import resource
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from inventory.adapters import archives
from inventory.db import db, write
from inventory.domain.access import COMMAND
from inventory.domain.backups import FORMAT, Manifest
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.domain.ledger import Effect
from inventory.jobs import Job, jobs_for, run_due
from inventory.models import AuditEntry, LoginSession, Movement, Person
from inventory.services import audit, backups, database_role, seals, verification, watchers
from tests import postgres
from tests.backups import KEY, PUBLIC, Target, all_rows, back_up, empty_database, new_key, restore
from tests.conftest import NOW, TODAY
from tests.conftest import _pointed_at as pointed_at
from tests.world import World

SOON = NOW + timedelta(hours=1)


def books(world: World) -> None:
    """Movements, a seal, an entry after it, and somebody who is logged in."""
    world.deliver(NOW, TODAY, 500)
    world.print(NOW, TODAY, 30)
    seals.seal_now(COMMAND, lambda: NOW, "tests")
    world.spoil(NOW, TODAY, 2)
    person = db.session.scalars(select(Person.id).limit(1)).one()
    seen = {"started_at": NOW, "last_seen_at": NOW, "address": "192.0.2.1", "device": "Chrome, Android"}
    write(lambda session: session.add(LoginSession(person_id=person, digest="d" * 64, **seen)))
    db.session.remove()


filled = pytest.mark.filled(by=books)


@pytest.fixture
def target(database_url: str, tmp_path: Path, lasting_app: Callable[..., Flask]) -> Iterator[Target]:
    """An application that is not the test's own, on an empty database of the same kind."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            pointed_at(
                lasting_app(database_url, TARGET=True), stack.enter_context(empty_database(database_url, tmp_path))
            )
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "backups"
    found.mkdir()
    return found


def rows_of(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    with app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
        db.session.remove()
    return all_rows(url)


# --- there and back ----------------------------------------------------------------------------------------------


@filled
def test_every_row_comes_back_and_the_books_agree(app: Flask, target: Target, folder: Path) -> None:
    before = rows_of(app)
    with app.app_context():
        made = back_up(folder)
        db.session.remove()
    there = target()
    found = restore(there, made.path, now=SOON)
    assert found.differences == ()
    assert found.verified is not None
    assert (found.verified.faults, found.verified.movements, found.verified.head) == ((), 3, made.manifest.head)
    after = rows_of(there)
    changed = {name for name in before if before[name] != after[name]}
    assert set(before) == set(after)
    assert changed == {"audit_entries", "login_sessions"}
    assert set(before["audit_entries"]) < set(after["audit_entries"])
    assert made.manifest.rows == {name: len(rows) for name, rows in before.items()}


@filled
def test_what_was_put_back_goes_on_as_the_same_ledger(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder)
        db.session.remove()
    there = target()
    restore(there, made.path)
    with there.app_context():
        world = World(there)
        last = db.session.scalars(select(Movement.id).order_by(Movement.id.desc()).limit(1)).one()
        world.print(NOW, TODAY, 1)
        assert db.session.scalars(select(Movement.id).order_by(Movement.id.desc()).limit(1)).one() > last
        assert world.figures() == Effect(received=500, store=467, printed=31, spoiled=2)
        seals.seal_now(COMMAND, lambda: SOON, "tests")
        assert verification.verify(COMMAND, made.manifest.head).faults == ()
        for statement in ("UPDATE movements SET quantity = 1", "DELETE FROM audit_entries", "DELETE FROM seals"):
            with pytest.raises(DBAPIError, match="append-only"):
                db.session.execute(text(statement))
            db.session.rollback()
        db.session.remove()


@filled
def test_it_is_written_down_here_and_there(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder)
        entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        assert (entry.event, entry.subject, entry.way) == ("backed_up", made.path.name, "command")
        facts = {"file": "blangko-20240515T030000Z.tar.age", "size": made.path.stat().st_size, "seal": 1}
        assert json.loads(entry.facts) == facts
        db.session.remove()
    there = target()
    found = restore(there, made.path, now=SOON)
    with there.app_context():
        entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
        assert (entry.event, entry.at, json.loads(entry.facts)) == ("restored", SOON, facts | {"count": 1})
        sessions = db.session.execute(select(LoginSession.ended_at, LoginSession.end_reason)).all()
        db.session.remove()
    assert found.sessions_ended == 1
    assert [tuple(each) for each in sessions] == [(SOON, "ended_by_administrator")]


@filled
def test_only_its_owner_reads_it_and_nothing_else_is_left(app: Flask, folder: Path) -> None:
    before = os.umask(0)
    try:
        with app.app_context():
            made = back_up(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [each.name for each in folder.iterdir()] == [made.path.name]
    data = made.path.read_bytes()
    assert data.startswith(b"age-encryption.org/v1")
    for word in (b"Denpasar", b"SQLite", b"PGDMP", b"manifest", made.manifest.head.encode()):
        assert word not in data


@filled
def test_one_can_be_checked_without_being_put_back(app: Flask, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder)
        plain = back_up(folder, recipients=[])
    assert backups.check(COMMAND, made.path, KEY) == backups.Checked(encrypted=True, manifest=made.manifest)
    assert backups.check(COMMAND, plain.path, "").encrypted is False
    assert plain.path.suffix == ".tar"
    data = bytearray(made.path.read_bytes())
    data[len(data) // 2] ^= 1
    made.path.write_bytes(data)
    with pytest.raises(Invalid, match="backup_damaged"):
        backups.check(COMMAND, made.path, KEY)


def test_nobody_but_the_system_backs_up_or_puts_back(world: World, folder: Path) -> None:
    admin = world.actor("administrator")
    with pytest.raises(NotAllowed):
        backups.back_up(admin, NOW, folder, [PUBLIC], {})
    with pytest.raises(NotAllowed):
        backups.check(admin, folder / "x", KEY)
    assert list(folder.iterdir()) == []


# --- what is refused ---------------------------------------------------------------------------------------------


def manifest(app: Flask, **changes: Any) -> Manifest:
    with app.app_context(), backups.snapshot() as connection:
        return replace(backups.manifest_of(connection, NOW), **changes)


def archive_of(path: Path, manifest: Manifest, dump: bytes = b"nothing that could be put back") -> Path:
    with archives.NewFile(path) as file:
        archives.write(file, manifest.as_bytes(), iter([dump]), [])
        file.keep()
    return path


@filled
def test_a_damaged_one_changes_nothing(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder)
    there = target()
    whole = made.path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) * 2 // 3] ^= 1
    for data, code in ((whole[:-1], "backup_damaged"), (bytes(flipped), "backup_damaged"), (b"x", "backup_unreadable")):
        made.path.write_bytes(data)
        with pytest.raises(Invalid, match=code):
            restore(there, made.path)
    made.path.write_bytes(whole)
    for key, code in (("", "backup_needs_key"), (str(new_key()), "backup_wrong_key")):
        with pytest.raises(Invalid, match=code):
            restore(there, made.path, key=key)
    assert is_untouched(there)
    assert restore(there, made.path).differences == ()


def is_untouched(app: Flask) -> bool:
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            return not os.path.exists(str(db.engine.url.database))
        with db.engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 0


def test_it_goes_into_an_empty_database_only(app: Flask, folder: Path) -> None:
    path = archive_of(folder / "a.tar", manifest(app))
    before = rows_of(app)
    with pytest.raises(Refusal, match="restore_not_empty"):
        restore(app, path, key="")
    assert rows_of(app) == before


def test_what_another_release_or_database_made_is_refused(app: Flask, target: Target, folder: Path) -> None:
    there = target()
    other = "sqlite" if "postgresql" in app.config["SQLALCHEMY_DATABASE_URI"] else "postgresql"
    for number, (changes, code) in enumerate(
        (
            ({"revision": "20991231_to_come"}, "backup_newer"),
            ({"revision": ""}, "backup_newer"),
            ({"database": other}, "backup_other_kind"),
            ({"format": FORMAT + 1}, "backup_format"),
        )
    ):
        path = archive_of(folder / f"{number}.tar", manifest(app, **changes))
        with pytest.raises(Invalid, match=code):
            restore(there, path, key="")
    assert is_untouched(there)


def test_a_dump_that_is_none_is_refused_and_nothing_is_left(app: Flask, target: Target, folder: Path) -> None:
    there = target()
    with pytest.raises(Refusal, match="restore_failed"):
        restore(there, archive_of(folder / "a.tar", manifest(app)), key="")
    assert is_untouched(there)


def changed(path: Path, into: Path, **changes: Any) -> Path:
    """A copy with a manifest that says something else, and an end that fits."""
    with path.open("rb") as file, archives.reading(file, []) as archive:
        said = json.loads(archive.manifest)
        dump = b"".join(archive.chunks())
    with archives.NewFile(into) as new:
        archives.write(new, json.dumps(said | changes).encode(), iter([dump]), [])
        new.keep()
    return into


@filled
def test_a_manifest_that_lies_is_told_by_the_books(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder, recipients=[])
    rows = dict(made.manifest.rows) | {"movements": 4}
    lied = changed(made.path, folder / "lied.tar", head="e" * 64, last_movement=9, rows=rows)
    found = restore(target(), lied, key="")
    assert [each.split(":")[0] for each in found.differences] == ["head", "last_movement", "rows of movements"]
    assert found.verified is not None
    assert [fault.check for fault in found.verified.faults] != []


@filled
def test_books_that_are_not_those_of_the_head_kept_elsewhere_are_told(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        made = back_up(folder)
    found = restore(target(), made.path, head="f" * 64)
    assert found.differences == ()
    assert found.verified is not None
    assert len(found.verified.faults) == 1


@filled
def test_one_of_an_older_release_is_put_back_and_says_so(app: Flask, target: Target, folder: Path) -> None:
    with app.app_context():
        db.session.execute(text("UPDATE alembic_version SET version_num = '20261202_api_answers'"))
        db.session.commit()
        made = back_up(folder)
    assert made.manifest.revision == "20261202_api_answers"
    found = restore(target(), made.path)
    assert (found.older, found.verified, found.differences, found.sessions_ended) == (True, None, (), 1)


def test_a_database_that_is_not_ours_is_not_backed_up(target: Target, folder: Path) -> None:
    with target().app_context(), pytest.raises(Invalid, match="backup_not_migrated"):
        back_up(folder)
    assert list(folder.iterdir()) == []


def test_what_sqlite_would_play_into_the_file_is_refused(app: Flask, target: Target, folder: Path) -> None:
    if "postgresql" in app.config["SQLALCHEMY_DATABASE_URI"]:
        pytest.skip("PostgreSQL keeps its log to itself")
    path, there = archive_of(folder / "a.tar", manifest(app)), target()
    file = Path(there.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///"))
    for ending in ("-wal", "-journal"):
        leftover = file.with_name(file.name + ending)
        leftover.write_bytes(b"left over")
        with pytest.raises(Refusal, match="restore_leftover"):
            restore(there, path, key="")
        leftover.unlink()


# --- what goes wrong on the way ----------------------------------------------------------------------------------


@filled
def test_a_full_disk_leaves_no_file(app: Flask, folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with app.app_context():
        db.session.execute(text("SELECT 1"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        try:
            with pytest.raises(Refusal, match="backup_failed"):
                back_up(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(folder.iterdir()) == []
        assert back_up(folder).path.exists()


@filled
def test_a_disk_that_fills_while_it_is_put_back_leaves_no_database(
    app: Flask, target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        made = back_up(folder)
    there = target()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archives.NewFile, "write", full)
        patch.setattr("inventory.adapters.dumps.Whole.write", full)
        with pytest.raises(Refusal):
            restore(there, made.path)
    assert is_untouched(there)


def test_a_backup_whose_entry_is_not_taken_stands_and_says_so(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one before an upgrade, of tables that this release does not know yet."""

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, Exception("no such column"))

    monkeypatch.setattr(audit, "record", refuse)
    made = back_up(folder)
    assert made.entered is False
    assert backups.check(COMMAND, made.path, KEY).manifest == made.manifest


def test_a_second_one_of_the_same_instant_leaves_the_first(world: World, folder: Path) -> None:
    first = back_up(folder)
    data = first.path.read_bytes()
    with pytest.raises(Refusal, match="backup_exists"):
        back_up(folder)
    with pytest.raises(Invalid, match="backup_folder"):
        back_up(folder / "nowhere" / "x.tar.age")
    assert first.path.read_bytes() == data


# --- PostgreSQL's own programs -----------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that come before the real ones."""
    found = tmp_path / "bin"
    found.mkdir()
    return found


def stand_in(programs: Path, name: str, script: str) -> dict[str, str]:
    """An environment in which `name` is a script; it calls the real one as $REAL."""
    file = programs / name
    file.write_text(f'#!/bin/sh\nREAL="/usr/bin/{name}"\n{script}\n')
    file.chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


def only_postgresql(app: Flask) -> None:
    if "postgresql" not in app.config["SQLALCHEMY_DATABASE_URI"]:
        pytest.skip("SQLite copies itself")


def test_a_password_is_on_no_command_line_and_nothing_of_ours_in_the_environment(
    app: Flask, make_app: Callable[..., Flask], folder: Path, programs: Path, tmp_path: Path, caplog: Any
) -> None:
    only_postgresql(app)
    told = tmp_path / "told"
    url = app.config["SQLALCHEMY_DATABASE_URI"].replace("://blangko@", "://blangko:hunter2-and-more@")
    environment = stand_in(programs, "pg_dump", f'echo "$@" > {told}; env >> {told}; exec $REAL "$@"')
    with make_app(url).app_context():
        made = backups.back_up(COMMAND, NOW, folder, [PUBLIC], environment)
    command, *variables = told.read_text().splitlines()
    assert made.manifest.database == "postgresql"
    assert "hunter2" not in command
    assert "PGPASSWORD=hunter2-and-more" in variables
    assert not [each for each in variables if each.startswith(("BLANGKO", "DATABASE_URL"))]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "script",
    [
        '$REAL "$@" | head -c 5000; kill -9 $$',
        '$REAL "$@" | head -c 5000; echo "pg_dump: error: out of luck" >&2; exit 1',
        'echo "server closed the connection unexpectedly" >&2; exit 1',
    ],
)
def test_a_dump_that_breaks_off_leaves_no_file(app: Flask, folder: Path, programs: Path, script: str) -> None:
    only_postgresql(app)
    environment = stand_in(programs, "pg_dump", script)
    with app.app_context(), pytest.raises(Refusal, match="backup_failed") as refused:
        backups.back_up(COMMAND, NOW, folder, [PUBLIC], environment)
    assert any(word in str(refused.value) for word in ("ended with -9", "out of luck", "closed the connection"))
    assert list(folder.iterdir()) == []


def test_a_program_that_is_not_there_is_named(app: Flask, folder: Path, programs: Path) -> None:
    only_postgresql(app)
    with app.app_context(), pytest.raises(Refusal, match="backup_program") as refused:
        backups.back_up(COMMAND, NOW, folder, [PUBLIC], {"PATH": str(programs)})
    assert refused.value.facts == {"program": "pg_dump"}
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_the_applications_role_backs_up_and_a_plain_owner_puts_back(
    app: Flask, postgres_url: str, make_app: Callable[..., Flask], target: Target, folder: Path
) -> None:
    """Neither is a superuser; and afterwards the owner gives the application's role its rights again."""
    only_postgresql(app)
    role, owner = (f"{name}_{uuid4().hex[:10]}" for name in ("app", "owner"))
    url = app.config["SQLALCHEMY_DATABASE_URI"].replace("postgresql+psycopg://", "postgresql://")
    with app.app_context():
        books(World(app))
        database_role.give(COMMAND, role)
    try:
        with make_app(url.replace("//blangko@", f"//{role}@")).app_context():
            made = back_up(folder)
            assert made.entered
        there = target()
        with there.app_context():
            name = db.engine.url.database
            db.session.remove()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for statement in ("CREATE ROLE {owner} LOGIN", "ALTER DATABASE {name} OWNER TO {owner}"):
                names = {"owner": sql.Identifier(owner), "name": sql.Identifier(str(name))}
                connection.execute(sql.SQL(statement).format(**names))
        elsewhere = postgres.database(postgres_url, str(name)).replace("//blangko@", f"//{owner}@")
        owned = make_app(elsewhere)
        found = restore(owned, made.path)
        assert (found.differences, found.verified and found.verified.faults) == ((), ())
        with owned.app_context():
            for statement in database_role.statements(role)[1:]:
                db.session.execute(text(statement))
            db.session.commit()
    finally:
        drop_roles(postgres_url, {url.rsplit("/", 1)[1]: [role], str(name): [role, owner]})


def drop_roles(server: str, owned: dict[str, list[str]]) -> None:
    for database, roles in owned.items():
        with psycopg.connect(postgres.database(server, database), autocommit=True) as connection:
            for role in roles:
                connection.execute(sql.SQL("REASSIGN OWNED BY {} TO blangko").format(sql.Identifier(role)))
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
    with psycopg.connect(server, autocommit=True) as connection:
        for role in {role for roles in owned.values() for role in roles}:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


# --- every night -------------------------------------------------------------------------------------------------


def the_job(app: Flask, folder: Path, **settings: Any) -> Job:
    given = {"BACKUP_PATH": str(folder), "BACKUP_RECIPIENTS": PUBLIC} | settings
    changed = replace(app.config["SETTINGS"], **given)
    return next(job for job in jobs_for(changed) if job.name == backups.BACKUP)


def test_without_a_folder_there_is_no_such_job(app: Flask) -> None:
    assert [job for job in jobs_for(app.config["SETTINGS"]) if job.name == backups.BACKUP] == []


@filled
def test_the_nightly_one_is_made_once_and_the_oldest_go(app: Flask, folder: Path) -> None:
    job = the_job(app, folder, BACKUP_KEEP=2)
    (folder / "somebody's own.tar.age").write_bytes(b"")
    draft = folder / ".blangko-20240501T000000Z.tar.age-x.partial"
    draft.write_bytes(b"killed")
    os.utime(draft, (0, 0))
    for day in range(4):
        app.config["CLOCK"] = lambda day=day: NOW + timedelta(days=day)
        run = run_due(app, job)
        assert run is not None
        assert (run.status, run.error) == ("done", None)
        assert run.counts["movements"] == 3
        assert run_due(app, job) is None
    stay = ["blangko-20240517T030000Z.tar.age", "blangko-20240518T030000Z.tar.age", "somebody's own.tar.age"]
    assert [each for each in sorted(os.listdir(folder)) if each != backups.LOCK_FILE] == stay
    assert backups.check(COMMAND, folder / stay[0], KEY).manifest.rows["movements"] == 3
    with app.app_context():
        entries = db.session.scalars(select(AuditEntry.way).where(AuditEntry.event == "backed_up")).all()
        db.session.remove()
    assert entries == ["job"] * 4


@filled
def test_of_many_schedulers_one_makes_it(app: Flask, folder: Path) -> None:
    job = the_job(app, folder)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(run_due(app, job))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [run.status for run in found if run is not None] == ["done"]
    assert len([each for each in os.listdir(folder) if each.endswith(".age")]) == 1


def test_one_that_cannot_be_made_removes_nothing_and_is_noticed(app: Flask, folder: Path) -> None:
    job = the_job(app, folder, BACKUP_KEEP=1)
    assert run_due(app, job) is not None
    [old] = [each for each in os.listdir(folder) if each.endswith(".age")]
    app.config["CLOCK"] = lambda: NOW + timedelta(days=1)
    elsewhere = the_job(app, folder / "gone", BACKUP_KEEP=1)
    run = run_due(app, elsewhere)
    assert run is not None
    assert run.status == "failed"
    assert old in os.listdir(folder)
    with app.app_context():
        state = watchers.state(NOW + timedelta(days=2), [elsewhere])
        db.session.remove()
    assert state.level.value == "critical"


def test_a_tar_holds_no_path_to_anywhere(world: World, folder: Path) -> None:
    made = back_up(folder, recipients=[])
    with tarfile.open(fileobj=BytesIO(made.path.read_bytes())) as tar:
        names = tar.getnames()
    assert [names[0], names[1], names[-1]] == ["manifest.json", "dump/000001", "end.json"]
