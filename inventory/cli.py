"""The command line: `flask …`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_babel import force_locale

from inventory import backup_commands, bench_commands, text
from inventory.domain.access import COMMAND, Role
from inventory.domain.alerts import SEVERITY, Level
from inventory.domain.errors import Refusal
from inventory.terminal import in_english, refuse, table

offices_group = AppGroup("offices", help="Offices: the tree that blanks flow through.")
people_group = AppGroup("people", help="People: accounts and their roles.")
items_group = AppGroup("items", help="Items: what is kept in stock.")
ranges_group = AppGroup("ranges", help="Number ranges: the serial numbers of blanks.")
import_group = AppGroup("import", help="Import: past records from CSV and XLSX files, all or nothing.")
alerts_group = AppGroup("alerts", help="Alerts: how good they were.")
seal_group = AppGroup("seal", help="Seals: a chain of digests over what was recorded.")


def init_app(app: Flask) -> None:
    for command in (
        offices_group,
        people_group,
        items_group,
        ranges_group,
        import_group,
        export,
        alerts_group,
        seal_group,
        review,
        backtest,
        verify,
        backup_commands.backup,
        backup_commands.restore,
        db_role,
        bench_commands.bench_group,
        jobs,
        serve,
        demo,
    ):
        app.cli.add_command(command)


@offices_group.command("load")
@click.argument("file", type=click.File(encoding="utf-8-sig"), required=False)
@click.option("--official", is_flag=True, help="Load the country's official list, as shipped.")
def load_offices(file: Any, official: bool) -> None:
    """Load an office list from a CSV FILE, or the official one: all or nothing, and safe to repeat.

    Columns: code, name, kind, parent, time_zone, population. An empty parent is the ministry.
    """
    from inventory.services import offices

    if bool(file) == official:
        raise click.UsageError("Give a FILE, or --official.")
    try:
        loaded = offices.load(COMMAND, offices.official_list()) if official else offices.load_csv(COMMAND, file)
    except offices.BadOfficeList as bad:
        for row in bad.rows:
            click.echo(f"row {row.row}, {row.column}: {in_english(row.code, row.facts)}", err=True)
        raise click.ClickException(f"Nothing was loaded: {len(bad.rows)} errors.") from None
    click.echo(f"{loaded.added} added, {loaded.changed} changed, {loaded.unchanged} unchanged.")


@items_group.command("load")
def load_items() -> None:
    """Add the standard items: blanks for citizens, foreign residents and children, ribbon and film."""
    from inventory.services import items

    items.ensure_standard()
    click.echo(", ".join(item.code for item in items.active()))


@items_group.command("number")
@click.argument("code")
def number_item(code: str) -> None:
    """Keep the serial numbers of the item CODE: every movement of it says which. Only before its first one."""
    from inventory.services import items

    try:
        item = items.keep_numbers(code)
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{item.code}: its numbers are kept.")


@ranges_group.command("report")
@click.option("--office", help="Only this office and those below it (its code).")
def report_ranges(office: str | None) -> None:
    """List what looks wrong with serial numbers: missing, left out, used too early, passed over, held twice."""
    from inventory.domain.access import Action
    from inventory.services import numbers, offices

    try:
        tops = [office] if office else [top.code for top in offices.tops(COMMAND, Action.VIEW_STOCK)]
        found = [each for top in tops for each in numbers.report(COMMAND, top, below=True)]
    except Refusal as refusal:
        refuse(refusal)
    with force_locale("en"):
        rows = [
            (
                each.office_code,
                each.item_code,
                str(each.numbers),
                each.numbers.size,
                str(text.ANOMALIES[each.kind]),
                each.document or "-",
            )
            for each in found
        ]
    click.echo(table(["Office", "Item", "Numbers", "Count", "What", "Document"], rows))
    click.echo(f"{len(found)} found.")


@people_group.command("add")
@click.argument("email")
@click.option("--name", required=True, help="Full name.")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--office", required=True, help="Code of the office; managers and viewers see all below it.")
@click.password_option(help="At least 15 characters, such as a sentence; asked for when not given.")
def add_person(email: str, name: str, role: str, office: str, password: str) -> None:
    """Make an account with one role at an office."""
    from inventory import security
    from inventory.services import people

    try:
        person = people.add(
            COMMAND,
            security.now(),
            email=security.normalised_email(email),
            full_name=name,
            role=Role(role),
            office_code=office,
            password_hash=security.hashed(password, [name, email]),
        )
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{person.full_name} <{person.email}> is {role} of {person.roles[0][2]}.")


@people_group.command("set-password")
@click.argument("email")
@click.password_option(help="At least 15 characters, such as a sentence; asked for when not given.")
def set_password(email: str, password: str) -> None:
    """Give the person with this e-mail address, who has forgotten theirs, a new first password, and end their sessions.

    They change it when they log in with it.
    """
    from inventory import security
    from inventory.services import people

    try:
        person = people.get(COMMAND, people.id_of(email) or 0)
        people.set_password(COMMAND, security.now(), person.id, security.hashed(password, [person.full_name, email]))
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{person.full_name} <{person.email}> has a new first password.")


@people_group.command("unlink")
@click.argument("email")
def unlink(email: str) -> None:
    """Let no account at the provider of single sign-on belong to the person with this e-mail address any more."""
    from inventory import security
    from inventory.services import people, sign_on

    try:
        person = people.get(COMMAND, people.id_of(email) or 0)
        sign_on.unlink(COMMAND, security.now(), person.id)
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{person.full_name} <{person.email}> is linked to no account elsewhere.")


@people_group.command("remove-factors")
@click.argument("email")
def remove_factors(email: str) -> None:
    """Take all second factors from the person with this e-mail address, who has lost them, and end their sessions.

    For an administrator whom no other administrator can help.
    """
    from inventory import security
    from inventory.services import factors, people

    try:
        person = people.get(COMMAND, people.id_of(email) or 0)
        factors.take_away(COMMAND, security.now(), person.id)
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{person.full_name} <{person.email}> has no second factor any more.")


@click.command()
@click.option("--on", "on", type=click.DateTime(["%Y-%m-%d"]), help="Review as of the close of this day.")
@click.option("--office", help="Only this office and those below it (its code).")
@with_appcontext
def review(on: datetime | None, office: str | None) -> None:
    """Review all stocks by hand, update the alerts and list what was found, the worst first."""
    from inventory import security
    from inventory.jobs import worker_name
    from inventory.services import reviews

    try:
        run, found = reviews.review(
            COMMAND, security.now, worker_name(), on=on.date() if on else None, office_code=office
        )
    except Refusal as refusal:
        refuse(refusal)
    if run.status == "failed":
        raise click.ClickException(f"The review failed: {run.error}")
    click.echo(review_table(found))
    click.echo(f"{run.counts['stocks']} stocks reviewed, {run.counts['changed']} alerts changed.")


@click.command()
@click.option("--on", "on", type=click.DateTime(["%Y-%m-%d"]), help="With the history up to the close of this day.")
@click.option("--office", help="Only this office and those below it (its code).")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
@with_appcontext
def backtest(on: datetime | None, office: str | None, as_json: bool) -> None:
    """Hold the projection against what followed, over the windows of the past year, beside the average and naive.

    Scores are kept for the pages. Where the projection lost to the average, the next review takes the average.
    """
    import json

    from inventory import security
    from inventory.jobs import worker_name
    from inventory.services import backtests

    try:
        run = backtests.run(COMMAND, security.now, worker_name(), on=on.date() if on else None, office_code=office)
        if run.status == "failed":
            raise click.ClickException(f"The backtest failed: {run.error}")
        found = backtests.overview(COMMAND, office)
        last = backtests.overview(COMMAND, office, page=found.pages)
    except Refusal as refusal:
        refuse(refusal)
    best = [each for each in reversed(last.stocks) if each not in found.stocks[:WORST_LISTED]][:WORST_LISTED]
    if as_json:
        listed = {"worst": found.stocks[:WORST_LISTED], "best": best}
        stocks = {name: [_backtest_json(each) for each in some] for name, some in listed.items()}
        click.echo(json.dumps({"counts": run.counts, "scores": found.scores} | stocks, indent=2))
    else:
        click.echo(backtest_tables(found.scores, found.stocks[:WORST_LISTED], best))
        click.echo(f"{run.counts['tried']} stocks tried on {run.counts['windows']} windows.")


WORST_LISTED = 10


@alerts_group.command("figures")
@click.option("--office", default="00", show_default=True, help="This office and those below it (its code).")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day; half a year ago by default.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Last day; today by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def alert_figures(office: str, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """How early alerts came before stock-outs, which had none, and which alerts were false: by region and month."""
    import json
    from datetime import timedelta

    from inventory import security
    from inventory.services import alert_figures as service

    now = security.now()
    last = until.date() if until else now.date()
    first = since.date() if since else last - timedelta(days=182)
    try:
        found = service.of_office(COMMAND, now, office, first, last)
    except Refusal as refusal:
        refuse(refusal)
    of = [(found.office.code, found.total, found.months)] + [
        (each.code, each.total, each.months) for each in found.regions
    ]
    rows = [(code, month, each) for code, total, months in of for month, each in [(None, total), *months]]
    if as_json:
        said = [{"office": code, "month": month and f"{month:%Y-%m}"} | each.as_json() for code, month, each in rows]
        click.echo(json.dumps(said, indent=2))
        return
    heads = [
        "Office",
        "Month",
        "Stock-outs",
        "In time",
        "Late",
        "Missed",
        "Lead",
        "Needed",
        "False",
        "Share",
        "Undecided",
    ]
    cells = [(code, f"{month:%Y-%m}" if month else "all", *_alert_cells(each)) for code, month, each in rows]
    click.echo(table(heads, cells))


def _alert_cells(each: Any) -> tuple[object, ...]:
    lead = "-" if each.median_lead is None else f"{each.median_lead:.1f}"
    outs = (each.stock_outs, each.in_time, each.late, each.missed, lead)
    return (*outs, each.needed, each.false, _share(each.false_share), each.undecided)


@seal_group.command("now")
def seal_now() -> None:
    """Seal what was recorded since the last seal. The scheduler does so every night."""
    from inventory import security
    from inventory.jobs import worker_name
    from inventory.services import seals

    run = seals.seal_now(COMMAND, security.now, worker_name())
    if run.status == "failed":
        raise click.ClickException(f"Nothing was sealed: {run.error}")
    click.echo(f"{run.counts['movements']} movements and {run.counts['audit_entries']} audit entries sealed.")


@seal_group.command("head")
def seal_head() -> None:
    """Print the newest seal. Keep its digest elsewhere, on paper: `flask verify --head` is held against it."""
    from inventory.services import seals

    head = seals.head()
    if head is None:
        raise click.ClickException("Nothing is sealed yet.")
    movement, entry = seals.sealed_up_to()
    upto = f"up to movement {movement} and audit entry {entry}"
    click.echo(f"{head.digest}  sealed {head.sealed_at.isoformat()}, {upto}")


def _import_command(kind: str, help: str) -> None:
    @import_group.command(kind, help=help)
    @click.argument("file", type=click.Path(exists=True, dir_okay=False))
    @click.option("--dry-run", is_flag=True, help="Look through the file and stop there.")
    @click.option("--office", default="00", show_default=True, help="Whose pages will list the file (code).")
    @click.option("--language", type=click.Choice(list(text.LANGUAGES)), help="How numbers in text are grouped.")
    def command(file: str, dry_run: bool, office: str, language: str | None) -> None:
        _import(kind, file, dry_run, office, language or current_app.config["SETTINGS"].LANGUAGE)


_import_command("opening", "Import what offices held when they began: office, item, day, quantity, note.")
_import_command("deliveries", "Import deliveries with their records of hand-over (BAST).")
_import_command("consumption", "Import daily consumption: a row per office, item and day.")


def _import(kind: str, file: str, dry_run: bool, office: str, language: str) -> None:
    from inventory import security
    from inventory.services import imports

    limit = current_app.config["SETTINGS"].MAX_UPLOAD_BYTES
    with open(file, "rb") as stream:
        data = stream.read(limit + 1)
    try:
        with force_locale(language):
            separator = text.group_separator()
        found = imports.check(
            COMMAND,
            security.now(),
            uuid4(),
            office,
            kind,
            file,
            data,
            group_separator=separator,
            max_bytes=limit,
        )
        view = imports.get(COMMAND, found)
        if view.status == "checked" and not dry_run:
            with click.progressbar(length=view.movement_count, label="Importing", file=sys.stderr) as bar:
                view = imports.run(COMMAND, security.now(), found, lambda written: bar.update(written - bar.pos))
    except Refusal as refusal:
        refuse(refusal)
    _report(view)


def _report(view: Any) -> None:
    for fault in view.faults:
        where = f"row {fault.row}" + (f", {fault.field}" if fault.field else "")
        click.echo(f"{where}: {in_english(fault.code, fault.facts)}", err=True)
    if view.fault_count:
        more = f", the first {len(view.faults)} are listed" if view.fault_count > len(view.faults) else ""
        raise click.ClickException(f"Nothing was imported: {view.fault_count} faults{more}.")
    for item, kind, reason, quantity in view.totals:
        click.echo(f"{item} {kind} {reason}: {quantity:,}")
    if view.status == "imported":
        click.echo(f"{view.row_count} rows imported on {view.imported_at:%Y-%m-%d %H:%M} UTC as import {view.id}.")
    else:
        click.echo(f"{view.row_count} rows are good. Nothing was imported yet.")


@click.command()
@click.argument("table_name", metavar="[TABLE]", required=False)
@click.option("--format", "format_", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True)
@click.option("--office", help="Only this office and those below it (its code).")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--output", type=click.File("wb"), default="-", help="A file; standard output by default.")
@with_appcontext
def export(
    table_name: str | None,
    format_: str,
    office: str | None,
    since: datetime | None,
    until: datetime | None,
    output: Any,
) -> None:
    """Write a TABLE as CSV or XLSX; without one, list the tables."""
    from inventory import security
    from inventory.services import exports

    if table_name is None:
        for name in exports.names(COMMAND):
            click.echo(name)
        return
    try:
        period = since and since.date(), until and until.date()
        found = exports.take_out(COMMAND, security.now(), table_name, office, *period, format=format_)
    except Refusal as refusal:
        refuse(refusal)
    if format_ == "xlsx":
        exports.write_xlsx(found, output)
    else:
        for chunk in exports.csv_lines(found):
            output.write(chunk)


@click.command()
@click.option("--head", help="A seal's digest that was kept elsewhere: it must stand in the chain.")
@with_appcontext
def verify(head: str | None) -> None:
    """Recompute the books from the movements and name the first row that is wrong. Changes nothing."""
    from inventory.services import verification

    found = verification.verify(COMMAND, head)
    click.echo(
        f"{found.movements} movements, {found.balances} balances, {found.audit_entries} audit entries,"
        f" {found.seals} seals. Head: {found.head or '-'}"
    )
    for fault in found.faults:
        click.echo(f"WRONG, {fault.check}: {fault.row}: {fault.what}", err=True)
    if found.faults:
        raise click.ClickException("The books do not agree. Nothing was changed.")
    click.echo("The books agree.")


@click.command("db-role")
@click.argument("name")
@click.option("--sql", "as_sql", is_flag=True, help="Print the statements instead of running them.")
@with_appcontext
def db_role(name: str, as_sql: bool) -> None:
    """Make or mend NAME, the PostgreSQL role of the application: it owns nothing, and only adds to the books.

    Run it as the owner of the tables, after each upgrade. The role gets no password: give it one in psql.
    """
    from inventory.services import database_role

    try:
        if as_sql:
            click.echo("".join(f"{statement};\n" for statement in database_role.statements(name)), nl=False)
            return
        database_role.give(COMMAND, name)
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{name} may read and write what the application writes. Name it in DATABASE_URL.")


@click.command()
@with_appcontext
def jobs() -> None:
    """Run the scheduled jobs in this process until it is stopped. Any number may run: each slot is run once."""
    import logging

    from inventory import log_safely
    from inventory.jobs import run_forever
    from inventory.security import database

    database.warn(_application())
    settings = current_app.config["SETTINGS"]
    logging.basicConfig(level=settings.LOG_LEVEL, format="%(asctime)s %(levelname)s %(message)s")
    log_safely(_application(), logging.getLogger().handlers)
    run_forever(_application())


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=1, show_default=True)
@click.option("--threads", default=8, show_default=True)
@with_appcontext
def serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the pages, and run the scheduled jobs beside them (unless BLANGKO_JOBS_IN_SERVER is 0)."""
    _serve(host, port, workers, threads)


