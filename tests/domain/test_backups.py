"""What a backup says of itself, which are kept, and what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from inventory.domain.backups import FORMAT, Manifest, differences, file_name, read_manifest, to_remove
from inventory.domain.errors import Invalid

MANIFEST = Manifest(
    format=FORMAT,
    version="0.1.0",
    database="sqlite",
    revision="20261202_given_passwords",
    made_at=datetime(2026, 11, 23, 3, 30, 1, tzinfo=UTC),
    seal=7,
    head="a" * 64,
    last_movement=1639,
    rows={"movements": 1639, "balances": 12},
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert read_manifest(MANIFEST.as_bytes()) == MANIFEST


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"format": "1"}', b'{"format": 1}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="backup_unreadable"):
        read_manifest(data)


@pytest.mark.parametrize("wrong", [{"made_at": "yesterday"}, {"rows": []}, {"rows": {"movements": "many"}}])
def test_a_manifest_with_a_wrong_figure_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="backup_unreadable"):
        read_manifest(json.dumps(json.loads(MANIFEST.as_bytes()) | wrong).encode())


def test_a_format_that_is_to_come_is_said_to_be_one() -> None:
    with pytest.raises(Invalid, match="backup_format"):
        read_manifest(b'{"format": 2, "all else": "is another matter"}')


def test_differences_name_what_is_not_as_it_was() -> None:
    assert differences(MANIFEST, replace(MANIFEST, made_at=MANIFEST.made_at + timedelta(days=1))) == []
    found = replace(MANIFEST, head="b" * 64, last_movement=1638, rows={"movements": 1638, "people": 1})
    said = " ".join(differences(MANIFEST, found))
    for word in (
        "head",
        "last_movement: 1638 instead of 1639",
        "movements: 1638 instead of 1639",
        "balances",
        "people",
    ):
        assert word in said


def test_a_file_is_called_by_its_instant_in_utc() -> None:
    there = datetime(2026, 11, 23, 11, 30, 1, tzinfo=timezone(timedelta(hours=8)))
    assert file_name(there, encrypted=True) == "blangko-20261123T033001Z.tar.age"
    assert file_name(there, encrypted=False) == "blangko-20261123T033001Z.tar"


def name_of(day: int) -> str:
    return file_name(datetime(2026, 11, day, tzinfo=UTC), encrypted=True)


def test_so_many_of_the_newest_stay() -> None:
    names = [name_of(day) for day in range(1, 11)]
    assert to_remove(names, name_of(10), keep=3) == [name_of(day) for day in range(1, 8)]
    assert to_remove(names, name_of(10), keep=10) == []
    assert to_remove(names, name_of(10), keep=1) == names[:9]


def test_what_is_called_otherwise_stays() -> None:
    others = ["before the move.tar.age", "blangko-20261101T000000Z.tar.age.old", ".blangko-20261101T000000Z.tar.age-x"]
    assert to_remove([*others, name_of(10)], name_of(10), keep=1) == []


def test_backups_of_a_clock_that_was_ahead_push_out_nothing() -> None:
    ahead = [name_of(day) for day in range(20, 30)]
    assert to_remove([*ahead, name_of(9), name_of(10)], name_of(10), keep=2) == []
