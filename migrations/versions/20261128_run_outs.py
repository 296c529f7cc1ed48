"""The days on which a projection expects its stock to run out are columns: pages count offices by them."""

import sqlalchemy as sa
from alembic import op

revision = "20261128_run_outs"
down_revision = "20261127_heartbeats"
branch_labels = None
depends_on = None

COLUMNS = ("stockout_on", "stockout_early_on", "stockout_late_on")
FACT = {"postgresql": "CAST(facts ->> '{name}' AS date)", "sqlite": "json_extract(facts, '$.{name}')"}


def upgrade():
    for name in COLUMNS:
        op.add_column("projections", sa.Column(name, sa.Date(), nullable=True))
    fact = FACT[op.get_bind().dialect.name]
    op.execute("UPDATE projections SET " + ", ".join(f"{name} = {fact.format(name=name)}" for name in COLUMNS))
    # Rows are long for their facts: counting offices reads the index alone.
    op.create_index(
        "ix_projections_run_outs", "projections", ["stockout_on", "office_id", "item_id", "level", *COLUMNS[1:]]
    )


def downgrade():
    op.drop_index("ix_projections_run_outs", table_name="projections")
    for name in reversed(COLUMNS):
        op.drop_column("projections", name)
