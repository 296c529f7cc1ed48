"""From changes of alerts to messages: told once to whom they concern, and passed on when nobody acknowledges them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import delete, exists, insert, literal, select, update
from sqlalchemy.orm import Session, aliased

from inventory.db import db, in_batches, insert_or, write
from inventory.domain.access import TABLE, Action, Grant, Role
from inventory.domain.alerts import Level, Subject
from inventory.domain.notices import (
    Bundle,
    Change,
    ChannelKind,
    MessageKind,
    MessageStatus,
    OfficeHours,
    QuietHours,
    Recipient,
    after_working_hours,
    escalated_to,
    escalates,
    messages_of,
    route,
    send_from,
)
from inventory.domain.offices import local_day
from inventory.models import (
    Alert,
    AlertEvent,
    Escalation,
    Membership,
    Message,
    MessageChange,
    NoticeChannel,
    NoticeToFanOut,
    Office,
    Person,
)
from inventory.services import calendars

BATCH = 1_000
LONG = 30
"""Changes in one message that are worth a statement of their own."""
LEAST_LEVEL = Level.LOW
QUIET = QuietHours(time(20), time(6))
"""What holds for the e-mail address of an account until its person chooses otherwise."""
TOLD_ROLES = tuple(role.value for role in TABLE[Action.VIEW_ALERT])
CALENDAR_AHEAD = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the installation has set: whether it can send e-mail, and after how many working hours of an office a
    change that nobody acknowledges is passed on (0: never)."""

    email: bool
    escalate_after_hours: int
    office_hours: OfficeHours


def fan_out(now: datetime, terms: Terms) -> int:
    """Make the messages that tell the changes nobody was told of yet; how many were made.

    One transaction takes the changes and writes the messages: whatever happens to the process, each change is told
    once. Several processes may do it at once. All changes that wait are taken together, so that a night's review makes
    one message per recipient; one that waits for the end of quiet hours takes further changes in.
    """
    if not db.session.scalar(select(exists().where(NoticeToFanOut.alert_event_id.is_not(None)))):
        db.session.rollback()
        return 0

    def put(session: Session) -> int:
        found = _untold(session)
        if not found:
            return 0
        if terms.email:
            enrol(session, now)
        audience = _audience(session)
        bundles = route((change for change, _ in found), audience.recipients.values())
        made = _write(session, now, MessageKind.CHANGE, bundles, audience, {})
        if terms.escalate_after_hours:
            _foresee(session, now, terms, found)
        taken = [change.event_id for change, _ in found]
        for some in in_batches(taken, BATCH):
            session.execute(delete(NoticeToFanOut).where(NoticeToFanOut.alert_event_id.in_(some)))
        return made

    return write(put)


def escalate(now: datetime, terms: Terms) -> int:
    """Tell the managers above of what nobody has acknowledged in time; how many messages were made.

    What was acknowledged, resolved or put off meanwhile, or has changed again, is left alone: the later change has
    its own time. The nearest office above that has managers to be reached counts. At most once per change.
    """
    is_due = (Escalation.done_at.is_(None), Escalation.due_at <= now)
    if not terms.escalate_after_hours or not db.session.scalar(select(exists().where(*is_due))):
        db.session.rollback()
        return 0

    def put(session: Session) -> int:
        marked = update(Escalation).where(*is_due).values(done_at=now).returning(Escalation.alert_event_id)
        due = list(session.scalars(marked))
        audience = _audience(session)
        managers = _managers(audience)
        bundles: dict[Bundle, list[Change]] = defaultdict(list)
        for change in _unanswered(session, now, due):
            path, told = escalated_to(change, managers) or ("", [])
            for recipient in told:
                bundles[recipient.channel_id, path].append(change)
        facts = {"hours": terms.escalate_after_hours}
        return _write(session, now, MessageKind.ESCALATION, bundles, audience, facts)

    return write(put)


# --- changes -----------------------------------------------------------------------------------------------------


def _changes(session: Session, query: Any) -> list[tuple[Change, Any]]:
    """The changes that a query for events names, with the office's id, working week and clock, in order."""
    found = []
    for row in session.execute(query.order_by(AlertEvent.id)):
        change = Change(
            event_id=row.id,
            alert_id=row.alert_id,
            path=row.path,
            subject=Subject(row.subject),
            from_level=Level(row.from_level),
            to_level=Level(row.to_level),
        )
        found.append((change, row))
    return found


def _events() -> Any:
    return (
        select(AlertEvent.id, AlertEvent.alert_id, AlertEvent.from_level, AlertEvent.to_level)
        .add_columns(Alert.subject, Alert.office_id, Alert.snoozed_until)
        .add_columns(Office.path, Office.working_days, Office.time_zone)
        .join(Alert, Alert.id == AlertEvent.alert_id)
        .join(Office, Office.id == Alert.office_id)
    )


