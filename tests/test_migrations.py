"""The migrations make what the models say, and can be taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from psycopg import sql
from sqlalchemy import CheckConstraint, Inspector, Table, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import drafts, transfers
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World

TRIGGERS = {
    "sqlite": {
        "movements_no_update",
        "movements_no_delete",
        "movements_reversal",
        "movements_second_person",
        "proposals_decided_once",
        "proposals_no_delete",
        "movements_stocktake",
        "stocktakes_approval",
        "stocktakes_cancelling",
        "proposals_maker",
        "stocktakes_maker",
        "seals_no_update",
        "seals_no_delete",
        "number_ranges_apart",
        "number_ranges_no_update",
        "movement_ranges_no_update",
        "movement_ranges_no_delete",
        "movement_ranges_once",
        "movements_ranges",
        "items_numbered",
        "documents_no_update",
        "documents_no_delete",
        "documents_no_gap",
        "outreach_plans_closed_once",
        "outreach_plans_no_delete",
        "allotment_lines_steps",
        "allotment_lines_no_delete",
        "transfers_drafts",
        "alert_events_told",
        "audit_entries_no_update",
        "audit_entries_no_delete",
    },
    "postgresql": {
        "movements_no_change",
        "movements_no_truncate",
        "movements_reversal",
        "movements_second_person",
        "proposals_decided_once",
        "movements_stocktake",
        "stocktakes_approval",
        "stocktakes_cancelling",
        "proposals_maker",
        "stocktakes_maker",
        "seals_no_change",
        "seals_no_truncate",
        "number_ranges_apart",
        "movement_ranges_no_change",
        "movement_ranges_no_truncate",
        "movement_ranges_once",
        "movements_ranges",
        "items_numbered",
        "documents_no_change",
        "documents_no_truncate",
        "documents_no_gap",
        "outreach_plans_closed_once",
        "allotment_lines_steps",
        "transfers_drafts",
        "alert_events_told",
        "movements_marked",
        "audit_entries_no_change",
        "audit_entries_no_truncate",
        "audit_entries_wait_for_seal",
        "movements_wait_for_seal",
    },
}
FUNCTIONS = {
    "proposals_check_maker",
    "stocktakes_check_maker",
    "movements_marked",
    "movements_are_append_only",
    "movements_check_reversal",
    "movements_check_second_person",
    "proposals_are_decided_once",
    "seals_are_append_only",
    "movements_check_stocktake",
    "stocktakes_check_approval",
    "stocktakes_check_cancelling",
    "number_ranges_check",
    "movement_ranges_are_append_only",
    "movement_ranges_check",
    "movements_check_ranges",
    "items_check_numbered",
    "documents_are_append_only",
    "documents_check_number",
    "outreach_plans_are_closed_once",
    "allotment_lines_check_step",
    "transfers_check_drafts",
    "alert_events_are_told",
    "audit_entries_are_append_only",
    "wait_for_seal",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without anything in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    server = request.getfixturevalue("postgres_url")
    name = f"blangko_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield server.rsplit("/", 1)[0] + "/" + name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty(empty_url: str, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(empty_url)
    with app.app_context():
        yield app


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def selected(statement: str) -> set[str]:
    with db.engine.connect() as connection:
        return set(connection.execute(text(statement)).scalars())


def triggers() -> set[str]:
    if db.engine.dialect.name == "sqlite":
        return selected("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    return selected("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")


def functions() -> set[str]:
    if db.engine.dialect.name == "sqlite":
        return set()
    return selected("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")


# --- up and down -------------------------------------------------------------------------------------------------


def test_migrations_go_up_down_and_up_again(empty: Flask) -> None:
    assert tables() == set()
    for _ in range(2):
        upgrade()
        assert tables() == set(db.metadata.tables)
        assert triggers() == TRIGGERS[db.engine.dialect.name]
        downgrade(revision="base")
        assert tables() == set()
        assert triggers() == set()
        assert functions() == set()
    upgrade()
    assert tables() == set(db.metadata.tables)
    assert functions() == (FUNCTIONS if db.engine.dialect.name == "postgresql" else set())


def test_upgrading_what_is_up_to_date_does_nothing(empty: Flask) -> None:
    upgrade()
    before = selected("SELECT version_num FROM alembic_version")
    upgrade()
    assert selected("SELECT version_num FROM alembic_version") == before
    assert len(before) == 1


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index:UserWarning")
def test_models_and_migrated_database_do_not_differ(empty: Flask) -> None:
    upgrade()
    # SQLite quotes an empty default in a way that compares as another.
    options = {"compare_type": True, "compare_server_default": db.engine.dialect.name == "postgresql"}
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options | {"include_object": is_comparable})
        assert compare_metadata(context, db.metadata) == []


def is_comparable(_object: object, name: str | None, kind: str, *_: object) -> bool:
    """Not what finds numbers by their keys: SQLite does not give such an index back, and PostgreSQL rewrites its text.
    The names are compared below, and the tests of the search see that queries use them."""
    return kind != "index" or not str(name).endswith("_key")


def test_drafts_say_what_became_of_them_below_and_above_their_recall(world: World) -> None:
    """Without the state a draft stays sent when its transfer is cancelled; with it, it says so again."""
    fill_drafts(world)
    said = "SELECT status, transfer_id, closed_at IS NULL, quantity FROM allotment_lines ORDER BY id"
    before = rows(said)
    assert [row[:3] for row in before] == [
        ("draft", None, True),
        ("sent", 1, False),
        ("recalled", 2, True),
        ("dropped", 3, False),
    ]
    downgrade(revision="20261124_recalled_drafts-1")
    assert [row[:3] for row in rows(said)] == [
        ("draft", None, True),
        ("sent", 1, False),
        ("sent", 2, False),
        ("dropped", None, False),
    ]
    upgrade()
    assert rows(said) == [*before[:3], ("dropped", None, False, before[3][3])]
    assert triggers() == TRIGGERS[db.engine.dialect.name]


def fill_drafts(world: World) -> None:
    """A draft in each state."""
    office, item = "(SELECT id FROM offices WHERE code = '%s')", "(SELECT id FROM items WHERE code = 'ktp-wni')"
    db.session.execute(
        text(
            "INSERT INTO allotment_plans (id, request_id, request_digest, office_id, item_id, mode, quantity, reserve,"
            f" pack, planned_on, facts, made_at) VALUES (1, '{uuid4().hex}', '', {office % DENPASAR}, {item}, 'split',"
            " 2000, 0, 1, '2024-05-15', '{}', '2024-05-15 00:00:00')"
        )
    )
    codes = db.session.scalars(
        text("SELECT code FROM offices WHERE code <> '51.71' AND kind <> 'outreach' ORDER BY id")
    ).all()
    for number, code in enumerate(codes[:4], start=1):
        db.session.execute(
            text(
                "INSERT INTO allotment_lines (id, plan_id, item_id, sender_id, receiver_id, quantity, status, why)"
                f" VALUES ({number}, 1, {item}, {office % DENPASAR}, {office % code}, {number}, 'draft', '{{}}')"
            )
        )
    db.session.commit()
    world.deliver(NOW, TODAY, 100)
    out = {
        "purpose": "distribution",
        "dispatched_on": TODAY,
        "expected_on": TODAY,
        "custodian": "x",
        "bast_number": "1",
    }
    for draft_id, code in enumerate(codes[1:4], start=2):
        sent = transfers.Dispatch(receiver_code=code, sent={BLANK: 1}, draft_id=draft_id, **out)
        transfers.dispatch(world.storekeeper, NOW, uuid4(), DENPASAR, sent)
    for transfer_id in (2, 3):
        transfers.cancel(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, "x")
    drafts.drop(SYSTEM, NOW, 4)


def rows(statement: str) -> list[tuple[object, ...]]:
    db.session.rollback()
    found = [tuple(row) for row in db.session.execute(text(statement))]
    db.session.rollback()
    return [(*row[:2], bool(row[2]), *row[3:]) for row in found]


# --- constraints, which the comparison above does not see --------------------------------------------------------


def promised(table: Table) -> set[str]:
    """The names of the constraints and indexes that a model declares."""
    preparer = db.engine.dialect.identifier_preparer
    constraints = {str(preparer.format_constraint(constraint)) for constraint in table.constraints}
    return constraints | {str(preparer.format_index(index)) for index in table.indexes}


def kept(inspector: Inspector, name: str) -> set[str]:
    """The names of those that the database has."""
    found = [
        *inspector.get_check_constraints(name),
        *inspector.get_unique_constraints(name),
        *inspector.get_foreign_keys(name),
        *inspector.get_indexes(name),
        inspector.get_pk_constraint(name),
    ]
    names = {str(entry["name"]) for entry in found if entry["name"]}
    if db.engine.dialect.name == "sqlite":
        # A reference that came with its column has its name in the table's text, where reflection does not look.
        table_text = str(selected(f"SELECT sql FROM sqlite_master WHERE name = '{name}'"))
        names |= set(re.findall(r"CONSTRAINT (fk_\w+) REFERENCES", table_text))
        # And what an index of an expression is, reflection cannot tell.
        keys = f"SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{name}' AND sql LIKE '%lower(%'"
        names |= selected(keys)
    return names


def test_every_constraint_of_the_models_is_in_the_database_by_its_name(empty: Flask) -> None:
    upgrade()
    inspector = inspect(db.engine)
    for name, table in db.metadata.tables.items():
        assert kept(inspector, name) == promised(table), name


def test_every_check_says_what_the_model_says(empty: Flask) -> None:
    if db.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL rewrites the text of a check")
    upgrade()
    inspector = inspect(db.engine)
    for name, table in db.metadata.tables.items():
        models = {
            str(db.engine.dialect.identifier_preparer.format_constraint(constraint)): squeezed(str(constraint.sqltext))
            for constraint in table.constraints
            if isinstance(constraint, CheckConstraint)
        }
        assert {c["name"]: squeezed(c["sqltext"]) for c in inspector.get_check_constraints(name)} == models


def squeezed(condition: str) -> str:
    return " ".join(condition.split())


# --- triggers ----------------------------------------------------------------------------------------------------


def test_a_movement_cannot_be_replaced_or_emptied_away(world: World) -> None:
    world.deliver(NOW, TODAY, 10)
    statements = {
        "sqlite": [
            "INSERT OR REPLACE INTO movements SELECT * FROM movements",
            "REPLACE INTO movements SELECT * FROM movements",
            "UPDATE OR REPLACE movements SET seq = 2",
        ],
        "postgresql": ["TRUNCATE movements", "TRUNCATE movements CASCADE", "TRUNCATE offices CASCADE"],
    }
    for statement in statements[db.engine.dialect.name]:
        with pytest.raises(DBAPIError, match=r"append-only|cannot truncate a table referenced"):
            db.session.execute(text(statement))
        db.session.rollback()
    assert world.figures().store == 10


REVERSAL = (
    "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, served_waiting, effective_on,"
    " recorded_at, request_id, request_line, request_digest, reverses_id)"
    " SELECT {office_id}, {item_id}, 99, {kind}, {reason}, {quantity}, {served_waiting}, {effective_on},"
    " recorded_at, request_id, 99, '', id FROM movements WHERE kind = 'print'"
)
EXACT = {
    "office_id": "office_id",
    "item_id": "item_id",
    "kind": "kind",
    "reason": "reason",
    "quantity": "-quantity",
    "served_waiting": "-served_waiting",
    "effective_on": "effective_on",
}


INEXACT = [
    {"office_id": "(SELECT id FROM offices WHERE code = '51.03')"},
    {"item_id": "(SELECT id FROM items WHERE code = 'kia')"},
    {"kind": "'spoil'", "reason": "'misprint'", "served_waiting": "0"},
    {"reason": "'lost'"},
    {"quantity": "-quantity - 1"},
    {"quantity": "-quantity + 1"},
    {"served_waiting": "0"},
    {"effective_on": "'2024-05-14'"},
]


def test_the_database_takes_no_reversal_that_is_not_exact(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, {"new": Printed(10, served_waiting=4)})
    for change in INEXACT:
        with pytest.raises(DBAPIError, match="take back exactly"):
            db.session.execute(text(REVERSAL.format(**EXACT | change)))
        db.session.rollback()


def test_the_database_takes_a_reversal_once_only(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    world.print(NOW, TODAY, {"new": Printed(10, served_waiting=4)})
    exact = REVERSAL.format(**EXACT) + " AND reverses_id IS NULL"
    db.session.execute(text(exact))
    with pytest.raises(IntegrityError, match="reverses_id"):
        db.session.execute(text(exact.replace("99", "100")))
    db.session.rollback()
