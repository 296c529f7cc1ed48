"""An alert is a case: who may still do what with it, how long it can sleep, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.texts import check_text

WORDS_LENGTH = 500
MOST_SNOOZE_DAYS = 90
"""A case that slept longer would be forgotten."""


class State(StrEnum):
    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Act(StrEnum):
    """What people do with a case."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    SNOOZE = "snooze"
    COMMENT = "comment"
    RESOLVE = "resolve"


class Event(StrEnum):
    """What a case's history holds: changes of level, what people did, and how it came back by itself."""

    LEVEL = "level"
    ACKNOWLEDGED = "acknowledged"
    OWNER = "owner"
    SNOOZED = "snoozed"
    WOKEN = "woken"
    COMMENT = "comment"
    RESOLVED = "resolved"
    REOPENED = "reopened"


BY_ITSELF = (Event.LEVEL, Event.WOKEN, Event.REOPENED)
"""Events that no person stands behind: the review and the postings make them."""


class Done(StrEnum):
    """How a case ended."""

    ORDERED = "ordered"
    ALLOTTED = "allotted"
    LENT = "lent"
    OTHER = "other"
    RELIEVED = "relieved"
    """By itself: what it was about is over."""


BY_PEOPLE = tuple(done for done in Done if done is not Done.RELIEVED)

_OPEN = frozenset({State.WAITING, State.ACKNOWLEDGED, State.SNOOZED})
ALLOWED: Mapping[Act, frozenset[State]] = {
    Act.ACKNOWLEDGE: frozenset({State.WAITING}),
    Act.ASSIGN: _OPEN,
    Act.SNOOZE: _OPEN,
    Act.COMMENT: frozenset(State),
    Act.RESOLVE: _OPEN,
}


@dataclass(frozen=True)
class Snooze:
    """Until a day of the office's own, or until the level is as bad as `level`, whichever comes first."""

    until: date | None
    level: Level | None


def state_of(*, resolved: bool, snoozed: bool, acknowledged: bool) -> State:
    if resolved:
        return State.RESOLVED
    if snoozed:
        return State.SNOOZED
    return State.ACKNOWLEDGED if acknowledged else State.WAITING


def check_act(act: Act, state: State) -> None:
    """Raises Refusal `case_acknowledged`, `case_snoozed` or `case_resolved` when the state does not allow the act."""
    if state in ALLOWED[act]:
        return
    if state is State.ACKNOWLEDGED:
        raise Refusal("case_acknowledged")
    if state is State.SNOOZED:
        raise Refusal("case_snoozed")
    raise Refusal("case_resolved")


def check_snooze(snooze: Snooze, level: Level, today: date) -> None:
    """Raises Invalid `snooze_without_end`, `snooze_over_already`, `snooze_too_long` or `snooze_level_reached`."""
    if snooze.until is None and snooze.level is None:
        raise Invalid("snooze_without_end")
    if snooze.until is not None and snooze.until <= today:
        raise Invalid("snooze_over_already")
    if snooze.until is not None and snooze.until > today + timedelta(days=MOST_SNOOZE_DAYS):
        raise Invalid("snooze_too_long", days=MOST_SNOOZE_DAYS)
    if snooze.level is not None and SEVERITY[snooze.level] <= SEVERITY[level]:
        raise Invalid("snooze_level_reached")


def wakes(snooze: Snooze, level: Level, today: date) -> bool:
    """Whether a sleeping case is due: its day has come, or the level is as bad as the one that was named."""
    if snooze.until is not None and today >= snooze.until:
        return True
    return snooze.level is not None and SEVERITY[level] >= SEVERITY[snooze.level]


def wants_new_look(previous: Level, level: Level) -> bool:
    """Whether an acknowledgement lapses: what was seen then was not as bad."""
    return SEVERITY[level] > SEVERITY[previous]


def lapsing(history: Iterable[tuple[str, Level, Level]]) -> list[bool]:
    """Of the events of a case, the oldest first (kind, level before, level after): which of them ended an
    acknowledgement."""
    found, seen = [], False
    for kind, before, after in history:
        ends = kind in (Event.WOKEN, Event.REOPENED) or (kind == Event.LEVEL and wants_new_look(before, after))
        found.append(seen and ends)
        seen = kind == Event.ACKNOWLEDGED or (seen and not ends)
    return found


def check_comment(words: str) -> str:
    """The words of a comment. Raises Invalid `comment_missing` and what `check_text` raises."""
    words = check_text(words, WORDS_LENGTH)
    if not words:
        raise Invalid("comment_missing")
    return words


def check_done(done: Done, words: str) -> str:
    """The words that say what was done. Raises Invalid `done_by_itself` for an end that people cannot give,
    `done_needs_words` when it is another one, and what `check_text` raises."""
    words = check_text(words, WORDS_LENGTH)
    if done not in BY_PEOPLE:
        raise Invalid("done_by_itself")
    if done is Done.OTHER and not words:
        raise Invalid("done_needs_words")
    return words
