"""Real receivers of messages — a mail server and an HTTP server that fail as told — and many alerts at once.

Run as a program (`python -m tests.notices URL FOLDER SMTP_URL NOW`) it is a process that makes and sends messages until
it is killed, on a clock that stands still.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiosmtpd.controller import Controller
from sqlalchemy import insert, select, update

from inventory.db import begin_write, db
from inventory.domain.access import SYSTEM, Role
from inventory.domain.alerts import Level
from inventory.domain.notices import ChannelKind, OfficeHours, unsubscribe_token
from inventory.models import Alert, AlertEvent, Item, Membership, Message, NoticeChannel, Office, Person
from inventory.services import channels, notices, offices
from inventory.services.channels import Allowed
from inventory.services.notices import Terms
from tests.conftest import NOW
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent
SENDER = "Blangko <blangko@kantor.test>"
TERMS = Terms(
    email=True,
    escalate_after_hours=4,
    office_hours=OfficeHours(
        datetime.strptime("08:00", "%H:%M").time(),  # noqa: DTZ007  (times of day)
        datetime.strptime("16:00", "%H:%M").time(),  # noqa: DTZ007
    ),
)


class MailServer:
    """An SMTP server that takes mail. `answer(number)` says what the nth message is told: an SMTP reply, or "" to break
    off the connection."""

    def __init__(self, answer: Callable[[int], str] = lambda _: "250 OK") -> None:
        self.answer, self.mails, self.seen = answer, [], 0
        self.mails: list[Mail] = []
        self.port = free_port()
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=no"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        self.seen += 1
        answer = self.answer(self.seen)
        if answer.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, policy=default))
        if not answer:
            server.transport.abort()
            return "421 gone"
        return answer

    def __enter__(self) -> MailServer:
        self.controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.stop()


class Receiver:
    """An HTTP server that keeps what it is sent, and answers as `answer(number)` says: a status, or seconds to wait
    before one."""

    def __init__(self, answer: Callable[[int], int | float]) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((dict(self.headers.items()), body))
                said = answer(len(outer.requests))
                if isinstance(said, float):
                    time.sleep(said)
                    said = 200
                try:
                    self.send_response(said)
                    if said == 302:
                        self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                    self.end_headers()
                except OSError:
                    pass  # the sender has given up, as it should

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Receiver:
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def add_people(now: datetime, count: int, office: str, role: Role = Role.VIEWER) -> list[int]:
    """People who look after an office; their ids."""
    rows = [
        {"email": f"orang{number}.{uuid4().hex[:6]}@kantor.test", "full_name": f"Orang {number}", "created_at": now}
        | {"active": True, "fs_uniquifier": uuid4().hex}
        for number in range(count)
    ]
    session = db.session
    session.execute(insert(Person), rows)
    emails = [row["email"] for row in rows]
    ids = list(session.scalars(select(Person.id).where(Person.email.in_(emails)).order_by(Person.id)))
    office_id = session.scalar(select(Office.id).where(Office.code == office))
    session.execute(insert(Membership), [{"person_id": id_, "office_id": office_id, "name": role.value} for id_ in ids])
    session.commit()
    return ids


def add_districts(count: int, parent: str = "51.71") -> None:
    """Further districts below a city, in its time zone."""
    rows = [
        {"code": f"{parent}.{number}", "name": f"Kecamatan {number}", "kind": "district", "parent": parent}
        | {"time_zone": "Asia/Makassar", "population": ""}
        for number in range(100, 100 + count)
    ]
    offices.load(SYSTEM, rows)


def raise_alerts(
    now: datetime, to: Level = Level.LOW, *, codes: list[str] | None = None, items: int = 1, subject: str = "low_stock"
) -> list[int]:
    """An alert for each of these offices (all districts without) and items, as a review opens them: in one
    transaction; the ids of the events."""
    session = db.session
    begin_write(session())
    wanted = Office.code.in_(codes) if codes else Office.kind == "district"
    office_ids = list(session.scalars(select(Office.id).where(wanted).order_by(Office.code)))
    item_ids = list(session.scalars(select(Item.id).order_by(Item.position).limit(items)))
    facts = {"store": 0 if to is Level.OUT else 120, "inbound": 0, "suggested_order": 500, "stockout_on": "2024-06-03"}
    common = {"level": to.value, "opened_at": now, "changed_at": now, "facts": facts, "subject": subject}
    rows = [common | {"office_id": office, "item_id": item} for office in office_ids for item in item_ids]
    before = set(session.scalars(select(Alert.id)))
    session.execute(insert(Alert), rows)
    ids = sorted(set(session.scalars(select(Alert.id))) - before)
    changes = [
        {"alert_id": alert_id, "at": now, "from_level": "ok", "to_level": to.value, "facts": facts} for alert_id in ids
    ]
    session.execute(insert(AlertEvent), changes)
    session.commit()
    return list(session.scalars(select(AlertEvent.id).where(AlertEvent.alert_id.in_(ids)).order_by(AlertEvent.id)))


def change_level(now: datetime, alert_id: int, old: Level, new: Level) -> int:
    """One more change of an alert; the event's id."""
    alert = db.session.get_one(Alert, alert_id)
    alert.level, alert.changed_at = new.value, now
    if new is Level.OK:
        alert.resolved_at, alert.done = now, "relieved"
    event = AlertEvent(alert_id=alert_id, at=now, from_level=old.value, to_level=new.value, facts=alert.facts)
    db.session.add(event)
    db.session.commit()
    return event.id


