"""The application's own role on PostgreSQL: a whole day's work is done under it, and nothing of the past is undone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask_migrate import upgrade
from psycopg import sql
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from inventory.db import db
from inventory.domain import stocktakes as domain_stocktakes
from inventory.domain.access import SYSTEM, Action
from inventory.domain.audit import Event
from inventory.domain.errors import Invalid, NotAllowed
from inventory.domain.transfers import Arrived
from inventory.models.append_only import APPEND_ONLY, KEPT
from inventory.security import database
from inventory.services import (
    audit,
    backtests,
    database_role,
    destructions,
    exports,
    imports,
    items,
    ledger,
    offices,
    people,
    reviews,
    seals,
    service_accounts,
    stocktakes,
    transfers,
    verification,
)
from tests import postgres
from tests.api.client import Caller, make_token
from tests.conftest import NOW, TODAY
from tests.services.numbers import deliver as deliver_numbers
from tests.services.numbers import keep_numbers, print_cards
from tests.services.test_imports import DAY, look
from tests.world import BLANK, DENPASAR, World

OWNED_BY = "blangko"


@pytest.fixture
def role(postgres_url: str) -> Iterator[str]:
    name = f"app_{uuid4().hex[:10]}"
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def owned(postgres_url: str, postgres_template: str, role: str) -> Iterator[str]:
    """A database of the owner's with the small world; gone afterwards with all that the role may do in it."""
    name = f"blangko_{uuid4().hex[:12]}"
    postgres.copy(postgres_url, postgres_template, name)
    yield postgres.database(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def lean(owned: str, role: str, make_app: Callable[..., Flask]) -> Iterator[World]:
    """The world as the application's role has it."""
    with make_app(owned).app_context():
        database_role.give(SYSTEM, role)
    app = make_app(owned.replace("//blangko@", f"//{role}@"), CLOCK=lambda: NOW)
    with app.app_context():
        assert db.session.scalar(text("SELECT current_user")) == role
        db.session.rollback()
        yield World(app)


def test_a_days_work_is_done_under_it(lean: World) -> None:
    clock = iter(NOW + timedelta(seconds=seconds) for seconds in range(1000))
    lean.deliver(NOW, TODAY, 500, defective=2)
    printed = lean.print(NOW, TODAY, 40).movements[0]
    ledger.reverse(lean.storekeeper, NOW, uuid4(), printed.id, "typed twice")
    lean.spoil(NOW, TODAY, 3)
    transfer_id = lean.send(NOW, TODAY, 20)
    transfers.receive(lean.actor("other_storekeeper"), NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=20)})
    destructions.approve(lean.actor("manager"), NOW, uuid4(), lean.propose_destruction(NOW, TODAY, 2))
    stocktake_id = lean.stocktake(NOW)
    for enter in (stocktakes.count, stocktakes.recount):
        counted = domain_stocktakes.Counted(quantity=lean.figures().store - 1)
        enter(lean.storekeeper, NOW, uuid4(), stocktake_id, {BLANK: counted})
    stocktakes.approve(lean.actor("manager"), NOW, uuid4(), stocktake_id, {BLANK: -1})
    lean.ask(NOW, TODAY, 500)
    lean.cap(NOW, TODAY, 50)
    assert reviews.review(SYSTEM, lambda: next(clock), "test", on=TODAY)[0].status == "done"
    assert backtests.run(SYSTEM, lambda: next(clock), "test", on=TODAY).status == "done"
    assert seals.seal_now(SYSTEM, lambda: next(clock), "test").status == "done"
    found = exports.take_out(lean.actor("manager"), NOW, "movements", DENPASAR)
    assert len(list(exports.csv_lines(found))) > 0
    settings = offices.get(SYSTEM, Action.VIEW_OFFICE, DENPASAR).settings
    offices.change_settings(lean.actor("administrator"), NOW, DENPASAR, replace(settings, lead_time_days=8))
    shut_out = people.find(lean.actor("administrator")).people[-1].id
    people.set_active(lean.actor("administrator"), NOW, shut_out, False)
    assert verification.verify(SYSTEM).faults == ()


def test_a_machine_posts_and_reads_what_is_new_under_it(lean: World) -> None:
    """The marks of writers, and who reads them, look at how far the ids go."""
    lean.deliver(NOW, TODAY, 500)
    machine = Caller(lean.app, make_token())
    body = {"item": BLANK, "day": TODAY.isoformat(), "printed": [{"reason": "new", "quantity": 18}]}
    first, again = (machine.post(f"/offices/{DENPASAR}/movements", body, key="k") for _ in range(2))
    assert (first.status_code, first.data) == (201, again.data)
    told = machine.get("/changes").json
    assert told is not None
    assert [movement["kind"] for movement in told["data"]] == ["receipt", "print"]
    [account] = service_accounts.in_reach(SYSTEM)
    service_accounts.close(SYSTEM, NOW, account.id)
    assert machine.get("/changes").status_code == 401


