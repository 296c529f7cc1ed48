"""Walls around every page: names, proxies, other sites, headers, hostile addresses and bodies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import gunicorn
import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from inventory import security
from inventory.db import db
from inventory.web import FOR_EVERYBODY
from inventory.web.language import own_path
from tests.conftest import NOW
from tests.web.client import csrf_token, log_in, log_in_by_form
from tests.web.test_access import TARGETS, fill
from tests.world import DENPASAR, World

HOME = f"/offices/{DENPASAR}"
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what never comes as far as a database."""
MOSTLY_ONE_DATABASE = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
EMBEDDABLE = {"boards.badge", "boards.data", "api.boards.index", "api.boards.show"}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def addresses(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every route that can be read, with an address of Denpasar's."""
    target = TARGETS[db.engine.dialect.name]
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            with app.test_request_context():
                yield rule, app.url_for(rule.endpoint, **target.fill(rule))


# --- headers -------------------------------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.filled(by=fill)
def test_every_answer_of_every_route_has_every_header(app: Flask, database_url: str) -> None:
    client = app.test_client()
    log_in(client, "manager")
    wrong = []
    with app.app_context():
        asked = list(addresses(app))
    for rule, address in [*asked, (None, "/no/such/page")]:
        for method in ("GET", "DELETE"):
            with client.open(address, method=method) as answer:
                if (missing := faults(rule.endpoint if rule else "", answer)) and rule is not None:
                    wrong.append((method, address, answer.status_code, missing))
    assert wrong == []
    assert len(asked) > 100


def faults(endpoint: str, answer: Any) -> list[str]:
    """The headers that are missing from an answer."""
    policy = answer.headers.get("Content-Security-Policy", "")
    embeddable = endpoint in EMBEDDABLE and answer.status_code in (200, 304)
    private = endpoint not in FOR_EVERYBODY or answer.status_code >= 400
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    found = [name for name, value in wanted.items() if answer.headers.get(name) != value]
    if not policy.startswith("default-src 'none'") or "unsafe" in policy or "frame-ancestors 'none'" not in policy:
        found.append("Content-Security-Policy")
    if any(source in policy for source in ("*", "http:", "https:")):
        found.append("Content-Security-Policy of anywhere")
    resource = answer.headers.get("Cross-Origin-Resource-Policy")
    if resource != "same-origin" and not (embeddable and resource == "cross-origin"):
        found.append("Cross-Origin-Resource-Policy")
    if "camera=(self)" not in answer.headers.get("Permissions-Policy", ""):
        found.append("Permissions-Policy")
    # What has a version is asked for anew each time, and may be the one that the reader has.
    kept = "private, no-cache" if endpoint.startswith("api.") and "ETag" in answer.headers else "no-store"
    if private and answer.headers.get("Cache-Control") != kept:
        found.append("Cache-Control")
    if "Server" in answer.headers or "X-Powered-By" in answer.headers:
        found.append("a name of what serves")
    return found


@ONE_DATABASE
def test_in_production_cookies_and_headers_ask_for_https(database_url: str, make_app: Callable[..., Flask]) -> None:
    client = make_app(database_url, ENV="production").test_client()
    answer = log_in_by_form_over_https(client)
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.getlist("Set-Cookie"):
        cookies.load(line)
    assert cookies
    for name, cookie in cookies.items():
        assert name.startswith("__Host-")
        assert (cookie["path"], cookie["domain"], cookie["secure"], cookie["httponly"]) == ("/", "", True, True)
        assert cookie["samesite"] in ("Lax", "Strict")
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


def log_in_by_form_over_https(client: FlaskClient) -> Any:
    page = client.get("/login", base_url="https://localhost")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token
    typed = {"email": "gudang@denpasar.test", "password": "not it", "csrf_token": token[1]}
    client.post("/login", data=typed, base_url="https://localhost", headers={"Referer": "https://localhost/login"})
    return page


def test_the_server_does_not_tell_its_version() -> None:
    assert gunicorn.SERVER == "gunicorn"


# --- names and proxies ---------------------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("blangko.example", 200),
        ("BLANGKO.example:8443", 200),
        ("a.intra.example", 200),
        ("intra.example", 400),
        ("evil.example", 400),
        ("blangko.example.evil.example", 400),
        ("blangko.example@evil.example", 400),
        ("evilintra.example", 400),
        ("blangko.example:80:80:x", 400),
        ("", 400),
        ("127.0.0.1", 400),
    ],
)
def test_only_its_own_names_are_answered_to(
    database_url: str, make_app: Callable[..., Flask], host: str, status: int
) -> None:
    app = make_app(database_url, HOSTS="blangko.example,.intra.example", PUBLIC_URL="https://public.example")
    for path in ("/login", "/static/blangko.css", "/no/such/page", "/healthz"):
        client = app.test_client()
        with client.get(path, headers={"Host": host}, environ_base={"REMOTE_ADDR": "10.1.2.3"}) as answer:
            wanted = 404 if status == 200 and path == "/no/such/page" else status
            assert (path, answer.status_code) == (path, wanted)
            assert b"evil" not in answer.data


