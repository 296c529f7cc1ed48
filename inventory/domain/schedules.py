"""When a job is due: slots, so that many processes can agree on one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Schedule(Protocol):
    def latest_slot(self, now: datetime) -> datetime:
        """The last instant (aware UTC) at or before `now` at which the job was due."""
        ...

    def next_slot(self, after: datetime) -> datetime:
        """The first slot (aware UTC) later than the instant `after`."""
        ...

    def missed(self, after: datetime, slot: datetime) -> int:
        """How many slots lie between two, neither included: the runs that `slot` catches up for."""
        ...


@dataclass(frozen=True)
class DailyAt:
    """Once a day at a local time. Where a clock change skips or repeats that time, there is still one slot a day."""

    at: time
    time_zone: str

    def latest_slot(self, now: datetime) -> datetime:
        today = now.astimezone(ZoneInfo(self.time_zone)).date()
        slot = self.slot_of(today)
        return slot if slot <= now else self.slot_of(today - timedelta(days=1))

    def next_slot(self, after: datetime) -> datetime:
        return self.slot_of(self._day(self.latest_slot(after)) + timedelta(days=1))

    def missed(self, after: datetime, slot: datetime) -> int:
        return max(0, (self._day(slot) - self._day(after)).days - 1)

    def slot_of(self, day: date) -> datetime:
        """The slot of a local day."""
        return datetime.combine(day, self.at, ZoneInfo(self.time_zone)).astimezone(UTC)

    def _day(self, slot: datetime) -> date:
        return slot.astimezone(ZoneInfo(self.time_zone)).date()


@dataclass(frozen=True)
class WeeklyAt:
    """Once a week, on a weekday (0 is Monday) at a local time; a clock change makes or takes no slot."""

    weekday: int
    at: time
    time_zone: str

    def latest_slot(self, now: datetime) -> datetime:
        day = self._daily.latest_slot(now).astimezone(ZoneInfo(self.time_zone)).date()
        return self._daily.slot_of(day - timedelta(days=(day.weekday() - self.weekday) % 7))

    def next_slot(self, after: datetime) -> datetime:
        day = self.latest_slot(after).astimezone(ZoneInfo(self.time_zone)).date()
        return self._daily.slot_of(day + timedelta(days=7))

    def missed(self, after: datetime, slot: datetime) -> int:
        return max(0, (self._daily.missed(after, slot) + 1) // 7 - 1)

    @property
    def _daily(self) -> DailyAt:
        return DailyAt(self.at, self.time_zone)


@dataclass(frozen=True)
class Every:
    """At a fixed distance, counted from the start of 2000 in UTC, so that all processes count the same slots."""

    seconds: int

    def latest_slot(self, now: datetime) -> datetime:
        return EPOCH + timedelta(seconds=int((now - EPOCH).total_seconds()) // self.seconds * self.seconds)

    def next_slot(self, after: datetime) -> datetime:
        return self.latest_slot(after) + timedelta(seconds=self.seconds)

    def missed(self, after: datetime, slot: datetime) -> int:
        return max(0, int((slot - after).total_seconds()) // self.seconds - 1)
