"""Single sign-on against a real provider on loopback: the good way in, and every bad one."""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from inventory.config import SettingError, load
from inventory.db import db, write
from inventory.domain.audit import Event, read_facts
from inventory.models import LoginSession, Person, SignOnIdentity
from inventory.security import sign_on
from inventory.services.sign_on import Told, person_for
from tests.concurrent import at_once
from tests.conftest import NOW
from tests.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Provider,
    another_kind_of_key,
    providing,
    secret_as_key,
    unsigned,
)
from tests.services.test_audit import entries
from tests.web.client import csrf_token, log_in_by_form
from tests.web.factors import at, code, give_app, second
from tests.world import DENPASAR, PEOPLE

HOME = f"/offices/{DENPASAR}"
BACK = "/sign-on/back"


@pytest.fixture(scope="module")
def serving() -> Iterator[Provider]:
    """One server for all tests here; its keys take a while to make."""
    with providing() as provider:
        yield provider


@pytest.fixture
def provider(serving: Provider) -> Provider:
    serving.begin_anew()
    return serving


@pytest.fixture
def app(app: Flask, provider: Provider) -> Iterator[Flask]:
    app.config["SETTINGS"] = replace(
        app.config["SETTINGS"],
        OIDC_ISSUER=provider.issuer,
        OIDC_CLIENT_ID=CLIENT_ID,
        OIDC_CLIENT_SECRET=CLIENT_SECRET,
        OIDC_NAME="Masuk Dukcapil",
    )
    yield app
    app.extensions.pop(sign_on.NAME, None)  # what it has learnt of the provider


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def ask(address: str) -> str:
    """Where the provider sends a browser that comes with this address."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers["Location"]


def there(client: FlaskClient, next_path: str = "") -> str:
    """To the provider, and the address with which it sends the browser back."""
    answer = client.get("/sign-on", query_string={"next": next_path} if next_path else {})
    assert answer.status_code == 302, answer.text
    return ask(answer.location)


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def come_in(client: FlaskClient, next_path: str = "") -> Any:
    return client.get(path_of(there(client, next_path)))


def is_in(client: FlaskClient) -> bool:
    return client.get(HOME).status_code == 200


def identities(app: Flask) -> list[tuple[str, str, str]]:
    with app.app_context():
        rows = db.session.execute(
            select(Person.email, SignOnIdentity.issuer, SignOnIdentity.subject).join(
                Person, Person.id == SignOnIdentity.person_id
            )
        ).all()
        return [(email, issuer, subject) for email, issuer, subject in rows]


# --- the way in --------------------------------------------------------------------------------------------------


def test_who_signs_on_is_let_in_as_the_account_with_the_verified_address(
    app: Flask, client: FlaskClient, provider: Provider
) -> None:
    assert "Masuk Dukcapil" in client.get("/login").text
    answer = come_in(client, HOME)
    assert (answer.status_code, answer.location) == (303, HOME)
    assert is_in(client)
    assert identities(app) == [("gudang@denpasar.test", provider.issuer, "u-1")]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(LoginSession)) == 1
        assert db.session.scalar(select(func.count()).select_from(Person)) == len(PEOPLE)
    with client.session_transaction() as session:
        assert not [key for key in session if key.startswith("_state_")]


def test_the_request_carries_what_the_flow_needs_and_no_secret(client: FlaskClient, provider: Provider) -> None:
    location = client.get("/sign-on").location
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert location.startswith(f"{provider.issuer}/authorize?")
    assert asked["redirect_uri"] == "http://localhost/sign-on/back"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 20
    assert len(asked["nonce"]) >= 20
    assert CLIENT_SECRET not in location
    assert "code_verifier" not in asked


def test_afterwards_the_providers_own_name_counts_and_not_the_address(
    app: Flask, client: FlaskClient, provider: Provider
) -> None:
    come_in(client)
    provider.person = {"sub": "u-1", "email": PEOPLE["administrator"][0], "email_verified": True}
    other = app.test_client()
    assert come_in(other).status_code == 303
    assert is_in(other)
    assert other.get("/people").status_code == 403, "still the storekeeper"
    assert len(identities(app)) == 1


def test_an_address_that_passed_to_somebody_else_opens_no_account(
    app: Flask, client: FlaskClient, provider: Provider
) -> None:
    come_in(client)
    provider.person = provider.person | {"sub": "u-2"}
    other = app.test_client()
    assert come_in(other).status_code == 403
    assert not is_in(other)
    assert [subject for _, _, subject in identities(app)] == ["u-1"]


def test_a_second_factor_at_the_provider_is_told(client: FlaskClient, provider: Provider) -> None:
    come_in(client)
    with client.session_transaction() as session:
        assert not session.get("second")
    provider.person = provider.person | {"amr": ["pwd", "mfa"]}
    come_in(client)
    with client.session_transaction() as session:
        assert session["second"] is True


def test_without_one_there_the_second_factor_here_is_asked(
    app: Flask, client: FlaskClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def tf_enter(person: Any, *_: Any, **__: Any) -> Any:
        asked.append(person.email)
        return "the second factor, please"

    monkeypatch.setattr(app.extensions["security"].two_factor_plugins, "tf_enter", tf_enter)
    assert come_in(client).text == "the second factor, please"
    assert not is_in(client)
    assert asked == ["gudang@denpasar.test"]
    provider.person = provider.person | {"acr": "phrh"}
    assert come_in(client).status_code == 303
    assert is_in(client)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_address_at_the_provider_opens_no_account_with_a_second_factor_here(
    app: Flask, client: FlaskClient, provider: Provider
) -> None:
    at(app, NOW)
    give_app(app, "storekeeper")
    provider.person = provider.person | {"amr": ["pwd", "mfa"]}
    way = come_in(client, HOME).location
    assert way == f"/login/second-factor?next={HOME}"
    assert not is_in(client)
    assert identities(app) == [], "not before the second factor was given"
    assert second(client, way, code=code(NOW)).location == HOME
    assert is_in(client)
    assert [subject for _, _, subject in identities(app)] == ["u-1"]
    with app.app_context():
        [told] = [read_facts(row.facts) for row in entries(Event.LOGGED_IN)]
    assert told["how"] == ["oidc", "code"]
    assert come_in(app.test_client(), HOME).location == HOME, "known by now, and the provider's own is enough"
    run = app.test_cli_runner().invoke(args=["people", "unlink", PEOPLE["storekeeper"][0]])
    assert run.exit_code == 0, run.output
    assert identities(app) == []
    assert not is_in(client)
    assert come_in(app.test_client()).location == "/login/second-factor?next=/"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sign_on_that_is_refused_stands_in_the_audit(app: Flask, client: FlaskClient, provider: Provider) -> None:
    provider.person = provider.person | {"email": "tidak@ada.test"}
    assert come_in(client).status_code == 403
    with app.app_context():
        [told] = [read_facts(row.facts) for row in entries(Event.LOG_IN_REFUSED)]
    assert told == {"how": "oidc", "reason": "sign_on_unknown"}


def test_it_comes_back_to_paths_of_this_site_only(client: FlaskClient) -> None:
    for target in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"):
        assert come_in(client, target).location == "/"


def test_keys_that_were_changed_are_fetched_again(app: Flask, client: FlaskClient, provider: Provider) -> None:
    come_in(client)
    provider.key, provider.sign_with = provider.renewed_key, provider.renewed_key
    provider.header = {"alg": "RS256", "kid": "two"}
    assert come_in(app.test_client()).status_code == 303


# --- every bad one -----------------------------------------------------------------------------------------------

LIES: dict[str, Callable[[Provider], object]] = {
    "wrong nonce": lambda p: setattr(p, "bend", lambda claims: claims.update(nonce="another")),
    "no nonce": lambda p: setattr(p, "bend", lambda claims: claims.pop("nonce")),
    "wrong audience": lambda p: setattr(p, "bend", lambda claims: claims.update(aud="somebody else")),
    "wrong audience, for us": lambda p: setattr(
        p, "bend", lambda claims: claims.update(aud="somebody else", azp=CLIENT_ID)
    ),
    "for us by another": lambda p: setattr(p, "bend", lambda claims: claims.update(azp="somebody else")),
    "no audience": lambda p: setattr(p, "bend", lambda claims: claims.pop("aud")),
    "wrong issuer": lambda p: setattr(p, "bend", lambda claims: claims.update(iss="https://evil.test")),
    "expired": lambda p: setattr(p, "bend", lambda claims: claims.update(exp=int(time.time()) - 120)),
    "no end": lambda p: setattr(p, "bend", lambda claims: claims.pop("exp")),
    "of tomorrow": lambda p: setattr(p, "bend", lambda claims: claims.update(nbf=int(time.time()) + 86_400)),
    "nobody": lambda p: setattr(p, "bend", lambda claims: claims.pop("sub")),
    "an endless name": lambda p: setattr(p, "bend", lambda claims: claims.update(sub="x" * 300)),
    "another key": lambda p: setattr(p, "sign_with", p.other_key),
    "no signature": lambda p: setattr(p, "bend_token", unsigned),
    "signed with our own secret": lambda p: (
        setattr(p, "sign_with", secret_as_key()),
        setattr(p, "header", {"alg": "HS256", "kid": "one"}),
    ),
    "another kind of key": lambda p: (
        setattr(p, "sign_with", another_kind_of_key()),
        setattr(p, "header", {"alg": "ES256", "kid": "one"}),
    ),
    "no token at all": lambda p: setattr(p, "bend_token", lambda token: "x.y.z"),
    "a claim that was changed": lambda p: setattr(
        p, "bend_token", lambda token: token.replace(token.split(".")[1], token.split(".")[1][:-4] + "AAAA")
    ),
    "the provider says no": lambda p: setattr(p, "answer_with", "access_denied"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_provider_that_lies_lets_nobody_in(app: Flask, client: FlaskClient, provider: Provider, lie: str) -> None:
    LIES[lie](provider)
    answer = come_in(client)
    assert answer.status_code == 403, lie
    assert "<script>no" not in answer.text
    assert not is_in(client)
    assert identities(app) == []


@pytest.mark.parametrize("metadata", [["none"], ["HS256"], ["none", "HS256", "RS256"]])
def test_no_description_makes_an_unsigned_token_good(
    client: FlaskClient, provider: Provider, metadata: list[str]
) -> None:
    provider.description = {"id_token_signing_alg_values_supported": metadata}
    provider.bend_token = unsigned
    assert come_in(client).status_code == 403
    assert not is_in(client)


@pytest.mark.parametrize("verified", [False, None, "true", 1, "missing"])
def test_an_address_that_is_not_verified_links_nothing(
    app: Flask, client: FlaskClient, provider: Provider, verified: Any
) -> None:
    provider.person = provider.person | {"email_verified": verified}
    if verified == "missing":
        del provider.person["email_verified"]
    answer = come_in(client)
    assert answer.status_code == 403
    assert identities(app) == []
    assert not is_in(client)


@pytest.mark.parametrize("email", ["tidak@ada.test", None, "", 5, "bukan alamat", "x" * 400, ["gudang@denpasar.test"]])
def test_an_unknown_address_makes_no_account(app: Flask, client: FlaskClient, provider: Provider, email: Any) -> None:
    provider.person = provider.person | {"email": email}
    assert come_in(client).status_code == 403
    assert identities(app) == []
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Person)) == len(PEOPLE)


def test_who_is_shut_out_stays_out_and_learns_nothing(app: Flask, client: FlaskClient, provider: Provider) -> None:
    with app.app_context():
        shut = update(Person).where(Person.email == "gudang@denpasar.test").values(active=False)
        write(lambda session: session.execute(shut))
    before = come_in(client)
    provider.person = provider.person | {"email": "tidak@ada.test"}
    unknown = come_in(app.test_client())
    assert before.status_code == unknown.status_code == 403
    strip = [answer.text.split("<main")[1].split("</main>")[0] for answer in (before, unknown)]
    assert strip[0] == strip[1]


def test_who_was_linked_and_is_shut_out_later_stays_out(app: Flask, client: FlaskClient) -> None:
    come_in(client)
    with app.app_context():
        shut = update(Person).where(Person.email == "gudang@denpasar.test").values(active=False)
        write(lambda session: session.execute(shut))
    assert come_in(app.test_client()).status_code == 403
    assert not is_in(client)


def test_a_code_counts_once(app: Flask, client: FlaskClient, provider: Provider) -> None:
    back = there(client)
    with client.session_transaction() as session:
        kept = dict(session)
    assert client.get(path_of(back)).status_code == 303
    assert client.get(path_of(back)).status_code == 422, "its state is used up"
    thief = app.test_client()
    with thief.session_transaction() as session:
        session.update(kept)
    assert thief.get(path_of(back)).status_code == 403, "and so is the code, even with the same cookie"
    assert provider.used_codes == 1
    assert not is_in(thief)


def test_what_did_not_begin_in_this_browser_is_refused(app: Flask, client: FlaskClient) -> None:
    """Somebody who is sent to another's way back is not logged in as that other."""
    back = there(client)
    victim = app.test_client()
    assert victim.get(path_of(back)).status_code == 422
    assert not is_in(victim)
    for query in ("", "?code=x", "?state=x", "?code=x&state=x", "?error=access_denied", "?state=&code=", "?state=%00"):
        assert victim.get(BACK + query).status_code in (403, 422), query


