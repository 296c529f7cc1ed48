"""The benchmark of failovers: it kills, promotes, rejoins, and counts what was acknowledged."""

from __future__ import annotations

import tempfile

import pytest

from inventory.bench import failover, speed
from inventory.bench.failover import Size
from tests import postgres


@pytest.mark.slow
def test_failovers_are_measured_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "QUICK", Size(failovers=2, rounds=1, seconds=0.3))
    monkeypatch.setattr(failover, "OFFICES", 5)
    monkeypatch.setattr(speed, "WARMING", 0.1)
    if postgres.IN_MEMORY:
        monkeypatch.setattr(tempfile, "tempdir", str(postgres.IN_MEMORY))
    figures = {each.figure: each for each in failover.measure(quick=True)}
    assert figures["failovers"].value == 2, "there and back again"
    assert figures["movements acknowledged"].value > 0
    assert figures["acknowledged and lost"].value == 0
    assert figures["acknowledged once and recorded twice"].value == 0
    assert {each.figure for each in figures.values() if each.must is not None} == {
        "acknowledged and lost",
        "acknowledged once and recorded twice",
    }
