"""`flask backup` and `flask restore`: what they ask for, what they say, how they end; kills, load, and the drill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from inventory.db import db
from inventory.domain.ledger import FIGURES
from inventory.models import Balance, Item, Office
from tests.backups import KEY, PUBLIC, all_rows, back_up, empty_database, new_key, restore
from tests.concurrent import audit, start_writer
from tests.conftest import NOW, TODAY, dispose
from tests.test_exchange_commands import run
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key.txt"
    file.write_text(KEY)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "backups"
    found.mkdir()
    return found


def test_there_and_back_by_command(
    app: Flask, database_url: str, make_app: Callable[..., Flask], folder: Path, key_file: Path, tmp_path: Path
) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 500)
        db.session.remove()
    made = run(app, "backup", "--to", folder, "--recipient", PUBLIC)
    assert made.exit_code == 0, made.output
    assert "1 movements up to 1" in made.stdout
    [file] = folder.iterdir()
    checked = run(app, "backup", "--check", file, "--identity", key_file)
    assert (checked.exit_code, "whole, encrypted" in checked.stdout) == (0, True)
    with empty_database(database_url, tmp_path) as url:
        done = run(app, "restore", file, "--identity", key_file, "--into", url)
        assert done.exit_code == 0, done.output
        assert "As the backup says, and the books agree." in done.stdout
        assert "sessions were ended" in done.stdout
        again = run(app, "restore", file, "--identity", key_file, "--into", url)
        assert (again.exit_code, "not empty" in again.stderr) == (1, True)
        assert all_rows(url)["movements"] == all_rows(database_url)["movements"]
        lost = run(app, "restore", file, "--identity", key_file, "--into", url, "--head", "f" * 64)
        assert lost.exit_code == 1


@pytest.mark.slow
def test_books_that_are_not_what_the_backup_says_end_in_an_error(
    app: Flask, database_url: str, folder: Path, key_file: Path, tmp_path: Path
) -> None:
    file = folder / "a.tar.age"
    assert run(app, "backup", "--to", file, "--recipient", PUBLIC).exit_code == 0
    with empty_database(database_url, tmp_path) as url:
        found = run(app, "restore", file, "--identity", key_file, "--into", url, "--head", "f" * 64)
    assert found.exit_code == 1
    assert "WRONG, " in found.stderr
    assert "NOT what the backup says or do not agree" in found.stderr


def test_who_is_to_read_it_and_where_it_goes_must_be_said(app: Flask, folder: Path) -> None:
    for arguments, said in (
        (("--to", folder), "Who is to read it?"),
        (("--recipient", PUBLIC), "Where to?"),
        (("--to", folder, "--recipient", "age1nobody"), "Recipient 1 is not a public key"),
        (("--to", folder, "--recipient", PUBLIC, "--unencrypted"), "not both"),
        (("--to", folder / "no" / "such" / "file", "--recipient", PUBLIC), "There is no folder such"),
    ):
        found = run(app, "backup", *arguments)
        assert (found.exit_code != 0, said in found.stderr) == (True, True), found.stderr
    assert list(folder.iterdir()) == []


def test_in_the_clear_only_when_it_is_asked_for_and_with_a_warning(app: Flask, folder: Path) -> None:
    found = run(app, "backup", "--to", folder, "--unencrypted")
    assert found.exit_code == 0
    assert "WARNING: not encrypted" in found.stderr
    [file] = folder.iterdir()
    assert file.suffix == ".tar"


def test_a_wrong_key_and_none_end_in_an_error(app: Flask, folder: Path, tmp_path: Path) -> None:
    file = folder / "a.tar.age"
    assert run(app, "backup", "--to", file, "--recipient", PUBLIC).exit_code == 0
    assert "private key is needed" in run(app, "backup", "--check", file).stderr
    other = tmp_path / "other.txt"
    other.write_text(str(new_key()))
    found = run(app, "restore", file, "--identity", other)
    assert (found.exit_code, "encrypted to other keys" in found.stderr) == (1, False)  # it is not empty, first of all
    found = run(app, "backup", "--check", file, "--identity", other)
    assert (found.exit_code, "encrypted to other keys" in found.stderr) == (1, True)


# --- real processes ----------------------------------------------------------------------------------------------


def command(url: str, folder: Path, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    """`flask …` in a process of its own, on this database."""
    settings = {"DATABASE_URL": url, "BLANGKO_ENV": "embedded", "BLANGKO_INSTANCE_PATH": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", *(str(each) for each in arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | settings | variables,
    )


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.002)
    raise AssertionError("it did not come")


def make_large(url: str) -> None:
    """So large that a backup takes a while."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("CREATE TABLE padding (data BLOB)")
            connection.executemany("INSERT INTO padding VALUES (?)", ((os.urandom(1_000_000),) for _ in range(100)))
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE padding (data text)")
        words = "SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30000)"
        connection.execute(f"INSERT INTO padding SELECT ({words}) FROM generate_series(1, 30)")  # pyright: ignore


