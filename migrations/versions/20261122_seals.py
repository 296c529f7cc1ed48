"""Seals over the movements."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_seals"
down_revision = "20261122_transfers"
branch_labels = None
depends_on = None

TRIGGERS = {
    "sqlite": (
        """
        CREATE TRIGGER seals_no_update BEFORE UPDATE ON seals
        BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END
        """,
        """
        CREATE TRIGGER seals_no_delete BEFORE DELETE ON seals
        BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END
        """,
    ),
    "postgresql": (
        """
        CREATE FUNCTION seals_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'seals are append-only' USING ERRCODE = 'restrict_violation';
        END $$
        """,
        """
        CREATE TRIGGER seals_no_change BEFORE UPDATE OR DELETE ON seals
        FOR EACH ROW EXECUTE FUNCTION seals_are_append_only()
        """,
        """
        CREATE TRIGGER seals_no_truncate BEFORE TRUNCATE ON seals
        FOR EACH STATEMENT EXECUTE FUNCTION seals_are_append_only()
        """,
    ),
}


def upgrade():
    op.create_table(
        "seals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("movements", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint("movements >= 1 AND last_id >= first_id", name=op.f("ck_seals_movements")),
        sa.CheckConstraint("length(digest) = 64 AND length(previous) = 64", name=op.f("ck_seals_digests")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seals")),
        sa.UniqueConstraint("digest", name=op.f("uq_seals_digest")),
        sa.UniqueConstraint("first_id", name=op.f("uq_seals_first_id")),
        sa.UniqueConstraint("last_id", name=op.f("uq_seals_last_id")),
        sa.UniqueConstraint("previous", name=op.f("uq_seals_previous")),
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade():
    op.drop_table("seals")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION seals_are_append_only()")