def _untold(session: Session) -> list[tuple[Change, Any]]:
    """The changes that wait, held for this transaction. A second process waits for the first and then finds none:
    would it pass over what is held, two that begin together would each tell a part, in two messages."""
    waiting = _events().join(NoticeToFanOut, NoticeToFanOut.alert_event_id == AlertEvent.id)
    return _changes(session, waiting.with_for_update(of=NoticeToFanOut))


def _unanswered(session: Session, now: datetime, event_ids: Sequence[int]) -> Iterator[Change]:
    later = aliased(AlertEvent)
    changed_again = exists().where(
        later.alert_id == AlertEvent.alert_id, later.id > AlertEvent.id, later.from_level != later.to_level
    )
    open_ = (Alert.resolved_at.is_(None), Alert.acknowledged_at.is_(None), ~changed_again)
    for some in in_batches(event_ids, BATCH):
        for change, row in _changes(session, _events().where(AlertEvent.id.in_(some), *open_)):
            if row.snoozed_until is None or row.snoozed_until <= local_day(now, row.time_zone):
                yield change


def _foresee(session: Session, now: datetime, terms: Terms, found: Sequence[tuple[Change, Any]]) -> None:
    """Write down when each change is passed on unless somebody acknowledges it: counted once, on the calendar as it
    stands, so that looking for what is due costs nothing."""
    rows = [(change, row) for change, row in found if escalates(change)]
    if not rows:
        return
    weeks = {row.office_id: row.working_days for _, row in rows}
    since, until = now.date() - timedelta(days=2), now.date() + CALENDAR_AHEAD
    by_office = calendars.of_offices(weeks.items(), since, until)
    due: dict[tuple[int, str], datetime] = {}
    for _, row in rows:
        key = row.office_id, row.time_zone
        if key not in due:
            calendar = by_office[row.office_id]
            hours = terms.escalate_after_hours
            due[key] = after_working_hours(now, hours, calendar, row.time_zone, terms.office_hours)
    values = [{"alert_event_id": c.event_id, "due_at": due[row.office_id, row.time_zone]} for c, row in rows]
    for some in in_batches(values, BATCH):
        session.execute(insert_or(session, Escalation.__table__).on_conflict_do_nothing(), some)


# --- recipients --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Audience:
    """Who can be reached: by channel; and the ids of their offices by path."""

    recipients: dict[int, Recipient]
    offices: dict[str, int]


def _audience(session: Session) -> _Audience:
    grants: dict[int, list[Grant]] = defaultdict(list)
    offices: dict[str, int] = {}
    roles = select(Membership.person_id, Membership.name, Office.id, Office.path).join(Office)
    for person_id, role, office_id, path in session.execute(roles.where(Office.active)):
        grants[person_id].append(Grant(Role(role), path))
        offices[path] = office_id
    reachable = (
        select(NoticeChannel)
        .join(Person, Person.id == NoticeChannel.person_id)
        .where(Person.active, NoticeChannel.unsubscribed_at.is_(None), NoticeChannel.verified_at.is_not(None))
    )
    found = {row.id: _recipient(row, tuple(grants[row.person_id])) for row in session.scalars(reachable)}
    return _Audience(found, offices)


def _recipient(row: NoticeChannel, grants: tuple[Grant, ...]) -> Recipient:
    quiet = None
    if row.quiet_from is not None and row.quiet_until is not None:
        quiet = QuietHours(row.quiet_from, row.quiet_until)
    return Recipient(
        channel_id=row.id,
        grants=grants,
        least_level=Level(row.least_level),
        without=frozenset(Subject(each) for each in row.without if each in set(Subject)),
        below=row.below,
        digest=row.digest,
        time_zone=row.time_zone,
        quiet=quiet,
    )


def _managers(audience: _Audience) -> dict[str, list[Recipient]]:
    found: dict[str, list[Recipient]] = defaultdict(list)
    for recipient in audience.recipients.values():
        for path in {grant.path for grant in recipient.grants if grant.role is Role.MANAGER}:
            found[path].append(recipient)
    return found


def enrol(session: Session, now: datetime) -> None:
    """In a transaction: whoever may see alerts gets e-mail at the address of the account, until they say otherwise: an
    alert that has to be asked for reaches nobody. A person who has or had any channel has said so."""
    known = exists().where(NoticeChannel.person_id == Person.id)
    new = (
        select(Person.id, Person.email, Office.time_zone)
        .join(Membership, Membership.person_id == Person.id)
        .join(Office, Office.id == Membership.office_id)
        .where(Person.active, Office.active, Membership.name.in_(TOLD_ROLES), ~known)
        .order_by(Person.id, Membership.id)
    )
    rows = {}
    for person_id, email, time_zone in session.execute(new):
        rows.setdefault(person_id, email_channel(person_id, email, time_zone, now))
    for some in in_batches(list(rows.values()), BATCH):
        session.execute(insert_or(session, NoticeChannel.__table__).on_conflict_do_nothing(), some)


