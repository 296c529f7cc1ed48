"""Lines of a log: no secret in them, and nothing that somebody typed or sent begins a line of its own."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import gmtime
from urllib.parse import unquote, urlsplit

from inventory.domain.audit import MASK

_KNOWN_BY_NAME = re.compile(
    r"(?i)((?:pass(?:word|phrase|wd)?|csrf[_-]?token|x-csrftoken|token|secret|authori[sz]ation|(?:set-)?cookie|session"
    r"|recovery[_-]code|totp|otp)[\"']?\s*[=:]\s*[\"']?)((?:bearer |basic )?[^\s\"'&,;)}\]]+)"
)
_IN_ADDRESS = re.compile(r"(://)[^/\s@:]*:[^/\s@]*@")
_LOOKS_SECRET = re.compile(r"\$argon2\S*|\beyJ[\w\-]+\.[\w\-]+(?:\.[\w\-]*)?|\bblk_[\w\-]{43}", re.ASCII)
_ROW = re.compile(r"DETAIL:.*?(?=\n(?:\[SQL: |CONTEXT: |HINT: |\nThe above exception|\nDuring handling)|\Z)", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SHORTEST = 6
"""A secret that is shorter would take half of the words of a log with it."""


class SafeFormatter(logging.Formatter):
    """Formats as `inner` does, then masks `secrets` and what is known to be one by its name or looks, writes control
    characters out, and sets every line after the first in: what looks like a new entry never is one."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self.inner = inner
        self.secrets = longest_first(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return safe(self.inner.format(record), self.secrets)


Facts = Mapping[str, object]


class JsonFormatter(logging.Formatter):
    """Each entry one JSON object on one line of plain ASCII: what it says, and in which request or run of a job, as
    `about` tells. It knows the same secrets as a SafeFormatter."""

    def __init__(self, secrets: Iterable[str] = (), about: Callable[[], Facts] = dict) -> None:
        super().__init__()
        self.converter = gmtime
        self.secrets = longest_first(secrets)
        self.about = about

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            **_RUN.get(),
            **self.about(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        plain = {
            name: masked(value, self.secrets) if isinstance(value, str) else value for name, value in entry.items()
        }
        return json.dumps(plain, default=str)


_RUN: ContextVar[Facts] = ContextVar("run", default={})  # noqa: B039  (nobody changes it)


@contextmanager
def run_of(**facts: object) -> Iterator[None]:
    """What is logged inside carries these facts, where entries are JSON."""
    token = _RUN.set({**_RUN.get(), **facts})
    try:
        yield
    finally:
        _RUN.reset(token)


def safe(text: str, secrets: Iterable[str] = ()) -> str:
    """Text as it may stand in a log."""
    text = masked(text, secrets)
    lines = [_CONTROL.sub(_written_out, line) for line in re.split(r"\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]", text)]
    return "\n  | ".join(lines)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Text without `secrets`, and without what is known to be one by its name or looks."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _IN_ADDRESS.sub(rf"\1{MASK}@", text)
    text = _KNOWN_BY_NAME.sub(rf"\1{MASK}", text)
    text = _LOOKS_SECRET.sub(MASK, text)
    return _ROW.sub(f"DETAIL: {MASK}", text)  # PostgreSQL's way to show the whole row that it refuses


def longest_first(secrets: Iterable[str]) -> list[str]:
    """Those that are long enough to be looked for; one that is part of another comes after it."""
    return sorted({each for each in secrets if len(each) >= SHORTEST}, key=len, reverse=True)


def make_safe(
    handlers: Iterable[logging.Handler],
    secrets: Iterable[str],
    *,
    as_json: bool = False,
    about: Callable[[], Facts] = dict,
) -> None:
    """Have these handlers write safe lines: each in the form it has, or JSON objects with what `about` tells."""
    secrets = list(secrets)
    for handler in handlers:
        if as_json:
            handler.setFormatter(JsonFormatter(secrets, about))
            continue
        inner = handler.formatter or logging.Formatter()
        inner = inner.inner if isinstance(inner, SafeFormatter) else inner
        inner = logging.Formatter() if isinstance(inner, JsonFormatter) else inner
        handler.setFormatter(SafeFormatter(inner, secrets))


def secrets_in(address: str) -> list[str]:
    """The password in an address, as it is written there and as it is meant."""
    try:
        password = urlsplit(address).password
    except ValueError:
        return [address]
    return [password, unquote(password)] if password else []


def _written_out(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"
