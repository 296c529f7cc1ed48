"""Sending: servers that die, time out and come back, processes that are killed, and what comes out in the end."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from inventory.adapters import notifications
from inventory.adapters.notifications import SendFailed, is_public
from inventory.config import Config
from inventory.db import db, write
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Level
from inventory.domain.errors import NotAllowed, NotFound
from inventory.domain.notices import CLAIM_LASTS, MAX_ATTEMPTS
from inventory.messages import Dispatcher
from inventory.models import Message, MessageChange, NoticeChannel, Person
from inventory.services import channels, messages, notices
from inventory.services.messages import Outgoing
from tests.concurrent import at_once
from tests.conftest import NOW
from tests.notices import (
    SENDER,
    TERMS,
    MailServer,
    Receiver,
    add_people,
    channel_of,
    raise_alerts,
    sender_process,
)
from tests.world import DENPASAR, PEOPLE, World

SECRET = "s" * 64


def settings(app: Flask, **values: Any) -> Config:
    from dataclasses import replace

    return replace(app.config["SETTINGS"], MAIL_FROM=SENDER, PUBLIC_URL="https://blangko.example", **values)


def send_all(app: Flask, now: datetime = NOW, chance: float = 0.5, **values: Any) -> Counter[str]:
    """Deliver until nothing is due at `now`; what became of the messages."""
    dispatcher = Dispatcher(settings(app, **values), "kunci", lambda: now)
    found: Counter[str] = Counter()
    try:
        while (one := messages.deliver(lambda: now, dispatcher.send, lambda: chance)).claimed:
            found.update({name: getattr(one, name) for name in ("sent", "failed", "postponed", "dropped")})
    finally:
        dispatcher.close()
    return +found


def statuses() -> Counter[str]:
    db.session.rollback()
    return Counter(dict(db.session.execute(select(Message.status, func.count()).group_by(Message.status)).all()))  # type: ignore[arg-type]


def one_each(now: datetime = NOW, *, people: int = 0) -> None:
    """A change at Denpasar, which concerns three people and so many more."""
    if people:
        add_people(now, people, DENPASAR)
    raise_alerts(now, codes=[DENPASAR])
    notices.fan_out(now, TERMS)


def webhook(url: str, name: str = "manager") -> int:
    """The person's only channel is a webhook."""
    write(lambda session: notices.enrol(session, NOW))
    channel_id = channel_of(PEOPLE[name][0])
    values = {"kind": "webhook", "target": url, "secret": SECRET}
    db.session.execute(update(NoticeChannel).where(NoticeChannel.id == channel_id).values(values))
    others = update(NoticeChannel).where(NoticeChannel.id != channel_id)
    db.session.execute(others.values(unsubscribed_at=NOW))
    db.session.commit()
    return channel_id


# --- e-mail ------------------------------------------------------------------------------------------------------


