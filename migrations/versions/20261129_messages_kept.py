"""What is done every few seconds leaves a trace of its last good round, so that somebody can tell when it stops."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_messages_kept"
down_revision = "20261128_run_outs"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "chore_rounds",
        sa.Column("chore", sa.String(length=40), nullable=False),
        sa.Column("good_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_up", sa.String(length=300), nullable=True),
        sa.CheckConstraint("chore <> ''", name=op.f("ck_chore_rounds_chore")),
        sa.CheckConstraint("good_at IS NOT NULL OR held_up IS NOT NULL", name=op.f("ck_chore_rounds_said")),
        sa.PrimaryKeyConstraint("chore", name=op.f("pk_chore_rounds")),
    )


def downgrade():
    op.drop_table("chore_rounds")
