"""What two ways of writing the same number have in common: 470.1/2024, 470/1/2024 and 470-1/2024 are one."""

from __future__ import annotations

import string

MARKS = "/.- "
"""What people leave out or mistake for each other."""
LAST = "\U0010ffff"
"""After it no key goes on."""

# Only the letters of ASCII: that is what every database makes small in the same way, whatever its locale.
_KEY = str.maketrans(string.ascii_uppercase, string.ascii_lowercase, MARKS)


def key_of(text: str) -> str:
    """`text` without its marks and in small letters. `models.keys` says the same in SQL."""
    return text.translate(_KEY)


def keys_beginning(key: str) -> tuple[str, str]:
    """The first and the last key that begin with this one, in byte order."""
    return key, key + LAST
