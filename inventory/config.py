"""Every setting, and the only reader of the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time
from pathlib import Path
from typing import Any


class SettingError(Exception):
    """A setting is missing or cannot be right. The message names it."""


def _setting(default: Any, variable: str, help: str) -> Any:
    return field(default=default, metadata={"variable": variable, "help": help})


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings. Each is read from the environment variable in its metadata, unless given to `create_app`."""

    ENV: str = _setting(
        "",
        "BLANGKO_ENV",
        "`production` or `embedded`; without it, production when DATABASE_URL is set. In production a secret key"
        " must be given and cookies travel over HTTPS only.",
    )
    SECRET_KEY: str = _setting(
        "",
        "BLANGKO_SECRET_KEY",
        "Signs sessions and forms; at least 32 characters, the same in all processes. Embedded, one is made and kept"
        " in `instance/secret_key`.",
    )
    DATABASE_URL: str = _setting(
        "",
        "DATABASE_URL",
        "`postgresql://user:password@host/database`, or `sqlite:///file`. Without it, SQLite in"
        " `instance/blangko.sqlite3`.",
    )
    LANGUAGE: str = _setting("id", "BLANGKO_LANGUAGE", "Language of people who have not chosen one: `id` or `en`.")
    TIME_ZONE: str = _setting("Asia/Jakarta", "BLANGKO_TIME_ZONE", "Time zone of BLANGKO_REVIEW_AT.")
    REVIEW_AT: str = _setting("01:30", "BLANGKO_REVIEW_AT", "Local time of the nightly low-stock review, HH:MM.")
    REVIEW_EVERY_SECONDS: int = _setting(
        0,
        "BLANGKO_REVIEW_EVERY_SECONDS",
        "Review this often instead of once a night; 0 keeps the nightly time.",
    )
    JOBS_IN_SERVER: bool = _setting(
        True,
        "BLANGKO_JOBS_IN_SERVER",
        "Whether `flask serve` runs the scheduled jobs itself; `0` where `flask jobs` runs beside it.",
    )
    SESSION_HOURS: int = _setting(12, "BLANGKO_SESSION_HOURS", "Hours after which people log in again.")
    MAX_UPLOAD_BYTES: int = _setting(1_000_000, "BLANGKO_MAX_UPLOAD_BYTES", "Largest request body that is accepted.")
    INSTANCE_PATH: str = _setting(
        "",
        "BLANGKO_INSTANCE_PATH",
        "Folder of the embedded database and key; `instance/` beside `wsgi.py` by default.",
    )
    LOG_LEVEL: str = _setting("INFO", "BLANGKO_LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING` or `ERROR`.")

    @property
    def production(self) -> bool:
        return self.ENV == "production"

    @property
    def review_time(self) -> time:
        """REVIEW_AT as a time of day in TIME_ZONE."""
        return time.fromisoformat(self.REVIEW_AT)


def load(given: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The settings from `given` (by field name), then the environment, then the defaults.

    Raises SettingError naming the setting that is missing or wrong.
    """
    given = given or {}
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for setting in fields(Config):
        if setting.name in given:
            values[setting.name] = given[setting.name]
        elif environment.get(variable := setting.metadata["variable"]):
            values[setting.name] = _parse(variable, environment[variable], setting.default)
    return _checked(values)


def secret_from_instance(folder: Path) -> str:
    """The embedded installation's own secret key, made on first use; only its owner can read it."""
    file = folder / "secret_key"
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    key = secrets.token_urlsafe(48)
    with os.fdopen(handle, "w") as stream:
        stream.write(key)
    return key


def _parse(variable: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ("0", "1", "true", "false", "yes", "no"):
            raise SettingError(f"{variable} must be 1 or 0, not {text!r}.")
        return text.lower() in ("1", "true", "yes")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingError(f"{variable} must be a whole number, not {text!r}.") from None
    return text


def _checked(values: dict[str, Any]) -> Config:
    config = Config(**values)
    environment = config.ENV or ("production" if config.DATABASE_URL else "embedded")
    if environment not in ("production", "embedded"):
        raise SettingError(f"BLANGKO_ENV must be production or embedded, not {config.ENV!r}.")
    if config.LANGUAGE not in ("id", "en"):
        raise SettingError(f"BLANGKO_LANGUAGE must be id or en, not {config.LANGUAGE!r}.")
    try:
        time.fromisoformat(config.REVIEW_AT)
    except ValueError:
        raise SettingError(f"BLANGKO_REVIEW_AT must be a time such as 01:30, not {config.REVIEW_AT!r}.") from None
    if environment == "production" and not config.SECRET_KEY:
        raise SettingError("BLANGKO_SECRET_KEY is not set: production does not start without a secret key.")
    if config.SECRET_KEY and len(config.SECRET_KEY) < 32:
        raise SettingError("BLANGKO_SECRET_KEY is too short: give at least 32 characters.")
    return replace(config, ENV=environment, DATABASE_URL=_driver(config.DATABASE_URL))


def _driver(url: str) -> str:
    """Both spellings that hosting services hand out, with the driver that is installed."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url
