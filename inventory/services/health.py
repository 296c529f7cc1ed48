"""Whether the database can serve this version of the software."""

from __future__ import annotations

from functools import lru_cache

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from inventory.db import db


def database_state(migrations: str) -> str:
    """`ready`; `not migrated` when it is at another migration than the newest in the folder `migrations`; or
    `no answer`."""
    try:
        applied = set(db.session.scalars(text("SELECT version_num FROM alembic_version")))
    except SQLAlchemyError:
        db.session.rollback()
        return _answers()
    return "ready" if applied == _newest(migrations) else "not migrated"


def _answers() -> str:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        db.session.rollback()
        return "no answer"
    return "not migrated"


@lru_cache(maxsize=1)
def _newest(migrations: str) -> frozenset[str]:
    return frozenset(ScriptDirectory(migrations).get_heads())
