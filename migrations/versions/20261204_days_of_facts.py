"""The day that an alert's facts name stands beside them, so that a country's list is put in order without reading them.

The database works it out itself, whoever writes the facts: the release before, too, which knows nothing of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261204_days_of_facts"
down_revision = "20261203_ranges_at_once"
branch_labels = None
depends_on = None

DAY = {
    "postgresql": "COALESCE((facts ->> 'stockout_on'::text), (facts ->> 'since'::text))",
    "sqlite": "coalesce(json_extract(facts, '$.stockout_on'), json_extract(facts, '$.since'))",
}


def upgrade():
    dialect = op.get_bind().dialect.name
    # SQLite adds none that is kept to a table that is there: it works the day out when it is asked for.
    day = sa.Computed(DAY[dialect], persisted=dialect == "postgresql")
    op.add_column("alerts", sa.Column("facts_day", sa.Text(), day, nullable=True))


def downgrade():
    op.drop_column("alerts", "facts_day")
