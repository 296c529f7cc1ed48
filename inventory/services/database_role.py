"""The role under which the application works on PostgreSQL: it owns nothing, and can neither change nor delete what is
only ever added to. Whoever takes over the application can write what the application can write, and no more."""

from __future__ import annotations

import re

from sqlalchemy import text

from inventory.db import db, on_postgresql
from inventory.domain.access import Actor
from inventory.domain.errors import Invalid, NotAllowed
from inventory.models.append_only import APPEND_ONLY, KEPT

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)

# Run by whoever owns the tables: right after each upgrade, too.
_STATEMENTS = """
DO $$ BEGIN
    IF '{role}' = current_user THEN
        RAISE EXCEPTION '{role} owns the tables: choose another role for the application';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}'
               AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION '{role} may do more than an application needs: take that from it first';
    END IF;
    IF EXISTS (SELECT FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member WHERE rolname = '{role}') THEN
        RAISE EXCEPTION '{role} is a member of another role: take it out first';
    END IF;
    IF EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND pg_has_role('{role}', datdba, 'MEMBER'))
       OR EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_has_role('{role}', nspowner, 'MEMBER')) THEN
        RAISE EXCEPTION '{role} owns the database or its schema: give it to another role first';
    END IF;
    EXECUTE 'GRANT CONNECT ON DATABASE ' || quote_ident(current_database()) || ' TO {role}';
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role};
GRANT USAGE ON SCHEMA public TO {role};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {role};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};
REVOKE UPDATE, DELETE ON {append_only} FROM {role};
REVOKE DELETE ON {kept} FROM {role};
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}
"""


def statements(role: str) -> list[str]:
    """What the owner of the tables runs to make or mend the role; safe to repeat. Raises Invalid `role_name`."""
    if not _NAME.fullmatch(role):
        raise Invalid("role_name")
    names = {"append_only": ", ".join(APPEND_ONLY), "kept": ", ".join(KEPT)}
    return [each.strip() for each in re.split(r";\n(?! |END)", _STATEMENTS.format(role=role, **names))]


def give(actor: Actor, role: str) -> None:
    """Make or mend the role, as the owner of the tables, all or nothing.

    Raises NotAllowed for anybody but the system, Invalid `role_name`, `role_needs_postgresql`; what the database
    raises when the role is the owner itself or may do too much.
    """
    if not actor.is_system:
        raise NotAllowed("not_allowed", action="db_role")
    asked = statements(role)
    if not on_postgresql():
        raise Invalid("role_needs_postgresql")
    with db.engine.begin() as connection:
        for statement in asked:
            connection.exec_driver_sql(statement)


def too_powerful() -> str | None:
    """The connected role's name, where it could undo what protects the books: it owns tables, their schema or the
    database, belongs to who does, may change or delete what is only ever added to, or is a superuser. None on SQLite,
    where there are no roles."""
    if not on_postgresql():
        return None
    query = """
        SELECT current_user WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            OR EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                       AND pg_has_role(relowner, 'MEMBER'))
            OR EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_has_role(nspowner, 'MEMBER'))
            OR EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND pg_has_role(datdba, 'MEMBER'))
            OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY (:append_only)
                       AND has_table_privilege(oid, 'UPDATE,DELETE,TRUNCATE'))
    """
    with db.engine.connect() as connection:
        return connection.scalar(text(query), {"append_only": list(APPEND_ONLY)})
