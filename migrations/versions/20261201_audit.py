"""The audit, append-only and in the chain of seals; and a lock by which a seal waits for what is being written.

Ids are given out before what is written with them is committed. So that a seal can wait for that with no right on the
tables but to read and to add, every INSERT shares a lock that the seal takes for itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261201_audit"
down_revision = "20261130_outlooks"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WRITERS_LOCK = 7301
"""The class of the lock, which `inventory.db` names too."""

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
        BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END
        """,
        """
        CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
        BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION audit_entries_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'restrict_violation';
        END $$
        """,
        """
        CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries
        FOR EACH ROW EXECUTE FUNCTION audit_entries_are_append_only()
        """,
        """
        CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_are_append_only()
        """,
        f"""
        CREATE FUNCTION wait_for_seal() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared({WRITERS_LOCK}, 0);
            RETURN NULL;
        END $$
        """,
        """
        CREATE TRIGGER movements_wait_for_seal BEFORE INSERT ON movements
        FOR EACH STATEMENT EXECUTE FUNCTION wait_for_seal()
        """,
        """
        CREATE TRIGGER audit_entries_wait_for_seal BEFORE INSERT ON audit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION wait_for_seal()
        """,
    ),
}


def upgrade():
    op.create_table(
        "audit_entries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("about_id", sa.Integer(), nullable=True),
        sa.Column("way", sa.String(length=12), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("way IN ('', 'page', 'api', 'command', 'job')", name=op.f("ck_audit_entries_way")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_audit_entries_digest")),
        sa.CheckConstraint("length(facts) BETWEEN 2 AND 4000", name=op.f("ck_audit_entries_facts")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_audit_entries_person_id")),
        sa.ForeignKeyConstraint(["about_id"], ["people.id"], name=op.f("fk_audit_entries_about_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_audit_entries_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    for column in ("person_id", "about_id", "office_id", "event"):
        op.create_index(f"ix_audit_entries_{column}_id", "audit_entries", [column, "id"])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute("DROP TRIGGER movements_wait_for_seal ON movements")
    op.drop_table("audit_entries")
    if postgresql:
        op.execute("DROP FUNCTION wait_for_seal()")
        op.execute("DROP FUNCTION audit_entries_are_append_only()")