def channel_of(email: str) -> int:
    found = select(NoticeChannel.id).join(Person, Person.id == NoticeChannel.person_id).where(Person.email == email)
    return db.session.scalars(found).one()


def fill_messages(world: World) -> dict[str, Any]:
    """What the pages of messages show: the manager's e-mail and webhook, one ended, and messages that did not arrive;
    the parts of these pages' addresses."""
    manager, allowed = world.actor("manager"), Allowed(email=True, telegram=True, services=["slack"], private=False)
    usual = channels.usual(manager, NOW)
    email = channels.add(manager, NOW, ChannelKind.EMAIL, "", usual, allowed)
    hook = "https://pusat-data.kantor.example/kabar/blangko/denpasar"
    webhook = channels.add(manager, NOW, ChannelKind.WEBHOOK, hook, usual, allowed)
    ended = channels.add(manager, NOW, ChannelKind.TELEGRAM, "-1001234567890", usual, allowed)
    channels.set_subscribed(manager, NOW, ended, False)
    notices.fan_out(NOW, TERMS)
    refused = "550 5.1.1 mailbox unavailable: user unknown"
    db.session.execute(update(Message).where(Message.channel_id == email).values(status="sent", sent_at=NOW))
    given_up = Message.channel_id.not_in([email, webhook, ended])
    db.session.execute(update(Message).where(given_up).values(status="dead", attempts=16, last_error=refused))
    db.session.execute(update(Message).where(Message.channel_id == webhook).values(attempts=2, last_error="HTTP 503"))
    db.session.commit()
    token = unsubscribe_token(world.app.config["SECRET_KEY"], ended)
    return {"channel": webhook, "unsubscribe": f"/messages/unsubscribe/{token}"}


@contextmanager
def sender_process(url: str, folder: Path, smtp: str, now: datetime) -> Iterator[subprocess.Popen[str]]:
    """A process that makes and sends messages; killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.notices", url, str(folder), smtp, now.isoformat()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _send(url: str, folder: str, smtp: str, now: str) -> None:
    from inventory import create_app
    from inventory.jobs import chores_for, do
    from tests.conftest import test_settings

    settings = {"SMTP_URL": smtp, "MAIL_FROM": SENDER, "CLOCK": lambda: datetime.fromisoformat(now)}
    app = create_app(test_settings(url, Path(folder)) | settings)
    chore = next(chore for chore in chores_for(app.config["SETTINGS"]) if chore.name == "messages")
    print("ready", flush=True)
    while True:
        do(app, chore)
        time.sleep(0.05)


if __name__ == "__main__":
    _send(*sys.argv[1:])
