"""Benchmarks: figures of this installation's speed, each with what it must be and what it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure. With `at_most`, smaller is better; `must` None is a figure that is only told."""

    figure: str
    value: float
    must: float | None = None
    aim: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        if self.must is None:
            return True
        return self.value <= self.must if self.at_most else self.value >= self.must

    @property
    def limits(self) -> str:
        if self.must is None:
            return "-"
        return f"{'≤' if self.at_most else '≥'} {self.must:g} / {self.aim if self.aim is not None else self.must:g}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}
