"""The public board: what an office lets everybody know of its stock, and not a card more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from inventory.domain.errors import Invalid
from inventory.domain.quantities import check_quantity
from inventory.domain.texts import check_text

SENTENCE_LENGTH = 200
MAX_ITEMS = 20
"""Of one board: more than an installation has items in use."""


class Precision(StrEnum):
    """How closely a board tells a stock."""

    EXACT = "exact"
    TENS = "tens"
    HUNDREDS = "hundreds"
    LEVEL = "level"
    """A word only: available, few, none."""


class Level(StrEnum):
    """What a resident wants to know. It is not the level of an alert: that one says how long a stock lasts, which is
    the office's own business, while a resident asks whether there is a card for them."""

    AVAILABLE = "available"
    FEW = "few"
    NONE = "none"


STEPS = {Precision.EXACT: 1, Precision.TENS: 10, Precision.HUNDREDS: 100}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What an office chose: below `few_below` the board says "few"."""

    on: bool = False
    item_codes: tuple[str, ...] = ()
    precision: Precision = Precision.LEVEL
    few_below: int = 100
    sentence: str = ""
    """Of the office's own, in its own words, on the board as it is."""
    confirmed: bool = True
    """Whether it is told when somebody last counted the stock."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a board tells of one stock: its level and, where figures are shown, from `least` to `most`."""

    level: Level
    least: int | None = None
    most: int | None = None

    @property
    def exact(self) -> bool:
        return self.least is not None and self.least == self.most


def shown(store: int, precision: Precision, few_below: int) -> Shown:
    """What is told of a store of so many (never negative).

    Rounded, the figure is that of the step below, so that a board never promises what is not there; only a stock that
    is gone is told as it is, since that is what people come for. The level follows from the figure that is told, not
    from the one behind it: stocks that are told alike cannot be told apart by it.
    """
    if store < 0:
        raise ValueError("a store is never negative")
    if precision is Precision.LEVEL:
        return Shown(level=_level(store, few_below))
    step = STEPS[precision]
    least = store - store % step
    most = least + step - 1
    if least == 0:
        least, most = (0, 0) if store == 0 else (1, most)
    return Shown(level=_level(least, few_below), least=least, most=most)


def _level(store: int, few_below: int) -> Level:
    if store == 0:
        return Level.NONE
    return Level.FEW if store < few_below else Level.AVAILABLE


def check_choice(choice: Choice, known: Collection[str]) -> Choice:
    """The choice with its sentence trimmed. Raises Invalid `board_items_missing` (on, with nothing to show),
    `board_item_unknown`, what `check_quantity` raises for `few_below`, and what `check_text` raises."""
    strangers = [code for code in choice.item_codes if code not in known]
    if strangers or len(choice.item_codes) > MAX_ITEMS:
        raise Invalid("board_item_unknown")
    if choice.on and not choice.item_codes:
        raise Invalid("board_items_missing")
    check_quantity(choice.few_below)
    return Choice(**{**vars(choice), "sentence": check_text(choice.sentence, SENTENCE_LENGTH)})