@pytest.mark.slow
def test_every_job_and_chore_runs_under_it(lean: World) -> None:
    from inventory import jobs

    lean.deliver(NOW, TODAY, 100)
    for job in lean.app.extensions["jobs"]:
        run = jobs.run_due(lean.app, job)
        assert run is not None
        assert (run.status, run.error) == ("done", None), job.name
    for chore in jobs.chores_for(lean.app.config["SETTINGS"]):
        assert chore.work(lambda: NOW) is not None
    jobs.beat(lean.app, NOW)


@pytest.mark.slow
def test_a_file_is_imported_under_it(lean: World) -> None:
    found = look("opening", (DENPASAR, BLANK, DAY, "1.639"))
    assert imports.run(SYSTEM, NOW, found.id).status == "imported"


@pytest.mark.slow
def test_numbers_are_kept_under_it(lean: World) -> None:
    keep_numbers()
    deliver_numbers(lean, "A001-A100")
    print_cards(lean, "A001-A010")
    assert items.get(BLANK).numbered
    assert verification.verify(SYSTEM).faults == ()


TRIED = [
    *(f"UPDATE {table} SET {{first}} = {{first}}" for table in APPEND_ONLY),
    *(f"DELETE FROM {table}" for table in (*APPEND_ONLY, *KEPT)),
    *(f"TRUNCATE {table} CASCADE" for table in (*APPEND_ONLY, *KEPT)),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in APPEND_ONLY),
    *(f"DROP TABLE {table} CASCADE" for table in APPEND_ONLY),
    "DROP TRIGGER movements_no_change ON movements",
    "CREATE OR REPLACE FUNCTION movements_are_append_only() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'",
    "ALTER FUNCTION movements_are_append_only() RENAME TO gone",
    "SET session_replication_role = replica",
    "ALTER TABLE movements DROP CONSTRAINT ck_movements_quantity",
    "ALTER TABLE movements ADD COLUMN more integer",
    "CREATE TABLE mine (id integer)",
    "CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON seals EXECUTE FUNCTION wait_for_seal()",
    "SELECT setval('movements_id_seq', 1)",
    "UPDATE alembic_version SET version_num = 'x'",
    "LOCK TABLE movements IN ACCESS EXCLUSIVE MODE",
    f"SET ROLE {OWNED_BY}",
    "CREATE ROLE another SUPERUSER",
    "COPY movements TO PROGRAM 'cat'",
]


def test_nothing_that_is_past_is_undone_under_it(lean: World) -> None:
    lean.deliver(NOW, TODAY, 100)
    assert seals.seal_now(SYSTEM, lambda: NOW, "test").status == "done"
    firsts = {table: inspect(db.engine).get_columns(table)[1]["name"] for table in APPEND_ONLY}
    for statement in TRIED:
        table = next((each for each in APPEND_ONLY if f" {each} " in statement), APPEND_ONLY[0])
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner|must be superuser"):
            db.session.execute(text(statement.format(first=firsts[table]).replace(":", r"\:")))
        db.session.rollback()
    assert verification.verify(SYSTEM).faults == ()
    assert lean.figures().store == 100


def test_it_owns_nothing_and_may_do_nothing_to_the_schema(lean: World, role: str) -> None:
    owned = "SELECT count(*) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE rolname = current_user"
    assert db.session.scalar(text(owned)) == 0
    assert db.session.scalar(text("SELECT has_schema_privilege(current_user, 'public', 'CREATE')")) is False
    assert database_role.too_powerful() is None


def test_its_rights_are_those_that_the_tables_need(lean: World) -> None:
    granted = db.session.execute(
        text("SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = current_user")
    )
    rights: dict[str, set[str]] = {}
    for table, right in granted:
        rights.setdefault(table, set()).add(right)
    assert rights.pop("alembic_version") == {"SELECT"}
    assert set(rights) == set(db.metadata.tables)
    for table, found in rights.items():
        expected = {"SELECT", "INSERT"}
        expected |= set() if table in APPEND_ONLY else {"UPDATE"}
        expected |= set() if table in (*APPEND_ONLY, *KEPT) else {"DELETE"}
        assert found == expected, table


def test_tables_of_later_migrations_can_be_used_at_once(lean: World, owned: str, role: str) -> None:
    with psycopg.connect(owned, autocommit=True) as connection:
        connection.execute("CREATE TABLE later (id serial PRIMARY KEY, words text)")
    db.session.execute(text("INSERT INTO later (words) VALUES ('x')"))
    db.session.execute(text("UPDATE later SET words = 'y'"))
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        db.session.execute(text("DROP TABLE later"))
    db.session.rollback()


