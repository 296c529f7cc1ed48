"""What messages say, in the recipient's language, and by which way they go out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import quote

from flask_babel import force_locale, gettext, ngettext

from inventory import text
from inventory.adapters import notifications
from inventory.config import Config
from inventory.domain.notices import ChannelKind, MessageKind, signature, unsubscribe_token
from inventory.message_words import item_name, told
from inventory.services import items
from inventory.services.messages import Line, Outgoing

PRODUCT = "Blangko"


class Dispatcher:
    """Sends messages as the installation is set up. Close it after use: it keeps the mail server's connection."""

    def __init__(self, settings: Config, secret: str, clock: Callable[[], datetime]) -> None:
        self.settings, self.secret, self.clock = settings, secret, clock
        self.items = {item.code: item for item in items.active()}
        self.mailer = notifications.Mailer(settings.SMTP_URL, settings.MAIL_FROM) if settings.SMTP_URL else None

    def send(self, message: Outgoing) -> None:
        """Send one message. Raises SendFailed."""
        with force_locale(message.language or self.settings.LANGUAGE):
            said = self.said(message)
        _WAYS[message.channel](self, message, *said)

    def said(self, message: Outgoing) -> tuple[str, str]:
        """Subject and text in the language that holds now."""
        if message.kind is MessageKind.TEST:
            subject, lines = gettext("Test message"), [gettext("This is a test. Messages from Blangko arrive here.")]
        elif message.total == 1 and message.kind is MessageKind.CHANGE:
            subject, lines = self._one(message.lines[0])
        else:
            subject, lines = self._many(message)
        return f"{PRODUCT}: {subject}", "\n".join([*lines, *self._ending(message)]) + "\n"

    def close(self) -> None:
        if self.mailer is not None:
            self.mailer.close()

    # What a message says

    def _one(self, line: Line) -> tuple[str, list[str]]:
        found, to_do = told(line, self.items)
        said = [self._headline(line), *found, *to_do]
        return self._headline(line), [*said, *self._linked(f"/alerts/{line.alert_id}")]

    def _many(self, message: Outgoing) -> tuple[str, list[str]]:
        escalated, total = message.kind is MessageKind.ESCALATION, text.number(message.total)
        if escalated:
            subject = ngettext(
                "%(number)s alert waits for an answer",
                "%(number)s alerts wait for an answer",
                message.total,
                number=total,
            )
            hours = message.facts.get("hours", 0)
            opening = ngettext(
                "Nobody has acknowledged this for %(num)s working hour. Please see to it.",
                "Nobody has acknowledged this for %(num)s working hours. Please see to it.",
                hours,
            )
        else:
            subject = ngettext(
                "%(number)s change of alerts", "%(number)s changes of alerts", message.total, number=total
            )
            counted = (f"{text.LEVELS[level]}: {text.number(count)}" for level, count in message.counts.items())
            opening = " · ".join(counted)
        lines = [f"{message.region_name}", opening]
        for line in message.lines:
            said = (" ".join(part) for part in told(line, self.items))
            lines += ["", f"• {self._headline(line)}", *(f"  {each}" for each in said if each)]
            lines += [f"  {each}" for each in self._link(f"/alerts/{line.alert_id}")]
        rest = message.total - len(message.lines)
        if rest:
            lines += ["", gettext("And %(number)s more.", number=text.number(rest))]
        return f"{subject}, {message.region_name}", [*lines, *self._linked("/alerts")]

    def _headline(self, line: Line) -> str:
        """What is wrong, where: what a phone shows of a message before it is opened."""
        about = self._item(line)
        where = f"{line.office_name}, {about}" if about else line.office_name
        if line.subject == "low_stock":
            return f"{text.LEVELS[line.to_level]}: {where}"
        if line.to_level == "ok":
            return gettext("Done: %(what)s, %(where)s", what=_subject(line), where=where)
        return f"{_subject(line)} ({text.LEVELS[line.to_level]}): {where}"

    def _item(self, line: Line) -> str:
        return item_name(self.items, line.item_code)

    # Links

    def _link(self, path: str) -> list[str]:
        return [f"{self.settings.PUBLIC_URL.rstrip('/')}{path}"] if self.settings.PUBLIC_URL else []

    def _linked(self, path: str) -> list[str]:
        return ["", *self._link(path)] if self.settings.PUBLIC_URL else []

    def unsubscribe_link(self, message: Outgoing) -> str | None:
        """The signed address at which messages to this channel end; None without a public address."""
        path = f"/messages/unsubscribe/{unsubscribe_token(self.secret, message.channel_id)}"
        return next(iter(self._link(path)), None)

    def _ending(self, message: Outgoing) -> list[str]:
        link = self.unsubscribe_link(message)
        lines = ["", "-- ", gettext("To %(name)s from Blangko.", name=message.name)]
        if link:
            settings = next(iter(self._link("/messages")))
            lines.append(gettext("What you get, and when: %(link)s", link=settings))
            lines.append(gettext("No more of these messages: %(link)s", link=link))
        return lines

    # Ways out

    def _mail(self, message: Outgoing, subject: str, body: str) -> None:
        if self.mailer is None:
            raise notifications.SendFailed("no mail server is set: BLANGKO_SMTP_URL", away=True)
        domain = parseaddr(self.settings.MAIL_FROM)[1].rpartition("@")[2] or "blangko.invalid"
        headers = {
            # One date and one id for all attempts: they are one message.
            "Date": format_datetime(message.created_at),
            "Message-ID": f"<{message.key}@{domain}>",
            "Auto-Submitted": "auto-generated",
        }
        link = self.unsubscribe_link(message)
        if link:
            headers |= {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        self.mailer.send(message.target, subject, body, headers)

    def _webhook(self, message: Outgoing, subject: str, body: str) -> None:
        payload = json.dumps(self.payload(message, subject, body), ensure_ascii=False).encode()
        timestamp = str(int(self.clock().timestamp()))
        headers = {
            "User-Agent": PRODUCT,
            "Idempotency-Key": message.key,
            "X-Blangko-Timestamp": timestamp,
            "X-Blangko-Signature": signature(message.secret or "", timestamp, payload),
        }
        notifications.post(message.target, payload, headers, private=self.settings.PRIVATE_WEBHOOKS)

    def payload(self, message: Outgoing, subject: str, body: str) -> dict[str, Any]:
        """The JSON of a webhook: the same facts for programs, and the words for people."""
        return {
            "id": message.key,
            "kind": message.kind.value,
            "created_at": message.created_at.isoformat(),
            "subject": subject,
            "text": body,
            "region": message.region_code,
            "total": message.total,
            "levels": message.counts,
            "changes": [
                {
                    "alert": line.alert_id,
                    "office": line.office_code,
                    "item": line.item_code,
                    "subject": line.subject,
                    "from": line.from_level,
                    "to": line.to_level,
                    "store": line.facts.get("store"),
                    "url": next(iter(self._link(f"/alerts/{line.alert_id}")), None),
                }
                for line in message.lines
            ],
        }

    def _telegram(self, message: Outgoing, subject: str, body: str) -> None:
        chat = quote(message.target, safe="@-")
        notifications.notify(f"tgram://{self.settings.TELEGRAM_TOKEN}/{chat}/", subject, body)

    def _other(self, message: Outgoing, subject: str, body: str) -> None:
        notifications.notify(message.target, subject, body)


_WAYS: Mapping[ChannelKind, Callable[[Dispatcher, Outgoing, str, str], None]] = {
    ChannelKind.EMAIL: Dispatcher._mail,
    ChannelKind.WEBHOOK: Dispatcher._webhook,
    ChannelKind.TELEGRAM: Dispatcher._telegram,
    ChannelKind.OTHER: Dispatcher._other,
}


def _subject(line: Line) -> str:
    return str(text.SUBJECTS.get(line.subject, line.subject))
