"""Log-ins that last: how long, how they end, and how a device is called that one of them is on."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import StrEnum

SEEN_EVERY = timedelta(minutes=1)
"""How often it is written down that somebody is still there."""
KEPT = timedelta(days=90)
"""How long a session that ended is kept to be looked at."""


class End(StrEnum):
    LOGGED_OUT = "logged_out"
    RENEWED = "renewed"
    """Logged in again on the same browser, or the password changed there."""
    ENDED = "ended"
    """By the person, from another session."""
    SHUT_OUT = "shut_out"
    """By an administrator who shut the person out."""
    ENDED_BY_ADMINISTRATOR = "ended_by_administrator"
    CREDENTIALS_CHANGED = "credentials_changed"
    """A new password, or another second factor."""
    EXPIRED = "expired"


# The first that is found counts: most browsers also call themselves by the names of others.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("UCBrowser/", "UC Browser"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device_words(user_agent: str) -> str:
    """Browser and system that a user agent claims to be, such as "Chrome, Android"; empty when neither is known.
    Nothing of the text itself is passed on."""
    found = (next((name for mark, name in marks if mark in user_agent), "") for marks in (BROWSERS, SYSTEMS))
    return ", ".join(name for name in found if name)


def digest(key: str) -> str:
    """What is kept of a random key that a browser carries: 256 bits of chance need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()
