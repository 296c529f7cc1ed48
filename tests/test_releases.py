"""Releases without a break: a migration only adds, so that the release before goes on working on the new schema."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade
from psycopg import sql
from sqlalchemy import event, text

from inventory.db import db
from tests import postgres

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "20261203_ranges_at_once"
"""The rules hold for what comes after it; before, there was no installation to bring forward."""

TIGHTENS = (
    (r"DROP (TABLE|COLUMN|VIEW|TYPE|FUNCTION)|ALTER TABLE \S+ DROP COLUMN", "takes away what the release before reads"),
    (r"ALTER TABLE .* RENAME|ALTER INDEX .* RENAME", "renames"),
    (r"ALTER COLUMN .* (TYPE|SET DATA TYPE) ", "changes a type"),
    (r"ALTER COLUMN .* SET NOT NULL", "asks for a value that the release before does not give"),
    (r"ALTER COLUMN .* DROP DEFAULT", "asks for a value that the release before does not give"),
    (r"ADD COLUMN (?!.*\bDEFAULT\b).*\bNOT NULL\b", "asks for a value that the release before does not give"),
    (r"ADD (CONSTRAINT|CHECK|UNIQUE|FOREIGN)", "refuses what the release before may write"),
    (r"CREATE UNIQUE INDEX", "refuses what the release before may write"),
    (r"CREATE (CONSTRAINT )?TRIGGER|CREATE OR REPLACE (FUNCTION|TRIGGER)", "changes what happens when it writes"),
    (r"REVOKE ", "takes a right away"),
)
NEW_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\"?(\w+)", re.IGNORECASE)


def tightening(statements: list[str]) -> list[str]:
    """Which statements of one migration a release that knows nothing of it may not survive, and why. What is done to
    tables that the same migration made is nobody else's business."""
    new = {found[1] for each in statements if (found := NEW_TABLE.match(each.strip()))}
    wrong = []
    for statement in (" ".join(each.split()) for each in statements):
        if NEW_TABLE.match(statement) or any(re.search(rf"\b{name}\b", statement) for name in new):
            continue
        for pattern, why in TIGHTENS:
            if re.search(pattern, statement, re.IGNORECASE):
                wrong.append(f"{statement[:200]}: {why}")
                break
    return wrong


@pytest.mark.parametrize(
    ("statement", "fine"),
    [
        ("CREATE TABLE backups (id INTEGER NOT NULL, PRIMARY KEY (id))", True),
        ("ALTER TABLE offices ADD COLUMN phone VARCHAR(40)", True),
        ("ALTER TABLE offices ADD COLUMN open BOOLEAN DEFAULT true NOT NULL", True),
        ("CREATE INDEX ix_offices_phone ON offices (phone)", True),
        ("ALTER TABLE offices ALTER COLUMN phone DROP NOT NULL", True),
        ("UPDATE alembic_version SET version_num = 'x'", True),
        ("ALTER TABLE offices ADD COLUMN phone VARCHAR(40) NOT NULL", False),
        ("ALTER TABLE offices DROP COLUMN name", False),
        ("DROP TABLE offices", False),
        ("ALTER TABLE offices RENAME name TO title", False),
        ("ALTER TABLE offices ALTER COLUMN name TYPE VARCHAR(10)", False),
        ("ALTER TABLE offices ALTER COLUMN phone SET NOT NULL", False),
        ("ALTER TABLE offices ADD CONSTRAINT ck CHECK (name <> '')", False),
        ("CREATE UNIQUE INDEX ix ON offices (name)", False),
        ("CREATE TRIGGER t BEFORE INSERT ON movements EXECUTE FUNCTION f()", False),
    ],
)
def test_what_only_adds_is_told_from_what_tightens(statement: str, fine: bool) -> None:
    assert (tightening([statement]) == []) is fine
    own = ["CREATE TABLE offices (id INTEGER)", "CREATE TABLE movements (id INTEGER)", statement]
    assert tightening(own) == [], "its own table is its own business"


def since_baseline() -> list[str]:
    """Migrations after the baseline, the oldest first."""
    scripts = ScriptDirectory(str(ROOT / "migrations"))
    found = scripts.iterate_revisions("heads", BASELINE, inclusive=False)
    return [each.revision for each in found if each.revision != BASELINE][::-1]


def contract_of(revision: str) -> str:
    """Why a migration may take something away: it says so itself, in `CONTRACT`."""
    script = ScriptDirectory(str(ROOT / "migrations")).get_revision(revision)
    return getattr(script.module, "CONTRACT", "") if script else ""