def test_another_providers_answer_is_refused(client: FlaskClient) -> None:
    """A mix-up: the answer says that it is of somebody else (RFC 9207)."""
    back = there(client)
    parts = urlsplit(back)
    told = parse_qs(parts.query)
    mixed = client.get(
        BACK, query_string={"code": told["code"][0], "state": told["state"][0], "iss": "https://evil.test"}
    )
    assert mixed.status_code == 403
    assert not is_in(client)


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.test"},
        {"issuer": None},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_description_that_cannot_be_is_not_followed(
    app: Flask, client: FlaskClient, provider: Provider, description: dict[str, Any]
) -> None:
    provider.description = description
    answer = client.get("/sign-on")
    assert answer.status_code == 502
    assert "evil" not in answer.text
    provider.description = {}
    assert client.get("/sign-on").status_code == 302, "and it is not remembered"


def test_a_provider_that_is_away_is_said_to_be(
    client: FlaskClient, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.down = True
    with caplog.at_level(logging.WARNING):
        answer = client.get("/sign-on")
    assert answer.status_code == 502
    assert provider.issuer not in answer.text
    assert "does not answer as it should" in caplog.text
    assert CLIENT_SECRET not in caplog.text
    assert client.get("/login").status_code == 200, "passwords go on"


def test_codes_are_not_sent_where_a_redirect_points(client: FlaskClient, provider: Provider) -> None:
    back = there(client)
    provider.redirects_tokens_to = f"{provider.issuer}/elsewhere"
    assert client.get(path_of(back)).status_code == 502
    assert not is_in(client)


def test_many_beginnings_do_not_fill_the_cookie(client: FlaskClient) -> None:
    for _ in range(20):
        client.get("/sign-on")
    with client.session_transaction() as session:
        assert len([key for key in session if key.startswith("_state_")]) == 1
    assert come_in(client).status_code == 303


def test_a_log_in_by_password_works_beside_it(app: Flask, client: FlaskClient) -> None:
    assert log_in_by_form(client, "storekeeper").status_code == 302
    assert is_in(client)
    client.post("/logout", data={"csrf_token": csrf_token(client, "/account")})
    assert not is_in(client), "logging out is local"


def test_without_a_provider_there_is_no_such_way_in(app: Flask, client: FlaskClient) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], OIDC_ISSUER="")
    assert client.get("/sign-on").status_code == client.get(BACK).status_code == 404
    assert "/sign-on" not in client.get("/login").text


