"""Schedulers that live, and what each of them said last."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_heartbeats"
down_revision = "20261126_notices"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "heartbeats",
        sa.Column("worker", sa.String(length=80), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("jobs", sa.JSON(), nullable=False),
        sa.CheckConstraint("worker <> ''", name=op.f("ck_heartbeats_worker")),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_heartbeats")),
    )
    op.create_index("ix_heartbeats_beat_at", "heartbeats", ["beat_at"])


def downgrade():
    op.drop_index("ix_heartbeats_beat_at", "heartbeats")
    op.drop_table("heartbeats")
