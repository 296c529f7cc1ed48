"""Every setting, and the only reader of the environment."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


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
    TRANSACTION_POOLER: bool = _setting(
        False,
        "BLANGKO_TRANSACTION_POOLER",
        "Whether DATABASE_URL leads to a pooler that lends a connection for one transaction, such as pgbouncer with"
        " `pool_mode = transaction`: statements are then not prepared, and the limits below belong into the server.",
    )
    REPLICA_URL: str = _setting(
        "",
        "BLANGKO_REPLICA_URL",
        "PostgreSQL's standbys that regional pages are read from, such as `postgresql://user:password@a,b/database`;"
        " without it everything is read from the primary. Behind a pooler where DATABASE_URL is.",
    )
    REPLICA_LAG_SECONDS: int = _setting(
        5,
        "BLANGKO_REPLICA_LAG_SECONDS",
        "How old what is read from a standby may be; from one that is further behind nothing is read.",
    )
    STATEMENT_SECONDS: int = _setting(
        0,
        "BLANGKO_STATEMENT_SECONDS",
        "Seconds after which PostgreSQL gives up a statement of this process; 0 never. For web processes, whose"
        " proxies wait no longer; jobs may take their time.",
    )
    LOCK_SECONDS: int = _setting(
        0, "BLANGKO_LOCK_SECONDS", "Seconds that this process waits for a lock on PostgreSQL; 0 for ever."
    )
    IDLE_TRANSACTION_SECONDS: int = _setting(
        600,
        "BLANGKO_IDLE_TRANSACTION_SECONDS",
        "Seconds after which PostgreSQL ends a transaction in which this process does nothing, with the locks that it"
        " holds; 0 never.",
    )
    LANGUAGE: str = _setting("id", "BLANGKO_LANGUAGE", "Language of people who have not chosen one: `id` or `en`.")
    TIME_ZONE: str = _setting("Asia/Jakarta", "BLANGKO_TIME_ZONE", "Time zone of BLANGKO_REVIEW_AT.")
    REVIEW_AT: str = _setting(
        "01:30",
        "BLANGKO_REVIEW_AT",
        "Local time of the nightly low-stock review, and on Sundays of the backtest, HH:MM.",
    )
    REVIEW_EVERY_SECONDS: int = _setting(
        0,
        "BLANGKO_REVIEW_EVERY_SECONDS",
        "Review this often instead of once a night; 0 keeps the nightly time.",
    )
    CHECK_EVERY_SECONDS: int = _setting(
        10,
        "BLANGKO_CHECK_EVERY_SECONDS",
        "How often stocks that postings changed are held against their alerts; 0 leaves them to the review.",
    )
    JOBS_IN_SERVER: bool = _setting(
        True,
        "BLANGKO_JOBS_IN_SERVER",
        "Whether `flask serve` runs the scheduled jobs itself; `0` where `flask jobs` runs beside it.",
    )
    SESSION_HOURS: int = _setting(12, "BLANGKO_SESSION_HOURS", "Hours after which people log in again.")
    SECOND_FACTOR: str = _setting(
        "managers",
        "BLANGKO_SECOND_FACTOR",
        "Who must have a second factor: `managers` (and administrators), `everybody`, or `offered` to all, asked of"
        " nobody.",
    )
    FRESH_MINUTES: int = _setting(
        15,
        "BLANGKO_FRESH_MINUTES",
        "Minutes after which approvals, reversals and changes to people and to one's own factors ask again who is"
        " there.",
    )
    IDLE_MINUTES: int = _setting(60, "BLANGKO_IDLE_MINUTES", "Minutes without a page after which people log in again.")
    OIDC_ISSUER: str = _setting(
        "",
        "BLANGKO_OIDC_ISSUER",
        "Provider of single sign-on by OpenID Connect, such as `https://sso.example.go.id/realms/dukcapil`; without it"
        " people log in with passwords and passkeys alone.",
    )
    OIDC_CLIENT_ID: str = _setting("", "BLANGKO_OIDC_CLIENT_ID", "What the provider calls this installation.")
    OIDC_CLIENT_SECRET: str = _setting(
        "", "BLANGKO_OIDC_CLIENT_SECRET", "The provider's secret for this installation, where it gave one."
    )
    OIDC_NAME: str = _setting("", "BLANGKO_OIDC_NAME", "The provider's name on the log-in page.")
    UNDO_MINUTES: int = _setting(
        10,
        "BLANGKO_UNDO_MINUTES",
        "Minutes for which people can take their own newest entry back by one touch; 0 never.",
    )
    MAX_UPLOAD_BYTES: int = _setting(
        10_000_000,
        "BLANGKO_MAX_UPLOAD_BYTES",
        "Largest request that is accepted, and largest file that is imported.",
    )
    PUBLIC_URL: str = _setting(
        "",
        "BLANGKO_PUBLIC_URL",
        "Address of this installation as people outside reach it, such as `https://blangko.example.go.id`: it stands on"
        " every document, as a code that anybody can hold the paper against. Without it, the address that was asked.",
    )
    HOSTS: str = _setting(
        "",
        "BLANGKO_HOSTS",
        "Names that this installation answers to, such as `blangko.example.go.id,.intra.example`; one that begins with"
        " a dot stands for all below it. Without it that of BLANGKO_PUBLIC_URL; in production one of the two must be"
        " given, embedded any name is answered to.",
    )
    TRUSTED_PROXIES: int = _setting(
        0,
        "BLANGKO_TRUSTED_PROXIES",
        "How many proxies stand in front, of which each sets `X-Forwarded-For`, `-Proto` and `-Host`; with 0 these"
        " headers are not read, as anybody can send them.",
    )
    SMTP_URL: str = _setting(
        "",
        "BLANGKO_SMTP_URL",
        "Mail server for messages: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; `smtp://host?tls=no`"
        " for one in the clear, on the same machine. Without it no e-mail is sent.",
    )
    MAIL_FROM: str = _setting("", "BLANGKO_MAIL_FROM", "Sender of messages, such as `Blangko <blangko@kantor.go.id>`.")
    TELEGRAM_TOKEN: str = _setting("", "BLANGKO_TELEGRAM_TOKEN", "Token of the bot that sends messages by Telegram.")
    MESSAGE_SERVICES: str = _setting(
        "discord,gchat,pover,slack",
        "BLANGKO_MESSAGE_SERVICES",
        "Services of Apprise, by the beginning of their addresses, to which people may have messages sent; one whose"
        " address names any host would let them reach into the installation's network.",
    )
    PRIVATE_WEBHOOKS: bool = _setting(
        False,
        "BLANGKO_PRIVATE_WEBHOOKS",
        "Whether webhooks may go to private addresses, and by plain HTTP.",
    )
    MESSAGES_EVERY_SECONDS: int = _setting(
        10, "BLANGKO_MESSAGES_EVERY_SECONDS", "How often messages are made and sent; 0 sends none."
    )
    ESCALATE_AFTER_HOURS: int = _setting(
        4,
        "BLANGKO_ESCALATE_AFTER_HOURS",
        "Working hours of an office after which an alert that nobody acknowledged goes to the managers above; 0 never.",
    )
    OFFICE_HOURS: str = _setting(
        "08:00-16:00", "BLANGKO_OFFICE_HOURS", "When offices work on their open days, on their own clocks."
    )
    PING_URL: str = _setting(
        "",
        "BLANGKO_PING_URL",
        "Address that is fetched after each good run of a job, `{job}` in it replaced by the job's name: a service"
        " outside raises the alarm when that fails to come.",
    )
    API_RATE: int = _setting(
        600,
        "BLANGKO_API_RATE",
        "Requests a minute that one account may make to the API, counted in each process of the server; 0 is no limit.",
    )
    METRICS_TOKEN: str = _setting(
        "",
        "BLANGKO_METRICS_TOKEN",
        "What `/metrics` asks for as `Authorization: Bearer …`; without it, the page answers to this machine alone.",
    )
    METRICS_PATH: str = _setting(
        "",
        "BLANGKO_METRICS_PATH",
        "Folder, empty at the start, in which several processes of one server add up their counts of requests;"
        " `flask serve` makes one itself.",
    )
    READY_NEEDS_JOBS: bool = _setting(
        False,
        "BLANGKO_READY_NEEDS_JOBS",
        "Whether `/readyz` answers 503 when a scheduled job is late or was given up.",
    )
    BACKUP_PATH: str = _setting(
        "",
        "BLANGKO_BACKUP_PATH",
        "Folder of the backups, best on another machine's disk. With it and BLANGKO_BACKUP_RECIPIENTS one is made every"
        " night; `flask backup` writes there when it is not told where.",
    )
    BACKUP_RECIPIENTS: str = _setting(
        "",
        "BLANGKO_BACKUP_RECIPIENTS",
        "Public keys, of age (`age1…`) or SSH, separated by commas: whoever has one of the private keys reads the"
        " backups. Never keep a private key on this machine.",
    )
    BACKUP_AT: str = _setting(
        "03:30", "BLANGKO_BACKUP_AT", "Local time of the nightly backup, HH:MM, in BLANGKO_TIME_ZONE."
    )
    BACKUP_KEEP: int = _setting(
        14, "BLANGKO_BACKUP_KEEP", "How many backups stay in the folder; the oldest go once a new one lies there whole."
    )
    INSTANCE_PATH: str = _setting(
        "",
        "BLANGKO_INSTANCE_PATH",
        "Folder of the embedded database and key; `instance/` beside `wsgi.py` by default.",
    )
    LOG_LEVEL: str = _setting("INFO", "BLANGKO_LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING` or `ERROR`.")
    LOG_FORMAT: str = _setting(
        "text", "BLANGKO_LOG_FORMAT", "`text`, or `json`: each entry of the log one JSON object on a line."
    )

    def __repr__(self) -> str:
        """Without secrets: nobody who prints the settings, or meets them in an error, reads one."""
        shown = (f"{each.name}={_shown(each.name, getattr(self, each.name))!r}" for each in fields(self))
        return f"Config({', '.join(shown)})"

    @property
    def secrets(self) -> dict[str, str]:
        """The settings that hold a secret, by their names: keys and tokens, and addresses that may have one in them."""
        return {each.name: str(getattr(self, each.name)) for each in fields(self) if _is_secret(each.name)}

    @property
    def production(self) -> bool:
        return self.ENV == "production"

    @property
    def review_time(self) -> time:
        """REVIEW_AT as a time of day in TIME_ZONE."""
        return time.fromisoformat(self.REVIEW_AT)

    @property
    def backup_time(self) -> time:
        """BACKUP_AT as a time of day in TIME_ZONE."""
        return time.fromisoformat(self.BACKUP_AT)

    @property
    def backup_recipients(self) -> list[str]:
        return [each.strip() for each in self.BACKUP_RECIPIENTS.split(",") if each.strip()]

    @property
    def office_hours(self) -> tuple[time, time]:
        """OFFICE_HOURS as two times of day on an office's clock."""
        opens, _, closes = self.OFFICE_HOURS.partition("-")
        return time.fromisoformat(opens), time.fromisoformat(closes)

    @property
    def hosts(self) -> list[str]:
        """The names that are answered to, in small letters; none when any is."""
        named = [each.strip().lower() for each in self.HOSTS.split(",") if each.strip()]
        return named or ([host] if (host := urlsplit(self.PUBLIC_URL).hostname) else [])

    @property
    def message_services(self) -> list[str]:
        return [each.strip() for each in self.MESSAGE_SERVICES.split(",") if each.strip()]


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


