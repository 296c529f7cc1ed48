"""Files of backups: a tar of a manifest and a dump, encrypted by age, written all or nothing.

The tar holds `manifest.json`, the dump in parts (`dump/000001` and on, so that its length need not be known before it
has been made), and `end.json` with the dump's length and SHA-256. Programs that everybody has read it as well:
`age -d -i KEY FILE | tar -x`, then `cat dump/*`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, cast

from inventory.domain.backups import LARGEST_MANIFEST
from inventory.domain.errors import Invalid, Refusal

PART = 4 << 20
"""Bytes of the dump in one member of the tar, and so what is held in memory at a time."""
CHUNK = 1 << 20
ENCRYPTED = b"age-encryption.org/"
PARTIAL = ".partial"


class NewFile:
    """A file that gets its name only when all of it is on the disk, and never that of another file.

    Until `keep` it is a draft beside it that only its owner can read, and it goes with the context.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.fault = path, 0, cast("OSError | None", None)
        self._digest = hashlib.sha256()

    def __enter__(self) -> NewFile:
        self.refuse_another()
        # mkstemp makes it for its owner alone, whatever the umask.
        handle, self._draft = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-", suffix=PARTIAL)
        self._file = os.fdopen(handle, "w+b")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what could not be written is not written now either
            self._file.close()
        with suppress(FileNotFoundError):
            os.unlink(self._draft)

    def refuse_another(self) -> None:
        if os.path.lexists(self.path):
            raise Refusal("backup_exists", file=self.path.name)

    def write(self, data: bytes) -> int:
        """Whoever calls this may lose what it raises: it stays in `fault`."""
        try:
            self._file.write(data)
        except OSError as error:
            self.fault = error
            raise
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """For whoever writes in pieces; `keep` is what counts."""

    def to_look_at(self) -> Path:
        """The draft, with all that was written so far."""
        self._file.flush()
        return Path(self._draft)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def keep(self) -> None:
        """Give it its name, once it has been read back from the disk as it was written. Raises Refusal
        `backup_exists`, `backup_failed`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._read_back() != self.sha256:
            raise Refusal("backup_failed", why="what was written reads otherwise")
        try:
            os.link(self._draft, self.path)  # unlike a rename it takes no other file's place
        except FileExistsError:
            raise Refusal("backup_exists", file=self.path.name) from None
        except OSError:  # a file system without links
            self.refuse_another()
            os.rename(self._draft, self.path)
        _settle(self.path.parent)

    def _read_back(self) -> str:
        handle = self._file.fileno()
        if hasattr(os, "posix_fadvise"):  # from the disk, not from what the system remembers of it
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()


def _settle(folder: Path) -> None:
    """Have the folder itself on the disk, with the new name in it, where the file system knows how."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _age() -> Any:
    """The library, which has no types that fit it."""
    import pyrage

    return pyrage


# --- keys --------------------------------------------------------------------------------------------------------


def recipients(keys: Iterable[str]) -> list[Any]:
    """Public keys of age or SSH. Raises Invalid `backup_recipient`, which does not repeat what was given: it may be a
    private key."""
    age, found = _age(), []
    for number, key in enumerate(keys, start=1):
        try:
            kind = age.ssh if key.startswith("ssh-") else age.x25519
            found.append(kind.Recipient.from_str(key))
        except age.RecipientError:
            raise Invalid("backup_recipient", number=number) from None
    return found


