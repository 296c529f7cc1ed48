"""Answers of the API that are given again only to who still has the rights that they had."""

import sqlalchemy as sa
from alembic import op

revision = "20261202_api_answers"
down_revision = "20261201_entry"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("api_requests", sa.Column("rights", sa.Text(), nullable=True))


def downgrade():
    op.drop_column("api_requests", "rights")