@ONE_DATABASE
def test_a_probe_on_the_same_machine_needs_no_name(database_url: str, make_app: Callable[..., Flask]) -> None:
    client = make_app(database_url, HOSTS="blangko.example").test_client()
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers={"Host": "127.0.0.1:8000"}).status_code == 200
        passed_on = {"Host": "127.0.0.1:8000", "X-Forwarded-For": "203.0.113.7"}
        assert client.get(path, headers=passed_on).status_code == 400
    assert client.get("/login", headers={"Host": "127.0.0.1:8000"}).status_code == 400


@ONE_DATABASE
@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, {}, ("10.0.0.9", "http", "blangko.example")),
        (0, {"X-Forwarded-For": "203.0.113.7"}, ("10.0.0.9", "http", "blangko.example")),
        (
            0,
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
            ("10.0.0.9", "http", "blangko.example"),
        ),
        (0, {"Forwarded": "for=203.0.113.7;proto=https", "X-Real-IP": "::1"}, ("10.0.0.9", "http", "blangko.example")),
        (1, {"X-Forwarded-For": "203.0.113.7"}, ("203.0.113.7", "http", "blangko.example")),
        (1, {"X-Forwarded-For": "127.0.0.1, 203.0.113.7"}, ("203.0.113.7", "http", "blangko.example")),
        (1, {"X-Forwarded-Proto": "http, https"}, ("10.0.0.9", "https", "blangko.example")),
        (1, {"X-Forwarded-Host": "evil.example, b.example"}, ("10.0.0.9", "http", "b.example")),
        (1, {"X-Forwarded-Host": "evil.example"}, None),
        (1, {"X-Forwarded-Prefix": "/evil", "X-Real-IP": "127.0.0.1"}, ("10.0.0.9", "http", "blangko.example")),
        (2, {"X-Forwarded-For": "127.0.0.1, 203.0.113.7, 10.0.0.8"}, ("203.0.113.7", "http", "blangko.example")),
        (2, {"X-Forwarded-For": "203.0.113.7"}, ("10.0.0.9", "http", "blangko.example")),
    ],
)
def test_proxies_are_believed_as_far_as_the_setting_says(
    database_url: str,
    make_app: Callable[..., Flask],
    proxies: int,
    forwarded: dict[str, str],
    seen: tuple[str, str, str] | None,
) -> None:
    app = make_app(database_url, HOSTS="blangko.example,b.example", TRUSTED_PROXIES=proxies)
    found: list[tuple[str | None, str, str]] = []

    @app.get("/seen")
    @security.public
    def look() -> str:
        found.append((request.remote_addr, request.scheme, request.host))
        return request.script_root

    headers = {"Host": "blangko.example", **forwarded}
    answer = app.test_client().get("/seen", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert (answer.status_code, found) == ((200, [seen]) if seen else (400, []))
    assert "evil" not in answer.text


# --- other sites ---------------------------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_what_another_site_sends_is_refused_even_with_the_token(app: Flask, client: FlaskClient, site: str) -> None:
    log_in(client, "storekeeper")
    typed = {"language": "en", "next": "/", "csrf_token": csrf_token(client, "/account")}
    refused = client.post("/language", data=typed, headers={"Sec-Fetch-Site": site})
    assert refused.status_code == 403
    for own in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert client.post("/language", data=typed, headers=own).status_code == 303
    assert client.get(HOME, headers={"Sec-Fetch-Site": site}).status_code == 200, (
        "a link from elsewhere may be followed"
    )


@ONE_DATABASE
@pytest.mark.filled(by=fill)
def test_no_route_takes_anything_from_another_site(app: Flask, client: FlaskClient) -> None:
    log_in(client, "administrator")
    with app.app_context():
        target = TARGETS[db.engine.dialect.name]
    taken = []
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
            with app.test_request_context():
                address = app.url_for(rule.endpoint, **target.fill(rule))
            answer = client.open(address, method=method, headers={"Sec-Fetch-Site": "cross-site"})
            if answer.status_code != 403:
                taken.append((method, address, answer.status_code))
    assert taken == []


AWAY = [
    "https://evil.test/",
    "//evil.test/",
    "///evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\t/evil.test",
    "https:evil.test",
    "javascript:alert(1)",
    "data:text/html,x",
    "/%0d%0aSet-Cookie:x=1",
    "/\r\nSet-Cookie: x=1",
    "/\x00//evil.test",
    "%2f%2fevil.test",
    "http:///evil.test",
    "//evil.test:80@x/",
    "/\u2028/evil.test",
    ".evil.test",
    "@evil.test",
]


@ONE_DATABASE
@pytest.mark.parametrize("target", AWAY)
@pytest.mark.filled(by=fill)
def test_nothing_that_is_asked_for_leads_off_the_site(app: Flask, client: FlaskClient, target: str) -> None:
    """Every parameter by which a page could be told where to go on, on every page that is public or sends on."""
    log_in(client, "storekeeper")
    token = csrf_token(client, "/account")
    names = ("next", "url", "return", "redirect", "to", "back", "continue")
    query = "&".join(f"{name}={quote(target)}" for name in names)
    form = dict.fromkeys(names, target) | {"csrf_token": token, "language": "en", "password": "wrong"}
    answers = [
        client.post(f"/language?{query}", data=form),
        client.post(f"/verify?{query}", data=form),
        client.post(f"/change?{query}", data=form),
        *(client.get(f"{path}?{query}") for path in ("/", "/stock", "/login", "/today", "/verify", "/d/none")),
    ]
    for answer in answers:
        stays(answer)
    for answer in (client.post(f"/logout?{query}", data=form), client.get(f"{HOME}?{query}")):
        stays(answer)
    stays(log_in_by_form(client, "storekeeper", next_path=quote(target)))
    assert own_path(target) == "/" or own_path(target).startswith("/%")


def stays(answer: Any) -> None:
    assert answer.status_code < 500
    location = answer.headers.get("Location", "/")
    # As a browser reads it: a backslash is a slash, and tabs and newlines are not there.
    read = re.sub(r"[\t\r\n]", "", location.replace("\\", "/"))
    parts = urlsplit(urljoin("https://here.test/logout", read))
    assert (parts.scheme, parts.netloc) == ("https", "here.test"), location
    assert location.isprintable()
    assert "x" not in answer.headers.getlist("Set-Cookie")


# --- bodies --------------------------------------------------------------------------------------------------------

BODIES = {
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep and whole": "[" * 50_000 + "]" * 50_000,
    "a key twice": '{"id": "1", "id": "2"}',
    "a number that is none": '{"quantity": NaN}',
    "an endless number": '{"quantity": -Infinity}',
}


@pytest.fixture
def sender(app: Flask, client: FlaskClient) -> Callable[[str | bytes], Any]:
    log_in(client, "storekeeper")
    headers = {"X-CSRFToken": csrf_token(client, "/account"), "Content-Type": "application/json"}
    return lambda body: client.post("/offline/entries", data=body, headers=headers)


@ONE_DATABASE
@pytest.mark.parametrize("name", BODIES)
def test_json_that_is_a_trap_is_refused(sender: Callable[[str | bytes], Any], name: str) -> None:
    assert sender(BODIES[name]).status_code == 400


@pytest.mark.parametrize(
    "value",
    ["1" * 400, "9" * 5000, "-1", "-0", "1e999", "1.0", "2147483648", '"1"', '"١٢"', "true", "null", "[]", "{}"],
)
def test_json_with_numbers_that_no_column_holds_is_refused(
    app: Flask, sender: Callable[[str | bytes], Any], value: str
) -> None:
    with app.app_context():
        person = World(app).storekeeper.person_id
        World(app).deliver(NOW, NOW.date(), 100)
        db.session.remove()
    entry = {"id": "8f14e45f-ceea-467f-a8d1-1a1b2c3d4e5f", "person": person, "kind": "print", "office": DENPASAR}
    entry |= {"item": "ktp-wni", "day": "2024-05-15", "note": "", "amounts": {"new": {"quantity": 0}}}
    for place in ('"quantity": 0', f'"person": {person}'):
        name = place.partition(":")[0]
        body = json.dumps(entry).replace(place, f"{name}: {value}")
        assert body != json.dumps(entry)
        assert 400 <= sender(body).status_code < 500, place


@ONE_DATABASE
@pytest.mark.parametrize("day", ["0000-01-01", "2024-02-30", "2024-06-31", "2024-W20-3", "20240515", "9999-12-31", "x"])
def test_json_with_a_day_that_is_none_is_refused(app: Flask, sender: Callable[[str | bytes], Any], day: str) -> None:
    with app.app_context():
        person = World(app).storekeeper.person_id
        World(app).deliver(NOW, NOW.date(), 100)
        db.session.remove()
    entry = {"id": "8f14e45f-ceea-467f-a8d1-1a1b2c3d4e5f", "person": person, "kind": "print", "office": DENPASAR}
    entry |= {"item": "ktp-wni", "day": day, "note": "", "amounts": {"new": {"quantity": 1}}}
    assert sender(json.dumps(entry)).status_code == 422


@ONE_DATABASE
def test_json_is_bounded_below_the_limit_for_files(sender: Callable[[str | bytes], Any]) -> None:
    assert sender('"' + "a" * 4_000_000 + '"').status_code == 413


@ONE_DATABASE
def test_a_form_of_too_many_parts_is_refused(app: Flask, client: FlaskClient) -> None:
    log_in(client, "storekeeper")
    edge = "x" * 20
    part = f'--{edge}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = (part * 1001 + f"--{edge}--\r\n").encode()
    answer = client.post("/language", data=body, content_type=f"multipart/form-data; boundary={edge}")
    assert answer.status_code == 413


@ONE_DATABASE
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=a", b'--a\r\nContent-Disposition: form-data; name="\r\n\r\n'),
        ("application/x-www-form-urlencoded; charset=utf-7", b"+AD0-"),
        ("application/x-www-form-urlencoded", b"%ff%fe=%00&=&&&=" * 1000),
        ("text/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><a>&b;</a>"),
        ("application/json; charset=utf-32", b"\xff\xff\xff\xff"),
        ("", b"\x00" * 1000),
    ],
)
def test_a_body_of_another_kind_is_refused_with_a_page(client: FlaskClient, kind: str, body: bytes) -> None:
    log_in(client, "storekeeper")
    for path in ("/language", f"{HOME}/consumption", f"{HOME}/imports", "/offline/entries"):
        answer = client.post(path, data=body, content_type=kind)
        assert answer.status_code in (400, 413, 415, 422), (path, answer.status_code)