def test_a_mail_carries_what_programs_of_mail_look_for(world: World) -> None:
    one_each()
    with MailServer() as server:
        assert send_all(world.app, SMTP_URL=server.url) == {"sent": 3}
    mail = next(mail for mail in server.mails if mail["To"] == PEOPLE["manager"][0])
    assert mail["From"] == SENDER
    assert mail["Subject"] == "Blangko: Menipis: Kota Denpasar, Blangko KTP-el WNI"
    assert mail["Message-ID"].endswith("@kantor.test>")
    assert mail["Auto-Submitted"] == "auto-generated"
    link = mail["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://blangko.example/messages/unsubscribe/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = mail.get_content()  # type: ignore[attr-defined]
    assert "https://blangko.example/alerts/" in body
    assert link in body
    assert statuses() == {"sent": 3}


def test_each_is_written_in_the_language_of_its_person(world: World) -> None:
    db.session.execute(update(Person).where(Person.email == PEOPLE["manager"][0]).values(language="en"))
    db.session.commit()
    one_each()
    with MailServer() as server:
        send_all(world.app, SMTP_URL=server.url)
    subjects = {mail["To"]: mail["Subject"] for mail in server.mails}
    assert subjects[PEOPLE["manager"][0]] == "Blangko: Low: Kota Denpasar, Citizen card blank"
    assert subjects[PEOPLE["storekeeper"][0]] == "Blangko: Menipis: Kota Denpasar, Blangko KTP-el WNI"


def test_a_refused_address_is_given_up_and_the_others_are_not(world: World) -> None:
    one_each()
    with MailServer() as server:

        async def handle_RCPT(_server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
            if address == PEOPLE["manager"][0]:
                return "550 no such mailbox"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        server.handle_RCPT = handle_RCPT  # type: ignore[attr-defined]
        assert send_all(world.app, SMTP_URL=server.url) == {"sent": 2, "failed": 1}
    assert statuses() == {"sent": 2, "dead": 1}
    db.session.rollback()
    assert db.session.scalars(select(Message.last_error).where(Message.status == "dead")).one() == "550 no such mailbox"


def test_a_server_that_is_away_is_asked_once_and_costs_the_others_no_attempt(world: World) -> None:
    one_each(people=40)
    assert send_all(world.app, SMTP_URL="smtp://127.0.0.1:1?tls=no") == {"failed": 1, "postponed": 42}
    db.session.rollback()
    assert sorted(db.session.scalars(select(Message.attempts)))[-2:] == [0, 1]
    with MailServer() as server:
        assert send_all(world.app, NOW + timedelta(minutes=2), SMTP_URL=server.url) == {"sent": 43}


@pytest.mark.parametrize("number", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_server_that_breaks_off_in_the_middle_of_many_loses_and_doubles_nothing(world: World, number: int) -> None:
    one_each(people=number - 3)
    third, later = number // 3, number * 2 // 3

    # Breaks off at a third, refuses for a while, and breaks off again in the middle of others.
    def answer(nth: int) -> str:
        if nth in (third, third + 1, third + 2, later):
            return ""
        return "451 later" if third + 2 < nth < third + 10 else "250 OK"

    with MailServer(answer) as server:
        now, rounds = NOW, 0
        while statuses()["sent"] < number and rounds < 40:
            send_all(world.app, now, random.random(), SMTP_URL=server.url)
            now, rounds = now + timedelta(minutes=3), rounds + 1
    ids = Counter(mail["Message-ID"] for mail in server.mails)
    assert statuses() == {"sent": number}
    assert (len(ids), max(ids.values())) == (number, 1)
    assert {mail["To"] for mail in server.mails} >= {PEOPLE["manager"][0]}
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(MessageChange)) == number


# --- at once, and killed -----------------------------------------------------------------------------------------


def test_eight_at_once_send_each_message_once(crowded_app: Flask) -> None:
    with crowded_app.app_context():
        one_each(people=97)
        db.session.remove()
    seen: list[int] = []

    def run() -> int:
        found = 0
        while (one := messages.deliver(lambda: NOW, lambda message: seen.append(message.id), lambda: 0.5, 5)).claimed:
            found += one.sent
        return found

    outcomes = at_once(crowded_app, [run] * 8)
    assert sum(outcomes) == 100, outcomes
    assert len(seen) == len(set(seen)) == 100


def test_a_claim_of_a_process_that_died_comes_back(world: World) -> None:
    one_each()

    def die(_message: Outgoing) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        messages.deliver(lambda: NOW, die, lambda: 0.5)
    assert statuses() == {"sending": 3}
    seen: list[str] = []

    def keep(message: Outgoing) -> None:
        seen.append(message.key)

    assert messages.deliver(lambda: NOW + CLAIM_LASTS - timedelta(seconds=1), keep, lambda: 0.5).claimed == 0
    assert messages.deliver(lambda: NOW + CLAIM_LASTS, keep, lambda: 0.5).sent == 3
    assert len(set(seen)) == 3


def test_whose_claim_has_run_out_does_not_overwrite_what_the_next_found(world: World) -> None:
    one_each()
    later = NOW + CLAIM_LASTS

    def slow(_message: Outgoing) -> None:
        messages.deliver(lambda: later, lambda _: None, lambda: 0.5)
        raise SendFailed("too late")

    messages.deliver(lambda: NOW, slow, lambda: 0.5, 1)
    assert statuses() == {"sent": 3}


def check_kills(times: int, database_url: str, world: World, tmp_path: Path) -> None:
    """Processes are killed while they make and send messages; the last one finishes. Each one's clock is past the
    claims of the one before."""
    add_people(NOW, 57, DENPASAR)
    write(lambda session: notices.enrol(session, NOW))
    with MailServer(lambda _nth: (time.sleep(0.01), "250 OK")[1]) as server:
        for number in range(times):
            if number < 2:
                raise_alerts(NOW, codes=[[DENPASAR], ["51.71.01"]][number])
            enough, deadline = server.seen + random.randint(1, 5), time.monotonic() + 60
            with sender_process(database_url, tmp_path, server.url, NOW + number * CLAIM_LASTS):
                while server.seen < enough and time.monotonic() < deadline:
                    time.sleep(0.005)
            assert server.seen >= enough, "it was killed before it sent anything"
        now = NOW + times * CLAIM_LASTS
        notices.fan_out(now, TERMS)
        send_all(world.app, now, SMTP_URL=server.url)
    db.session.rollback()
    [(status, sent)] = db.session.execute(select(Message.status, func.count()).group_by(Message.status)).all()
    assert status == "sent"
    told = db.session.execute(select(MessageChange.channel_id, MessageChange.alert_event_id)).all()
    assert len(told) == len(set(told)) == 60 + 59, "each change once to each of whom it concerns"
    ids = Counter(mail["Message-ID"] for mail in server.mails)
    assert len(ids) == sent, "nothing is lost"
    assert sum(ids.values()) - sent <= times, "a kill repeats at most the one that was on its way"


@pytest.mark.slow
def test_kill_after_kill_loses_nothing(database_url: str, world: World, tmp_path: Path) -> None:
    check_kills(8, database_url, world, tmp_path)


# --- webhooks ----------------------------------------------------------------------------------------------------


def verified(headers: dict[str, str], body: bytes) -> bool:
    """As a receiver would check it, by the words of the README alone."""
    message = headers["X-Blangko-Timestamp"].encode() + b"." + body
    wanted = "sha256=" + hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, headers["X-Blangko-Signature"])


def test_a_receiver_that_fails_times_out_and_comes_back_gets_it_signed_each_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications.post, "__kwdefaults__", {"timeout": 0.5, "whole": 2.0})
    with Receiver(lambda n: {1: 500, 2: 2.5, 3: 302, 4: 429}.get(n, 204)) as receiver:
        webhook(receiver.url)
        one_each()
        now, errors = NOW, []
        for attempt in range(1, 6):
            assert sum(send_all(world.app, now, 1.0, PRIVATE_WEBHOOKS=True).values()) == 1
            assert not send_all(world.app, now, 1.0, PRIVATE_WEBHOOKS=True), "not before its pause is over"
            db.session.rollback()
            row = db.session.scalars(select(Message)).one()
            assert row.attempts == attempt
            errors.append(row.last_error)
            now = row.next_try_at
    assert statuses() == {"sent": 1}
    assert errors[0] == "HTTP 500"
    assert "timed out" in errors[1]
    assert errors[2:] == ["HTTP 302", "HTTP 429", None]
    assert len(receiver.requests) == 5, "a redirect is not followed"
    assert all(verified(headers, body) for headers, body in receiver.requests)
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.requests}) == 1
    headers, body = receiver.requests[-1]
    assert headers["X-Blangko-Timestamp"] > receiver.requests[0][0]["X-Blangko-Timestamp"]
    said = json.loads(body)
    assert said["id"] == headers["Idempotency-Key"]
    assert said["changes"][0] | {"alert": 0} == {
        "alert": 0,
        "office": DENPASAR,
        "item": "ktp-wni",
        "subject": "low_stock",
        "from": "ok",
        "to": "low",
        "store": 120,
        "url": f"https://blangko.example/alerts/{said['changes'][0]['alert']}",
    }
    assert not verified(headers, body + b" ")


