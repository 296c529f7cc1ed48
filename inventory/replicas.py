"""Reads from a standby: whether it serves just now, and holds what the reader must see.

How old it is nobody need ask a clock: every second or so this process notes how far the primary has written. A standby
that has come past what was noted a moment ago is no older than that moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import text

from inventory.db import ERRORS, REPLICA, db, position, read_apart, read_here, unavailable

log = logging.getLogger(__name__)

REST = 5.0
"""Seconds for which one that was away is not asked again; then by one request at a time."""
NOTED_EVERY = 1.0
WHERE = text("SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() - '0/0'")


class Outcome(StrEnum):
    REPLICA = "replica"
    AWAY = "away"
    BEHIND = "behind"
    OWN_WRITE = "own write"
    """The reader has written what is not there yet."""
    NO_STANDBY = "no standby"
    """A primary, such as one that was promoted: whether it is the one that counts, DATABASE_URL knows."""
    CONFLICT = "conflict"
    """It broke off because the primary has since cleared away what was being read."""


class Replica:
    """The servers for reads, as this process has found them."""

    def __init__(self, lag: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag, self.clock = lag, clock
        self._noted: deque[tuple[float, int]] = deque(maxlen=max(4, int(4 * lag / NOTED_EVERY)))
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def enter(self, written: int = 0) -> Outcome:
        """Have the session read from the replica, if that serves and has come as far as `written`; what came of it.
        Whoever got REPLICA calls `leave`."""
        if not self._may_ask():
            return Outcome.AWAY
        if not self._note():
            return Outcome.BEHIND
        try:
            read_apart(db.engines[REPLICA])
            is_standby, replayed = db.session.execute(WHERE).one()
        except ERRORS as error:
            return self.failed(error)
        self._rests_until = 0.0
        outcome = self._outcome(is_standby, replayed, written)
        if outcome is Outcome.NO_STANDBY:
            self._rests_until = self.clock() + REST
            log.warning("the replica is no standby: the primary serves")
            db.session.connection().invalidate()  # the next one goes where the address finds a standby
        if outcome is not Outcome.REPLICA:
            self.leave()
        return outcome

    def leave(self) -> None:
        """Back to the primary, whatever state the connection over there is in."""
        try:
            read_here()
        except ERRORS:
            db.session().invalidate()

    def failed(self, error: BaseException) -> Outcome:
        """Back to the primary, because of an error over there."""
        why = unavailable(error) or type(error).__name__
        outcome = Outcome.CONFLICT if why == "busy" else Outcome.AWAY
        if outcome is Outcome.AWAY:
            self._rests_until = self.clock() + REST
        log.warning("the replica does not serve (%s): the primary does", why)
        self.leave()
        return outcome

    def _may_ask(self) -> bool:
        with self._lock:
            now = self.clock()
            if now < self._rests_until:
                return False
            if self._rests_until:  # who comes while this one asks need not wait as well
                self._rests_until = now + REST
            return True

    def _note(self) -> bool:
        """Note where the primary is, if the last note is not of this second; whether it could say. Of the instant at
        which it was asked: the answer tells of what was there by then at least."""
        now = self.clock()
        with self._lock:
            if self._noted and now - self._noted[-1][0] < min(NOTED_EVERY, self.lag / 4):
                return True
        try:
            place = position()
        except ERRORS:
            return False
        with self._lock:
            self._noted.append((now, place))
        return True

    def _outcome(self, is_standby: bool, replayed: int | None, written: int) -> Outcome:
        if not is_standby or replayed is None:
            return Outcome.NO_STANDBY
        if replayed < written:
            return Outcome.OWN_WRITE
        since = self.clock() - self.lag
        with self._lock:
            fresh = any(at >= since and place <= replayed for at, place in self._noted)
        return Outcome.REPLICA if fresh else Outcome.BEHIND
