"""The forms of all pages, read from the pages themselves as a browser reads them, and sent with any bytes in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from inventory import security
from inventory.db import db
from inventory.domain.access import SYSTEM, Action, Actor
from inventory.services import offices
from tests.conftest import TODAY
from tests.web.client import log_in
from tests.web.test_access import TARGETS, Target, expected
from tests.world import BADUNG, DENPASAR, PEOPLE, World

Pairs = list[tuple[str, Any]]
"""Names and values in the order in which they are sent; a file is a tuple of its name and its bytes."""

ENDS_THE_SESSION = {"security.logout", "security.login", "log_ins.end", "log_ins.end_others"}
TYPED = {"text", "search", "email", "url", "tel", "number", "date", "time", "month", "textarea"}
"""Kinds of field whose content a page keeps when it refuses."""


@dataclass
class Input:
    """A field of a form. `value` is what it holds, `choices` what it may be set to."""

    name: str
    kind: str
    value: str = ""
    choices: list[str] = field(default_factory=list)
    numeric: bool = False
    ticked: bool = True


@dataclass
class Form:
    action: str
    method: str
    inputs: list[Input] = field(default_factory=list)

    @property
    def has_file(self) -> bool:
        return any(each.kind == "file" for each in self.inputs)


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.forms = address, list[Form]()
        self.form: Form | None = None
        self.text: Input | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urlsplit(at.get("action", "") or self.address).path
            self.form = Form(action, at.get("method", "get").lower())
            self.forms.append(self.form)
        elif self.form is not None and tag == "option" and self.form.inputs and self.form.inputs[-1].kind == "select":
            choices = self.form.inputs[-1].choices
            choices.append(at.get("value", ""))
            if "selected" in at or len(choices) == 1:
                self.form.inputs[-1].value = choices[-1]
        elif self.form is not None and at.get("name"):
            self._field(self.form, tag, at)

    def _field(self, form: Form, tag: str, at: dict[str, str]) -> None:
        if tag in ("input", "button"):
            kind = at.get("type", "text" if tag == "input" else "submit")
            if kind in ("radio", "checkbox"):
                self._tick(form, kind, at)
                return
            form.inputs.append(Input(at["name"], kind, at.get("value", ""), numeric=at.get("inputmode") == "numeric"))
        elif tag in ("select", "textarea"):
            form.inputs.append(Input(at["name"], tag))
            self.text = form.inputs[-1] if tag == "textarea" else None

    def _tick(self, form: Form, kind: str, at: dict[str, str]) -> None:
        known = next((each for each in form.inputs if each.name == at["name"]), None)
        if known is None:
            form.inputs.append(known := Input(at["name"], kind, ticked=False))
        known.choices.append(at.get("value", "on"))
        if "checked" in at or not known.value:
            known.value = known.choices[-1]
        known.ticked = known.ticked or "checked" in at

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text.value += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.text is not None:
            self.text.value, self.text = self.text.value.removeprefix("\n").removeprefix("\r\n"), None
        elif tag == "form":
            self.form = None


def forms_on(page: str, address: str) -> list[Form]:
    reader = _Reader(address)
    reader.feed(page)
    return reader.forms


@dataclass
class Route:
    """A route that takes a POST, its address, who may send it, and the page on which its form stands."""

    rule: Rule
    address: str
    person: str
    page: str | None


def routes(app: Flask) -> list[Route]:
    """Every route that takes a POST. The page is its own, or the first of all pages that has a form for it."""
    with app.app_context():
        target = TARGETS[db.engine.dialect.name]
        actors = {name: World(app).actor(name) for name in PEOPLE}
        paths = {code: offices.get(SYSTEM, Action.VIEW_OFFICE, code).path for code in (DENPASAR, BADUNG)}
        db.session.remove()
    posting = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    found = []
    for rule in posting:
        if rule.endpoint in ENDS_THE_SESSION or rule.endpoint.startswith("api."):
            continue
        person = sender(app, rule, actors, paths)
        address = address_of(app, rule, target)
        found.append(Route(rule, address, person, address if "GET" in (rule.methods or ()) else None))
    _find_pages(app, found, target)
    return found


def sender(app: Flask, rule: Rule, actors: Mapping[str, Actor], paths: dict[str, str]) -> str:
    """Who of the small world may send it."""
    return next(name for name, actor in actors.items() if expected(app, rule, actor, paths) == "in")


def address_of(app: Flask, rule: Rule, target: Target) -> str:
    with app.test_request_context():
        return app.url_for(rule.endpoint, **target.fill(rule))


def _find_pages(app: Flask, found: Sequence[Route], target: Target) -> None:
    readable = [address_of(app, rule, target) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    for person in sorted({route.person for route in found if route.page is None}):
        client = app.test_client()
        log_in(client, person)
        for address in readable:
            with client.get(address) as answer:
                if answer.status_code != 200 or answer.mimetype != "text/html":
                    continue
                actions = {
                    form.action for form in forms_on(answer.get_data(as_text=True), address) if form.method == "post"
                }
            for route in found:
                if route.page is None and route.person == person and route.address in actions:
                    route.page = address


def form_of(client: FlaskClient, route: Route) -> Form:
    """The form as its page shows it now; where there is none, the names that the pages' code reads."""
    if route.page is not None:
        with client.get(route.page) as answer:
            if answer.mimetype == "text/html":
                own = [
                    f
                    for f in forms_on(answer.get_data(as_text=True), route.page)
                    if f.method == "post" and f.action == route.address
                ]
                if own:
                    return max(own, key=lambda form: len(form.inputs))
    return Form(route.address, "post", [Input(name, "text") for name in names_read()])


