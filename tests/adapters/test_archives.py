"""Archives: what is written is what is read, all or nothing, and what was changed is told."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inventory.adapters import archives
from inventory.adapters.archives import PART, NewFile
from inventory.domain.errors import Invalid, Refusal
from tests.backups import OURS, PUBLIC, new_key

MANIFEST = b'{"manifest": 1}'
DUMP = os.urandom(PART + 123_457)
"""More than one part, and no whole number of blocks."""


def pieces(data: bytes = DUMP) -> Iterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


def write(path: Path, keys: list[Any], data: bytes = DUMP) -> NewFile:
    with NewFile(path) as file:
        archives.write(file, MANIFEST, pieces(data), keys)
        file.keep()
    return file


def read(path: Path, keys: list[Any]) -> tuple[bytes, bytes]:
    with path.open("rb") as file, archives.reading(file, keys) as archive:
        return archive.manifest, b"".join(archive.chunks())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.tar.age"
    write(path, archives.recipients([PUBLIC]))
    return path.read_bytes()


@pytest.mark.parametrize("data", [b"", b"x", DUMP, DUMP[:PART]], ids=len)
def test_what_is_written_is_read(tmp_path: Path, data: bytes) -> None:
    for name, keys, own in (("a.tar.age", archives.recipients([PUBLIC]), [OURS]), ("a.tar", [], [])):
        file = write(tmp_path / name, keys, data)
        assert (tmp_path / name).stat().st_size == file.size
        assert read(tmp_path / name, own) == (MANIFEST, data)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tar", "a.tar.age"]


def test_each_of_several_keys_opens_it(tmp_path: Path) -> None:
    other = new_key()
    write(tmp_path / "a", archives.recipients([PUBLIC, str(other.to_public())]), b"dump")
    assert read(tmp_path / "a", [OURS]) == read(tmp_path / "a", [other]) == (MANIFEST, b"dump")


def test_a_key_of_ssh_opens_it_too(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    write(tmp_path / "a", archives.recipients([f"{public} somebody@office"]), b"dump")
    assert read(tmp_path / "a", archives.identities(private)) == (MANIFEST, b"dump")


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "a", [], b"dump")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_nothing_of_the_dump_can_be_read_in_an_encrypted_one(tmp_path: Path) -> None:
    write(tmp_path / "a", archives.recipients([PUBLIC]), b"Kota Denpasar " * 1000)
    data = (tmp_path / "a").read_bytes()
    assert b"Denpasar" not in data
    assert b"manifest" not in data
    assert b"dump/" not in data


def test_the_program_age_and_tar_read_it(tmp_path: Path, whole: bytes) -> None:
    if shutil.which("age") is None:
        pytest.skip("age is not installed")
    (tmp_path / "key").write_text(f"# a comment\n{OURS}\n")
    (tmp_path / "a").write_bytes(whole)
    plain = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key", tmp_path / "a"], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        parts = [tar.extractfile(member) for member in tar if member.name.startswith("dump/")]
        assert b"".join(part.read() for part in parts if part) == DUMP


# --- what was changed --------------------------------------------------------------------------------------------


def refusal_of(path: Path, data: bytes, keys: list[Any]) -> str:
    path.write_bytes(data)
    with pytest.raises(Invalid) as refused:
        read(path, keys)
    return refused.value.code


def test_another_key_and_none_are_told_apart(tmp_path: Path, whole: bytes) -> None:
    assert refusal_of(tmp_path / "a", whole, [new_key()]) == "backup_wrong_key"
    assert refusal_of(tmp_path / "a", whole, []) == "backup_needs_key"


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99, 0.99999])
def test_one_that_was_cut_off_is_refused(tmp_path: Path, whole: bytes, share: float) -> None:
    assert refusal_of(tmp_path / "a", whole[: int(len(whole) * share)], [OURS]) in (
        "backup_damaged",
        "backup_unreadable",
    )


def test_one_that_was_cut_off_where_age_ends_a_block_is_refused(tmp_path: Path, whole: bytes) -> None:
    mac = whole.index(b"\n---")
    body = whole.index(b"\n", mac + 1) + 1 + 16
    assert refusal_of(tmp_path / "a", whole[: body + 3 * (65536 + 16)], [OURS]) == "backup_damaged"


@pytest.mark.parametrize("share", [0.00005, 0.2, 0.5, 0.9999])
def test_one_byte_that_is_another_is_told(tmp_path: Path, whole: bytes, share: float) -> None:
    data = bytearray(whole)
    data[int(len(data) * share)] ^= 1
    assert refusal_of(tmp_path / "a", bytes(data), [OURS]) != ""


def test_one_byte_that_is_another_is_told_in_the_clear_too(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    data = bytearray((tmp_path / "a").read_bytes())
    data[len(data) // 2] ^= 1
    assert refusal_of(tmp_path / "b", bytes(data), []) == "backup_damaged"
    data[len(data) // 2] ^= 1
    manifest = data.index(MANIFEST)
    data[manifest + 14] ^= 1  # 1 becomes 0
    assert refusal_of(tmp_path / "b", bytes(data), []) == "backup_damaged"
    assert refusal_of(tmp_path / "b", bytes(data[: len(data) // 512 // 2 * 512]), []) == "backup_damaged"


def test_a_part_that_was_taken_out_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    with tarfile.open(tmp_path / "a") as old, tarfile.open(tmp_path / "b", "w") as new:
        for member in old:
            if member.name != "dump/000001":
                new.addfile(member, old.extractfile(member))
    assert refusal_of(tmp_path / "c", (tmp_path / "b").read_bytes(), []) == "backup_damaged"


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0" * 100, b"age-encryption.org/v1\n", bytes(10_240)])
def test_any_other_file_is_no_backup(tmp_path: Path, data: bytes) -> None:
    assert refusal_of(tmp_path / "a", data, [OURS]) in ("backup_unreadable", "backup_damaged")


def test_who_stops_reading_is_not_waited_for(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "a").write_bytes(whole)
    with (tmp_path / "a").open("rb") as file, archives.reading(file, [OURS]) as archive:
        assert next(archive.chunks())


# --- all or nothing ----------------------------------------------------------------------------------------------


def test_no_file_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"another's")
    with pytest.raises(Refusal, match="backup_exists"):
        write(tmp_path / "a", [])
    (tmp_path / "a").unlink()
    with NewFile(tmp_path / "a") as file:
        file.write(b"ours")
        (tmp_path / "a").write_bytes(b"another's, meanwhile")
        with pytest.raises(Refusal, match="backup_exists"):
            file.keep()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"another's, meanwhile"


def test_a_file_system_without_links_takes_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "a", [], b"dump")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert read(tmp_path / "a", []) == (MANIFEST, b"dump")
    with NewFile(tmp_path / "b") as file:
        (tmp_path / "b").write_bytes(b"another's, meanwhile")
        with pytest.raises(Refusal, match="backup_exists"):
            file.keep()


def failing() -> Iterator[bytes]:
    yield DUMP
    raise KeyboardInterrupt


@pytest.mark.parametrize("keys", [[], [PUBLIC]], ids=["clear", "encrypted"])
def test_what_breaks_off_leaves_nothing_and_is_raised_as_it_is(tmp_path: Path, keys: list[str]) -> None:
    with NewFile(tmp_path / "a") as file, pytest.raises(KeyboardInterrupt):
        archives.write(file, MANIFEST, failing(), archives.recipients(keys))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keys", [[], [PUBLIC]], ids=["clear", "encrypted"])
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_full_disk_leaves_nothing_whenever_it_fills(tmp_path: Path, keys: list[str], size: int) -> None:
    """Also at the very end: the library lets that fall."""

    class Full(NewFile):
        def write(self, data: bytes) -> int:
            if self.size + len(data) > size:
                self.fault = OSError(errno.ENOSPC, "No space left on device")
                raise self.fault
            return super().write(data)

    with Full(tmp_path / "a") as file, pytest.raises(OSError, match="No space left"):
        archives.write(file, MANIFEST, pieces(DUMP if size > 10 else b"x"), archives.recipients(keys))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_gives_back_something_else_is_noticed(tmp_path: Path) -> None:
    with NewFile(tmp_path / "a") as file:
        file.write(b"as it was written")
        with file.to_look_at().open("r+b") as draft:
            draft.write(b"AS")
        with pytest.raises(Refusal, match="reads otherwise"):
            file.keep()
    assert list(tmp_path.iterdir()) == []


# --- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["", "age1xyz", str(OURS), "ssh-ed25519 nothing"], ids=["empty", "short", "private", "ssh"]
)
def test_what_is_no_public_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        archives.recipients([PUBLIC, key])
    assert refused.value.facts == {"number": 2}


@pytest.mark.parametrize(
    "text",
    ["# only a comment\n", PUBLIC, "AGE-SECRET-KEY-1NOTHING", "-----BEGIN RSA-----\nx"],
    ids=["comment", "public", "short", "ssh"],
)
def test_what_is_no_private_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="backup_identity"):
        archives.identities(text)


def test_a_key_file_may_hold_several(tmp_path: Path) -> None:
    other = new_key()
    assert len(archives.identities(f"# created: today\n# public key: {PUBLIC}\n{OURS}\n\n{other}\n")) == 2
