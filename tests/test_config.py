"""Settings: where they come from, and which are refused."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url

from inventory import create_app
from inventory.config import Config, SettingError, environment_of_programs, load, secret_from_instance
from tests.conftest import dispose

KEY = "k" * 32
POSTGRES = "postgresql://blangko:secret@db.example/blangko"
HOST = "blangko.example"


def test_without_anything_the_embedded_defaults_hold() -> None:
    config = load({}, {})
    assert (config.ENV, config.production, config.DATABASE_URL, config.SECRET_KEY) == ("embedded", False, "", "")
    assert (config.LANGUAGE, config.review_time, config.SESSION_HOURS) == ("id", time(1, 30), 12)
    assert config.JOBS_IN_SERVER is True


def test_a_database_url_alone_means_production() -> None:
    given = {"BLANGKO_SECRET_KEY": KEY, "BLANGKO_HOSTS": HOST}
    assert load({}, given | {"DATABASE_URL": POSTGRES}).production
    assert not load({}, {"DATABASE_URL": "sqlite:///x", "BLANGKO_ENV": "embedded"}).production
    assert load({}, given | {"BLANGKO_ENV": "production"}).production


def test_production_knows_its_own_names() -> None:
    given = {"BLANGKO_ENV": "production", "BLANGKO_SECRET_KEY": KEY}
    with pytest.raises(SettingError, match="BLANGKO_HOSTS"):
        load({}, given)
    assert load({}, given | {"BLANGKO_PUBLIC_URL": "https://Blangko.example:8443/"}).hosts == ["blangko.example"]
    several = given | {"BLANGKO_HOSTS": " A.example, .b.example,", "BLANGKO_PUBLIC_URL": "https://c.example"}
    assert load({}, several).hosts == ["a.example", ".b.example"]
    assert load({}, {}).hosts == []


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": POSTGRES},
        {"BLANGKO_ENV": "production"},
        {"BLANGKO_ENV": "production", "BLANGKO_SECRET_KEY": ""},
        {"DATABASE_URL": "sqlite:///x"},
    ],
)
def test_production_does_not_start_without_a_secret_key(environment: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="BLANGKO_SECRET_KEY"):
        load({}, environment)


@pytest.mark.parametrize("env", ["production", "embedded"])
def test_a_short_secret_key_is_refused(env: str) -> None:
    with pytest.raises(SettingError, match="BLANGKO_SECRET_KEY") as refused:
        load({}, {"BLANGKO_ENV": env, "BLANGKO_SECRET_KEY": "k" * 31})
    assert "k" * 31 not in str(refused.value)
    assert load({}, {"BLANGKO_ENV": env, "BLANGKO_SECRET_KEY": KEY, "BLANGKO_HOSTS": HOST}).SECRET_KEY == KEY


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BLANGKO_ENV", "staging"),
        ("BLANGKO_ENV", "Production"),
        ("BLANGKO_LANGUAGE", "jv"),
        ("BLANGKO_REVIEW_AT", "25:00"),
        ("BLANGKO_REVIEW_AT", "half past one"),
        ("BLANGKO_REVIEW_EVERY_SECONDS", "often"),
        ("BLANGKO_REVIEW_EVERY_SECONDS", "1.5"),
        ("BLANGKO_SESSION_HOURS", "1e3"),
        ("BLANGKO_MAX_UPLOAD_BYTES", "1 MB"),
        ("BLANGKO_REVIEW_EVERY_SECONDS", "-5"),
        ("BLANGKO_CHECK_EVERY_SECONDS", "-1"),
        ("BLANGKO_SESSION_HOURS", "0"),
        ("BLANGKO_SESSION_HOURS", "-1"),
        ("BLANGKO_MAX_UPLOAD_BYTES", "-1"),
        ("BLANGKO_TIME_ZONE", "Asia/Denpasar"),
        ("BLANGKO_TIME_ZONE", "../../etc/passwd"),
        ("BLANGKO_LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://blangko@db.example/blangko"),
        ("DATABASE_URL", "blangko.sqlite3"),
        ("BLANGKO_JOBS_IN_SERVER", "maybe"),
        ("BLANGKO_SECOND_FACTOR", "nobody"),
        ("BLANGKO_FRESH_MINUTES", "0"),
        ("BLANGKO_FRESH_MINUTES", "1441"),
        ("BLANGKO_PUBLIC_URL", "blangko.example.go.id"),
        ("BLANGKO_PUBLIC_URL", "ftp://blangko.example.go.id"),
        ("BLANGKO_PUBLIC_URL", "https://blangko.example.go.id/deeper"),
        ("BLANGKO_PUBLIC_URL", "https://a@b.example"),
        ("BLANGKO_HOSTS", "https://blangko.example"),
        ("BLANGKO_HOSTS", "blangko.example:443"),
        ("BLANGKO_HOSTS", "*"),
        ("BLANGKO_TRUSTED_PROXIES", "-1"),
        ("BLANGKO_TRUSTED_PROXIES", "all"),
        ("BLANGKO_SMTP_URL", "mail.example"),
        ("BLANGKO_SMTP_URL", "https://mail.example"),
        ("BLANGKO_MAIL_FROM", ""),
        ("BLANGKO_MAIL_FROM", "Blangko"),
        ("BLANGKO_MAIL_FROM", "Blangko <blangko@kantor.test"),
        ("BLANGKO_MAIL_FROM", "a@b.test\r\nBcc: c@d.test"),
        ("BLANGKO_TELEGRAM_TOKEN", "token/../x"),
        ("BLANGKO_MESSAGE_SERVICES", "slack://"),
        ("BLANGKO_MESSAGES_EVERY_SECONDS", "-1"),
        ("BLANGKO_ESCALATE_AFTER_HOURS", "-1"),
        ("BLANGKO_OFFICE_HOURS", "16:00-08:00"),
        ("BLANGKO_OFFICE_HOURS", "08:00"),
        ("BLANGKO_PING_URL", "ping.example/{job}"),
        ("BLANGKO_PING_URL", "file:///etc/hostname"),
        ("BLANGKO_PING_URL", "https://ping.example/a b"),
        ("BLANGKO_METRICS_TOKEN", "short"),
        ("BLANGKO_READY_NEEDS_JOBS", "sometimes"),
        ("BLANGKO_BACKUP_PATH", "backups"),
        ("BLANGKO_BACKUP_RECIPIENTS", "age1short"),
        ("BLANGKO_BACKUP_RECIPIENTS", "AGE-SECRET-KEY-1" + "Q" * 58),
        ("BLANGKO_BACKUP_AT", "half past three"),
        ("BLANGKO_BACKUP_KEEP", "0"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=variable):
        load({}, {"BLANGKO_SECRET_KEY": KEY, **given_with(variable), variable: value})


def given_with(variable: str) -> dict[str, str]:
    """What a variable is only looked at together with."""
    return {"BLANGKO_SMTP_URL": "smtp://mail.example"} if variable == "BLANGKO_MAIL_FROM" else {}


def test_nightly_backups_need_somebodys_key_and_the_message_repeats_none() -> None:
    public, private = "age1" + "q" * 58, "AGE-SECRET-KEY-1" + "Q" * 58
    with pytest.raises(SettingError, match="BLANGKO_BACKUP_RECIPIENTS"):
        load({}, {"BLANGKO_BACKUP_PATH": "/srv/backups"})
    with pytest.raises(SettingError) as refused:
        load({}, {"BLANGKO_BACKUP_RECIPIENTS": f"{public},{private}"})
    assert private not in str(refused.value)
    several = {
        "BLANGKO_BACKUP_PATH": "/srv/backups",
        "BLANGKO_BACKUP_RECIPIENTS": f" {public}, ssh-ed25519 AAAA+/= me,",
    }
    config = load({}, several)
    assert config.backup_recipients == [public, "ssh-ed25519 AAAA+/= me"]
    assert (config.backup_time, config.BACKUP_KEEP) == (time(3, 30), 14)


def test_a_program_that_is_started_is_given_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"DATABASE_URL": POSTGRES, "BLANGKO_SECRET_KEY": KEY, "PGSSLROOTCERT": "/etc/ssl/ours.pem", "PATH": "/bin"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = environment_of_programs()
    assert (found["PATH"], found["PGSSLROOTCERT"]) == ("/bin", "/etc/ssl/ours.pem")
    assert not {"DATABASE_URL", "BLANGKO_SECRET_KEY"} & set(found)


def test_a_mail_server_needs_a_sender() -> None:
    server = {"BLANGKO_SMTP_URL": "smtps://user:a%2Fb@mail.example:465"}
    assert load({}, server | {"BLANGKO_MAIL_FROM": "Blangko <blangko@kantor.test>"}).SMTP_URL
    assert load({}, server | {"BLANGKO_MAIL_FROM": "blangko@kantor.test"}).office_hours == (time(8), time(16))
    with pytest.raises(SettingError, match="BLANGKO_MAIL_FROM"):
        load({}, server)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BLANGKO_REVIEW_AT", "01:30Z"),
        ("BLANGKO_REVIEW_AT", "01:30+09:00"),
        ("BLANGKO_REVIEW_AT", "01:30:15.5"),
        ("BLANGKO_TIME_ZONE", "Asia"),
    ],
)
def test_a_value_that_is_almost_right_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=variable):
        load({}, {"BLANGKO_SECRET_KEY": KEY, variable: value})


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("YES", True), ("0", False), ("False", False), ("no", False)]
)
def test_yes_and_no_are_read(text: str, value: bool) -> None:
    assert load({}, {"BLANGKO_JOBS_IN_SERVER": text}).JOBS_IN_SERVER is value


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d?sslmode=require", "postgresql+psycopg://u:p@h:5433/d?sslmode=require"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql+psycopg:///d?host=/run/postgresql"),
        (
            "postgresql://u:p@a:5433,[fd00::1]/d?target_session_attrs=read-write",
            "postgresql+psycopg://u:p@/d?host=a,fd00::1&port=5433,5432&target_session_attrs=read-write",
        ),
        ("postgres://u:p@a,b", "postgresql+psycopg://u:p@/?host=a,b&port=5432,5432"),
        ("sqlite:////var/lib/blangko/b.sqlite3", "sqlite:////var/lib/blangko/b.sqlite3"),
    ],
)
def test_a_database_url_gets_the_driver_that_is_installed(given: str, used: str) -> None:
    assert used == load({}, {"DATABASE_URL": given, "BLANGKO_SECRET_KEY": KEY, "BLANGKO_HOSTS": HOST}).DATABASE_URL
    assert used == load({"DATABASE_URL": given, "SECRET_KEY": KEY, "HOSTS": HOST}, {}).DATABASE_URL


@pytest.mark.parametrize("url", ["postgresql://u:p@a,,b/d", "postgresql://u@a:x,b/d", "postgresql://u@a:1:2/d"])
def test_an_address_whose_servers_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="DATABASE_URL"):
        load({"DATABASE_URL": url, "SECRET_KEY": KEY, "HOSTS": HOST}, {})


def test_the_library_of_addresses_takes_several_servers() -> None:
    given = {"DATABASE_URL": "postgresql://u:p%40@a:5433,b/d?target_session_attrs=read-write"}
    url = make_url(load(given | {"SECRET_KEY": KEY, "HOSTS": HOST}, {}).DATABASE_URL)
    arguments = create_engine(url).dialect.create_connect_args(url)[1]
    assert {"host": "a,b", "port": "5433,5432", "password": "p@", "dbname": "d"}.items() <= arguments.items()
    assert arguments["target_session_attrs"] == "read-write"


def test_what_is_given_wins_over_the_environment() -> None:
    environment = {"BLANGKO_LANGUAGE": "en", "BLANGKO_SESSION_HOURS": "3"}
    config = load({"LANGUAGE": "id"}, environment)
    assert (config.LANGUAGE, config.SESSION_HOURS) == ("id", 3)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load({}, dict.fromkeys(variables(), "")) == load({}, {})


def variables() -> list[str]:
    return [setting.metadata["variable"] for setting in Config.__dataclass_fields__.values()]


def test_every_setting_has_a_variable_of_its_own_and_a_help_text() -> None:
    assert len(set(variables())) == len(variables())
    for setting in Config.__dataclass_fields__.values():
        assert setting.metadata["help"].endswith(".")


def test_only_the_settings_are_read_from_the_environment() -> None:
    # A benchmark hands its environment on to the processes that it measures.
    files = [
        file for file in Path(__file__).parent.parent.joinpath("inventory").rglob("*.py") if file.parent.name != "bench"
    ]
    sources = {file.name: file.read_text(encoding="utf-8") for file in files}
    reading = [name for name, source in sources.items() if "os.environ" in source or "getenv" in source]
    assert reading == ["config.py"]


# --- the embedded installation's own key -------------------------------------------------------------------------


def test_an_embedded_installation_makes_its_own_key_and_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "instance"
    key = secret_from_instance(folder)
    assert len(key) >= 32
    assert secret_from_instance(folder) == key
    assert secret_from_instance(tmp_path / "another") != key


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_the_key(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        secret_from_instance(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    for n in range(20):
        assert len(keys_made_at_once(tmp_path / str(n), 8)) == 1


def keys_made_at_once(folder: Path, count: int) -> set[str]:
    keys: set[str] = set()
    barrier = threading.Barrier(count)

    def make() -> None:
        barrier.wait()
        keys.add(secret_from_instance(folder))

    threads = [threading.Thread(target=make) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return keys


def test_a_key_that_another_process_is_about_to_write_is_not_taken_for_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment at which a second process may look, it finds the whole key or none."""
    seen: list[str] = []
    real_open, real_fdopen = os.open, os.fdopen

    def look(call: Callable[..., Any]) -> Callable[..., Any]:
        def looking(*arguments: Any, **named: Any) -> Any:
            result = call(*arguments, **named)
            if (tmp_path / "secret_key").exists():
                seen.append((tmp_path / "secret_key").read_text())
            return result

        return looking

    monkeypatch.setattr(os, "open", look(real_open))
    monkeypatch.setattr(os, "fdopen", look(real_fdopen))
    key = secret_from_instance(tmp_path)
    assert set(seen) <= {key}