def let_processes_add_up(folder: str) -> None:
    """Tell the library of the metrics, which asks the environment, where the processes of a server add up."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def environment_of_programs() -> dict[str, str]:
    """What PostgreSQL's own programs are started with: where they find things, and variables of their own. No setting
    of ours, and so none of our secrets."""
    wanted = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "KRB5CCNAME")
    return {name: value for name, value in os.environ.items() if name in wanted or name.startswith("PG")}


def secret_from_instance(folder: Path) -> str:
    """The embedded installation's own secret key, made on first use; only its owner can read it."""
    file = folder / "secret_key"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _offer_key(file)
    key = file.read_text().strip()
    if not key:
        raise SettingError(f"{file} is empty: remove it, or set BLANGKO_SECRET_KEY.")
    return key


def _offer_key(file: Path) -> None:
    """Put a new key there unless another process was first. It is linked into place whole: nobody finds half a key."""
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".secret_key-")  # readable by its owner alone
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        os.unlink(draft)


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
    for wrong, message in (
        (environment not in ("production", "embedded"), "BLANGKO_ENV must be production or embedded."),
        (config.LANGUAGE not in ("id", "en"), "BLANGKO_LANGUAGE must be id or en."),
        (config.LOG_LEVEL not in LOG_LEVELS, f"BLANGKO_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}."),
        (config.LOG_FORMAT not in ("text", "json"), "BLANGKO_LOG_FORMAT must be text or json."),
        (not 0 <= config.UNDO_MINUTES <= 1440, "BLANGKO_UNDO_MINUTES must be from 0 to 1440."),
        (not 0 <= config.API_RATE <= 1_000_000, "BLANGKO_API_RATE must be from 0 to 1000000."),
        (config.MAX_UPLOAD_BYTES < 1000, "BLANGKO_MAX_UPLOAD_BYTES must be at least 1000."),
        *_about_times(config),
        *_about_log_ins(config),
        *_about_messages(config),
        *_about_secrets(config, environment),
        *_about_names(config, environment),
        *_about_backups(config),
        *_about_replicas(config),
    ):
        if wrong:
            raise SettingError(message)
    urls = {"DATABASE_URL": _driver(config.DATABASE_URL), "REPLICA_URL": _driver(config.REPLICA_URL)}
    return replace(config, ENV=environment, **urls)