def names_read() -> list[str]:
    """What the code reads from forms by name."""
    found = set()
    for file in (Path(security.__file__).parents[1] / "web").rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        found |= set(re.findall(r'request\.form(?:\.get|\.getlist)?[\[(]\s*"([a-z_]+)"', code))
    return sorted(found)


def token_of(client: FlaskClient) -> str:
    with client.get("/account") as answer:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.get_data(as_text=True))
    assert found
    return found[1]


def likely(each: Input) -> str:
    """A value that may be right."""
    if each.value:
        return each.value
    if each.choices:
        return next((choice for choice in each.choices if choice), "")
    if each.kind == "date":
        return TODAY.isoformat()
    if each.numeric or each.kind == "number":
        return "1"
    if each.name == "request_id":
        return str(uuid4())
    return "Ni Made"


def filled_in(form: Form) -> Pairs:
    """The form as somebody in a hurry sends it."""
    return [
        (each.name, ("a.csv", b"x") if each.kind == "file" else likely(each))
        for each in form.inputs
        if each.ticked or each.kind == "radio"
    ]


def post(client: FlaskClient, route: Route, pairs: Pairs, *, multipart: bool) -> Any:
    body, kind = as_multipart(pairs) if multipart else as_query(pairs)
    return client.post(route.address, data=body, content_type=kind)


def raw(value: str) -> bytes:
    """Also of half a pair of surrogates, as a broken program would send it."""
    return value.encode("utf-8", "surrogatepass")


def as_query(pairs: Pairs) -> tuple[bytes, str]:
    parts = (f"{quote_from_bytes(raw(name))}={quote_from_bytes(raw(value))}" for name, value in texts(pairs))
    return "&".join(parts).encode(), "application/x-www-form-urlencoded"


def texts(pairs: Pairs) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in pairs if isinstance(value, str))


def as_multipart(pairs: Pairs) -> tuple[bytes, str]:
    edge = uuid4().hex
    parts = []
    for name, value in pairs:
        head = b'Content-Disposition: form-data; name="%s"' % raw(name).replace(b'"', b"%22")
        if isinstance(value, tuple):
            head += b'; filename="%s"' % raw(value[0]).replace(b'"', b"%22").replace(b"\r", b"").replace(b"\n", b"")
            head += b"\r\nContent-Type: application/octet-stream"
        content = value[1] if isinstance(value, tuple) else raw(value)
        parts.append(b"--%s\r\n%s\r\n\r\n%s\r\n" % (edge.encode(), head, content))
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
