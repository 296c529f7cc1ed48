"""How often a password may be tried, so that guessing is hopeless and nobody can lock another person out.

Tries count by account for all devices together that the account's owner never logged in from, by known device and
account for those from which they did, and by network address. Only tries from unknown devices ever wait for each other:
whoever uses them up leaves the owner's own devices as they were. (The idea is OWASP's "device cookies".)
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address


class Counter(StrEnum):
    """What tries are counted by."""

    ACCOUNT = "account"
    """All devices together from which its owner never logged in."""
    ADDRESS = "address"


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """So many tries, then a wait; after each further so many a wait twice as long. All is forgotten when nothing was
    tried for a while after the last wait."""

    tries: int
    first_wait: timedelta
    longest_wait: timedelta
    forgotten_after: timedelta


DAY = timedelta(days=1)
ALLOWANCES = {
    Counter.ACCOUNT: Allowance(tries=10, first_wait=timedelta(minutes=15), longest_wait=DAY, forgotten_after=DAY),
    # An office is behind one address: its people must not wait longer for each other.
    Counter.ADDRESS: Allowance(
        tries=100, first_wait=timedelta(hours=1), longest_wait=timedelta(hours=1), forgotten_after=timedelta(hours=1)
    ),
}
DEVICE_TRIES = 5
"""Wrong tries on a known device, one after the other, after which it is one of the unknown again."""
DEVICE_KEPT = timedelta(days=400)
"""For how long a device is known that nobody logs in from."""


def wait_after(counter: Counter, tries: int) -> timedelta:
    """How long to wait after this many tries; zero while some are left."""
    allowance = ALLOWANCES[counter]
    rounds, left = divmod(tries, allowance.tries)
    if left or not rounds:
        return timedelta(0)
    # No power of two is needed beyond the longest wait, and a huge one would not be a time any more.
    return min(allowance.first_wait * 2 ** min(rounds - 1, 20), allowance.longest_wait)


def most_tries(counter: Counter, over: timedelta) -> int:
    """How many tries there can be within a time, for somebody who tries whenever it is allowed and never pauses for
    so long that it would be forgotten."""
    tries, elapsed = 0, timedelta(0)
    while elapsed <= over:
        tries += ALLOWANCES[counter].tries
        elapsed += wait_after(counter, tries)
    return tries


def key_of(secret: str, counter: Counter, subject: str) -> str:
    """What stands for an e-mail address, network or person in the table of tries: nobody can read from it what was
    typed, nor find it by guessing, without the installation's key."""
    return hmac.new(secret.encode(), f"tries:{counter}:{subject}".encode(), hashlib.sha256).hexdigest()


def network_of(address: str | None) -> str:
    """What an address counts as: itself, or the /64 that one IPv6 customer has to themselves; empty for none."""
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
