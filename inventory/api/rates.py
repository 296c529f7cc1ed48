"""How often somebody may ask: so many times a minute, counted in each process of the server."""

from __future__ import annotations

import math
from threading import Lock
from time import monotonic

from flask import current_app

from inventory.api.problems import OF_HTTP, Problem
from inventory.domain.access import Actor

MINUTE = 60.0
KNOWN_AT_MOST = 10_000


class Buckets:
    """What is left for each: it fills up again steadily, to a minute's worth at most."""

    def __init__(self) -> None:
        self._left: dict[int, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, who: int, a_minute: int, at: float) -> float:
        """Seconds until the next one; 0 when this one may pass. `at` is in seconds of any clock that never goes
        back."""
        with self._lock:
            left, since = self._left.get(who, (float(a_minute), at))
            left = min(a_minute, left + (at - since) * a_minute / MINUTE)
            if left < 1:
                self._left[who] = left, at
                return (1 - left) * MINUTE / a_minute
            if len(self._left) >= KNOWN_AT_MOST:
                self._left.clear()
            self._left[who] = left - 1, at
            return 0.0

    def charge(self, who: int, number: int) -> None:
        """What was asked for was worth so many more: they are missing later."""
        with self._lock:
            left, since = self._left.get(who, (0.0, 0.0))
            if since:
                self._left[who] = left - number, since


def count(actor: Actor) -> None:
    """One more request of the actor's. Raises Problem 429 with `Retry-After`."""
    a_minute = current_app.config["SETTINGS"].API_RATE
    if not a_minute or actor.person_id is None:
        return
    buckets: Buckets = current_app.extensions.setdefault("api_rates", Buckets())
    wait = buckets.take(actor.person_id, a_minute, monotonic())
    if wait:
        raise Problem(OF_HTTP[429], 429, headers={"Retry-After": str(math.ceil(wait))})


def charge(actor: Actor, number: int) -> None:
    """The request that was just counted was worth so many more: who does much at once waits afterwards."""
    buckets: Buckets | None = current_app.extensions.get("api_rates")
    if buckets is not None and actor.person_id is not None:
        buckets.charge(actor.person_id, number)