@pytest.mark.slow
def test_a_backup_that_is_killed_leaves_nothing_that_looks_whole(
    database_url: str, folder: Path, tmp_path: Path
) -> None:
    make_large(database_url)
    backing_up = command(database_url, tmp_path, "backup", "--to", folder, "--recipient", PUBLIC)
    draft = wait_for(lambda: [each for each in folder.iterdir() if each.name.endswith(".partial")])[0]
    wait_for(lambda: draft.stat().st_size > 100_000)
    backing_up.kill()
    backing_up.communicate()
    assert backing_up.returncode == -signal.SIGKILL
    assert [each.name for each in folder.iterdir()] == [draft.name]
    assert draft.name.startswith(".")
    assert draft.stat().st_mode & 0o077 == 0
    assert draft.read_bytes().startswith(b"age-encryption.org/v1"), "no plaintext is left"


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_database_empty(
    app: Flask, database_url: str, folder: Path, key_file: Path, tmp_path: Path
) -> None:
    make_large(database_url)
    with app.app_context():
        made = back_up(folder)
        db.session.remove()
    with empty_database(database_url, tmp_path) as url:
        restoring = command(url, tmp_path, "restore", made.path, "--identity", key_file)
        wait_for(lambda: is_restoring(url, tmp_path))
        restoring.kill()
        restoring.communicate()
        again = command(url, tmp_path, "restore", made.path, "--identity", key_file)
        said = again.communicate(timeout=120)
        assert again.returncode == 0, said


def is_restoring(url: str, folder: Path) -> bool:
    if url.startswith("sqlite"):
        return any(each.stat().st_size > 1_000_000 for each in folder.glob(".restored_*.partial"))
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_restore' AND query LIKE 'COPY%'"
        return bool(connection.execute(query).fetchone()[0])  # pyright: ignore


@contextmanager
def posting(url: str, folder: Path, writers: int) -> Iterator[None]:
    """Others print cards, each in a process of its own, until they are killed."""
    processes = [start_writer(url, folder) for _ in range(writers)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert process.stdout.readline(), "it has posted"
            threading.Thread(target=process.stdout.read, daemon=True).start()
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()


@pytest.mark.slow
def test_a_backup_amid_postings_holds_the_law_and_is_of_one_moment(
    app: Flask, database_url: str, lasting_app: Callable[..., Flask], folder: Path, tmp_path: Path
) -> None:
    from tests.conftest import _pointed_at as pointed_at

    with app.app_context():
        World(app).deliver(NOW, TODAY, 1_000_000)
        db.session.remove()
        with posting(database_url, tmp_path, 2):
            made = [back_up(folder, now=NOW + timedelta(seconds=number)) for number in range(3)]
        db.session.remove()
    counts = [each.manifest.rows["movements"] for each in made]
    assert counts[0] < counts[-1], "others went on"
    for each in made[1:2]:
        with empty_database(database_url, tmp_path) as url, pointed_at(lasting_app(url, TARGET=True), url) as there:
            found = restore(there, each.path)
            assert (found.differences, found.verified and found.verified.faults) == ((), ())
            with there.app_context():
                audit()
                db.session.remove()


@pytest.mark.slow
def test_one_of_the_release_before_is_put_back_and_upgraded(
    app: Flask, database_url: str, make_app: Callable[..., Flask], folder: Path, key_file: Path, tmp_path: Path
) -> None:
    """Made before an upgrade by the new program, as the README asks: of tables as they were."""
    from flask_migrate import downgrade

    with app.app_context():
        World(app).deliver(NOW, TODAY, 500)
        db.session.remove()
        db.engine.dispose()
        downgrade(revision="-1")
    made = run(app, "backup", "--to", folder, "--recipient", PUBLIC)
    assert made.exit_code == 0, made.output
    [file] = folder.iterdir()
    with empty_database(database_url, tmp_path) as url:
        done = run(app, "restore", file, "--identity", key_file, "--into", url)
        assert (done.exit_code, "run flask db upgrade" in done.stdout) == (0, True), done.output
        there = make_app(url)
        assert run(there, "db", "upgrade").exit_code == 0
        assert run(there, "verify").exit_code == 0
        dispose(there)


# --- the drill ---------------------------------------------------------------------------------------------------


Books = dict[tuple[str, str], tuple[int, ...]]


def books() -> Books:
    figures = [getattr(Balance, name) for name in FIGURES]
    query = select(Office.code, Item.code, *figures).join(Office, Office.id == Balance.office_id)
    found = db.session.execute(query.join(Item, Item.id == Balance.item_id)).all()
    db.session.remove()
    return {(row[0], row[1]): tuple(row[2:]) for row in found}


@pytest.mark.slow
def test_the_drill(
    request: pytest.FixtureRequest, tmp_path: Path, folder: Path, key_file: Path, make_app: Callable[..., Flask]
) -> None:
    """What the README asks for each quarter, on the demonstration and both databases: back up, put back elsewhere,
    verify, compare."""
    from flask_migrate import upgrade

    from inventory.services import demo

    server = request.getfixturevalue("postgres_url")
    for like in (f"sqlite:///{tmp_path / 'x'}", server):
        with empty_database(like, tmp_path) as url, empty_database(like, tmp_path) as elsewhere:
            app = make_app(url)
            with app.app_context():
                upgrade()
                demo.build(NOW, password_hash=lambda _: "x", only={"51.71"})
                expected = books()
            assert run(app, "seal", "now").exit_code == 0
            head = run(app, "seal", "head").stdout.split()[0]
            file = folder / f"{url.partition(':')[0]}.tar.age"
            assert run(app, "backup", "--to", file, "--recipient", PUBLIC).exit_code == 0
            done = run(app, "restore", file, "--identity", key_file, "--into", elsewhere, "--head", head)
            assert done.exit_code == 0, done.output
            assert "As the backup says, and the books agree." in done.stdout
            there = make_app(elsewhere)
            with there.app_context():
                assert books() == expected
            assert expected["51.71", "ktp-wni"][FIGURES.index("store")] == 1639
            dispose(app)
            dispose(there)
