"""The days on which a projection expects its stock to run out are columns: pages count offices by them."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_run_outs"
down_revision = "20261124_recalled_drafts"
branch_labels = None
depends_on = None

COLUMNS = ("stockout_on", "stockout_early_on", "stockout_late_on")
FACT = {"postgresql": "CAST(facts ->> '{name}' AS date)", "sqlite": "json_extract(facts, '$.{name}')"}


def upgrade():
    for name in COLUMNS:
        op.add_column("projections", sa.Column(name, sa.Date(), nullable=True))
    fact = FACT[op.get_bind().dialect.name]
    op.execute("UPDATE projections SET " + ", ".join(f"{name} = {fact.format(name=name)}" for name in COLUMNS))
    op.create_index("ix_projections_stockout_on", "projections", ["stockout_on"])


def downgrade():
    op.drop_index("ix_projections_stockout_on", table_name="projections")
    for name in reversed(COLUMNS):
        op.drop_column("projections", name)
