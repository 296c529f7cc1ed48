"""Accounts of machines: what they may do and where, their tokens, and who a token stands for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, or_, select, union, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import UtcDateTime, db, glance, write
from inventory.domain.access import Action, Actor, Origin, reach, require
from inventory.domain.audit import Event
from inventory.domain.errors import NotFound, Refusal
from inventory.domain.scopes import ApiScope, actions_of, check_account, check_scopes, check_token
from inventory.models import ApiToken, Office, Person, ServiceAccount
from inventory.services import audit, offices

USE_WRITTEN_EVERY = timedelta(minutes=1)
"""How often the use of a token is written down, so that a busy machine does not wear out the table."""


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """A token as it may be shown: never the secret. Instants are aware UTC."""

    id: int
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    last_used_from: str | None
    revoked_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, kw_only=True)
class ServiceAccountView:
    id: int
    """Of the person as whom it acts."""
    name: str
    purpose: str
    office_code: str
    office_name: str
    scopes: tuple[ApiScope, ...]
    created_at: datetime
    closed_at: datetime | None
    tokens: tuple[TokenView, ...]

    @property
    def last_used_at(self) -> datetime | None:
        return max((token.last_used_at for token in self.tokens if token.last_used_at), default=None)


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Who a token stands for."""

    actor: Actor
    token_id: int
    office_code: str
    scopes: tuple[ApiScope, ...]


def make(
    actor: Actor, now: datetime, request_id: UUID, *, name: str, purpose: str, office_code: str, scopes: list[str]
) -> ServiceAccountView:
    """Make an account for a machine, once per `request_id`. It reaches the office and all below it.

    Raises Invalid `name_missing`, `text_too_long`, `scope_unknown`, `scopes_missing`; NotFound, NotAllowed; Refusal
    `request_id_reused`.
    """
    office = offices.get(actor, Action.MANAGE_PEOPLE, office_code)
    name, purpose = check_account(name, purpose)
    allowed = check_scopes(scopes)

    def put(session: Session) -> int:
        person = Person(
            email=_address(name),
            full_name=name,
            created_at=now,
            active=False,
            kind="service",
            fs_uniquifier=secrets.token_hex(32),
        )
        session.add(person)
        session.flush()
        account = ServiceAccount(
            person_id=person.id,
            office_id=office.id,
            scopes=" ".join(allowed),
            purpose=purpose,
            request_id=str(request_id),
            created_at=now,
            created_by_id=actor.person_id,
        )
        session.add(account)
        session.flush()
        audit.note(
            session,
            now,
            actor,
            Event.ACCOUNT_ADDED,
            office_id=office.id,
            subject=name,
            facts={"scopes": list(allowed)},
            about_id=person.id,
        )
        return person.id

    try:
        person_id = write(put)
    except IntegrityError:
        earlier = db.session.scalar(select(ServiceAccount).where(ServiceAccount.request_id == str(request_id)))
        if earlier is None:
            raise
        said = (office.id, " ".join(allowed), purpose, actor.person_id)
        if said != (earlier.office_id, earlier.scopes, earlier.purpose, earlier.created_by_id):
            raise Refusal("request_id_reused") from None
        made = get(actor, earlier.person_id)
        if made.name != name:
            raise Refusal("request_id_reused") from None
        return made
    return get(actor, person_id)


def in_reach(actor: Actor, limit: int = 200) -> list[ServiceAccountView]:
    """The accounts at offices that the actor manages, open ones first, then by name; at most `limit`."""
    allowed = reach(actor, Action.MANAGE_PEOPLE)
    rows = db.session.scalars(
        select(ServiceAccount)
        .join(Office, Office.id == ServiceAccount.office_id)
        .join(Person, Person.id == ServiceAccount.person_id)
        .where(offices.in_reach(allowed))
        .order_by(ServiceAccount.closed_at.is_not(None), Person.full_name, Person.id)
        .limit(limit)
    ).all()
    tokens = _tokens([row.person_id for row in rows])
    return [_view(row, tokens.get(row.person_id, ())) for row in rows]


