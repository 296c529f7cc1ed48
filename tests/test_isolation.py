"""No test finds what another left in the database that they share on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.postgres import Scratch


@pytest.fixture
def shared(scratch: Callable[[None], Scratch]) -> Scratch:
    return scratch(None)


def read(url: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        offices = connection.execute("SELECT * FROM offices ORDER BY id").fetchall()
        return offices + connection.execute("SELECT last_value, is_called FROM events_id_seq").fetchall()


def memberships(url: str) -> int:
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT id FROM memberships").fetchall())


def test_rows_and_numbers_are_put_back(shared: Scratch) -> None:
    url = shared.take()
    before = read(url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE offices SET name = 'left behind' WHERE code = '51.71'")
        connection.execute("SELECT nextval('events_id_seq')")
        connection.execute("DELETE FROM memberships")
    assert read(url) != before
    shared.put_back()
    assert shared.take() == url
    assert read(url) == before
    assert memberships(url) == 6


def test_who_was_left_in_the_middle_of_something_is_sent_away(shared: Scratch) -> None:
    url = shared.take()
    left = psycopg.connect(url)
    left.execute("DELETE FROM memberships")
    shared.put_back()
    assert shared.take() == url
    assert memberships(url) == 6
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()


def test_changed_tables_are_left_behind(shared: Scratch) -> None:
    url = shared.take()
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE balances DROP CONSTRAINT ck_balances_law")
    shared.put_back()
    assert shared.take() != url
