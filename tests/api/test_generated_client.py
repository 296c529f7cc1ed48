"""A client that a generator makes from the specification alone posts to a running server, and reads from it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from tests.api.client import make_token
from tests.conftest import NOW, TODAY
from tests.web.serving import serving
from tests.world import BLANK, DENPASAR, World

NAME = "blangko_client"


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_generated_client_posts_and_reads(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        token = make_token()
    with serving(app) as address:
        generate(address, tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        client = part("client").AuthenticatedClient(base_url=address, token=token)
        try:
            use(client)
        finally:
            client.get_httpx_client().close()


def generate(address: str, folder: Path) -> None:
    """Write the client of the server at `address` into `folder`, as a package."""
    settings = folder / "settings.yaml"
    settings.write_text("post_hooks: []\n")
    generator = Path(sys.executable).with_name("openapi-python-client")
    made = subprocess.run(
        [
            *(generator, "generate", "--url", f"{address}/api/v1/openapi.json", "--meta", "none"),
            *("--output-path", folder / NAME, "--config", settings, "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.{name}")


def use(client: Any) -> None:
    models = part("models")
    body = models.UseBody(
        item=BLANK,
        day=date(2024, 5, 15),
        printed=[models.PrintedBody(reason=models.PrintedBodyReason.NEW, quantity=18, served_waiting=3)],
    )
    key = str(uuid4())
    add = part("api.movements.movements_add").sync_detailed
    first, again = (add(code=DENPASAR, client=client, body=body, idempotency_key=key) for _ in range(2))
    assert first.status_code == 201, first.content
    assert first.content == again.content
    [movement] = first.parsed.movements
    assert (movement.office, movement.quantity) == (DENPASAR, 18)

    balances = part("api.balances.balances_of_office").sync(code=DENPASAR, client=client)
    assert [each.store for each in balances.data if each.item == BLANK] == [82]

    changes = part("api.changes.changes_index").sync(client=client)
    assert [each.kind for each in changes.data] == ["receipt", "print"]
    later = part("api.changes.changes_index").sync(client=client, after=changes.next_)
    assert (later.data, later.more) == ([], False)

    wrong = add(code="51.03", client=client, body=body, idempotency_key=str(uuid4()))
    assert wrong.status_code == 403
    assert wrong.parsed.code == "not_allowed"
