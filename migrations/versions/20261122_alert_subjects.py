"""Alerts have a fixed list of subjects."""

from alembic import op

revision = "20261122_alert_subjects"
down_revision = "20261122_proposals"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.create_check_constraint(
            op.f("ck_alerts_subject"),
            "subject IN ('low_stock', 'overdue_transfer', 'spoiled_not_destroyed', 'day_not_closed', 'day_difference')",
        )


def downgrade():
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.drop_constraint(op.f("ck_alerts_subject"), type_="check")