Checks = tuple[tuple[bool, str], ...]
"""What can be wrong with settings, and what is said then."""


def _about_times(config: Config) -> Checks:
    return (
        (not _is_time(config.REVIEW_AT), "BLANGKO_REVIEW_AT must be a time of day such as 01:30."),
        (not _is_time_zone(config.TIME_ZONE), "BLANGKO_TIME_ZONE must be a zone such as Asia/Jakarta."),
        (config.REVIEW_EVERY_SECONDS < 0, "BLANGKO_REVIEW_EVERY_SECONDS must not be negative."),
        (config.CHECK_EVERY_SECONDS < 0, "BLANGKO_CHECK_EVERY_SECONDS must not be negative."),
        (config.MESSAGES_EVERY_SECONDS < 0, "BLANGKO_MESSAGES_EVERY_SECONDS must not be negative."),
        *(
            (not 0 <= getattr(config, name) <= 86_400, f"BLANGKO_{name} must be from 0 to 86400.")
            for name in ("STATEMENT_SECONDS", "LOCK_SECONDS", "IDLE_TRANSACTION_SECONDS")
        ),
        (not 0 <= config.ESCALATE_AFTER_HOURS <= 1000, "BLANGKO_ESCALATE_AFTER_HOURS must be from 0 to 1000."),
        (
            not _is_hours(config.OFFICE_HOURS),
            "BLANGKO_OFFICE_HOURS must be two times of one day, such as 08:00-16:00.",
        ),
    )


