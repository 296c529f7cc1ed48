"""Lines of a log, and settings that are printed: no secret in them, and no line that somebody made up."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask, request
from flask.logging import default_handler
from hypothesis import given
from hypothesis import strategies as st

from inventory.adapters.logs import JsonFormatter, SafeFormatter, make_safe, run_of, safe, secrets_in
from inventory.config import Config, SettingError, load

KEY = "a-key-that-nobody-should-read-0123456789"
FORM = "%(asctime)s %(levelname)s %(message)s"


def logged(message: str, *arguments: object, secrets: tuple[str, ...] = (), error: Exception | None = None) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORM))
    make_safe([handler], secrets)
    info = (type(error), error, None) if error else None
    handler.handle(logging.LogRecord("x", logging.ERROR, "f.py", 1, message, arguments, info))
    return stream.getvalue()


LINES = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ERROR ")


@given(st.text(max_size=200))
def test_nothing_that_is_sent_begins_a_line(sent: str) -> None:
    forged = f"/x{sent}\n2024-05-15 03:00:00,000 ERROR forged\r2024-05-15 03:00:00,000 ERROR too"
    first, *others = logged("Exception on %s", forged).splitlines()
    assert LINES.match(first)
    assert others
    assert all(line.startswith("  | ") for line in others)


@pytest.mark.parametrize("sign", ["\x00", "\x1b[2J", "\x07", "\x9b", "\u202e", "\x7f"])
def test_signs_that_steer_a_screen_are_written_out(sign: str) -> None:
    assert sign[0] not in safe(f"a{sign}b")


def test_the_lines_of_an_error_are_set_in() -> None:
    text = logged("broken", error=ValueError("a\n2024-05-15 03:00:00,000 ERROR forged"))
    assert "ValueError: a" in text
    assert "\n2024" not in text


@pytest.mark.parametrize(
    "said",
    [
        f"key {KEY}",
        "postgresql://blangko:hunter2hunter2@db/blangko failed",
        "could not connect: smtp://user:hunter2hunter2@mail",
        "POST /login password=hunter2hunter2&email=a@b",
        "{'password': 'hunter2hunter2', 'email': 'a@b'}",
        "Cookie: blangko=hunter2hunter2; other=1",
        "Authorization: Bearer hunter2hunter2",
        "csrf_token=hunter2hunter2",
        "X-CSRFToken: hunter2hunter2",
        "$argon2id$v=19$m=65536,t=3,p=4$hunter2hunter2$hunter2hunter2",
        "blk_hunter2hunter2hunter2hunter2hunter2hunter2x",
        'violates check constraint "x"\nDETAIL:  Failing row contains (5, hunter2hunter2,\n hunter2hunter2).',
        "eyJhbGciOiJIUzI1NiJ9.eyJodW50ZXIyaHVudGVyMiI6MX0.hunter2hunter2",
    ],
)
def test_no_secret_stands_in_a_line(said: str) -> None:
    line = logged("%s", said, secrets=(KEY,))
    assert "***" in line
    assert "hunter2hunter2" not in line
    assert KEY not in line


@pytest.mark.parametrize("said", ["seal of 2024-05-15: {'movements': 12}", "GET /offices/51.71", "sent to 10:30"])
def test_what_is_no_secret_stays(said: str) -> None:
    assert safe(said) == said


def test_what_was_asked_for_stays_beside_a_row_that_is_not_shown() -> None:
    said = safe("violates x\nDETAIL:  Failing row contains (a\nb).\n[SQL: INSERT INTO movements]")
    assert said == "violates x\n  | DETAIL: ***\n  | [SQL: INSERT INTO movements]"


def test_the_loggers_of_libraries_are_safe_too(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    make_app(f"sqlite:///{tmp_path / 'none.sqlite3'}")
    assert isinstance(getattr(logging.lastResort, "formatter", None), SafeFormatter)


def test_a_secret_is_known_as_it_is_written_and_as_it_is_meant() -> None:
    assert secrets_in("postgresql://u:p%40ssw0rd@h/d") == ["p%40ssw0rd", "p@ssw0rd"]
    assert secrets_in("sqlite:///x") == []


def test_to_make_a_handler_safe_twice_masks_once() -> None:
    handler = logging.StreamHandler(io.StringIO())
    for _ in range(2):
        make_safe([handler], [KEY])
    assert isinstance(handler.formatter, SafeFormatter)
    assert not isinstance(handler.formatter.inner, SafeFormatter)


def test_settings_that_are_printed_hide_their_secrets() -> None:
    said = {
        "SECRET_KEY": KEY,
        "DATABASE_URL": "postgresql://blangko:hunter2hunter2@db/blangko",
        "REPLICA_URL": "postgresql://blangko:hunter2hunter2@db2/blangko",
        "SMTP_URL": "smtp://user:hunter2hunter2@mail:587",
        "MAIL_FROM": "a@b.test",
        "TELEGRAM_TOKEN": "123456:hunter2hunter2",
        "METRICS_TOKEN": "hunter2hunter2hunter2",
        "PING_URL": "https://ping.test/hunter2hunter2",
        "OIDC_CLIENT_SECRET": "hunter2hunter2",
    }
    config = load(said | {"HOSTS": "blangko.test"}, {})
    for shown in (repr(config), str(config), f"{config}", repr({"settings": config})):
        assert "hunter2" not in shown
        assert KEY not in shown
        assert "LANGUAGE='id'" in shown
    assert set(config.secrets) == set(said) - {"MAIL_FROM"}


@pytest.mark.parametrize("name", [each.name for each in fields(Config) if each.type == "str"])
def test_a_wrong_setting_is_named_and_not_shown(name: str) -> None:
    variable = next(each.metadata["variable"] for each in fields(Config) if each.name == name)
    said = ""
    try:
        load({}, {variable: "hunter2 hunter2\n"})
    except SettingError as error:
        said = str(error)
    assert "hunter2" not in said


def test_an_error_of_the_application_is_logged_safely(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'none.sqlite3'}", PROPAGATE_EXCEPTIONS=False, TESTING=False)

    @app.get("/breaks")
    def breaks() -> str:
        raise RuntimeError(f"broken by {request.args['by']} with {app.config['SECRET_KEY']}")

    stream = io.StringIO()
    assert isinstance(default_handler.formatter, SafeFormatter)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(default_handler.formatter)
    app.logger.addHandler(handler)
    try:
        sent = "/breaks?by=x%0A2024-05-15%2003:00:00,000%20ERROR%20forged&password=hunter2hunter2"
        assert app.test_client().get(sent, headers={"Cookie": "blangko=hunter2hunter2"}).status_code == 500
    finally:
        app.logger.removeHandler(handler)
    said = stream.getvalue()
    assert "RuntimeError: broken by x" in said
    assert "hunter2" not in said
    assert app.config["SECRET_KEY"] not in said
    assert len([line for line in said.splitlines() if not line.startswith("  | ")]) == 1


# --- entries as JSON ---------------------------------------------------------------------------------------------


def entry(message: str, *arguments: object, error: Exception | None = None, **about: object) -> dict[str, object]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("inventory.x", logging.ERROR, "f.py", 1, message, arguments, info)
    line = JsonFormatter([KEY], lambda: about).format(record)
    assert "\n" not in line
    assert line.isascii()
    return json.loads(line)


@given(st.text(max_size=200))
def test_a_json_entry_is_one_line_and_says_what_was_said(said: str) -> None:
    assert entry("%s", "x" + said)["logger"] == "inventory.x"


def test_a_json_entry_tells_of_its_request_its_run_and_its_error_and_no_secret() -> None:
    with run_of(job="review", run_id="1234"):
        found = entry("went %s with %s", "wrong", KEY, error=ValueError(f"key={KEY}\nnext"), request_id="abcd1234")
    assert (found["message"], found["level"]) == ("went wrong with ***", "ERROR")
    assert (found["job"], found["run_id"], found["request_id"]) == ("review", "1234", "abcd1234")
    assert str(found["error"]).startswith("ValueError")
    assert KEY not in json.dumps(found)
    assert "job" not in entry("afterwards")


def test_a_request_writes_json_where_the_settings_say_so(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    before = default_handler.formatter
    try:
        app = make_app(f"sqlite:///{tmp_path / 'x.sqlite3'}", LOG_FORMAT="json")
        formatter = default_handler.formatter
        assert formatter is not None
        behind = {"werkzeug.proxy_fix.orig": {}}
        headers = {"X-Request-Id": "from-the-proxy-1"}
        with app.test_request_context("/login?password=tops3cret", headers=headers, environ_overrides=behind):
            found = json.loads(formatter.format(logging.LogRecord("i", logging.INFO, "f.py", 1, "said", (), None)))
        assert (found["request_id"], found["path"], found["method"]) == ("from-the-proxy-1", "/login", "GET")
        assert "tops3cret" not in json.dumps(found)
    finally:
        default_handler.setFormatter(before)