# --- odd requests --------------------------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize(
    "method", ["TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS", "head", "X" * 50]
)
def test_odd_methods_are_answered_and_change_nothing(client: FlaskClient, method: str) -> None:
    log_in(client, "storekeeper")
    for path in (HOME, "/login", "/language", "/no/such/page"):
        answer = client.open(path, method=method, headers={"X-Secret": "do not reflect"})
        assert answer.status_code in (200, 302, 400, 404, 405)
        assert "do not reflect" not in answer.text


@ONE_DATABASE
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Accept", "*/*;q=nan, text/html;q=1e999, application/json;q=-1, ;;;,,,"),
        ("Accept", "application/vnd.evil+xml"),
        ("Accept", ", " * 3000),
        ("Accept-Language", "en;q=x, \u00e9, *;q=9999999999999999999999, " * 50),
        ("Accept-Language", "../../etc/passwd"),
        ("Accept-Encoding", "br;q=0, gzip;q=zwei, x" * 500),
        ("If-None-Match", '"' * 3000),
        ("If-Modified-Since", "Mon, 30 Feb 99999 25:61:61 GMT"),
        ("Range", "bytes=0-0,0-0,0-0,-1,99999999999999999999-"),
        ("Cookie", "blangko=" + "a" * 8000),
        ("Cookie", "blangko=.eJw; blangko=..; =; ;;"),
        ("Authorization", "Basic \u00ff\u00ff"),
        ("Authorization", "Bearer " + "x" * 5000),
        ("Content-Length", "0"),
        ("Referer", "javascript:alert(1)"),
        ("User-Agent", "\x7f" * 2000),
    ],
)
def test_odd_headers_are_answered(client: FlaskClient, name: str, value: str) -> None:
    for path in (
        "/login",
        "/board",
        f"/board/{DENPASAR}",
        "/static/blangko.css",
        "/metrics",
        HOME,
        "/offline",
        "/sw.js",
    ):
        with client.get(path, headers={name: value}) as answer:
            assert answer.status_code < 500, path


@ONE_DATABASE
def test_a_parameter_that_is_there_twice_is_no_way_around(app: Flask, client: FlaskClient) -> None:
    """The office is in the path; what else calls itself so is not read."""
    log_in(client, "storekeeper")
    foreign = "code=51.03&office=51.03&office_code=51.03&office_id=1"
    assert client.get(f"{HOME}/balances?{foreign}").status_code == 200
    assert "Badung" not in client.get(f"{HOME}/balances?{foreign}").text
    assert client.get("/offices/51.03/balances?code=51.71").status_code == 403


@ONE_DATABASE
def test_what_breaks_tells_nothing_of_the_inside(database_url: str, make_app: Callable[..., Flask]) -> None:
    app = make_app(database_url, ENV="production", TESTING=False)

    @app.get("/break")
    @security.public
    def broken() -> str:
        raise RuntimeError("secret of the inside")

    for accept in ("text/html", "application/json", "*/*"):
        answer = app.test_client().get("/break", headers={"Accept": accept})
        assert answer.status_code == 500
        for told in ("secret of the inside", "Traceback", "RuntimeError", "site-packages", ".py"):
            assert told not in answer.text
        assert faults("", answer) == []
    assert not app.debug
    assert not app.config["PROPAGATE_EXCEPTIONS"]


