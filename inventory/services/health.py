"""Whether the database can serve this version of the software."""

from __future__ import annotations

from functools import lru_cache

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from inventory.db import db


def database_state(migrations: str) -> str:
    """`ready`; `not migrated` when it is at an older migration than the newest in the folder `migrations`; or
    `no answer`.

    One that the folder does not know is of a later release: its schema only adds to ours, and while that release is
    being brought out we go on serving.
    """
    try:
        applied = set(db.session.scalars(text("SELECT version_num FROM alembic_version")))
    except SQLAlchemyError:
        db.session.rollback()
        return _answers()
    known, newest = _known(migrations)
    return "ready" if applied and (applied == newest or not applied <= known) else "not migrated"


def _answers() -> str:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        db.session.rollback()
        return "no answer"
    return "not migrated"


@lru_cache(maxsize=1)
def _known(migrations: str) -> tuple[frozenset[str], frozenset[str]]:
    """All migrations of this release, and the newest."""
    scripts = ScriptDirectory(migrations)
    return frozenset(each.revision for each in scripts.walk_revisions()), frozenset(scripts.get_heads())
