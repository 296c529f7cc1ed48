"""From where requests come, as the audit and the log know it."""

from __future__ import annotations

import re

import pytest
from flask import Flask, g
from werkzeug.middleware.proxy_fix import ProxyFix

from inventory import security
from inventory.security.origin import HEADER
from tests.web.client import log_in

GIVEN = "0af7651916cd43dd8448eb211c80319c"


def test_every_answer_names_its_request(app: Flask) -> None:
    client = app.test_client()
    ids = {client.get(path).headers[HEADER] for path in ("/login", "/livez", "/nothing-here", "/")}
    assert len(ids) == 4
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in ids)


def test_nobody_but_a_proxy_chooses_the_id(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    assert client.get("/login", headers={HEADER: GIVEN}).headers[HEADER] != GIVEN
    monkeypatch.setattr(app, "wsgi_app", ProxyFix(app.wsgi_app))
    assert client.get("/login", headers={HEADER: GIVEN}).headers[HEADER] == GIVEN


@pytest.mark.parametrize("given", ["short", "a" * 65, "0af7651916cd 43dd", "0af7651916cd;rm", "-af7651916cd43dd"])
def test_an_id_that_is_no_plain_token_is_not_taken(app: Flask, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setattr(app, "wsgi_app", ProxyFix(app.wsgi_app))
    assert app.test_client().get("/login", headers={HEADER: given}).headers[HEADER] != given


def test_the_actor_knows_from_where_they_act(app: Flask) -> None:
    client = app.test_client()
    with app.app_context():
        log_in(client, "manager")
    with client:
        answer = client.get("/offices", environ_overrides={"REMOTE_ADDR": "10.1.2.3"})
        assert answer.status_code == 200
        origin = security.current_actor().origin
        assert (origin.way, origin.address, origin.request_id) == ("page", "10.1.2.3", g.request_id)
        assert answer.headers[HEADER] == g.request_id