def test_an_empty_key_file_is_no_key(tmp_path: Path) -> None:
    """A disk that was full, or a crash, may have left it."""
    (tmp_path / "secret_key").write_text("")
    try:
        key = secret_from_instance(tmp_path)
    except SettingError as refused:
        assert "secret_key" in str(refused)  # noqa: PT017  (either answer will do)
    else:
        assert len(key) >= 32


# --- the application ---------------------------------------------------------------------------------------------


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in variables():
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("bare_environment")
def test_an_embedded_application_keeps_its_data_in_its_instance_folder(tmp_path: Path) -> None:
    app = create_app({"INSTANCE_PATH": str(tmp_path)})
    assert app.config["SQLALCHEMY_DATABASE_URI"] == f"sqlite:///{tmp_path / 'blangko.sqlite3'}"
    assert app.config["SECRET_KEY"] == (tmp_path / "secret_key").read_text()
    assert app.config["SESSION_COOKIE_SECURE"] is False
    dispose(app)


@pytest.mark.usefixtures("bare_environment")
def test_a_production_application_writes_no_key_and_sends_cookies_over_https_only(
    tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    given = {"ENV": "production", "SECRET_KEY": KEY, "DATABASE_URL": POSTGRES, "HOSTS": HOST}
    app = create_app(given | {"INSTANCE_PATH": str(tmp_path)})
    assert app.config["SECRET_KEY"] == KEY
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert app.config["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bare_environment")
def test_a_production_application_does_not_start_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    with pytest.raises(SettingError, match="BLANGKO_SECRET_KEY"):
        create_app({"INSTANCE_PATH": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
