"""Postings by the API under keys of their senders': each is carried out once, and answered the same ever after."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    CTE,
    BindParameter,
    Insert,
    String,
    Text,
    bindparam,
    cast,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from inventory.db import db, write
from inventory.domain.access import Actor
from inventory.domain.errors import Invalid, NotAllowed, Refusal
from inventory.models import ApiRequest
from inventory.services.ledger import Beside

CLAIM_LASTS = timedelta(seconds=60)
"""Whoever claimed a key longer ago and did not answer has crashed."""
KEPT = timedelta(days=30)
CLEARED_AT_ONCE = 1000


Parts = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a posting was answered: kept word for word."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Claim:
    """The right to carry out what came under a key, until it is settled or given up."""

    person_id: int
    key: str
    mark: str


def claim(actor: Actor, now: datetime, key: str, digest: str) -> Claim | Answer:
    """Claim `key` for what `digest` stands for, or the answer that it had before. Who has lost any right since then is
    given the claim once more: what it does is done once in any case, and says itself whether they may still see it.

    Raises Invalid `idempotency_key_reused` (another request came under it), Refusal `request_in_flight`, NotAllowed
    for an actor that is nobody in particular.
    """
    if actor.person_id is None:
        raise NotAllowed("not_allowed", action="post")
    mine = Claim(actor.person_id, key, secrets.token_hex(16))
    values = {
        "person_id": mine.person_id,
        "key": key,
        "digest": digest,
        "state": "claimed",
        "claim": mine.mark,
        "claimed_at": now,
    }
    try:
        write(lambda session: session.execute(insert(ApiRequest).values(values)))
    except IntegrityError:
        return _claimed_before(actor, mine, now, digest)
    return mine


def done_beside(
    actor: Actor, now: datetime, key: str, digest: str, *, status: int, headers: Mapping[str, str], body: Parts
) -> Beside:
    """For a posting of one statement: `key`, with the answer that it will have. Its body is these three parts, with
    the movement's id between the first two and its number between the last two.

    A key that was claimed before breaks the statement: then nothing is written, and `claim` says what there was.
    """
    first, second, third = body
    values = {
        "key_person": actor.person_id,
        "key": key,
        "key_digest": digest,
        "key_claim": secrets.token_hex(16),
        "key_status": status,
        "key_headers": json.dumps(dict(headers)),
        "key_rights": json.dumps(sorted(_rights(actor))),
        "key_at": now,
        "before_id": first,
        "before_seq": second,
        "after_seq": third,
    }
    return Beside(_insert_done, values)


def _insert_done(moved: CTE) -> Insert:
    def given(name: str, parameter: str) -> BindParameter:
        return bindparam(parameter, type_=ApiRequest.__table__.c[name].type)

    body = given("body", "before_id") + cast(moved.c.id, Text)
    body += given("body", "before_seq") + cast(moved.c.seq, Text) + given("body", "after_seq")
    row = {
        "person_id": given("person_id", "key_person"),
        "key": given("key", "key"),
        "digest": given("digest", "key_digest"),
        "state": literal_column("'done'", String),
        "claim": given("claim", "key_claim"),
        "claimed_at": given("claimed_at", "key_at"),
        "status": given("status", "key_status"),
        "headers": given("headers", "key_headers"),
        "body": body,
        "done_at": given("done_at", "key_at"),
        "rights": given("rights", "key_rights"),
    }
    return insert(ApiRequest).from_select(list(row), select(*row.values()).select_from(moved))


def settle(actor: Actor, claim: Claim, now: datetime, answer: Answer) -> None:
    """Keep the answer, for as long as the actor may what they may now. Nothing is kept for a claim that was taken over:
    the one who did will answer the same."""
    values = {
        "state": "done",
        "status": answer.status,
        "headers": json.dumps(dict(answer.headers)),
        "body": answer.body,
        "done_at": now,
        "rights": json.dumps(sorted(_rights(actor))),
    }
    write(lambda session: session.execute(update(ApiRequest).where(*_held_by(claim)).values(values)))


def give_up(claim: Claim) -> None:
    """Nothing was recorded under the key: it is free again."""
    write(lambda session: session.execute(delete(ApiRequest).where(*_held_by(claim))))


def clear(now: datetime) -> int:
    """Forget what is older than KEPT, at most CLEARED_AT_ONCE; how many. What they did is still done once: every
    posting has a request id of its own in what it wrote."""
    old = (
        select(ApiRequest.id)
        .where(ApiRequest.claimed_at < now - KEPT)
        .order_by(ApiRequest.claimed_at)
        .limit(CLEARED_AT_ONCE)
    )
    ids = db.session.scalars(old).all()
    db.session.rollback()
    if not ids:
        return 0
    write(lambda session: session.execute(delete(ApiRequest).where(ApiRequest.id.in_(ids))))
    return len(ids)


def _claimed_before(actor: Actor, mine: Claim, now: datetime, digest: str) -> Claim | Answer:
    row = db.session.execute(
        select(
            ApiRequest.digest,
            ApiRequest.state,
            ApiRequest.claim,
            ApiRequest.claimed_at,
            ApiRequest.status,
            ApiRequest.headers,
            ApiRequest.body,
            ApiRequest.rights,
        ).where(ApiRequest.person_id == mine.person_id, ApiRequest.key == mine.key)
    ).one_or_none()
    db.session.rollback()
    if row is None:  # given up between our two looks
        raise Refusal("request_in_flight")
    if row.digest != digest:
        raise Invalid("idempotency_key_reused")
    if row.state == "done":
        kept = Answer(status=row.status, headers=json.loads(row.headers), body=row.body)
        return kept if set(json.loads(row.rights or '[""]')) <= _rights(actor) else mine
    # A claim of a time that is still to come was made before the clock was set back.
    if abs(now - row.claimed_at) < CLAIM_LASTS or not _taken_over(mine, now, row.claim):
        raise Refusal("request_in_flight")
    return mine


def _rights(actor: Actor) -> set[str]:
    """All that an actor may and where, as texts."""
    granted = {f"{grant.role.value} {grant.path}" for grant in actor.grants}
    return granted | {f"{action.value} {actor.subtree}" for action in actor.scopes or ()}


def _taken_over(mine: Claim, now: datetime, held: str) -> bool:
    which = (*_held_by(Claim(mine.person_id, mine.key, held)),)
    taken = update(ApiRequest).where(*which).values(claim=mine.mark, claimed_at=now).returning(ApiRequest.id)
    return write(lambda session: session.execute(taken).one_or_none()) is not None


def _held_by(claim: Claim) -> tuple:
    return (
        ApiRequest.person_id == claim.person_id,
        ApiRequest.key == claim.key,
        ApiRequest.state == "claimed",
        ApiRequest.claim == claim.mark,
    )
