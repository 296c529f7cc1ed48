"""What the commands say in a terminal: tables of text, and refusals in English."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click
from flask_babel import force_locale

from inventory import text
from inventory.domain.errors import Refusal


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of text under heads, in columns; numbers to the right."""
    cells = [tuple(heads), *(tuple(str(value) for value in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = ["  ".join(_aligned(value, width) for value, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def in_english(code: str, facts: Any) -> str:
    """A refusal's sentence as the command line says it."""
    with force_locale("en"):
        return text.sentence_for(code, facts)


def refuse(refusal: Refusal) -> NoReturn:
    """End the command with the refusal's sentence. Raises ClickException."""
    raise click.ClickException(in_english(refusal.code, refusal.facts))


def _aligned(value: str, width: int) -> str:
    return value.rjust(width) if value[:1].isdigit() and value[4:5] != "-" else value.ljust(width)