# --- addresses -----------------------------------------------------------------------------------------------------

HOSTILE = [
    "",
    "0",
    "-1",
    "-0",
    "1" * 400,
    "9" * 5000,
    "2147483648",
    "9223372036854775808",
    "1e999",
    "1.5",
    "NaN",
    "١٢",
    "0x10",
    "%00",
    "a%00b",
    "%ff%fe",
    "0000-01-01",
    "0001-01-01",
    "9999-12-31",
    "2024-02-30",
    "2024-06-31",
    "2024-W20-3",
    "10000-01-01",
    "2024-13",
    "0000-00",
    "9999-12",
    "2024-05-15T00:00:00%2B99:99",
    "%27%20OR%201=1--",
    "%25%25%25_%25",
    "..%2f..%2fetc%2fpasswd",
    "%F0%9F%92%A3" * 300,
    "%E2%80%AE%E2%80%8F",
    "a" * 3000,
]


def names_in_queries() -> list[str]:
    """Every name that the pages read from an address, by their source and by the forms that are sent by GET."""
    found = {"from", "to", "page", "q"}
    for file in (Path(security.__file__).parents[1] / "web").rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'request\.args(?:\.get|\.getlist)?[\[(]\s*"([a-z_]+)"', code))
        found |= set(re.findall(r'"([a-z_]+)" (?:not )?in request\.args', code))
    return sorted(found)