@pytest.fixture
def empty_postgres(postgres_url: str) -> Iterator[str]:
    name = "blangko_releases"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres.database(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_migrations_since_the_baseline_only_add(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> None:
    """Each that takes something away says in `CONTRACT` since which release nothing uses it any more."""
    steps = since_baseline()
    if not steps:
        return
    url = request.getfixturevalue("empty_postgres")
    app = make_app(url)
    said: list[str] = []
    with app.app_context():
        upgrade(revision=BASELINE)
        event.listen(db.engine, "before_cursor_execute", lambda _c, _cur, statement, *_: said.append(statement))
        for step in steps:
            said.clear()
            upgrade(revision=step)
            assert any("alembic_version" in each for each in said), "the statements are seen"
            assert contract_of(step) or tightening(said) == [], step


WIDER = (
    "ALTER TABLE movements ADD COLUMN of_the_next_release VARCHAR(40)",
    "ALTER TABLE balances ADD COLUMN of_the_next_release INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE daily_totals ADD COLUMN of_the_next_release INTEGER",
    "ALTER TABLE offices ADD COLUMN of_the_next_release VARCHAR(40) DEFAULT 'x' NOT NULL",
    "ALTER TABLE people ADD COLUMN of_the_next_release VARCHAR(40)",
    "ALTER TABLE login_sessions ADD COLUMN of_the_next_release VARCHAR(40)",
    "ALTER TABLE audit_entries ADD COLUMN of_the_next_release VARCHAR(40)",
    "CREATE TABLE of_the_next_release (id INTEGER PRIMARY KEY, office_id INTEGER REFERENCES offices (id))",
    "UPDATE alembic_version SET version_num = '20991231_of_the_next_release'",
)

DAY_OF_WORK = """
import sys
from datetime import UTC, datetime
from inventory import create_app
from inventory.db import db
from tests.conftest import test_settings
from tests.web.client import log_in, send
from tests.world import BLANK, DENPASAR, World
from pathlib import Path
now = datetime(2024, 5, 15, 3, 0, tzinfo=UTC)
app = create_app(test_settings(sys.argv[1], Path(sys.argv[2])) | {"CLOCK": lambda: now})
with app.app_context():
    World(app).deliver(now, now.date(), 100)
    db.session.remove()
client = app.test_client()
log_in(client, "storekeeper")
home = f"/offices/{DENPASAR}"
answer = send(client, f"{home}/consumption", {"item": BLANK, "new": "40"})
assert answer.status_code == 303, (answer.status_code, answer.text)
for path in (home, f"{home}/stock-card/{BLANK}", "/alerts", "/account"):
    assert client.get(path).status_code == 200, path
with app.app_context():
    figures = World(app).figures()
    db.session.remove()
assert (figures.store, figures.printed) == (60, 40), figures
assert client.get("/readyz").status_code == 200
"""


def works(tree: Path, url: str, instance: Path) -> None:
    """A release's code, from a folder that holds it, does a day's work on a database as it is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BLANGKO_")}
    command = [sys.executable, "-c", DAY_OF_WORK, url, str(instance)]
    environment |= {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_this_release_works_on_the_schema_of_the_next(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(database_url)
    with app.app_context():
        for statement in WIDER:
            db.session.execute(text(statement))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    works(ROOT, database_url, tmp_path)


def release_before() -> str:
    """The commit before the newest migration was added; empty where the history does not reach that far, or where
    there is none after the baseline yet."""
    steps = since_baseline()
    if not steps:
        return ""
    script = ScriptDirectory(str(ROOT / "migrations")).get_revision(steps[-1])
    assert script is not None
    added = git("log", "--diff-filter=A", "-n", "1", "--format=%H", "--", script.path)
    before = git("rev-parse", "--verify", "-q", f"{added}^") if added else ""
    # Older than the baseline's own commit, the rules did not hold yet.
    known = git("ls-tree", "--name-only", before, f"migrations/versions/{BASELINE}.py") if before else ""
    return before if known else ""


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.mark.slow
def test_the_release_before_works_on_this_schema(database_url: str, tmp_path: Path) -> None:
    before = release_before()
    if not before:
        pytest.skip("no release before the newest migration in this history that the rules hold for")
    tree = tmp_path / "before"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", before], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
    works(tree, database_url, tmp_path)
