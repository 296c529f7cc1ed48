"""Passphrases: long, free in what they are made of, and not what everybody would guess first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from inventory.domain.errors import Invalid

SHORTEST = 15
"""What NIST SP 800-63B-4 asks of a passphrase that may be the only thing that is asked for: a second factor can be
taken away, the passphrase stays."""
LONGEST = 128

LEAST_GUESSES = 10**10
"""What a thief of the stored hashes should have to try at least."""
LOOKED_AT = 40
"""Characters that the estimate looks at: it takes its time over many, and a good beginning is enough."""

Guesses = Callable[[str, Iterable[str]], float]
"""After how many tries somebody guesses a passphrase who tries what people choose, these words first."""


def normalised(passphrase: str) -> str:
    """One form for what looks the same, whichever keyboard wrote it. Stored hashes rest on NFKD: it stays."""
    return unicodedata.normalize("NFKD", passphrase)


def check_passphrase(passphrase: str, known: Iterable[str], common: Iterable[str], guesses: Guesses) -> str:
    """The passphrase in the form in which it is hashed. Any characters do, spaces too; nothing has to be mixed.

    `known` is what an attacker knows of the person: name, address, office. `common` is what many choose.
    Raises Invalid `passphrase_too_short`, `passphrase_too_long`, `passphrase_common`, `passphrase_known`.
    """
    seen = unicodedata.normalize("NFKC", passphrase)
    if len(seen) < SHORTEST:
        raise Invalid("passphrase_too_short", limit=SHORTEST)
    if len(seen) > LONGEST:
        raise Invalid("passphrase_too_long", limit=LONGEST)
    if _guessed(seen, list(common), guesses):
        raise Invalid("passphrase_common")
    if _guessed(seen, [*_words(known), *common], guesses):
        raise Invalid("passphrase_known")
    return normalised(passphrase)


def _guessed(passphrase: str, words: list[str], guesses: Guesses) -> bool:
    """Whether it is guessed too soon, as it stands or without what is between its words."""
    closed = squeezed(passphrase)
    listed = {squeezed(word) for word in words}
    if closed in listed or len(set(closed)) < 5:
        return True
    return any(guesses(form[:LOOKED_AT], words) < LEAST_GUESSES for form in (passphrase.casefold(), closed) if form)


def squeezed(text: str) -> str:
    """Letters and digits alone, all small."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def _words(known: Iterable[str]) -> Iterator[str]:
    """What is known, whole and word by word."""
    for each in known:
        if whole := squeezed(each):
            yield whole
        yield from (word for word in re.split(r"[\W_]+", each.casefold()) if len(word) > 2)
