"""Messages about alerts: who gets which change, when it may be sent, when nobody's answer is passed on, and how often
a failed one is tried again.

The clock, random numbers and secrets are handed in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from inventory.domain.access import TABLE, Action, Grant, Role, Scope
from inventory.domain.alerts import SEVERITY, Level, Subject
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.errors import Invalid


class ChannelKind(StrEnum):
    EMAIL = "email"
    TELEGRAM = "telegram"
    WEBHOOK = "webhook"
    OTHER = "other"
    """Another service that Apprise speaks, by its address."""


class MessageStatus(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    """Tried as often as it makes sense: shown to administrators, who may have it tried again."""
    DROPPED = "dropped"
    """Its recipient wants no more messages here, or may no longer log in."""


class MessageKind(StrEnum):
    CHANGE = "change"
    ESCALATION = "escalation"
    TEST = "test"


MAX_ATTEMPTS = 16
"""With the pauses of `pause_after` one to two days: longer than a mail server is away over a night."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=8)
CLAIM_LASTS = timedelta(minutes=10)
"""After this time a message that some process was sending is sent by another: the process was killed."""
MESSAGES_KEPT = timedelta(days=90)
"""So long a message that was sent, or not wanted any more, is kept: the alerts' own history stays for ever."""
DEAD_KEPT = timedelta(days=365)
"""So long one that was given up stays where administrators see it."""
FEW = 3
"""So many changes at once come one by one to who wants no digest; of more a digest is made for everybody."""
LINES = 20
"""Changes that a digest names; it counts the rest."""
LONGEST_TARGET = 500


# --- who gets a change -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of an alert at the office with this path; `event_id` names it."""

    event_id: int
    alert_id: int
    path: str
    subject: Subject
    from_level: Level
    to_level: Level

    @property
    def is_urgent(self) -> bool:
        """An empty store lets nobody sleep."""
        return self.to_level is Level.OUT and self.subject is Subject.LOW_STOCK


@dataclass(frozen=True)
class QuietHours:
    """From one time of day to another on the recipient's clock, across midnight when `until` is the earlier one."""

    since: time
    until: time


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One address of one person. `without` are the subjects that they do not want to hear of: a new subject is told
    until somebody says otherwise. With `below` False only their own offices count, and an empty store right below."""

    channel_id: int
    grants: tuple[Grant, ...]
    least_level: Level
    without: frozenset[Subject] = frozenset()
    below: bool = True
    digest: bool = True
    time_zone: str = "Asia/Jakarta"
    quiet: QuietHours | None = None

    def wants(self, change: Change) -> bool:
        """By level and subject. Who heard that it got bad also hears that it got better."""
        worst = max(SEVERITY[change.from_level], SEVERITY[change.to_level])
        return change.subject not in self.without and worst >= SEVERITY[self.least_level]


def office_through_which(recipient: Recipient, change: Change) -> str | None:
    """The path of the recipient's own office through which a change concerns them, the nearest where there are
    several; None when it does not."""
    found = [grant.path for grant in recipient.grants if _reaches(grant, recipient.below, change)]
    return max(found, key=len, default=None)


def _reaches(grant: Grant, below: bool, change: Change) -> bool:
    scope = TABLE[Action.VIEW_ALERT].get(grant.role)
    if scope is None or not change.path.startswith(grant.path):
        return False
    if change.path == grant.path:
        return True
    if scope is Scope.OWN:
        return False
    at_once = change.is_urgent and grant.role is Role.MANAGER and parent_path(change.path) == grant.path
    return below or at_once


def parent_path(path: str) -> str:
    """The path of the office above; empty for the topmost."""
    return path.rstrip("/").rpartition("/")[0] + "/" if path.count("/") > 1 else ""


def paths_above(path: str) -> list[str]:
    """The paths of the offices above, the nearest first."""
    found = []
    while path := parent_path(path):
        found.append(path)
    return found


Bundle = tuple[int, str]
"""A channel, and the path of the recipient's office: its region."""


def route(changes: Iterable[Change], recipients: Iterable[Recipient]) -> dict[Bundle, list[Change]]:
    """Which changes go to which channel, by region: a recipient has one message for each office of theirs."""
    by_office: dict[str, dict[int, Recipient]] = defaultdict(dict)
    for recipient in recipients:
        for grant in recipient.grants:
            by_office[grant.path][recipient.channel_id] = recipient
    bundles: dict[Bundle, list[Change]] = defaultdict(list)
    for change in changes:
        for path in (change.path, *paths_above(change.path)):
            for recipient in by_office.get(path, {}).values():
                # A recipient with several offices above one another is met at each, and counts at the nearest.
                if recipient.wants(change) and office_through_which(recipient, change) == path:
                    bundles[recipient.channel_id, path].append(change)
    return dict(bundles)


def escalated_to(change: Change, managers: Mapping[str, Sequence[Recipient]]) -> tuple[str, list[Recipient]] | None:
    """The nearest office above with managers (given by the paths of their offices) who want to hear of such a change,
    and these managers."""
    for path in paths_above(change.path):
        found = [recipient for recipient in managers.get(path, ()) if recipient.wants(change)]
        if found:
            return path, found
    return None