def email_channel(person_id: int, email: str, time_zone: str, now: datetime) -> dict[str, Any]:
    """The row of an account's own address, as it is until its person chooses otherwise."""
    return {
        "person_id": person_id,
        "kind": ChannelKind.EMAIL.value,
        "target": email,
        "least_level": LEAST_LEVEL.value,
        "without": [],
        "below": True,
        "digest": True,
        "time_zone": time_zone,
        "quiet_from": QUIET.since,
        "quiet_until": QUIET.until,
        "created_at": now,
        # Whoever made the account has entered the address, as the one to reach its person at.
        "verified_at": now,
    }


# --- messages ----------------------------------------------------------------------------------------------------


def _write(
    session: Session,
    now: datetime,
    kind: MessageKind,
    bundles: dict[Bundle, list[Change]],
    audience: _Audience,
    facts: dict[str, Any],
) -> int:
    """Write the messages of these bundles and what each tells; how many are new."""
    held = _held(session, now) if kind is MessageKind.CHANGE else {}
    new: list[dict[str, Any]] = []
    told: list[tuple[str, int, list[Change]]] = []
    further: list[dict[str, Any]] = []
    for (channel_id, path), changes in bundles.items():
        recipient, region_id = audience.recipients[channel_id], audience.offices[path]
        for some in messages_of(changes, digest=recipient.digest):
            start = send_from(now, recipient, urgent=any(change.is_urgent for change in some))
            earlier = held.get((channel_id, region_id)) if recipient.digest and start > now else None
            if earlier is not None:
                further += _lines(earlier, channel_id, kind, some)
                continue
            key = secrets.token_hex(16)
            new.append(_row(key, channel_id, region_id, kind, now, start, facts))
            told.append((key, channel_id, some))
    ids = _inserted(session, new)
    lines = [line for key, channel_id, some in told for line in _lines(ids[key], channel_id, kind, some)]
    _tell(session, [*further, *lines])
    return len(new)


def _tell(session: Session, lines: list[dict[str, Any]]) -> None:
    """Write which changes messages tell. One that was told here before is not told again, whatever made it come up
    twice.

    The long lists of digests are copied within the database: 400,000 rows sent one by one take PostgreSQL a minute.
    """
    by_message: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        by_message[line["message_id"]].append(line)
    short = [line for some in by_message.values() if len(some) < LONG for line in some]
    for some in in_batches(short, BATCH):
        session.execute(insert_or(session, MessageChange.__table__).on_conflict_do_nothing(), some)
    for told in (some for some in by_message.values() if len(some) >= LONG):
        first = {name: literal(told[0][name]) for name in ("channel_id", "kind", "message_id")}
        for some in in_batches([line["alert_event_id"] for line in told], BATCH):
            events = select(AlertEvent.id, *first.values()).where(AlertEvent.id.in_(some))
            copied = insert_or(session, MessageChange.__table__).from_select(["alert_event_id", *first], events)
            session.execute(copied.on_conflict_do_nothing())


def _held(session: Session, now: datetime) -> dict[tuple[int, int | None], int]:
    """The messages that wait for the end of quiet hours, held for this transaction, by channel and region."""
    waiting = (
        select(Message.id, Message.channel_id, Message.region_id)
        .where(Message.status == MessageStatus.WAITING.value, Message.kind == MessageKind.CHANGE.value)
        .where(Message.attempts == 0, Message.next_try_at > now)
        .with_for_update()
    )
    return {(row.channel_id, row.region_id): row.id for row in session.execute(waiting)}


def _row(
    key: str,
    channel_id: int,
    region_id: int | None,
    kind: MessageKind,
    now: datetime,
    start: datetime,
    facts: dict[str, Any],
) -> dict[str, Any]:
    return {
        "key": key,
        "channel_id": channel_id,
        "region_id": region_id,
        "kind": kind.value,
        "next_try_at": start,
        "created_at": now,
        "facts": facts,
    }


def _inserted(session: Session, rows: list[dict[str, Any]]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for some in in_batches(rows, BATCH):
        session.execute(insert(Message.__table__), some)  # type: ignore[arg-type]
        keys = [row["key"] for row in some]
        found = session.execute(select(Message.key, Message.id).where(Message.key.in_(keys)))
        ids |= {row.key: row.id for row in found}
    return ids


def _lines(message_id: int, channel_id: int, kind: MessageKind, changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"message_id": message_id, "channel_id": channel_id, "alert_event_id": change.event_id, "kind": kind.value}
        for change in changes
    ]
