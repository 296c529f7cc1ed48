"""What tests of backups share: a key, empty databases to put them back into, and a look at every row of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pyrage
from flask import Flask
from psycopg import sql
from sqlalchemy import create_engine, inspect, text

from inventory import ROOT
from inventory.config import environment_of_programs
from inventory.db import db
from inventory.domain.access import COMMAND
from inventory.services import backups, restores
from inventory.services.backups import Made
from inventory.services.restores import Restored
from tests import postgres
from tests.conftest import NOW

age: Any = pyrage
"""The library, which comes without types."""


def new_key() -> Any:
    """A private key."""
    return age.x25519.Identity.generate()


OURS = new_key()
KEY = f"# made for tests\n{OURS}\n"
PUBLIC = str(OURS.to_public())
MIGRATIONS = str(ROOT / "migrations")


def back_up(folder: Path, *, recipients: list[str] | None = None, now: Any = NOW) -> Made:
    """Of the application in whose context this is called."""
    keys = [PUBLIC] if recipients is None else recipients
    return backups.back_up(COMMAND, now, folder, keys, environment_of_programs())


def restore(app: Flask, path: Path, *, key: str = KEY, head: str | None = None, now: Any = NOW) -> Restored:
    """Into the database of another application."""
    with app.app_context():
        try:
            return restores.restore(
                COMMAND, now, path, key, migrations=MIGRATIONS, environment=environment_of_programs(), known_head=head
            )
        finally:
            db.session.remove()


@contextmanager
def empty_database(like: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of the same kind, gone afterwards."""
    name = f"restored_{uuid4().hex[:12]}"
    if like.startswith("sqlite"):
        yield f"sqlite:///{folder / name}.sqlite3"
        return
    server = like.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield postgres.database(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


Target = Callable[[], Flask]
"""An application on an empty database."""


def all_rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in an order of their own."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            names = inspect(connection).get_table_names()
            found = {name: connection.execute(text(f'SELECT * FROM "{name}"')).all() for name in names}
    finally:
        engine.dispose()
    return {name: sorted((tuple(row) for row in rows), key=repr) for name, rows in found.items()}
