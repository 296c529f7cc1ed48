"""Alerts about an office as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_alerts_of_offices"
down_revision = "20261122_transfers_over"
branch_labels = None
depends_on = None

OPEN = sa.text("resolved_at IS NULL AND item_id IS NULL")


def upgrade():
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.alter_column("item_id", existing_type=sa.Integer(), nullable=True)
    op.create_index(
        "uq_alerts_open_office",
        "alerts",
        ["office_id", "subject"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )


def downgrade():
    op.drop_index("uq_alerts_open_office", "alerts")
    # Without an item they cannot be kept; their history goes with them.
    op.execute("DELETE FROM alert_events WHERE alert_id IN (SELECT id FROM alerts WHERE item_id IS NULL)")
    op.execute("DELETE FROM alerts WHERE item_id IS NULL")
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.alter_column("item_id", existing_type=sa.Integer(), nullable=False)
