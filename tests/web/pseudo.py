"""A language for tests: every text of ours is there, a third longer, with accents, between brackets of its own.

What a page shows outside the brackets was never given to be translated; what does not fit would not fit in a longer
language either. Placeholders and tags stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from inventory import text

LEFT, RIGHT = "⟦", "⟧"
ACCENTS = str.maketrans("aeioucnsyAEIOUCNSY", "áéíóúçñšýÁÉÍÓÚÇÑŠÝ")
KEPT = re.compile(r"(%\(\w+\)[sd]|%%|%[sd]|\{\w*\}|<[^>]+>|&\w+;)")


def pseudo(words: str) -> str:
    """`words` as this language has them: "Save %(name)s" becomes "⟦Šávé %(name)s ~~~⟧"."""
    parts = KEPT.split(words)
    accented = "".join(part if number % 2 else part.translate(ACCENTS) for number, part in enumerate(parts))
    longer = " ".join(["~" * 6] * (len(words) // 20) + ["~" * 3])
    return f"{LEFT}{accented} {longer}{RIGHT}"


def write_catalogues(folder: Path) -> None:
    """The catalogues in place of the Indonesian ones, below `folder`."""
    target = folder / "id" / "LC_MESSAGES"
    target.mkdir(parents=True)
    for file in (Path(text.TRANSLATIONS) / "id" / "LC_MESSAGES").glob("*.po"):
        with file.open("rb") as source:
            known = read_po(source, locale="id")
        changed = Catalog(locale="id")
        changed._num_plurals, changed._plural_expr = known.num_plurals, known.plural_expr
        for message in known:
            if not message.id:
                continue
            words = message.id if isinstance(message.id, str) else message.id[1]
            string = pseudo(words) if isinstance(message.id, str) else (pseudo(words),)
            changed.add(message.id, string, context=message.context)
        with (target / f"{file.stem}.mo").open("wb") as compiled:
            write_mo(compiled, changed)
