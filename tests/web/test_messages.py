"""The pages of messages: one's ways, an end to them by a link, and what never arrived."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from inventory.db import db
from inventory.domain.notices import unsubscribe_token
from inventory.models import Message, NoticeChannel
from inventory.services import channels, notices
from tests.conftest import NOW
from tests.notices import SENDER, TERMS, raise_alerts
from tests.web.client import csrf_token, fields, in_language, log_in, send
from tests.world import DENPASAR, World

HOOK = "https://kantor.example/hook"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    from dataclasses import replace

    app.config["SETTINGS"] = replace(app.config["SETTINGS"], SMTP_URL="smtp://mail.test", MAIL_FROM=SENDER)
    client = app.test_client()
    log_in(client, "manager")
    in_language(client, "en")
    return client


def rows(app: Flask) -> list[NoticeChannel]:
    with app.app_context():
        found = list(db.session.scalars(select(NoticeChannel).order_by(NoticeChannel.id)))
        db.session.remove()
        return found


def statuses(app: Flask) -> list[str]:
    with app.app_context():
        found = list(db.session.scalars(select(Message.status).order_by(Message.id)))
        db.session.remove()
        return found


def add(client: FlaskClient, **typed: Any) -> Any:
    return send(client, "/messages/new", {"kind": "webhook", "target": HOOK, **typed})


def test_a_webhook_is_added_once_and_tested_before_it_is_used(app: Flask, client: FlaskClient) -> None:
    for _ in range(2):
        assert add(client).status_code == 303
    [row] = rows(app)
    assert (row.kind, row.target, row.verified_at, row.time_zone) == ("webhook", HOOK, None, "Asia/Makassar")
    assert statuses(app) == ["waiting"]
    page = client.get("/messages").text
    assert "Waits for its test message" in page
    assert str(row.secret) in page


def test_mail_goes_to_the_accounts_address_whatever_is_typed(app: Flask, client: FlaskClient) -> None:
    assert add(client, kind="email", target="somebody@else.test").status_code == 303
    [row] = rows(app)
    assert (row.target, row.verified_at) == ("kepala@denpasar.test", NOW)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"target": "http://kantor.example/"}, "Enter an address such as"),
        ({"target": ""}, "Enter an address such as"),
        ({"kind": "other", "target": "json://127.0.0.1/"}, "one of these services"),
        ({"quiet_from": "20:00", "quiet_until": ""}, "or neither"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_kept(
    app: Flask, client: FlaskClient, typed: dict[str, str], words: str
) -> None:
    answer = add(client, **typed)
    assert answer.status_code == 422
    assert words in answer.text
    assert fields(answer.text)["target"] == [typed.get("target", HOOK)]
    assert rows(app) == []


def test_what_was_chosen_is_kept(app: Flask, client: FlaskClient) -> None:
    add(client)
    [row] = rows(app)
    path = f"/messages/change?channel={row.id}"
    typed = {"least_level": "critical", "subjects": ["low_stock"], "quiet_from": "21:30", "quiet_until": "05:00"}
    data = {name: value for name, value in fields(client.get(path).text).items() if name not in ("below", "digest")}
    assert client.post(path, data=data | typed | {"time_zone": "Asia/Jayapura"}).status_code == 303
    [row] = rows(app)
    assert (row.least_level, row.below, row.digest, row.time_zone) == ("critical", False, False, "Asia/Jayapura")
    assert "low_stock" not in row.without
    assert "day_not_closed" in row.without
    assert str(row.quiet_from) == "21:30:00"
    shown = fields(client.get(path).text)
    assert shown["quiet_from"] == ["21:30"]
    assert shown["subjects"] == ["low_stock"]


def test_another_persons_channel_is_not_there(app: Flask, client: FlaskClient) -> None:
    add(client)
    [row] = rows(app)
    other = app.test_client()
    log_in(other, "storekeeper")
    data = {"csrf_token": csrf_token(other, "/account"), "number": str(row.id), "on": "0"}
    assert other.get(f"/messages/change?channel={row.id}").status_code == 404
    assert other.post("/messages/test", data=data).status_code == 404
    assert other.post("/messages/subscription", data=data).status_code == 404
    assert rows(app)[0].unsubscribed_at is None


def test_messages_are_ended_and_taken_up_again(app: Flask, client: FlaskClient) -> None:
    add(client)
    data = {"csrf_token": csrf_token(client, "/account"), "number": str(rows(app)[0].id)}
    client.post("/messages/subscription", data=data | {"on": "0"})
    assert rows(app)[0].unsubscribed_at == NOW
    assert statuses(app) == ["dropped"]
    assert client.post("/messages/test", data=data).status_code == 409
    assert "Ended" in client.get("/messages").text
    client.post("/messages/subscription", data=data | {"on": "1"})
    assert rows(app)[0].unsubscribed_at is None


def test_ten_ways_are_enough(app: Flask, client: FlaskClient) -> None:
    for number in range(channels.MOST):
        assert add(client, target=f"{HOOK}/{number}").status_code == 303
    assert add(client, target=f"{HOOK}/more").status_code == 409
    assert len(rows(app)) == channels.MOST


# --- the link ----------------------------------------------------------------------------------------------------


def link_to(app: Flask, channel_id: int) -> str:
    return f"/messages/unsubscribe/{unsubscribe_token(app.config['SECRET_KEY'], channel_id)}"


def test_a_link_ends_messages_without_logging_in_and_only_by_post(app: Flask, client: FlaskClient) -> None:
    add(client)
    [row] = rows(app)
    nobody = app.test_client()
    path = link_to(app, row.id)
    assert nobody.get(path).status_code == 200
    assert rows(app)[0].unsubscribed_at is None, "programs that check mail open every link"
    for _ in range(2):
        answer = nobody.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    assert rows(app)[0].unsubscribed_at == NOW
    assert statuses(app) == ["dropped"]


def test_a_link_that_was_not_signed_here_is_not_found(app: Flask, client: FlaskClient) -> None:
    add(client)
    [row] = rows(app)
    good = link_to(app, row.id)
    for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), link_to(app, row.id + 1), "/messages/unsubscribe/1-x"):
        assert app.test_client().post(bad).status_code == 404
    assert rows(app)[0].unsubscribed_at is None


def test_the_token_of_a_form_is_still_asked_for_elsewhere(app: Flask, client: FlaskClient) -> None:
    add(client)
    app.config["WTF_CSRF_ENABLED"] = True
    answer = client.post("/messages/subscription", data={"number": str(rows(app)[0].id), "on": "0"})
    assert answer.status_code in (303, 400)
    assert rows(app)[0].unsubscribed_at is None


# --- undelivered -------------------------------------------------------------------------------------------------


def test_what_was_given_up_is_shown_and_tried_again(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        World(app)
        raise_alerts(NOW, codes=[DENPASAR])
        notices.fan_out(NOW, TERMS)
        db.session.execute(update(Message).values(status="dead", attempts=16, last_error="550 <no> such mailbox"))
        db.session.commit()
        db.session.remove()
    administrator = app.test_client()
    log_in(administrator, "administrator")
    in_language(administrator, "en")
    page = administrator.get("/messages/undelivered").text
    assert page.count("550 &lt;no&gt; such mailbox") == 3
    assert "Given up" in page
    assert "kepala@denpasar.test" not in page
    data = {"csrf_token": csrf_token(administrator, "/account"), "number": fields(page)["number"][0]}
    assert administrator.post("/messages/undelivered/again", data=data).status_code == 303
    assert sorted(statuses(app)) == ["dead", "dead", "waiting"]