def get(actor: Actor, person_id: int) -> ServiceAccountView:
    """Raises NotFound `service_account_not_found` for one that the actor does not manage."""
    row = _managed(actor, person_id)
    return _view(row, _tokens([person_id]).get(person_id, ()))


def add_token(
    actor: Actor,
    now: datetime,
    request_id: UUID,
    person_id: int,
    *,
    name: str,
    expires_at: datetime,
    digest: str,
    prefix: str,
) -> TokenView:
    """Let a secret stand for an account until `expires_at`. Only its `digest` (SHA-256) is kept, and its beginning.

    Raises Invalid `name_missing`, `token_lasts`; Refusal `service_account_closed`, `token_made_before` (the same
    `request_id`: its secret was shown then, and is known nowhere); NotFound.
    """
    account = _managed(actor, person_id)
    name = check_token(name, now, expires_at)

    def put(session: Session) -> int:
        # The row is held, so that an account that is being closed gets no token.
        query = select(ServiceAccount.closed_at).where(ServiceAccount.person_id == person_id).with_for_update()
        if session.scalars(query).one() is not None:
            raise Refusal("service_account_closed")
        token = ApiToken(
            person_id=person_id,
            name=name,
            prefix=prefix,
            digest=digest,
            created_at=now,
            created_by_id=actor.person_id,
            expires_at=expires_at,
            request_id=str(request_id),
        )
        session.add(token)
        session.flush()
        _note(session, now, actor, Event.TOKEN_MADE, account, {"name": name, "expires": expires_at.isoformat()})
        return token.id

    try:
        token_id = write(put)
    except IntegrityError as error:
        raise Refusal("token_made_before") from error
    return next(token for token in get(actor, person_id).tokens if token.id == token_id)


def revoke(actor: Actor, now: datetime, person_id: int, token_id: int) -> ServiceAccountView:
    """From now on the token opens nothing. Revoking it again changes nothing. Raises NotFound `token_not_found`."""
    account = _managed(actor, person_id)
    which = (ApiToken.id == token_id, ApiToken.person_id == person_id)
    name = db.session.scalar(select(ApiToken.name).where(*which))
    if name is None:
        raise NotFound("token_not_found")
    values = {"revoked_at": now, "revoked_by_id": actor.person_id}
    change = update(ApiToken).where(*which, ApiToken.revoked_at.is_(None)).values(values).returning(ApiToken.id)

    def end(session: Session) -> None:
        if session.execute(change).one_or_none() is not None:
            _note(session, now, actor, Event.TOKEN_REVOKED, account, {"name": name})

    write(end)
    return get(actor, person_id)


def close(actor: Actor, now: datetime, person_id: int) -> ServiceAccountView:
    """Shut a machine out for good, with all of its tokens. What it did stays under its name. Raises NotFound."""
    account = _managed(actor, person_id)
    shut = (
        update(ServiceAccount)
        .where(ServiceAccount.person_id == person_id, ServiceAccount.closed_at.is_(None))
        .values(closed_at=now, closed_by_id=actor.person_id)
        .returning(ServiceAccount.person_id)
    )
    revoked = (
        update(ApiToken)
        .where(ApiToken.person_id == person_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by_id=actor.person_id)
    )

    def end(session: Session) -> None:
        if session.execute(shut).one_or_none() is not None:
            session.execute(revoked)
            _note(session, now, actor, Event.ACCOUNT_CLOSED, account, {})

    write(end)
    return get(actor, person_id)


_BEARER = (
    select(
        ApiToken.id,
        ApiToken.person_id,
        ApiToken.last_used_at,
        ServiceAccount.scopes,
        Person.full_name,
        Office.path,
        Office.code,
    )
    .join(ServiceAccount, ServiceAccount.person_id == ApiToken.person_id)
    .join(Person, Person.id == ApiToken.person_id)
    .join(Office, Office.id == ServiceAccount.office_id)
    .where(
        ApiToken.digest == bindparam("digest"),
        ApiToken.revoked_at.is_(None),
        ApiToken.expires_at > bindparam("now", type_=UtcDateTime),
        ServiceAccount.closed_at.is_(None),
        Office.active,
    )
)


