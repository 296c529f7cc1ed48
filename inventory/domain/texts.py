"""Lines of text that people write: bounded, and such that every database can keep them."""

from __future__ import annotations

from inventory.domain.errors import Invalid


def check_text(text: str, most: int) -> str:
    """`text` without space around it. Raises Invalid `text_too_long`, `text_unprintable` (a NUL in it)."""
    text = text.strip()
    if "\x00" in text:
        raise Invalid("text_unprintable")
    if len(text) > most:
        raise Invalid("text_too_long", limit=most)
    return text
