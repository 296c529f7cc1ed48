"""Cases: what people do with an alert. The review and the postings open, raise and relieve it by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from inventory.db import db, in_batches
from inventory.domain.access import Action, Actor, may, reach, require
from inventory.domain.alerts import Level
from inventory.domain.cases import Act, Done, Event, Snooze, State, check_act, check_comment, check_done, check_snooze
from inventory.domain.cases import state_of as _state_of
from inventory.domain.errors import Invalid, NotAllowed, NotFound
from inventory.domain.ledger import body_digest
from inventory.domain.offices import local_day
from inventory.models import Alert, AlertEvent, CaseAct, Membership, Office, Person
from inventory.services import people
from inventory.services.idempotency import once
from inventory.services.offices import in_reach

AT_ONCE = 1_000
"""Alerts that one statement names: one form may name more."""


@dataclass(frozen=True)
class PersonName:
    id: int
    name: str


def acknowledge(actor: Actor, now: datetime, request_id: UUID, alert_ids: Sequence[int]) -> int:
    """Say that these alerts are seen; how many of them waited for that. The others stay as they are.

    Raises NotFound `alert_not_found` for any out of reach, NotAllowed, Invalid `nothing_chosen`; Refusal
    `case_acknowledged`, `case_snoozed` or `case_resolved` when none of them waits, `request_id_reused`.
    """
    ids = sorted(set(alert_ids))
    if not ids:
        raise Invalid("nothing_chosen")
    _require(actor, ids)
    waiting = Alert.resolved_at.is_(None), Alert.acknowledged_at.is_(None), *_AWAKE
    values = {"acknowledged_at": now, "acknowledged_by_id": actor.person_id}
    return _act(actor, now, request_id, _Step(Act.ACKNOWLEDGE, Event.ACKNOWLEDGED, ids, waiting, values))


def assign(actor: Actor, now: datetime, request_id: UUID, alert_id: int, person_id: int | None) -> None:
    """Give an open alert to somebody who may act on it, or to nobody.

    Raises NotFound `alert_not_found`, NotAllowed; Invalid `owner_not_allowed`; Refusal `case_resolved`,
    `request_id_reused`.
    """
    office = _require(actor, [alert_id])[0]
    owner = next((each for each in _owners(office.path) if each.id == person_id), None)
    if person_id is not None and owner is None:
        raise Invalid("owner_not_allowed")
    facts = {"owner": owner.name if owner else None}
    step = _Step(Act.ASSIGN, Event.OWNER, [alert_id], _OPEN, {"owner_id": person_id}, facts)
    _act(actor, now, request_id, step)


def snooze(
    actor: Actor, now: datetime, request_id: UUID, alert_id: int, until: date | None, level: Level | None
) -> None:
    """Let an open alert sleep until a day of its office's own, or until it is as bad as `level`, whichever is first.

    Raises NotFound `alert_not_found`, NotAllowed; Invalid `snooze_without_end`, `snooze_over_already`,
    `snooze_too_long`, `snooze_level_reached`; Refusal `case_resolved`, `request_id_reused`.
    """
    row = _require(actor, [alert_id])[0]
    facts = {"until": until.isoformat() if until else None, "level": level.value if level else None}
    values = {"snoozed_until": until, "snoozed_level": facts["level"]}

    def check(found: Any) -> None:
        check_snooze(Snooze(until, level), Level(found.level), local_day(now, row.time_zone))

    _act(actor, now, request_id, _Step(Act.SNOOZE, Event.SNOOZED, [alert_id], _OPEN, values, facts, check=check))


def comment(actor: Actor, now: datetime, request_id: UUID, alert_id: int, words: str) -> None:
    """Add words to an alert's history, whatever its state. Raises NotFound `alert_not_found`, NotAllowed; Invalid
    `comment_missing`, `text_too_long`; Refusal `request_id_reused`."""
    _require(actor, [alert_id])
    _act(actor, now, request_id, _Step(Act.COMMENT, Event.COMMENT, [alert_id], (), {}, words=check_comment(words)))


def resolve(actor: Actor, now: datetime, request_id: UUID, alert_id: int, done: Done, words: str) -> None:
    """Close an open alert, saying what was done. A review that finds it no better opens it again.

    Raises NotFound `alert_not_found`, NotAllowed; Invalid `done_by_itself`, `done_needs_words`, `text_too_long`;
    Refusal `case_resolved`, `request_id_reused`.
    """
    _require(actor, [alert_id])
    words = check_done(done, words)
    values = {"resolved_at": now, "done": done.value, "snoozed_until": None, "snoozed_level": None}
    facts = {"done": done.value}
    _act(actor, now, request_id, _Step(Act.RESOLVE, Event.RESOLVED, [alert_id], _OPEN, values, facts, words))


def owners(actor: Actor, alert_id: int) -> list[PersonName]:
    """Who can be given an alert: everybody who may act on it, by name. Raises NotFound, NotAllowed."""
    return _owners(_require(actor, [alert_id])[0].path)


def may_act(actor: Actor, office_path: str) -> bool:
    """Whether the actor may act on the alerts of the office with this path: the system only makes them."""
    return actor.person_id is not None and may(actor, Action.ACT_ON_ALERT, office_path)


# --- parts -------------------------------------------------------------------------------------------------------

_OPEN = (Alert.resolved_at.is_(None),)
_AWAKE = (Alert.snoozed_until.is_(None), Alert.snoozed_level.is_(None))


@dataclass(frozen=True)
class _Step:
    """What an act changes: `values` of those among `ids` that meet `conditions`; `check` looks at each before."""

    act: Act
    event: Event
    ids: Sequence[int]
    conditions: Iterable[Any]
    values: Mapping[str, Any]
    facts: Mapping[str, Any] | None = None
    words: str = ""
    check: Callable[[Any], None] = lambda _row: None


def _require(actor: Actor, ids: Sequence[int]) -> list[Any]:
    """The offices of these alerts: path and time zone of each."""
    visible = in_reach(reach(actor, Action.VIEW_ALERT))
    query = select(Alert.id, Office.path, Office.time_zone).join(Office, Office.id == Alert.office_id).where(visible)
    rows = [row for some in in_batches(ids, AT_ONCE) for row in db.session.execute(query.where(Alert.id.in_(some)))]
    if len(rows) < len(ids):
        raise NotFound("alert_not_found")
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action=Action.ACT_ON_ALERT.value)
    for path in {row.path for row in rows}:
        require(actor, Action.ACT_ON_ALERT, path)
    return rows


def _act(actor: Actor, now: datetime, request_id: UUID, step: _Step) -> int:
    said = {"act": step.act.value, "alerts": list(step.ids), "facts": dict(step.facts or {}), "words": step.words}
    digest = body_digest(actor.person_id, (), said)

    def work(session: Session) -> int:
        changed = _change(session, step)
        event = {"kind": step.event.value, "at": now, "person_id": actor.person_id, "words": step.words}
        session.execute(
            insert(AlertEvent),
            [
                event | {"alert_id": row.id, "from_level": row.level, "to_level": row.level, "facts": step.facts or {}}
                for row in changed
            ],
        )
        form = {"request_id": request_id, "request_digest": digest, "kind": step.act.value}
        form |= {"person_id": actor.person_id, "at": now, "changed": len(changed)}
        session.execute(insert(CaseAct).values(form))
        return len(changed)

    return once(CaseAct, CaseAct.changed, request_id, digest, work)


def _change(session: Session, step: _Step) -> list[Any]:
    """The rows that followed. Whoever comes second to the same finds the conditions unmet."""
    found: list[Any] = []
    changed: list[Any] = []
    for some in in_batches(step.ids, AT_ONCE):
        held = session.execute(_STATES.where(Alert.id.in_(some)).with_for_update()).all()
        found += held
        if step.values:
            change = update(Alert).where(Alert.id.in_(some), *step.conditions).values(**step.values)
            changed += session.execute(change.returning(Alert.id, Alert.level)).all()
        else:
            changed += held
    if not changed:
        check_act(step.act, state_of(found[0]))
        raise AssertionError("what the state allows was not done")
    for row in changed:
        step.check(row)
    return sorted(changed, key=lambda row: row.id)


_STATES = select(
    Alert.id,
    Alert.level,
    Alert.resolved_at,
    Alert.acknowledged_at,
    Alert.snoozed_until,
    Alert.snoozed_level,
).order_by(Alert.id)


def state_of(alert: Any) -> State:
    """The state of a row with an alert's columns, or of anything that has fields of those names."""
    return _state_of(
        resolved=alert.resolved_at is not None,
        snoozed=alert.snoozed_until is not None or alert.snoozed_level is not None,
        acknowledged=alert.acknowledged_at is not None,
    )


def _owners(path: str) -> list[PersonName]:
    """Whoever may act at the office with this path: their roles are held there or above."""
    codes = path.rstrip("/").split("/")
    above = ["/".join(codes[:number]) + "/" for number in range(1, len(codes) + 1)]
    rows = db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .join(Office, Office.id == Membership.office_id)
        .where(Office.path.in_(above), Person.active)
        .order_by(Person.full_name, Person.id)
    ).unique()
    return [
        PersonName(person.id, person.full_name)
        for person in rows
        if may(people.actor_for(person), Action.ACT_ON_ALERT, path)
    ]