@MOSTLY_ONE_DATABASE
@pytest.mark.filled(by=fill)
def test_no_query_breaks_a_page(app: Flask) -> None:
    """Each page with each hostile value in every parameter at once, its own forms' fields included."""
    client = app.test_client()
    log_in(client, "administrator")
    wrong = []
    with app.app_context():
        asked = [address for rule, address in addresses(app) if rule.endpoint not in FOR_EVERYBODY - {"boards.index"}]
    for address in asked:
        page = client.get(address)
        fields = set(re.findall(r'name="([A-Za-z_-]{1,30})"', page.text)) if page.mimetype == "text/html" else set()
        names = sorted({*fields, *names_in_queries()} - {"csrf_token"})
        for value in some(HOSTILE, address, 2):
            answer = client.get(f"{address}?" + "&".join(f"{quote(name)}={value}" for name in names))
            if answer.status_code >= 500:
                wrong.append((address, value[:40], answer.status_code))
            answer.close()
    assert wrong == []


def some(values: list[str], address: str, most: int) -> list[str]:
    """A few of them, other ones at each address, so that the quick suite stays quick; all of them in a full run."""
    if "BLANGKO_TEST_CASES" in os.environ:
        return values
    start = sum(address.encode()) % len(values)
    return [(values + values)[start + step * 7 % len(values)] for step in range(most)]


