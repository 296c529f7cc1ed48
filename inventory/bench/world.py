"""A whole country in the application's own PostgreSQL database, made up and written through the ledger: how fast that
goes, and how large it gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from inventory.bench import Figure
from inventory.domain.access import SYSTEM


def fill(
    now: datetime, *, days: int, seed: int, only: int | None, say: Callable[[str], None] = lambda _: None
) -> list[Figure]:
    """Write what is missing of it, telling `say` now and then how far it is. Raises Refusal, see `national_world`."""
    from flask_migrate import upgrade

    from inventory.services import national_world

    upgrade()
    begun, told = time.perf_counter(), 0.0

    def progress(done: national_world.Told) -> None:
        nonlocal told
        seconds = time.perf_counter() - begun
        if seconds - told >= 5 or done.offices == done.of:
            told = seconds
            rate = done.movements / seconds
            say(f"{done.offices:,} of {done.of:,} offices, {done.movements:,} movements, {rate:,.0f} a second")

    done = national_world.fill(SYSTEM, now, days=days, seed=seed, only=only, progress=progress)
    seconds = time.perf_counter() - begun
    return [
        Figure("offices with stock", done.offices),
        Figure("movements written", done.movements),
        Figure("movements written a second", round(done.movements / seconds)),
        Figure("megabytes of the database", round(national_world.size() / 1e6)),
    ]