def identities(text: str) -> list[Any]:
    """The private keys in the text of a key file, of age or SSH. Raises Invalid `backup_identity`."""
    age = _age()
    try:
        if text.lstrip().startswith("-----BEGIN"):
            return [age.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [age.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except age.IdentityError:
        raise Invalid("backup_identity") from None
    if not found:
        raise Invalid("backup_identity")
    return found


# --- writing -----------------------------------------------------------------------------------------------------


def write(file: NewFile, manifest: bytes, dump: Iterable[bytes], keys: Sequence[Any]) -> None:
    """Write an archive, encrypted to all of the `keys`, or in the clear where there are none.

    Raises what the dump raises, and OSError where it does not fit.
    """
    parts = _tar(manifest, dump)
    if not keys:
        for part in parts:
            file.write(part)
        return
    age, source, refused = _age(), _Source(parts), cast("Exception | None", None)
    try:
        age.encrypt_io(source, file, keys)
    except (age.EncryptError, OSError) as error:
        refused = error
    # The library makes its own of what reading raises, and lets some of what writing raises fall.
    fault = source.fault or file.fault or refused
    if fault is not None:
        raise fault
    assert source.ended, "the whole dump was read"


class _Source:
    """Parts one after another, to be read so many bytes at a time; what a part raises stays in `fault`."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, memoryview(b"")
        self.ended, self.fault = False, cast("BaseException | None", None)

    def read(self, size: int) -> bytes:
        try:
            while not self._left:
                self._left = memoryview(next(self._parts))
        except StopIteration:
            self.ended = True
            return b""
        except BaseException as error:
            self.fault = error
            raise
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)


def _tar(manifest: bytes, dump: Iterable[bytes]) -> Iterator[bytes]:
    yield from _member("manifest.json", manifest)
    digest, size, number = hashlib.sha256(), 0, 0
    for number, part in enumerate(_regrouped(dump), start=1):
        digest.update(part)
        size += len(part)
        yield from _member(f"dump/{number:06d}", part)
    yield from _member("end.json", json.dumps(_end(manifest, number, size, digest.hexdigest())).encode())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _end(manifest: bytes, parts: int, size: int, sha256: str) -> dict[str, object]:
    return {"parts": parts, "size": size, "sha256": sha256, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}


def _member(name: str, data: bytes) -> Iterator[bytes]:
    head = tarfile.TarInfo(name)
    head.size, head.mode = len(data), 0o600
    yield head.tobuf(tarfile.USTAR_FORMAT)
    yield data
    yield bytes(-len(data) % tarfile.BLOCKSIZE)


def _regrouped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        while len(gathered) >= PART:
            yield bytes(gathered[:PART])
            del gathered[:PART]
    if gathered:
        yield bytes(gathered)


# --- reading -----------------------------------------------------------------------------------------------------


class Archive:
    """An archive as it is read from its beginning to its end, once."""

    def __init__(self, stream: BinaryIO, decrypting: _Decrypting | None) -> None:
        self._stream, self._decrypting = stream, decrypting
        self.manifest = b""
        with self._explained():
            self._tar = tarfile.open(fileobj=stream, mode="r|")  # noqa: SIM115  (its stream is closed where it was opened)
            name, size, data = self._next()
            if name != "manifest.json" or size > LARGEST_MANIFEST:
                raise tarfile.TarError
            self.manifest = data.read()

    def chunks(self) -> Iterator[bytes]:
        """The dump. Raises Invalid `backup_damaged` at its end where it is not what it was, or before."""
        digest, size, parts = hashlib.sha256(), 0, 0
        while True:
            with self._explained():
                name, _, data = self._next()
            if name == "end.json":
                break
            parts += 1
            with self._explained():
                if name != f"dump/{parts:06d}":
                    raise tarfile.TarError
            while chunk := self._read(data):
                digest.update(chunk)
                size += len(chunk)
                yield chunk
        with self._explained():
            told = json.loads(data.read(LARGEST_MANIFEST))
            self._run_out()
        if told != _end(self.manifest, parts, size, digest.hexdigest()):
            raise Invalid("backup_damaged")

    def _next(self) -> tuple[str, int, Any]:
        found = self._tar.next()
        if found is None or not found.isfile():
            raise tarfile.TarError
        return found.name, found.size, self._tar.extractfile(found)

    def _read(self, data: Any) -> bytes:
        with self._explained():
            return data.read(CHUNK)

    def _run_out(self) -> None:
        """Read to the very end: there it shows whether something was cut off."""
        if self._tar.next() is not None:
            raise tarfile.TarError
        while self._stream.read(CHUNK):
            pass
        if self._decrypting is not None:
            self._decrypting.explain()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, OSError, EOFError, ValueError):
            if self._decrypting is not None:
                self._decrypting.explain()
            if not self.manifest:
                raise Invalid("backup_unreadable") from None
            raise Invalid("backup_damaged") from None


def is_encrypted(file: BinaryIO) -> bool:
    begins = file.read(len(ENCRYPTED))
    file.seek(0)
    return begins == ENCRYPTED


@contextmanager
def reading(file: BinaryIO, keys: Sequence[Any]) -> Iterator[Archive]:
    """The archive in a file, from where the file stands. Raises Invalid `backup_needs_key`, `backup_wrong_key`,
    `backup_damaged`, `backup_unreadable`."""
    if not is_encrypted(file):
        yield Archive(file, None)
        return
    if not keys:
        raise Invalid("backup_needs_key")
    ours, theirs = os.pipe()
    stream = os.fdopen(ours, "rb", buffering=CHUNK)
    decrypting = _Decrypting(file, theirs, keys)
    try:
        yield Archive(stream, decrypting)
    finally:
        stream.close()  # and with it whatever is still being written into the pipe
        decrypting.join()


class _Decrypting:
    """age, in a thread: it writes what it reads into a pipe."""

    def __init__(self, file: BinaryIO, into: int, keys: Sequence[Any]) -> None:
        self._fault: Exception | None = None
        self._thread = Thread(target=self._run, args=(file, into, keys), name="decryption", daemon=True)
        self._thread.start()

    def _run(self, file: BinaryIO, into: int, keys: Sequence[Any]) -> None:
        with os.fdopen(into, "wb", buffering=0) as pipe:
            try:
                _age().decrypt_io(file, Whole(pipe), keys)
            except Exception as error:
                self._fault = error

    def explain(self) -> None:
        """To be asked when nothing more came: by then it is known why. Raises Invalid where it was not the end."""
        if self._fault is None:
            return
        if isinstance(self._fault, _age().DecryptError) and "matching keys" in str(self._fault):
            raise Invalid("backup_wrong_key") from None
        raise Invalid("backup_damaged") from None

    def join(self) -> None:
        self._thread.join()


class Whole:
    """Writes all of what it is given: a pipe takes what fits."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[self._pipe.write(left) :]
        return len(data)

    def flush(self) -> None:
        pass
