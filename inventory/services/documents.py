"""Documents: numbered without gaps, kept as they were issued, drawn as PDF, and held against the paper by anybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.db import db, insert_or, write
from inventory.domain.access import Action, Actor, may, require
from inventory.domain.audit import Event
from inventory.domain.documents import (
    RECORDS,
    SUBJECT_LENGTH,
    ItemName,
    Paper,
    content_of,
    digest_of,
    from_facts,
    number_text,
    paper_from,
    totals_of,
)
from inventory.domain.errors import NotFound
from inventory.models import Document, DocumentCounter, Item, Office
from inventory.services import audit, offices, seals
from inventory.services.items import ItemView
from inventory.services.offices import OfficeView

PAGE = 50
"""How many documents a page of an office's list holds."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,43}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class DocumentView:
    """An issued document. `issued_at` is aware UTC, `day` the office's own."""

    id: int
    kind: str
    subject: str
    number: str
    day: date
    issued_at: datetime
    digest: str


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What anybody may know who holds a document's link: enough to compare the paper with, and no person's name."""

    kind: str
    number: str
    day: date
    office_code: str
    office_name: str
    digest: str
    intact: bool
    """Whether the kept content still has the digest that was taken when it was issued."""
    synthetic: bool
    totals: list[tuple[ItemName, str, int]]


def issue(
    actor: Actor,
    now: datetime,
    office: OfficeView,
    kind: str,
    subject: str,
    day: date,
    facts: Mapping[str, Any],
    link_base: str,
    *,
    synthetic: bool = False,
) -> DocumentView:
    """The document about `subject`: issued now with the office's next number, or the one that was issued before.

    `subject` says within `kind` what it is about ("51.71" has one "monthly_report" of "2024-05"); `day` is the
    office's own and its year the number's; `facts` are `domain.documents.to_facts` of the kind's record; `link_base`
    is the address of this installation as others reach it, without a slash at its end. Raises NotAllowed, and
    ValueError for facts that are not a record of the kind.
    """
    require(actor, Action.VIEW_STOCK, office.path)
    from_facts(RECORDS[kind], facts)
    if not 0 < len(subject) <= SUBJECT_LENGTH:
        raise ValueError(f"a document's subject is 1 to {SUBJECT_LENGTH} characters long")
    issued = find(actor, office, kind, subject)
    if issued is not None:
        return issued
    token = secrets.token_urlsafe(24)
    link = f"{link_base.rstrip('/')}/d/{token}"
    draft = replace(_blank(actor, now, office, kind, day), link=link, synthetic=synthetic, facts=dict(facts))
    stamp = {"office_id": office.id, "subject": subject, "token": token, "issued_by_id": actor.person_id}
    try:
        write(lambda session: _number_and_keep(session, actor, draft, stamp))
    except IntegrityError:
        # Another request issued it meanwhile. Its number stands; ours went back with the transaction.
        if find(actor, office, kind, subject) is None:
            raise
    issued = find(actor, office, kind, subject)
    assert issued is not None, "a document was issued, or is there already"
    return issued


def find(actor: Actor, office: OfficeView, kind: str, subject: str) -> DocumentView | None:
    """The document about `subject`, when it was issued. Raises NotAllowed."""
    require(actor, Action.VIEW_STOCK, office.path)
    row = db.session.execute(
        _views().where(Document.office_id == office.id, Document.kind == kind, Document.subject == subject)
    ).one_or_none()
    return _view(row) if row else None


def get(actor: Actor, document_id: int) -> tuple[DocumentView, Paper]:
    """A document with its content as it was issued. Raises NotFound `document_not_found`."""
    row = db.session.execute(
        _views().add_columns(Document.content, Office.path).where(Document.id == document_id)
    ).one_or_none()
    if row is None or not may(actor, Action.VIEW_STOCK, row.path):
        raise NotFound("document_not_found")
    return _view(row), paper_from(row.content)


def pdf(actor: Actor, document_id: int, language: str) -> tuple[DocumentView, bytes]:
    """The document drawn in a language ("id" or "en"): the same bytes each time. Raises NotFound."""
    from inventory.adapters import pdf as drawing

    document, paper = get(actor, document_id)
    return document, drawing.draw(paper, document.digest, language)


def take_out(actor: Actor, now: datetime, document_id: int, language: str) -> tuple[DocumentView, bytes]:
    """`pdf`, for somebody who takes the paper along: that is written into the audit. Raises NotFound."""
    document, drawn = pdf(actor, document_id, language)
    office_id = db.session.scalar(select(Document.office_id).where(Document.id == document_id))
    facts = {"kind": document.kind, "language": language}
    audit.record(now, actor, Event.DOCUMENT_READ, office_id=office_id, subject=document.number, facts=facts)
    return document, drawn


def of_office(actor: Actor, office_code: str, page: int = 1) -> tuple[list[DocumentView], int]:
    """A page of an office's documents, the newest first, and how many pages there are. Raises NotFound, NotAllowed."""
    office = offices.get(actor, Action.VIEW_STOCK, office_code)
    mine = Document.office_id == office.id
    count = db.session.scalar(select(func.count()).select_from(Document).where(mine)) or 0
    pages = max(1, -(-count // PAGE))
    page = min(max(1, page), pages)
    rows = db.session.execute(_views().where(mine).order_by(Document.id.desc()).offset((page - 1) * PAGE).limit(PAGE))
    return [_view(row) for row in rows], pages


def verify(token: str) -> Verified:
    """What stands under a document's link, for anybody. Raises NotFound `document_not_found`."""
    row = None
    if _TOKEN.fullmatch(token):
        row = db.session.execute(select(Document.content, Document.digest).where(Document.token == token)).one_or_none()
    if row is None:
        raise NotFound("document_not_found")
    paper = paper_from(row.content)
    return Verified(
        kind=paper.kind,
        number=paper.number,
        day=paper.day,
        office_code=paper.office_code,
        office_name=paper.office_name,
        digest=row.digest,
        intact=digest_of(row.content) == row.digest,
        synthetic=paper.synthetic,
        totals=totals_of(paper),
    )


def item_name(item: ItemView | Item) -> ItemName:
    """An item's names as a document keeps them."""
    if isinstance(item, Item):
        return ItemName(**{name: getattr(item, name) for name in ItemName.__dataclass_fields__})
    names, units = item.names, item.units
    return ItemName(code=item.code, name_id=names["id"], name_en=names["en"], unit_id=units["id"], unit_en=units["en"])


# --- parts -------------------------------------------------------------------------------------------------------


def _blank(actor: Actor, now: datetime, office: OfficeView, kind: str, day: date) -> Paper:
    """A paper of this office and moment, on which nothing is written yet."""
    head = seals.head()
    return Paper(
        kind=kind,
        number="",
        day=day,
        office_code=office.code,
        office_name=office.name,
        time_zone=office.time_zone,
        issued_at=now,
        issued_by=actor.name,
        link="",
        seal_head=head.digest if head else "",
        synthetic=False,
        facts={},
    )


def _number_and_keep(session: Session, actor: Actor, draft: Paper, stamp: dict[str, Any]) -> None:
    year = draft.day.year
    number = _next_number(session, stamp["office_id"], year)
    content = content_of(replace(draft, number=number_text(number, draft.office_code, year)))
    values = {"year": year, "number": number, "kind": draft.kind, "day": draft.day, "issued_at": draft.issued_at}
    values |= {"content": content, "digest": digest_of(content)}
    session.execute(insert(Document).values(stamp | values))
    shown = number_text(number, draft.office_code, year)
    audit.note(
        session,
        draft.issued_at,
        actor,
        Event.DOCUMENT_ISSUED,
        office_id=stamp["office_id"],
        subject=shown,
        facts={"kind": draft.kind, "day": draft.day},
    )


def _next_number(session: Session, office_id: int, year: int) -> int:
    """Take the next number. Its row stays locked until the document is written: nobody can take a later one first."""
    counters = DocumentCounter.__table__
    statement = insert_or(session, counters).values(office_id=office_id, year=year, last=1)
    statement = statement.on_conflict_do_update(
        index_elements=[counters.c.office_id, counters.c.year], set_={"last": counters.c.last + 1}
    )
    return session.execute(statement.returning(counters.c.last)).scalar_one()


_COLUMNS = (
    Document.id,
    Document.kind,
    Document.subject,
    Document.year,
    Document.number,
    Document.day,
    Document.issued_at,
    Document.digest,
)


def _views() -> Any:
    return select(*_COLUMNS, Office.code).join(Office, Office.id == Document.office_id)


def _view(row: Any) -> DocumentView:
    return DocumentView(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        number=number_text(row.number, row.code, row.year),
        day=row.day,
        issued_at=row.issued_at,
        digest=row.digest,
    )
