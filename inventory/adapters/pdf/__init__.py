"""Papers as PDF: plain values in, bytes out."""

from __future__ import annotations

from inventory.domain.documents import Paper


def draw(paper: Paper, digest: str, language: str) -> bytes:
    """The paper as PDF/A in a language ("id" or "en"). The same paper, digest and language: the same bytes."""
    from inventory.adapters.pdf.records import draw_record

    return draw_record(paper, digest, language)
