"""More may arrive of a transfer than was sent."""

from alembic import op

revision = "20261122_transfers_over"
down_revision = "20261122_documents"
branch_labels = None
depends_on = None

NOT_YET = "(received IS NULL AND short IS NULL AND damaged IS NULL)"
COUNTED = (
    "received IS NOT NULL AND short IS NOT NULL AND damaged IS NOT NULL"
    " AND received >= 0 AND short >= 0 AND damaged >= 0"
)
EXACT = "sent = received + short + damaged"


def upgrade():
    _account_for(f"({EXACT} OR (short = 0 AND sent < received + damaged))")


def downgrade():
    _account_for(EXACT)


def _account_for(rule):
    with op.batch_alter_table("transfer_lines") as batch_op:
        batch_op.drop_constraint(op.f("ck_transfer_lines_accounted"), type_="check")
        batch_op.create_check_constraint(op.f("ck_transfer_lines_accounted"), f"{NOT_YET} OR ({COUNTED} AND {rule})")
