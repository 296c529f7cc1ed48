"""Tokens of machines: what they look like, and what is kept of them."""

from __future__ import annotations

import hashlib
import re
import secrets

from inventory.domain.access import Origin
from inventory.security import now, record
from inventory.services import service_accounts
from inventory.services.service_accounts import Bearer

PREFIX = "blk_"
SHOWN = len(PREFIX) + 8
_TOKEN = re.compile(r"blk_[A-Za-z0-9_-]{43}", re.ASCII)


def new() -> str:
    """A new secret of 256 bits, with a beginning by which scanners of leaked files know what it is."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept. A plain hash is enough: nobody guesses 256 random bits, however fast they try."""
    return hashlib.sha256(secret.encode()).hexdigest()


def bearer(secret: str, origin: Origin) -> Bearer | None:
    """Who a token stands for now, if for anybody."""
    if not _TOKEN.fullmatch(secret):
        return None
    found = service_accounts.bearer_of(now(), digest(secret), origin)
    if found is None and (once := service_accounts.held_once(now(), digest(secret))):
        record.token_refused(*once)
    return found
