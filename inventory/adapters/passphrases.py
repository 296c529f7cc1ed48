"""How soon a passphrase is guessed: by zxcvbn, with its lists of leaked passwords, and a list of our own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from importlib.resources import files


def guesses(passphrase: str, words: Iterable[str]) -> float:
    """After how many tries somebody guesses it who tries what people choose, `words` first. Without a network."""
    # Its lists take a while to load, and few requests set a passphrase. Not by its front door: that keeps the words
    # of one caller where the next one finds them.
    from zxcvbn import matching, scoring

    lists = {**matching.RANKED_DICTIONARIES, "user_inputs": matching.build_ranked_dict(_each(words))}
    found = scoring.most_guessable_match_sequence(passphrase, matching.omnimatch(passphrase, lists))
    return 10 ** min(float(found["guesses_log10"]), math.log10(1e300))


def _each(words: Iterable[str]) -> list[str]:
    """Once each, as it stands and without spaces, the most likely first."""
    return list(dict.fromkeys(form for word in words for form in (word.casefold(), word.casefold().replace(" ", ""))))


@cache
def common() -> tuple[str, ...]:
    """Phrases that many people in Indonesia would choose; `inventory/data/common_passphrases.txt` says from where."""
    text = (files("inventory") / "data" / "common_passphrases.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