def test_the_owner_may_repeat_it_and_migrate_on(owned: str, role: str, make_app: Callable[..., Flask]) -> None:
    with make_app(owned).app_context():
        for _ in range(2):
            database_role.give(SYSTEM, role)
        upgrade()
        assert database_role.too_powerful() == OWNED_BY


@pytest.mark.slow
@pytest.mark.parametrize("attribute", ["SUPERUSER", "CREATEROLE", f"IN ROLE {OWNED_BY}"])
def test_a_role_that_may_too_much_is_refused(
    owned: str, role: str, make_app: Callable[..., Flask], attribute: str
) -> None:
    with psycopg.connect(owned, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN {attribute}")  # type: ignore[arg-type]
    with make_app(owned).app_context():
        with pytest.raises(DBAPIError, match=r"take (that|it)"):
            database_role.give(SYSTEM, role)
        with pytest.raises(DBAPIError, match=r"owns the tables"):
            database_role.give(SYSTEM, OWNED_BY)


def test_a_role_that_owns_the_database_is_refused_and_warned_of(
    owned: str, role: str, make_app: Callable[..., Flask]
) -> None:
    """Whose the database is, theirs is the schema: they drop what others own in it."""
    with make_app(owned).app_context():
        database_role.give(SYSTEM, role)
    as_role = make_app(owned.replace("//blangko@", f"//{role}@"))
    with psycopg.connect(owned, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(role)))
        with make_app(owned).app_context(), pytest.raises(DBAPIError, match="owns the database"):
            database_role.give(SYSTEM, role)
        with as_role.app_context():
            assert database_role.too_powerful() == role
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(OWNED_BY)))
        with as_role.app_context():
            assert database_role.too_powerful() is None
        connection.execute(sql.SQL("GRANT TRUNCATE ON seals TO {}").format(sql.Identifier(role)))
        with as_role.app_context():
            assert database_role.too_powerful() == role


@pytest.mark.parametrize("name", ["", "1app", "App", "a-b", "a;DROP ROLE x", 'a"b', "a" * 64, "a\nb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="role_name"):
        database_role.statements(name)


def test_people_make_no_roles(world: World) -> None:
    with pytest.raises(NotAllowed):
        database_role.give(world.actor("administrator"), "blangko_app")
    if db.engine.dialect.name == "sqlite":
        with pytest.raises(Invalid, match="role_needs_postgresql"):
            database_role.give(SYSTEM, "blangko_app")
        assert database_role.too_powerful() is None


def test_what_is_only_added_to_is_what_the_triggers_guard(world: World) -> None:
    """The list of tables and the triggers of the database say the same."""
    if db.engine.dialect.name == "sqlite":
        query = "SELECT tbl_name FROM sqlite_master WHERE name LIKE '%s' AND sql LIKE '%%append-only%%'"
        kinds = [set(db.session.scalars(text(query % name))) for name in ("%no_update", "%no_delete")]
        guarded = kinds[0] & kinds[1]
    else:
        query = "SELECT CAST(CAST(tgrelid AS regclass) AS text) FROM pg_trigger WHERE tgname LIKE '%no_truncate'"
        guarded = set(db.session.scalars(text(query)))
    assert guarded == set(APPEND_ONLY)
    assert not set(APPEND_ONLY) & set(KEPT)
    assert set(KEPT) < set(db.metadata.tables)


def test_no_code_deletes_from_what_is_kept() -> None:
    """What the role may not delete, no service tries to."""
    from inventory import models

    names = {getattr(models, name).__tablename__: name for name in models.__all__}
    guarded = "|".join(names[table] for table in (*APPEND_ONLY, *KEPT))
    for file in Path("inventory").rglob("*.py"):
        assert not re.search(rf"delete\(\s*({guarded})\)", file.read_text()), file


def test_the_first_request_in_production_warns_of_an_owner_once(
    owned: str, role: str, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    app = make_app(owned, ENV="production")
    for _ in range(2):
        app.test_client().get("/livez", base_url="https://localhost")
    said = [record.getMessage() for record in caplog.records if record.name == database.__name__]
    assert len(said) == 1
    assert said[0].startswith(f"the database's role {OWNED_BY} owns the tables")


def test_nothing_is_said_of_a_lean_role_nor_of_an_embedded_file(
    lean: World, role: str, caplog: pytest.LogCaptureFixture, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    lean.app.config["SETTINGS"] = replace(lean.app.config["SETTINGS"], ENV="production")
    database.warn(lean.app)
    database.warn(make_app(f"sqlite:///{tmp_path / 'none.sqlite3'}"))
    assert caplog.records == []


def test_an_audit_entry_can_be_added_and_waited_for(lean: World) -> None:
    """The seal's lock asks for no right on the tables."""
    audit.record(NOW, SYSTEM, Event.EXPORTED)
    assert seals.seal_now(SYSTEM, lambda: NOW, "test").counts["audit_entries"] >= 1