def test_a_receiver_that_answers_a_byte_at_a_time_is_left() -> None:
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            try:
                while True:
                    peer.sendall(b"H")
                    time.sleep(0.2)
            except OSError:
                pass

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with listener, pytest.raises(SendFailed):
        notifications.post(url, b"{}", {}, private=True, timeout=5, whole=1)
    thread.join(5)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("0.0.0.0", False),  # noqa: S104
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("192.88.99.1", False),
        ("192.0.0.8", False),
        ("::", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
        ("5f00::1", False),
        ("3fff::1", False),
        ("2001:db8::1", False),
        ("ff02::1", False),
        ("0177.0.0.1", False),
        ("0x7f.1", False),
        ("2130706433", False),
        ("kantor", False),
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
    ],
)
def test_which_addresses_are_the_internets(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "[::]", "2130706433", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001"),
        *("0.0.0.0", "0", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "127。0。0。1", "①②⑦.0.0.1"),  # noqa: S104
    ],
)
def test_a_webhook_does_not_reach_into_the_installations_network(host: str) -> None:
    with Receiver(lambda _: 200) as receiver:
        with pytest.raises(SendFailed) as failed:
            notifications.post(f"https://{host}:{receiver.port}/", b"{}", {}, private=False)
        assert failed.value.permanent
        assert receiver.requests == []


def test_a_name_is_looked_up_once_so_that_it_cannot_change_after_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    with Receiver(lambda _: 200) as receiver:
        monkeypatch.setattr(notifications.socket, "getaddrinfo", resolve)
        notifications.post(f"http://nama.test:{receiver.port}/x", b"{}", {}, private=True)
    assert asked == ["nama.test", "127.0.0.1"], "the second is the address itself"
    assert receiver.requests[0][0]["Host"] == f"nama.test:{receiver.port}"


# --- given up, tried again ---------------------------------------------------------------------------------------


