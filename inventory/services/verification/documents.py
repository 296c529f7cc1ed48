"""Documents that were issued: their content, their numbers, and the seals that they name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from inventory.domain.documents import Paper, digest_of, number_text, paper_from
from inventory.models import Document, DocumentCounter, Office, Seal
from inventory.services.verification.faults import Fault

_PAGE = 200
"""Documents held in memory at once: a stock card of a busy year is long."""


def contents(session: Session) -> Iterator[Fault]:
    """A document's content has the digest that was taken when it was issued, says what the list of documents says,
    and names a seal of the chain.

    The content is kept, and all pages are drawn from it: a PDF has no digest of its own. Of a file that was sent in
    only its digest is kept, so that it is not imported twice; there is nothing to recompute that from.
    """
    seals = set(session.scalars(select(Seal.digest)))
    for row in _documents(session):
        what = _against_content(row, seals)
        if what:
            yield Fault(check="documents", row=f"document {number_text(row.number, row.code, row.year)}", what=what)


def _documents(session: Session) -> Iterator[Any]:
    last = 0
    while True:
        page = session.execute(
            select(*Document.__table__.columns, func.coalesce(Office.code, "?").label("code"))
            .outerjoin(Office, Office.id == Document.office_id)
            .where(Document.id > last)
            .order_by(Document.id)
            .limit(_PAGE)
        ).all()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].id


def _against_content(row: Any, seals: set[str]) -> str | None:
    if digest_of(row.content) != row.digest:
        return "its content does not have the digest that was taken when it was issued"
    try:
        paper = paper_from(row.content)
    except (AttributeError, LookupError, TypeError, ValueError):
        return "its content cannot be read"
    if _listed(row) != _said(paper):
        return "it is listed under another number, kind, day or link than its content says"
    if paper.seal_head and paper.seal_head not in seals:
        return f"it was issued under seal {paper.seal_head}, which is not in the chain"
    return None


def _listed(row: Any) -> tuple[Any, ...]:
    number = number_text(row.number, row.code, row.year)
    return number, row.kind, row.day, row.issued_at, row.token


def _said(paper: Paper) -> tuple[Any, ...]:
    return paper.number, paper.kind, paper.day, paper.issued_at.astimezone(UTC), paper.link.rpartition("/")[2]


def numbers(session: Session) -> Iterator[Fault]:
    """The numbers of an office's year run from 1 to the last one given out, and none is left out."""
    given = (
        select(
            Document.office_id,
            Document.year,
            func.count().label("count"),
            func.min(Document.number).label("first"),
            func.max(Document.number).label("last"),
        )
        .group_by(Document.office_id, Document.year)
        .subquery()
    )
    same = and_(DocumentCounter.office_id == given.c.office_id, DocumentCounter.year == given.c.year)
    wrong = (
        select(given, DocumentCounter.last.label("counted"), Office.code)
        .outerjoin(DocumentCounter, same)
        .outerjoin(Office, Office.id == given.c.office_id)
        .where(
            or_(
                given.c.first != 1,
                given.c.last != given.c.count,
                DocumentCounter.last.is_(None),
                DocumentCounter.last != given.c.last,
            )
        )
        .order_by(given.c.office_id, given.c.year)
    )
    for row in session.execute(wrong.limit(1)):
        what = (
            f"{row.count} documents have the numbers {row.first} to {row.last}, and {row.counted or 0} were given out"
        )
        yield Fault(check="documents", row=f"office {row.code}, year {row.year}", what=what)
    unused = (
        select(DocumentCounter.year, DocumentCounter.last, Office.code)
        .outerjoin(given, same)
        .outerjoin(Office, Office.id == DocumentCounter.office_id)
        .where(DocumentCounter.last > 0, given.c.count.is_(None))
        .order_by(DocumentCounter.office_id, DocumentCounter.year)
    )
    for row in session.execute(unused.limit(1)):
        what = f"there are no documents, and {row.last} numbers were given out"
        yield Fault(check="documents", row=f"office {row.code}, year {row.year}", what=what)