@click.command()
@click.option("--serve/--no-serve", "serving", default=True, help="Serve the pages afterwards, or stop before.")
@click.option("--seed", default=1, show_default=True, help="Another seed, another history.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the history; today by default.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@with_appcontext
def demo(serving: bool, seed: int, until: datetime | None, host: str, port: int) -> None:
    """Make a database to try things out: Bali and OKU Selatan with two years of synthetic history.

    Published figures stand at its end: Kota Denpasar with 1,639 citizen blanks. A second run changes nothing.
    """
    from flask_migrate import upgrade

    from inventory import security
    from inventory.jobs import worker_name
    from inventory.services import backtests, reviews
    from inventory.services import demo as demonstration

    if current_app.config["SETTINGS"].production:
        raise click.ClickException("The demonstration has published passwords: it does not run in production.")
    upgrade()
    try:
        made = demonstration.build(
            security.now(),
            seed=seed,
            until=until.date() if until else None,
            password_hash=security.hashed,
            progress=lambda month: click.echo(f"{month} ", nl=False),
        )
    except Refusal as refusal:
        refuse(refusal)
    click.echo()
    backtests.run(COMMAND, security.now, worker_name(), on=made.last_day)
    run, found = reviews.review(COMMAND, security.now, worker_name(), on=made.last_day)
    if run.status != "done":
        raise click.ClickException(f"The review failed: {run.error}")
    click.echo(review_table(found))
    click.echo(f"\n{made.offices} offices, {made.movements} movements; history is SYNTHETIC and ends {made.last_day}.")
    click.echo(f"{run.counts['stocks']} stocks reviewed. To list them again: flask review --on {made.last_day}\n")
    accounts = [(each.email, each.password, each.role.value, each.office_name) for each in made.accounts]
    click.echo(table(["Account", "Password", "Role", "Office"], accounts))
    click.echo("These passwords are published, so nobody is made to have a second factor here.")
    if serving:
        current_app.config["SETTINGS"] = replace(current_app.config["SETTINGS"], SECOND_FACTOR="offered")
        click.echo(f"\nServing on http://{host}:{port}/ (stop with Ctrl+C)")
        _serve(host, port, 1, 8)


def review_table(found: Iterable[Any]) -> str:
    """Reviewed stocks as a table of text, the worst first."""
    rows = []
    for each in sorted(found, key=lambda each: (-SEVERITY[each.level], each.projection.office_code)):
        facts = each.projection.facts
        rows.append(
            (
                f"{each.projection.office_name}{' *' if facts['synthetic'] else ''}",
                each.projection.item_code,
                _number(facts["store"]),
                each.level.value if each.level is not Level.UNKNOWN else "not enough data",
                _number(facts["level_per_day"]),
                _number(facts["mean_horizon"]),
                "-" if facts["cover_days"] is None else f"{facts['cover_days']:.1f}",
                facts["stockout_on"] or "-",
                _number(facts["suggested_order"]),
            )
        )
    heads = ["Office", "Item", "Stock", "Level", "A day", "Demand", "Cover", "Stock-out", "Order"]
    legend = (
        "A day: mean demand per working day. Demand: over lead time and review period. Cover: working days."
        "\n* synthetic history"
    )
    return f"{table(heads, rows)}\n{legend}"


def backtest_tables(scores: Any, worst: Sequence[Any], best: Sequence[Any]) -> str:
    """The scores of all stocks together, and the stocks at either end, as tables of text."""
    if scores is None:
        return "No stock has a window that could be tried: the projection needs more history."
    names = {"model": "Projection", "average": "Average", "naive": "Window before"}
    heads = ["", "Loss", "Loss, offices alike", "Error", "Bias", "in 50 %", "in 80 %", "in 95 %", "Brier"]
    rows = [
        (
            name,
            *(_share(scores["methods"][method][key]) for key in ("loss", "plain_loss", "error", "bias")),
            *(_share(cover) for cover in scores["methods"][method]["cover"]),
            f"{scores['methods'][method]['brier']:.3f}",
        )
        for method, name in names.items()
    ]
    parts = [table(heads, rows), "", "Chance of a stock-out", _reliability(scores["methods"]), ""]
    heads = ["Office", "Item", "Windows", "Loss", "Average", "Naive", "Error", "in 80 %", "Takes"]
    for title, stocks in (("Worst", worst), ("Best", best)):
        if stocks:
            parts += [title, table(heads, [_backtest_row(each) for each in stocks]), ""]
    parts.append(
        "Loss: mean quantile loss, error: mean absolute error, bias: mean error; each as a share of the demand."
        "\nin 80 %: windows in which the demand lay within the band that should hold 80 %.\n* synthetic history"
    )
    return "\n".join(parts)


def _reliability(methods: Any) -> str:
    rows = []
    for number, (ours, theirs) in enumerate(zip(methods["model"]["bins"], methods["average"]["bins"], strict=True)):
        figures = (*(f"{ours[0]:,}", _share(ours[2])), *(f"{theirs[0]:,}", _share(theirs[2])))
        rows.append((f"{number * 10}-{number * 10 + 10} %", *figures))
    return table(["Foretold", "Projection: windows", "ran out", "Average: windows", "ran out"], rows)


def _backtest_row(each: Any) -> tuple[str, ...]:
    methods = each.scores["methods"]
    return (
        f"{each.office_name}{' *' if each.synthetic else ''}",
        each.item_code,
        str(each.scores["windows"]),
        *(_share(methods[method]["loss"]) for method in ("model", "average", "naive")),
        _share(methods["model"]["error"]),
        _share(methods["model"]["cover"][1]),
        "average" if each.worse else "projection",
    )


def _backtest_json(each: Any) -> dict[str, Any]:
    named = {"office": each.office_code, "item": each.item_code, "on_day": each.on_day.isoformat()}
    return named | {"worse": each.worse, "scores": each.scores}


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _application() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined]


def _serve(host: str, port: int, workers: int, threads: int) -> None:
    from inventory.serving import serve as serve_embedded

    serve_embedded(_application(), host=host, port=port, workers=workers, threads=threads)