def test_what_never_arrives_is_given_up_and_shown_and_can_be_tried_again(world: World) -> None:
    one_each()
    now = NOW

    def fail(_message: Outgoing) -> None:
        raise SendFailed("no\r\nluck")

    for _ in range(MAX_ATTEMPTS):
        messages.deliver(lambda: now, fail, lambda: 0.0)  # noqa: B023  (called at once)
        now += timedelta(hours=9)
    assert statuses() == {"dead": 3}
    found, total = messages.undelivered(SYSTEM)
    assert (len(found), total) == (3, 3)
    assert {(each.status, each.attempts, each.last_error) for each in found} == {("dead", MAX_ATTEMPTS, "no luck")}
    messages.try_again(SYSTEM, now, found[0].id)
    messages.try_again(SYSTEM, now, found[0].id)
    assert statuses() == {"dead": 2, "waiting": 1}
    assert messages.deliver(lambda: now, lambda _: None, lambda: 0.0).sent == 1
    messages.try_again(SYSTEM, now, found[0].id)
    assert statuses() == {"dead": 2, "sent": 1}, "what was sent is not sent again"


def test_only_who_manages_people_sees_what_was_not_delivered_and_only_to_those(world: World) -> None:
    one_each()
    dead = update(Message).values(status="dead", attempts=3, last_error="x")
    db.session.execute(dead)
    db.session.commit()
    administrator = world.actor("administrator")
    assert messages.undelivered(administrator)[1] == 3
    for name in ("manager", "storekeeper", "regional"):
        with pytest.raises(NotAllowed):
            messages.undelivered(world.actor(name))
        with pytest.raises(NotAllowed):
            messages.try_again(world.actor(name), NOW, 1)
    with pytest.raises(NotFound):
        messages.try_again(administrator, NOW, 10**9)


@pytest.mark.parametrize("why", ["unsubscribed", "shut out"])
def test_who_wants_no_more_or_was_shut_out_gets_nothing_that_still_waits(world: World, why: str) -> None:
    one_each()
    if why == "unsubscribed":
        channels.unsubscribe(NOW, channel_of(PEOPLE["manager"][0]))
        assert statuses() == {"waiting": 2, "dropped": 1}
    else:
        db.session.execute(update(Person).where(Person.email == PEOPLE["manager"][0]).values(active=False))
        db.session.commit()
    with MailServer() as server:
        send_all(world.app, SMTP_URL=server.url)
    assert {mail["To"] for mail in server.mails} == {PEOPLE[each][0] for each in ("storekeeper", "regional")}
    assert statuses() == {"sent": 2, "dropped": 1}


def test_an_unexpected_error_in_one_message_holds_up_no_other(world: World) -> None:
    one_each()
    first: list[int] = []

    def stumble(message: Outgoing) -> None:
        if not first:
            first.append(message.id)
            raise ZeroDivisionError("odd")

    assert messages.deliver(lambda: NOW, stumble, lambda: 0.5) == messages.Delivered(sent=2, failed=1)
    db.session.rollback()
    assert (
        db.session.scalars(select(Message.last_error).where(Message.id == first[0])).one() == "ZeroDivisionError: odd"
    )


def test_a_channel_that_took_a_test_message_is_verified(world: World) -> None:
    with Receiver(lambda _: 200) as receiver:
        channel_id = webhook(receiver.url)
        db.session.execute(update(NoticeChannel).where(NoticeChannel.id == channel_id).values(verified_at=None))
        db.session.commit()
        one_each()
        assert statuses() == {}, "an address that nobody has confirmed is told nothing"
        channels.send_test(world.actor("manager"), NOW, channel_id)
        channels.send_test(world.actor("manager"), NOW, channel_id)
        assert send_all(world.app, PRIVATE_WEBHOOKS=True) == {"sent": 1}
        raise_alerts(NOW, codes=["51.71.01"], to=Level.CRITICAL)
        notices.fan_out(NOW, TERMS)
        assert send_all(world.app, PRIVATE_WEBHOOKS=True) == {"sent": 1}
    assert [json.loads(body)["kind"] for _, body in receiver.requests] == ["test", "change"]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_other_services_go_through_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    """To an address on this machine, as a service would be called: over the wire, by the library itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver(lambda n: 200 if n == 1 else 500) as receiver:
        url = f"json://127.0.0.1:{receiver.port}/"
        notifications.notify(url, "Judul", "Isi")
        with pytest.raises(SendFailed):
            notifications.notify(url, "Judul", "Isi")
    said = json.loads(receiver.requests[0][1])
    assert (said["title"], said["message"]) == ("Judul", "Isi")
    with pytest.raises(SendFailed) as failed:
        notifications.notify("nothing-like-it", "Judul", "Isi")
    assert failed.value.permanent