def bearer_of(now: datetime, digest: str, origin: Origin) -> Bearer | None:
    """Who the token with this digest stands for; None when it is unknown, revoked or expired, or its account or
    office is closed. For the edge, before anybody acts: it asks for no permission."""
    row = glance(_BEARER, {"digest": digest, "now": now})
    if row is None:
        return None
    if row.last_used_at is None or row.last_used_at <= now - USE_WRITTEN_EVERY:
        _note_use(now, row.id, origin.address)
    scopes = tuple(ApiScope(scope) for scope in row.scopes.split())
    actor = Actor(
        person_id=row.person_id, name=row.full_name, origin=origin, scopes=actions_of(scopes), subtree=row.path
    )
    return Bearer(actor=actor, token_id=row.id, office_code=row.code, scopes=scopes)


def held_once(now: datetime, digest: str) -> tuple[int, str] | None:
    """Whose token this was that opens nothing now (the id of the machine's person), and why it does not; None for one
    that nobody ever had."""
    row = db.session.execute(
        select(ApiToken.person_id, ApiToken.revoked_at, ApiToken.expires_at).where(ApiToken.digest == digest)
    ).one_or_none()
    if row is None:
        return None
    if row.revoked_at is not None:
        return row.person_id, "revoked"
    return row.person_id, "expired" if row.expires_at <= now else "closed"


def behind(person_ids: Iterable[int | None]) -> set[int]:
    """These people, and whoever stands behind those of them that are machines: who made the account or a token of it
    may have had it do what it did. For services that ask for a second person; it asks for no permission."""
    ids = {person_id for person_id in person_ids if person_id is not None}
    makers = union(
        select(ServiceAccount.created_by_id).where(ServiceAccount.person_id.in_(ids)),
        select(ApiToken.created_by_id).where(ApiToken.person_id.in_(ids)),
    )
    return ids | {maker for maker in db.session.scalars(makers) if maker is not None}


def _note_use(now: datetime, token_id: int, address: str) -> None:
    since = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - USE_WRITTEN_EVERY)
    values = {"last_used_at": now, "last_used_from": address[:45]}
    write(lambda session: session.execute(update(ApiToken).where(ApiToken.id == token_id, since).values(values)))


def _note(
    session: Session, now: datetime, actor: Actor, event: Event, account: ServiceAccount, facts: dict[str, object]
) -> None:
    told = {"office_id": account.office_id, "subject": account.person.full_name, "about_id": account.person_id}
    audit.note(session, now, actor, event, facts=facts, **told)


def _address(name: str) -> str:
    """Unique, and such that no mail can ever reach it: `.invalid` is reserved for that."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "service"
    return f"{slug}-{secrets.token_hex(6)}@service.invalid"


def _managed(actor: Actor, person_id: int) -> ServiceAccount:
    row: Any = db.session.get(ServiceAccount, person_id, populate_existing=True)
    if row is None or not reach(actor, Action.MANAGE_PEOPLE).includes(row.office.path):
        raise NotFound("service_account_not_found")
    require(actor, Action.MANAGE_PEOPLE, row.office.path)
    return row


def _tokens(person_ids: list[int]) -> dict[int, tuple[TokenView, ...]]:
    rows = db.session.execute(
        select(
            ApiToken.person_id,
            ApiToken.id,
            ApiToken.name,
            ApiToken.prefix,
            ApiToken.created_at,
            ApiToken.expires_at,
            ApiToken.last_used_at,
            ApiToken.last_used_from,
            ApiToken.revoked_at,
        )
        .where(ApiToken.person_id.in_(person_ids))
        .order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc())
    ).all()
    found: dict[int, tuple[TokenView, ...]] = {}
    for row in rows:
        told = dict(row._mapping)
        owner = told.pop("person_id")
        found[owner] = (*found.get(owner, ()), TokenView(**told))
    return found


def _view(row: ServiceAccount, tokens: tuple[TokenView, ...]) -> ServiceAccountView:
    return ServiceAccountView(
        id=row.person_id,
        name=row.person.full_name,
        purpose=row.purpose,
        office_code=row.office.code,
        office_name=row.office.name,
        scopes=tuple(ApiScope(scope) for scope in row.scopes.split()),
        created_at=row.created_at,
        closed_at=row.closed_at,
        tokens=tokens,
    )