def _about_messages(config: Config) -> Checks:
    return (
        (
            not _is_mail_server(config.SMTP_URL),
            "BLANGKO_SMTP_URL must be an address such as smtp://user:password@mail.example:587 or smtps://….",
        ),
        (
            bool(config.SMTP_URL) and not _is_sender(config.MAIL_FROM),
            "BLANGKO_MAIL_FROM must be an e-mail address, such as Blangko <blangko@kantor.go.id>.",
        ),
        (
            not re.fullmatch(r"([0-9]+:[A-Za-z0-9_\-]+)?", config.TELEGRAM_TOKEN, re.ASCII),
            "BLANGKO_TELEGRAM_TOKEN must be a bot's token, such as 123456:AbC….",
        ),
        (
            not re.fullmatch(r"([a-z0-9]+ *(, *[a-z0-9]+ *)*)?", config.MESSAGE_SERVICES, re.ASCII),
            "BLANGKO_MESSAGE_SERVICES must be names such as discord,slack.",
        ),
        (
            not _is_page(config.PING_URL),
            "BLANGKO_PING_URL must be an address such as https://ping.example/secret/{job}.",
        ),
    )


def _about_secrets(config: Config, environment: str) -> Checks:
    return (
        (0 < len(config.METRICS_TOKEN) < 16, "BLANGKO_METRICS_TOKEN is too short: give at least 16 characters."),
        (
            not _is_database(config.DATABASE_URL),
            "DATABASE_URL must begin with postgresql:// or sqlite:///, and name each server as host or host:port.",
        ),
        (
            environment == "production" and not config.SECRET_KEY,
            "BLANGKO_SECRET_KEY is not set: production does not start without a secret key.",
        ),
        (
            0 < len(config.SECRET_KEY) < 32,
            "BLANGKO_SECRET_KEY is too short: give at least 32 characters.",
        ),
    )


