"""The two ways in which the ledger posts on PostgreSQL, held against each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.errors import Refusal
from inventory.domain.ledger import Kind, Line
from inventory.models import Balance, DailyTotal, Item, Movement, Office, StockCheck
from inventory.services import ledger
from tests.conftest import TODAY

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
NUMBERED = "kia"
EVERYDAY = [(Kind.RECEIPT, "supplied"), (Kind.PRINT, "new"), (Kind.PRINT, "lost"), (Kind.SPOIL, "misprint")]


@contextmanager
def in_general() -> Iterator[None]:
    """Inside, everything is posted the general way."""
    with mock.patch.object(ledger, "on_postgresql", return_value=False):
        yield


def office_id(code: str) -> int:
    return db.session.scalars(select(Office.id).where(Office.code == code)).one()


def item_id(code: str) -> int:
    return db.session.scalars(select(Item.id).where(Item.code == code)).one()


def the_line(office: int, item: int, **changes: Any) -> Line:
    told: dict[str, Any] = {"kind": Kind.PRINT, "reason": "new", "quantity": 5, "effective_on": TODAY}
    return Line(office_id=office, item_id=item, **told | changes)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Refusal as refusal:
        return type(refusal), refusal.code, refusal.facts
    except IntegrityError as error:  # of what only a second person lets through
        return type(error), str(error.orig).splitlines()[0], {}


def books(office: int, requests: dict[UUID, int]) -> dict[str, list[Any]]:
    """All that the ledger holds of an office, but for ids and for what the office itself is."""
    db.session.rollback()
    own = {"id", "office_id", "request_id", "request_digest", "actor_id"}
    found: dict[str, list[Any]] = {}
    for table in (Balance, DailyTotal, StockCheck, Movement):
        columns = [column for column in table.__table__.c if column.name not in own]
        rows = db.session.execute(select(*columns).where(table.office_id == office))
        found[table.__name__] = sorted((tuple(row) for row in rows), key=repr)
    asked = db.session.execute(
        select(Movement.request_id, Movement.seq, Movement.item_id).where(Movement.office_id == office)
    )
    found["requests"] = sorted((requests[row.request_id], row.item_id, row.seq) for row in asked)
    return found


def number(requests: list[UUID]) -> dict[UUID, int]:
    """Of earlier examples too: what they did is the same in both offices, in the same order."""
    earlier = db.session.scalars(select(Movement.request_id).where(Movement.request_id.not_in(requests)))
    return dict.fromkeys(earlier, -1) | {request: place for place, request in enumerate(requests)}


def plain(found: Any) -> Any:
    """An outcome without what tells the two offices apart."""
    if isinstance(found, tuple):
        kind, code, facts = found
        return kind, code, {name: str(value) for name, value in facts.items()}
    movements = [replace(each, id=0, office_id=0) for each in found.movements]
    return found.replayed, movements


def in_context(app: Flask, work: Callable[[], Any]) -> Any:
    with app.app_context():
        return work()


def eventually(look: Callable[[], Any]) -> Any:
    for _ in range(400):
        found = look()
        if found:
            return found
        time.sleep(0.025)
    raise AssertionError("it did not come to that")
