"""Seals hold audit entries too, and a seal may hold nothing else."""

import sqlalchemy as sa
from alembic import op

revision = "20261201_audit_seals"
down_revision = "20261201_audit"
branch_labels = None
depends_on = None

MOVEMENTS = (
    "(movements = 0 AND first_id IS NULL AND last_id IS NULL) OR (movements >= 1 AND first_id IS NOT NULL"
    " AND last_id IS NOT NULL AND last_id >= first_id)"
)
ENTRIES = (
    "(audit_entries = 0 AND first_audit_id IS NULL AND last_audit_id IS NULL) OR (audit_entries >= 1"
    " AND first_audit_id IS NOT NULL AND last_audit_id IS NOT NULL AND last_audit_id >= first_audit_id)"
)
# SQLite makes the table anew, without its triggers.
TRIGGERS = (
    """
    CREATE TRIGGER seals_no_update BEFORE UPDATE ON seals
    BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END
    """,
    """
    CREATE TRIGGER seals_no_delete BEFORE DELETE ON seals
    BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END
    """,
)


def upgrade():
    with op.batch_alter_table("seals") as batch:
        batch.drop_constraint(op.f("ck_seals_movements"), type_="check")
        batch.alter_column("first_id", existing_type=sa.BigInteger(), nullable=True)
        batch.alter_column("last_id", existing_type=sa.BigInteger(), nullable=True)
        batch.add_column(sa.Column("first_audit_id", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("last_audit_id", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("audit_entries", sa.BigInteger(), server_default="0", nullable=False))
        batch.create_unique_constraint(op.f("uq_seals_first_audit_id"), ["first_audit_id"])
        batch.create_unique_constraint(op.f("uq_seals_last_audit_id"), ["last_audit_id"])
        batch.create_check_constraint(op.f("ck_seals_movements"), MOVEMENTS)
        batch.create_check_constraint(op.f("ck_seals_audit_entries"), ENTRIES)
        batch.create_check_constraint(op.f("ck_seals_something"), "movements + audit_entries >= 1")
    _triggers_anew()


def downgrade():
    _without_the_trigger()
    # Who knows no audit cannot recompute a seal that holds some of it, nor one after it. What they held is sealed anew.
    op.execute("DELETE FROM seals WHERE id >= (SELECT min(id) FROM seals WHERE audit_entries > 0)")
    with op.batch_alter_table("seals") as batch:
        for name in ("movements", "audit_entries", "something"):
            batch.drop_constraint(op.f(f"ck_seals_{name}"), type_="check")
        for column in ("first_audit_id", "last_audit_id"):
            batch.drop_constraint(op.f(f"uq_seals_{column}"), type_="unique")
            batch.drop_column(column)
        batch.drop_column("audit_entries")
        batch.alter_column("first_id", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("last_id", existing_type=sa.BigInteger(), nullable=False)
        batch.create_check_constraint(op.f("ck_seals_movements"), "movements >= 1 AND last_id >= first_id")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE seals ENABLE TRIGGER seals_no_change")
    _triggers_anew()


def _without_the_trigger():
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE seals DISABLE TRIGGER seals_no_change")
    else:
        op.execute("DROP TRIGGER seals_no_delete")


def _triggers_anew():
    if op.get_bind().dialect.name == "sqlite":
        for statement in TRIGGERS:
            op.execute(statement)