def _about_names(config: Config, environment: str) -> Checks:
    return (
        (
            not _is_address(config.PUBLIC_URL),
            "BLANGKO_PUBLIC_URL must be an address such as https://blangko.example.go.id, without a path behind it.",
        ),
        (
            not _are_hosts(config.HOSTS),
            "BLANGKO_HOSTS must be names without a scheme or port, such as blangko.example.go.id,.intra.example.",
        ),
        (
            environment == "production" and not config.hosts,
            "BLANGKO_HOSTS is not set, nor BLANGKO_PUBLIC_URL: production answers to its own names only.",
        ),
        (not 0 <= config.TRUSTED_PROXIES <= 9, "BLANGKO_TRUSTED_PROXIES must be from 0 to 9."),
    )


def _about_log_ins(config: Config) -> Checks:
    return (
        (config.SESSION_HOURS < 1, "BLANGKO_SESSION_HOURS must be at least 1."),
        (
            config.SECOND_FACTOR not in ("managers", "everybody", "offered"),
            "BLANGKO_SECOND_FACTOR must be managers, everybody or offered.",
        ),
        (not 1 <= config.FRESH_MINUTES <= 1440, "BLANGKO_FRESH_MINUTES must be from 1 to 1440."),
        (not 1 <= config.IDLE_MINUTES <= 10_080, "BLANGKO_IDLE_MINUTES must be from 1 to 10080."),
        (
            not _is_issuer(config.OIDC_ISSUER),
            "BLANGKO_OIDC_ISSUER must be an address such as https://sso.example.go.id/realms/dukcapil.",
        ),
        (
            bool(config.OIDC_ISSUER) and not config.OIDC_CLIENT_ID,
            "BLANGKO_OIDC_CLIENT_ID is not set: the provider needs to know who asks.",
        ),
    )


def _about_backups(config: Config) -> Checks:
    return (
        (not _is_time(config.BACKUP_AT), "BLANGKO_BACKUP_AT must be a time of day such as 03:30."),
        (not 1 <= config.BACKUP_KEEP <= 10_000, "BLANGKO_BACKUP_KEEP must be from 1 to 10000."),
        (
            bool(config.BACKUP_PATH) and not Path(config.BACKUP_PATH).is_absolute(),
            "BLANGKO_BACKUP_PATH must be a whole path, such as /srv/backups.",
        ),
        (
            not all(_is_public_key(each) for each in config.backup_recipients),
            "BLANGKO_BACKUP_RECIPIENTS must be public keys such as age1…, separated by commas.",
        ),
        (
            bool(config.BACKUP_PATH) and not config.backup_recipients,
            "BLANGKO_BACKUP_RECIPIENTS is not set: the backups in BLANGKO_BACKUP_PATH are encrypted to somebody's key.",
        ),
    )


def _about_replicas(config: Config) -> Checks:
    return (
        (
            bool(config.REPLICA_URL) and not _is_server(config.REPLICA_URL),
            "BLANGKO_REPLICA_URL must begin with postgresql://, and name each server as host or host:port.",
        ),
        (
            bool(config.REPLICA_URL) and not _is_server(config.DATABASE_URL),
            "BLANGKO_REPLICA_URL is of no use without a DATABASE_URL of PostgreSQL: SQLite has no standby.",
        ),
        (not 1 <= config.REPLICA_LAG_SECONDS <= 3600, "BLANGKO_REPLICA_LAG_SECONDS must be from 1 to 3600."),
    )


_SECRET_NAMES = re.compile(r"(^|_)(SECRET|TOKEN|PASSWORD|KEY|KEYS)(_|$)")
_WITH_SECRETS = ("DATABASE_URL", "REPLICA_URL", "SMTP_URL", "PING_URL")
"""Addresses with a password or a secret path in them."""


