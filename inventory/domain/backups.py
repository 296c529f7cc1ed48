"""Backups: what one says of itself, how its files are called, which are kept, and what differs after a restore."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from inventory.domain.errors import Invalid

FORMAT = 1
"""Of the archive. A program reads what its own number or a smaller one made."""

LARGEST_MANIFEST = 1_000_000

_MADE = re.compile(r"blangko-([0-9]{8}T[0-9]{6}Z)\.tar(\.age)?", re.ASCII)
_INSTANT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup holds, by the very snapshot that it is of. `made_at` is aware UTC."""

    format: int
    version: str
    database: str
    """`sqlite` or `postgresql`."""
    revision: str
    """The migration that the tables were at."""
    made_at: datetime
    seal: int
    """The number of the newest seal, 0 where nothing was sealed yet; and its digest."""
    head: str
    last_movement: int
    rows: Mapping[str, int]
    """How many rows each table has."""

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self) | {"made_at": self.made_at.isoformat()}, indent=2, sort_keys=True).encode()


def read_manifest(data: bytes) -> Manifest:
    """The manifest that was written. Raises Invalid `backup_unreadable`, `backup_format`."""
    try:
        found: dict[str, Any] = json.loads(data)
        if isinstance(found["format"], int) and found["format"] > FORMAT:
            raise Invalid("backup_format", found=found["format"], known=FORMAT)
        return Manifest(
            format=int(found["format"]),
            version=str(found["version"]),
            database=str(found["database"]),
            revision=str(found["revision"]),
            made_at=datetime.fromisoformat(found["made_at"]).astimezone(UTC),
            seal=int(found["seal"]),
            head=str(found["head"]),
            last_movement=int(found["last_movement"]),
            rows={str(table): int(count) for table, count in found["rows"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Invalid("backup_unreadable") from None


def differences(expected: Manifest, found: Manifest) -> list[str]:
    """What of the restored books is not as the backup says, in plain words; empty when all is."""
    names = ("revision", "seal", "head", "last_movement")
    wrong = [
        f"{name}: {getattr(found, name)!r} instead of {getattr(expected, name)!r}"
        for name in names
        if getattr(found, name) != getattr(expected, name)
    ]
    tables = sorted({*expected.rows, *found.rows})
    wrong += [
        f"rows of {table}: {found.rows.get(table, 'no such table')} instead of {expected.rows.get(table, 'none')}"
        for table in tables
        if found.rows.get(table) != expected.rows.get(table)
    ]
    return wrong


def file_name(made_at: datetime, *, encrypted: bool) -> str:
    """How a backup is called that was given no name."""
    return f"blangko-{made_at.astimezone(UTC).strftime(_INSTANT)}.tar{'.age' if encrypted else ''}"


def to_remove(names: Iterable[str], newest: str, keep: int) -> list[str]:
    """Which of the files in a folder are one backup too many, when `newest` has just been made and `keep` stay.

    Files that are called otherwise are somebody's own. Those of an instant to come were made by a clock that was wrong:
    they neither go nor push out what is good.
    """
    dated = {name: found[1] for name in names if (found := _MADE.fullmatch(name))}
    limit = dated.get(newest, "")
    older = sorted((name for name, instant in dated.items() if instant < limit), key=lambda name: dated[name])
    return older[: max(0, len(older) - (keep - 1))]
