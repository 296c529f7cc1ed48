"""What is in `.deploy/` can be read by what it is for, and names nothing that is not there."""

from __future__ import annotations

import configparser
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from gunicorn.config import Config as ServerConfig

from inventory.config import Config, load
from inventory.serving import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / ".deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = sorted(file for file in DEPLOY.rglob("*") if file.is_file() and "__pycache__" not in file.parts)

VARIABLE = re.compile(r"\b(?:BLANGKO_[A-Z_]+|DATABASE_URL)\b")
OF_GUNICORN = {"BIND", "WEB_CONCURRENCY"}
"""What `gunicorn.conf.py` reads itself."""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def variables() -> dict[str, str]:
    return {setting.metadata["variable"]: name for name, setting in Config.__dataclass_fields__.items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_variable_that_is_named_is_a_setting(file: Path) -> None:
    named = set(VARIABLE.findall(file.read_text(encoding="utf-8")))
    assert named <= set(variables())


def unit(file: Path) -> dict[str, dict[str, list[str]]]:
    """A unit's settings; one may stand there more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
            continue
        name, equals, value = line.partition("=")
        assert equals, line
        section.setdefault(name, []).append(value)
    return found


def check_command(app: Flask, words: list[str]) -> None:
    program = Path(words[0]).name
    if program == "gunicorn":
        assert (ROOT / words[words.index("--config") + 1]).is_file()
        assert words[-1] == "wsgi:app"
        return
    assert program == "flask"
    assert words[1:3] == ["--app", "wsgi"]
    group: Any = app.cli
    command = group.get_command(None, words[3]) if words[3] != "db" else None
    if words[3] == "db":
        from flask_migrate.cli import db as migrations

        command = migrations.get_command(None, words[4])  # type: ignore[arg-type]
    assert command is not None, words


@pytest.fixture(scope="module")
def cli_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    from inventory import create_app

    folder = tmp_path_factory.mktemp("instance")
    return create_app({"ENV": "embedded", "INSTANCE_PATH": str(folder), "DATABASE_URL": f"sqlite:///{folder / 'x'}"})


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_units_start_what_there_is_with_settings_that_are_taken(file: Path, cli_app: Flask) -> None:
    service = unit(file)["Service"]
    for command in service["ExecStart"]:
        check_command(cli_app, shlex.split(command))
    given = dict(each.split("=", 1) for each in service["Environment"])
    rest = {"BLANGKO_SECRET_KEY": "x" * 40, "DATABASE_URL": "postgresql://a@b/c", "BLANGKO_HOSTS": "blangko.test"}
    assert load({}, given | rest).production
    assert service["User"] != ["root"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["yes"]


def test_the_server_is_given_time_to_end() -> None:
    """systemd and compose kill what has not ended by itself: later than gunicorn gives up on its workers."""
    assert SETTINGS["graceful_timeout"] < int(
        unit(DEPLOY / "systemd" / "blangko-web.service")["Service"]["TimeoutStopSec"][0]
    )
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert SETTINGS["graceful_timeout"] < int(compose["services"]["web"]["stop_grace_period"].removesuffix("s"))
    proxy = re.search(r"keepalive_timeout\s+(\d+)s", (DEPLOY / "nginx.conf").read_text(encoding="utf-8"))
    assert proxy
    assert int(proxy[1]) < SETTINGS["keepalive"]


def test_gunicorn_takes_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("BLANGKO_LOG_FORMAT", "json")
    found = runpy.run_path(str(DEPLOY / "gunicorn.conf.py"))
    config = ServerConfig()
    taken = {name: value for name, value in found.items() if name in config.settings}
    for name, value in taken.items():
        config.set(name, value)
    assert set(SETTINGS) <= set(taken)
    assert config.workers == 3
    assert config.worker_class_str == "inventory.serving.WholeRequests"
    assert config.logconfig_dict["formatters"]
    own = {name for name in found if not name.startswith("__")} - set(taken)
    assert own <= {"os", "SETTINGS", "counts_under_its_number", "takes_a_number"}, "gunicorn would not know these"


def test_containers_run_as_nobody_and_write_nowhere(compose: Any, cli_app: Flask) -> None:
    services = compose["services"]
    assert set(services) == {"database", "migrate", "web", "jobs", "proxy"}
    for name in ("migrate", "web", "jobs"):
        service = services[name]
        assert service["read_only"] is True
        assert service["user"] != "0:0"
        assert service["cap_drop"] == ["ALL"]
        given = service.get("environment", {})
        assert set(given) <= set(variables()) | OF_GUNICORN
        assert all(isinstance(value, str) for value in given.values())
    check_command(cli_app, services["jobs"]["command"])
    for command in services["migrate"]["command"][-1].split(" && "):
        check_command(cli_app, shlex.split(command))
    assert set(compose["volumes"]) == {"database", "backups"}
    for name in ("migrate", "web", "jobs"):
        kept = services[name].get("volumes", [])
        assert kept == (["backups:/backups"] if name == "jobs" else [])


def test_the_image_dumps_with_the_servers_own_version(compose: Any) -> None:
    """Debian's client is that of the release: pg_dump refuses a server that is newer than itself."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert "postgresql-client" in text
    assert set(re.findall(r"python:\S+-(\w+)", text)) == {"bookworm"}
    assert compose["services"]["database"]["image"].endswith("postgres:15-bookworm")


def test_what_the_container_is_made_of_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    copied = re.findall(r"^COPY --from=build (.+)$", text, re.MULTILINE)
    for source in [each for line in copied for each in line.split()[:-1]]:
        assert source == "/venv" or (ROOT / source.removeprefix("/app/")).exists(), source
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "HEALTHCHECK" in text


def test_the_pooler_lends_connections_for_a_transaction() -> None:
    found = configparser.ConfigParser()
    found.read(DEPLOY / "pgbouncer.ini")
    assert found["pgbouncer"]["pool_mode"] == "transaction"


def test_the_proxys_file_closes_what_it_opens() -> None:
    text = re.sub(r"#.*", "", (DEPLOY / "nginx.conf").read_text(encoding="utf-8"))
    assert text.count("{") == text.count("}")
    for line in (line.strip() for line in text.splitlines()):
        assert not line or line[-1] in ";{}", line


@pytest.fixture(scope="module")
def patroni() -> Any:
    return yaml.safe_load((DEPLOY / "patroni" / "patroni.yml").read_text(encoding="utf-8"))


def test_the_cluster_acknowledges_nothing_that_one_server_alone_has(patroni: Any) -> None:
    cluster = patroni["bootstrap"]["dcs"]
    assert cluster["synchronous_mode"] is True
    assert cluster["synchronous_mode_strict"] is True
    assert cluster["postgresql"]["use_pg_rewind"] is True
    assert cluster["postgresql"]["parameters"]["synchronous_commit"] == "on"
    assert "data-checksums" in patroni["bootstrap"]["initdb"]
    assert len(patroni["etcd3"]["hosts"]) == 3, "with two, the end of one stops both"


def test_an_old_primary_is_fenced_before_another_takes_over(patroni: Any) -> None:
    """The leader's key must not end between two tries to renew it, nor before the watchdog has bitten."""
    cluster, watchdog = patroni["bootstrap"]["dcs"], patroni["watchdog"]
    assert watchdog["mode"] == "required"
    assert cluster["ttl"] >= cluster["loop_wait"] + 2 * cluster["retry_timeout"]
    assert 0 < watchdog["safety_margin"] < cluster["ttl"] - cluster["loop_wait"]


def test_nobodys_password_lies_in_the_file_of_the_cluster(patroni: Any) -> None:
    def keys(found: Any) -> set[str]:
        if isinstance(found, dict):
            return set(found).union(*(keys(each) for each in found.values()))
        return set().union(*(keys(each) for each in found)) if isinstance(found, list) else set()

    assert "password" not in keys(patroni)
    assert all(line.split()[-1] in ("peer", "scram-sha-256") for line in patroni["postgresql"]["pg_hba"])


def test_what_stands_before_the_cluster_asks_its_keeper_who_is_primary(patroni: Any) -> None:
    text = (DEPLOY / "patroni" / "haproxy.cfg").read_text(encoding="utf-8")
    parts = {part.split()[0]: part for part in re.split(r"^listen ", text, flags=re.MULTILINE)[1:]}
    assert set(parts) == {"primary", "standbys"}
    assert "option httpchk OPTIONS /primary" in parts["primary"]
    assert "option httpchk OPTIONS /replica" in parts["standbys"]
    port, rest = patroni["postgresql"]["listen"].split(":")[1], patroni["restapi"]["listen"].split(":")[1]
    for part in parts.values():
        assert "on-marked-down shutdown-sessions" in part
        servers = re.findall(r"^ *server (\w+) (\S+):(\d+) check port (\d+)$", part, re.MULTILINE)
        assert [name for name, *_ in servers] == ["db1", "db2", "db3"]
        assert {(port_of, asked) for *_, port_of, asked in servers} == {(port, rest)}


def test_what_stands_before_the_cluster_can_be_read(tmp_path: Path) -> None:
    program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if program is None:
        pytest.skip("no haproxy here: its file is only read by eye")
    file, text = tmp_path / "haproxy.cfg", (DEPLOY / "patroni" / "haproxy.cfg").read_text(encoding="utf-8")
    file.write_text(re.sub(r"db\d\.example", "127.0.0.1", text))  # names that it cannot resolve it does not take
    subprocess.run([program, "-c", "-f", str(file)], check=True, capture_output=True)