@MOSTLY_ONE_DATABASE
@pytest.mark.filled(by=fill)
def test_no_path_breaks_a_page(app: Flask) -> None:
    """Each placeholder of each route with each hostile value: there is no such page, and nothing else."""
    client = app.test_client()
    log_in(client, "administrator")
    with app.app_context():
        target = TARGETS[db.engine.dialect.name]
    wrong = []
    for rule in app.url_map.iter_rules():
        if not rule.arguments or rule.endpoint in ("static", "security.static") or "GET" not in (rule.methods or ()):
            continue
        filled = target.fill(rule)
        for name in rule.arguments:
            for value in some(HOSTILE[1:], rule.rule + name, 2):
                pieces = [quote(str(filled[piece])) if piece != name else value for piece in filled]
                parts = dict(zip(filled, pieces, strict=True))
                address = re.sub(r"<(?:[^:<>]*(?:\([^)]*\))?:)?([a-z_]+)>", lambda m: parts[m[1]], rule.rule)  # noqa: B023
                if len(address) > 4000:
                    continue
                answer = client.get(address)
                if answer.status_code not in (404, 308) and not fits(rule, answer.status_code):
                    wrong.append((rule.rule, value[:40], answer.status_code))
                answer.close()
    assert wrong == []


def fits(rule: Rule, status: int) -> bool:
    """A number such as 0 may be an id, and a day far away has a page that is empty or a refusal of its own."""
    return status in (200, 400, 403, 422) or (rule.endpoint == "messages.unsubscribe" and status < 500)


def test_every_number_in_a_path_is_bounded(app: Flask) -> None:
    loose = [rule.rule for rule in app.url_map.iter_rules() if re.search(r"<int(?!\([^)]*max=)", rule.rule)]
    assert loose == []
