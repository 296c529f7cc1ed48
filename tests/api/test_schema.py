"""Every operation of the API against its own specification, as everybody who can ask.

`BLANGKO_TEST_CASES=5000 pytest -m slow tests/api/test_schema.py -s` asks that often at least on each database.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.api.client import Caller, make_token
from tests.api.schema_runs import run
from tests.conftest import NOW, TODAY
from tests.world import World

CASES = int(os.environ.get("BLANGKO_TEST_CASES", "0"))
MANY = 1000
"""From so many on, every field is tried at its limits as well."""
EVERYBODY = ("storekeeper", "manager", "viewer", "administrator", "machine", "nobody")
WHO = EVERYBODY if CASES else ("storekeeper", "machine")


def fill(world: World) -> None:
    """One of each document, so that there is something to read and to act upon."""
    world.deliver(NOW, TODAY, 1639)
    world.spoil(NOW, TODAY, 20)
    world.ask(NOW, TODAY, 10000)
    world.send(NOW, TODAY, 100)
    world.propose_destruction(NOW, TODAY, 10)
    world.plan_outreach(NOW, TODAY, 150)
    world.stocktake(NOW)


@pytest.mark.slow
@pytest.mark.filled(by=fill)
@pytest.mark.parametrize("who", WHO)
@pytest.mark.filterwarnings("ignore")  # of schemathesis's own; what the application warns of, other tests see
def test_all_answers_are_as_the_specification_says(world: World, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No 5xx, no status, header, type or body that is not documented, nothing wrong taken, nobody let in unasked."""
    caller = _caller(world, who)
    monkeypatch.setitem(world.app.config, "SETTINGS", _without_a_rate(world.app.config["SETTINGS"]))
    document: Any = caller.get("/openapi.json").json
    operations = {f"{method.upper()} {path}" for path, told in document["paths"].items() for method in told} - {
        f"PARAMETERS {path}" for path in document["paths"]
    }
    each = max(1, CASES // (len(operations) * len(WHO)))
    found = run(world.app, caller, each, stateful=max(3, CASES // 100), boundaries=CASES >= MANY)
    print(f"{who}: {found.total} cases {dict(found.cases)}, answers {dict(sorted(found.statuses.items()))}")
    wrong = "\n\n".join(f"{what}\n{how}" for what, how in found.failures.items())
    print(wrong, flush=True)  # a long run says it before its end
    assert not wrong
    assert found.operations == operations
    assert found.total >= max(len(operations), CASES // len(WHO))


def _caller(world: World, who: str) -> Caller:
    if who == "machine":
        return Caller(world.app, make_token(office="51"))
    return Caller(world.app) if who == "nobody" else Caller(world.app, person=who)


def _without_a_rate(settings: Any) -> Any:
    from dataclasses import replace

    return replace(settings, API_RATE=0)
