"""Looking one row up: it is there, or the caller is told so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable

from inventory.db import db
from inventory.domain.errors import NotFound


def the_row(query: Executable, missing: NotFound) -> Any:
    """The query's one row. Raises `missing` when there is none."""
    row = db.session.execute(query).one_or_none()
    if row is None:
        raise missing
    return row