def messages_of(changes: Sequence[Change], *, digest: bool) -> list[list[Change]]:
    """A recipient's changes of one region as messages: one for all, or one by one when a few are wanted so."""
    if digest or len(changes) > FEW:
        return [list(changes)]
    return [[change] for change in changes]


# --- when --------------------------------------------------------------------------------------------------------


def send_from(now: datetime, recipient: Recipient, *, urgent: bool) -> datetime:
    """The instant (UTC) from which a message may be sent: at once, or when the recipient's quiet hours are over.

    A time of day that a clock change leaves out counts as the instant an hour later; of two, the earlier.
    """
    quiet = recipient.quiet
    if urgent or quiet is None or quiet.since == quiet.until:
        return now
    zone = ZoneInfo(recipient.time_zone)
    local = now.astimezone(zone)
    at = local.time().replace(tzinfo=None, fold=0)
    if quiet.since < quiet.until:
        is_quiet, days = quiet.since <= at < quiet.until, 0
    else:
        is_quiet, days = at >= quiet.since or at < quiet.until, int(at >= quiet.since)
    if not is_quiet:
        return now
    end = datetime.combine(local.date() + timedelta(days=days), quiet.until, zone).astimezone(UTC)
    return max(end, now)


@dataclass(frozen=True)
class OfficeHours:
    """When offices work on their open days, on their own clocks."""

    opens: time
    closes: time


def escalates(change: Change) -> bool:
    """Whether somebody above is told when nobody acknowledges it: a stock that is low or worse; of what is left
    undone, what is critical."""
    least = Level.LOW if change.subject is Subject.LOW_STOCK else Level.CRITICAL
    return SEVERITY[change.to_level] >= SEVERITY[least]


def after_working_hours(
    start: datetime, hours: float, calendar: OfficeCalendar, time_zone: str, office: OfficeHours
) -> datetime:
    """The instant (UTC) at which an office has worked `hours` since `start`.

    Raises ValueError when the calendar has no open day for three years.
    """
    zone, left = ZoneInfo(time_zone), timedelta(hours=hours)
    day = start.astimezone(zone).date()
    if not calendar.is_open(day):
        day = calendar.nth_open_day(day, 1)
    while True:
        begins = max(datetime.combine(day, office.opens, zone).astimezone(UTC), start.astimezone(UTC))
        ends = datetime.combine(day, office.closes, zone).astimezone(UTC)
        if ends - begins >= left:
            return begins + left
        left -= max(ends - begins, timedelta())
        day = calendar.nth_open_day(day, 1)


def pause_after(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many failed attempts (1 or more): doubling from FIRST_PAUSE up to LONGEST_PAUSE,
    and of that between one half and the whole, as `chance` (0 to 1) has it, so that many that failed together do not
    come back together."""
    whole = min(FIRST_PAUSE * 2 ** min(attempts - 1, 30), LONGEST_PAUSE)
    return whole * (0.5 + chance / 2)


# --- addresses, signatures ---------------------------------------------------------------------------------------

_TELEGRAM_CHAT = re.compile(r"-?[0-9]{3,20}|@[A-Za-z][A-Za-z0-9_]{4,31}", re.ASCII)
_SERVICE = re.compile(r"([a-z][a-z0-9]{1,15})://[^\s]{3,400}", re.ASCII)
_ADDRESS = re.compile(r"https?://[^\s@/?#]{1,200}([/?][^\s#]*)?", re.ASCII)


def check_target(kind: ChannelKind, target: str, services: Sequence[str], *, private: bool) -> str:
    """An address as it is kept. `services` are those of Apprise that the installation allows: one that lets the
    sender name any host would reach into the installation's own network. `private` allows webhooks over plain HTTP.

    Raises Invalid `telegram_chat_format`, `webhook_format`, `service_unknown`.
    """
    target = target.strip()
    if kind is ChannelKind.TELEGRAM and not _TELEGRAM_CHAT.fullmatch(target):
        raise Invalid("telegram_chat_format")
    if kind is ChannelKind.WEBHOOK:
        plain = target.lower().startswith("http://")
        if len(target) > LONGEST_TARGET or not _ADDRESS.fullmatch(target) or (plain and not private):
            raise Invalid("webhook_format")
    if kind is ChannelKind.OTHER:
        named = _SERVICE.fullmatch(target)
        if named is None or named[1] not in services:
            raise Invalid("service_unknown", services=", ".join(services))
    return target


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Blangko-Signature` carries: HMAC-SHA-256 of the timestamp, a full stop and the body, in hexadecimal."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def unsubscribe_token(secret: str, channel_id: int) -> str:
    """The signed part of a link that ends messages to one channel, and can do nothing else."""
    mark = hmac.new(secret.encode(), f"unsubscribe:{channel_id}".encode(), hashlib.sha256).hexdigest()[:40]
    return f"{channel_id}-{mark}"


def channel_of(secret: str, token: str) -> int | None:
    """The channel that a link names; None unless this installation signed it."""
    number = token.partition("-")[0]
    if not re.fullmatch(r"[1-9][0-9]{0,8}", number, re.ASCII) or not token.isascii():
        return None
    return int(number) if hmac.compare_digest(unsubscribe_token(secret, int(number)), token) else None
