"""Once: what a form has already done is not done again, however often it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db, write
from inventory.domain.errors import Refusal


def once(table: type[Any], key: Any, request_id: UUID, digest: str, work: Callable[[Session], int]) -> int:
    """Do `work` in one transaction, once per request id: a repeated form finds what it did, whatever stops it now.

    `work` writes a row of `table` with the request id and the digest of the request's body, and returns that row's
    `key`; the earlier row's `key` is what a repetition gets. Raises Refusal `request_id_reused` when the same id came
    with another body, and otherwise what `work` raises, the database's IntegrityError included.
    """
    try:
        return write(work)
    except (IntegrityError, Refusal) as error:
        earlier = db.session.execute(
            select(key, table.request_digest).where(table.request_id == request_id)
        ).one_or_none()
        if earlier is None:
            raise
        if earlier.request_digest != digest:
            raise Refusal("request_id_reused") from error
        return earlier[0]
