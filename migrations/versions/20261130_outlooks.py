"""How each stock stands becomes columns, so that pages put thousands of offices in order; and what subtrees held."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_outlooks"
down_revision = "20261130_boards"
branch_labels = None
depends_on = None

TYPES = {
    "per_day": sa.Double(),
    "cover_days": sa.Double(),
    "reorder_point": sa.BigInteger(),
    "to_come": sa.BigInteger(),
    "next_due_on": sa.Date(),
}
# In the order in which the index has them after the days of the stock-out.
INDEXED = (
    *("item_id", "office_id", "level", "stockout_on", "stockout_early_on", "stockout_late_on"),
    *TYPES,
    "made_at",
)
FACTS = {
    "postgresql": {
        "per_day": "CAST(facts ->> 'level_per_day' AS double precision)",
        "cover_days": "CAST(facts ->> 'cover_days' AS double precision)",
        "reorder_point": "CAST(facts ->> 'reorder_point' AS bigint)",
        "to_come": "CAST(facts ->> 'inbound' AS bigint)",
        "next_due_on": "(SELECT min(CAST(due ->> 0 AS date)) FROM json_array_elements("
        "CASE WHEN json_typeof(facts -> 'due') = 'array' THEN facts -> 'due' ELSE '[]' END) AS due)",
    },
    "sqlite": {
        "per_day": "json_extract(facts, '$.level_per_day')",
        "cover_days": "json_extract(facts, '$.cover_days')",
        "reorder_point": "json_extract(facts, '$.reorder_point')",
        "to_come": "json_extract(facts, '$.inbound')",
        "next_due_on": "(SELECT min(json_extract(due.value, '$[0]')) FROM json_each(facts, '$.due') AS due)",
    },
}


def upgrade():
    for name, kind in TYPES.items():
        op.add_column("projections", sa.Column(name, kind, nullable=True))
    facts = FACTS[op.get_bind().dialect.name]
    op.execute("UPDATE projections SET " + ", ".join(f"{name} = {fact}" for name, fact in facts.items()))
    op.create_index("ix_projections_outlooks", "projections", INDEXED)
    op.create_table(
        "subtree_trends",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("stores", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_subtree_trends_item_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_subtree_trends_office_id")),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_subtree_trends")),
    )


def downgrade():
    op.drop_table("subtree_trends")
    op.drop_index("ix_projections_outlooks", table_name="projections")
    for name in reversed(TYPES):
        op.drop_column("projections", name)