# --- linking, all at once ----------------------------------------------------------------------------------------


def test_two_that_link_one_account_at_once_link_it_once(app: Flask) -> None:
    told = {"issuer": "https://sso.test", "email": "gudang@denpasar.test", "email_verified": True}
    with app.app_context():
        same = [lambda: person_for(NOW, Told(subject="a", second_factor=False, **told)).person_id] * 4
        others = [
            lambda n=n: person_for(NOW, Told(subject=f"b{n}", second_factor=False, **told)).person_id for n in range(2)
        ]
        outcomes = at_once(app, same + others)
        linked = db.session.scalars(select(SignOnIdentity.subject)).all()
    assert len(linked) == 1
    good = [each for each in outcomes if isinstance(each, int)]
    assert len(good) in (1, 4), outcomes
    refused = [each for each in outcomes if not isinstance(each, int)]
    assert {getattr(each, "code", repr(each)) for each in refused} == {"sign_on_unknown"}


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer",
    ["http://sso.test", "sso.test", "https://", "https://user:pass@sso.test", "https://sso.test?x=1", "file:///x"],
)
def test_an_issuer_needs_https(issuer: str) -> None:
    with pytest.raises(SettingError, match="BLANGKO_OIDC_ISSUER"):
        load({}, {"BLANGKO_OIDC_ISSUER": issuer, "BLANGKO_OIDC_CLIENT_ID": "x"})
    with pytest.raises(SettingError, match="BLANGKO_OIDC_CLIENT_ID"):
        load({}, {"BLANGKO_OIDC_ISSUER": "https://sso.test/realms/x"})


def test_what_a_log_is_told_stays_on_one_line() -> None:
    assert "\n" not in sign_on._one_line("a\nWARNING: forged" + "x" * 1000)
    assert len(sign_on._one_line("x" * 1000)) == 200
