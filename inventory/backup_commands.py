"""The command line's part for backups: `flask backup`, `flask restore`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from inventory.config import environment_of_programs
from inventory.db import db
from inventory.domain.access import COMMAND
from inventory.domain.errors import Refusal
from inventory.terminal import refuse

KEY_FILE = click.option(
    "--identity", type=click.File(encoding="utf-8"), help="File of the private key, as age-keygen makes it; - reads it."
)


@click.command()
@click.option("--to", type=click.Path(path_type=Path), help="A folder, or a new file; BLANGKO_BACKUP_PATH by default.")
@click.option("--recipient", "recipients", multiple=True, help="A public key that opens it, instead of the settings'.")
@click.option("--unencrypted", is_flag=True, help="In the clear: for whoever gets hold of the file to read.")
@click.option("--check", "checked", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read this one.")
@KEY_FILE
@with_appcontext
def backup(
    to: Path | None, recipients: tuple[str, ...], unencrypted: bool, checked: Path | None, identity: IO[str] | None
) -> None:
    """Write the whole database into one new file, encrypted to public keys, while everybody goes on working.

    With --check it writes nothing, and reads a backup from its beginning to its end instead.
    """
    from inventory import security
    from inventory.services import backups

    if checked is not None:
        _check(checked, identity)
        return
    settings = current_app.config["SETTINGS"]
    keys = recipients or tuple(settings.backup_recipients)
    if unencrypted:
        if recipients:
            raise click.UsageError("Give --recipient or --unencrypted, not both.")
        keys = ()
        click.echo("WARNING: not encrypted. Whoever gets hold of the file reads all of it.", err=True)
    elif not keys:
        raise click.UsageError("Who is to read it? Give --recipient KEY, or set BLANGKO_BACKUP_RECIPIENTS.")
    target = to or (Path(settings.BACKUP_PATH) if settings.BACKUP_PATH else None)
    if target is None:
        raise click.UsageError("Where to? Give --to FOLDER, or set BLANGKO_BACKUP_PATH.")
    try:
        made = backups.back_up(COMMAND, security.now(), target, keys, environment_of_programs())
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{made.path}: {made.size:,} bytes, SHA-256 {made.sha256}")
    _tell(made.manifest)
    if not made.entered:
        click.echo("The backup is whole, but the audit did not take its entry.", err=True)


def _check(file: Path, identity: IO[str] | None) -> None:
    from inventory.services import backups

    try:
        found = backups.check(COMMAND, file, identity.read() if identity else "")
    except Refusal as refusal:
        refuse(refusal)
    click.echo(f"{file}: whole, {'encrypted' if found.encrypted else 'NOT encrypted'}.")
    _tell(found.manifest)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@KEY_FILE
@click.option("--into", help="URL of an EMPTY database, without a password; the settings' own by default.")
@click.option("--head", help="A seal's digest that was kept elsewhere: it must stand in the restored chain.")
@with_appcontext
def restore(file: Path, identity: IO[str] | None, into: str | None, head: str | None) -> None:
    """Put the backup FILE into an empty database, end all sessions in it, and verify it. Overwrites nothing.

    Exits with 1 when the books are not as the backup says or do not agree.
    """
    app = _application_at(into) if into else current_app
    keys = identity.read() if identity else ""
    with app.app_context():
        try:
            found = _restored(file, keys, head)
        finally:
            db.session.remove()
            db.engine.dispose()
    _tell(found.manifest)
    for line in _advice(found):
        click.echo(line)
    for difference in found.differences:
        click.echo(f"WRONG, {difference}", err=True)
    for fault in found.verified.faults if found.verified else ():
        click.echo(f"WRONG, {fault.check}: {fault.row}: {fault.what}", err=True)
    if found.differences or (found.verified and found.verified.faults):
        raise click.ClickException("The books were put back, and are NOT what the backup says or do not agree.")
    if found.older:
        click.echo("As the backup says. It is of an older release: run flask db upgrade, then flask verify.")
    else:
        click.echo("As the backup says, and the books agree.")


def _restored(file: Path, keys: str, head: str | None) -> Any:
    from inventory import security
    from inventory.services import restores

    migrations = current_app.extensions["migrate"].directory
    environment = environment_of_programs()
    try:
        return restores.restore(
            COMMAND, security.now(), file, keys, migrations=migrations, environment=environment, known_head=head
        )
    except Refusal as refusal:
        refuse(refusal)


def _application_at(url: str) -> Flask:
    """This installation with another database."""
    from inventory import create_app

    settings = current_app.config["SETTINGS"]
    given = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return create_app(given | {"DATABASE_URL": url, "SECRET_KEY": current_app.config["SECRET_KEY"]})


def _tell(manifest: Any) -> None:
    rows = manifest.rows
    click.echo(
        f"As of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC: {manifest.database}, revision {manifest.revision};"
        f" {rows['movements']:,} movements up to {manifest.last_movement}, {rows['balances']:,} balances,"
        f" {rows['audit_entries']:,} audit entries, {manifest.seal} seals. Head: {manifest.head or '-'}"
    )


def _advice(found: Any) -> list[str]:
    """What to know of books that were put back."""
    said = [
        f"{found.sessions_ended} sessions were ended: everybody logs in again.",
        f"{found.tokens} tokens of machines are good. What was revoked, shut out or changed after the backup is not.",
    ]
    if found.manifest.database == "postgresql":
        said.append("The tables belong to the role that was connected: run flask db-role for the application's own.")
    return said
