"""Runs the migrations on the application's own database connection."""

from alembic import context
from flask import current_app

extension = current_app.extensions["migrate"]
metadata = extension.db.metadata


def skip_empty(_context, _revision, directives):
    """`flask db migrate` writes no file when models and database agree."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


def offline():
    url = extension.db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=metadata, literal_binds=True, **extension.configure_args)
    with context.begin_transaction():
        context.run_migrations()


def online():
    arguments = {"process_revision_directives": skip_empty} | extension.configure_args
    with extension.db.engine.connect() as connection:
        set_foreign_keys(connection, "OFF")
        try:
            context.configure(connection=connection, target_metadata=metadata, **arguments)
            with context.begin_transaction():
                context.run_migrations()
        finally:
            set_foreign_keys(connection, "ON")


def set_foreign_keys(connection, state):
    """SQLite changes a table by making a new one: references to the old one must not be enforced meanwhile. The
    switch works outside a transaction only, so it goes straight to the driver."""
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.execute(f"PRAGMA foreign_keys = {state}")


if context.is_offline_mode():
    offline()
else:
    online()