def _is_secret(name: str) -> bool:
    return name in _WITH_SECRETS or _SECRET_NAMES.search(name) is not None


def _shown(name: str, value: Any) -> Any:
    return "***" if value and _is_secret(name) else value


def _is_time(text: str) -> bool:
    return re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text, re.ASCII) is not None


def _is_public_key(text: str) -> bool:
    return re.fullmatch(r"age1[0-9a-z]{50,100}|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( .*)?", text, re.ASCII) is not None


def _is_hours(text: str) -> bool:
    opens, _, closes = text.partition("-")
    return _is_time(opens) and _is_time(closes) and opens < closes


def _is_issuer(url: str) -> bool:
    """By HTTPS; in the clear only on this very machine, for trying things out."""
    pattern = r"(https://[A-Za-z0-9.\-]+|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[A-Za-z0-9._~/\-]*)?"
    return not url or re.fullmatch(pattern, url, re.ASCII) is not None


def _is_mail_server(url: str) -> bool:
    return (
        not url
        or re.fullmatch(r"smtps?://([^\s@/]+@)?[A-Za-z0-9.\-]{1,160}(:[0-9]{1,5})?/?(\?tls=no)?", url) is not None
    )


def _is_sender(text: str) -> bool:
    return re.fullmatch(r"([^<>@\r\n]*<)?[^\s<>@]+@[A-Za-z0-9.\-]+>?", text) is not None and ("<" in text) == (
        ">" in text
    )


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _is_address(url: str) -> bool:
    return not url or re.fullmatch(r"https?://[A-Za-z0-9.\-]{1,160}(:[0-9]{1,5})?/?", url, re.ASCII) is not None


def _are_hosts(names: str) -> bool:
    return all(
        re.fullmatch(r"\.?[a-z0-9][a-z0-9.\-]{0,160}|\[[0-9a-f:.]{2,45}\]", name.strip().lower(), re.ASCII)
        for name in names.split(",")
        if name.strip()
    )


def _is_page(url: str) -> bool:
    return not url or re.fullmatch(r"https?://[A-Za-z0-9.\-]{1,160}(:[0-9]{1,5})?(/[!-~]*)?", url, re.ASCII) is not None


def _is_database(url: str) -> bool:
    return not url or url.startswith("sqlite:///") or _is_server(url)


def _is_server(url: str) -> bool:
    return url.startswith(("postgres://", "postgresql://", "postgresql+psycopg://")) and bool(_hosts(url))


def _driver(url: str) -> str:
    """Both spellings that hosting services hand out, with the driver that is installed; and libpq's own of several
    servers, `host:port,host:port`, as parameters: the library of the addresses knows no list of them."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = "postgresql+psycopg://" + url.removeprefix(prefix)
    return _several_hosts(url) if url.startswith("postgresql+psycopg://") else url


def _several_hosts(url: str) -> str:
    hosts = _hosts(url)
    if len(hosts) < 2:
        return url
    found = _OF_A_SERVER.fullmatch(url)
    assert found
    names, ports = ",".join(name.strip("[]") for name, _ in hosts), ",".join(port or "5432" for _, port in hosts)
    query = "&".join(filter(None, (f"host={names}&port={ports}", found["query"])))
    return f"{found['scheme']}://{found['user'] or ''}{found['name'] or '/'}?{query}"


_OF_A_SERVER = re.compile(
    r"(?P<scheme>[^:]+)://(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*)(?P<name>/[^?]*)?(?:\?(?P<query>.*))?", re.DOTALL
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)?(?::([0-9]{1,5}))?", re.ASCII)


def _hosts(url: str) -> list[tuple[str, str]]:
    """The servers that an address of PostgreSQL's names before its path, each with its port or ""; none when one of
    them cannot be a server."""
    found = _OF_A_SERVER.fullmatch(url)
    named = [_HOST.fullmatch(each) for each in found["hosts"].split(",")] if found else []
    several = len(named) > 1
    return (
        [(each[1] or "", each[2] or "") for each in named if each]
        if all(each is not None and (each[1] or not several) for each in named)
        else []
    )
