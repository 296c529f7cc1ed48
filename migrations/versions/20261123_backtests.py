"""Runs of the backtest, and the latest scores of each stock."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_backtests"
down_revision = "20261123_plans"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "backtests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_run_id", sa.Integer(), nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("stocks", sa.Integer(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.CheckConstraint("stocks >= 0 AND windows >= stocks", name=op.f("ck_backtests_counts")),
        sa.ForeignKeyConstraint(["job_run_id"], ["job_runs.id"], name=op.f("fk_backtests_job_run_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_backtests_office_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtests")),
        sa.UniqueConstraint("job_run_id", name=op.f("uq_backtests_job_run_id")),
    )
    op.create_table(
        "backtest_scores",
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("backtest_id", sa.Integer(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("demand", sa.Double(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=False),
        sa.Column("average_loss", sa.Double(), nullable=False),
        sa.Column("worse", sa.Boolean(), nullable=False),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.Column("past", sa.JSON(), nullable=False),
        sa.CheckConstraint("windows >= 1", name=op.f("ck_backtest_scores_windows")),
        sa.CheckConstraint("demand >= 0 AND loss >= 0 AND average_loss >= 0", name=op.f("ck_backtest_scores_signs")),
        sa.CheckConstraint(
            "NOT worse OR (windows >= 6 AND loss > average_loss)", name=op.f("ck_backtest_scores_worse")
        ),
        sa.ForeignKeyConstraint(["backtest_id"], ["backtests.id"], name=op.f("fk_backtest_scores_backtest_id")),
        sa.ForeignKeyConstraint(
            ["office_id", "item_id"],
            ["balances.office_id", "balances.item_id"],
            name=op.f("fk_backtest_scores_office_id_item_id"),
        ),
        sa.PrimaryKeyConstraint("office_id", "item_id", name=op.f("pk_backtest_scores")),
    )
    op.create_index(op.f("ix_backtest_scores_backtest_id"), "backtest_scores", ["backtest_id"])


def downgrade():
    op.drop_index(op.f("ix_backtest_scores_backtest_id"), table_name="backtest_scores")
    op.drop_table("backtest_scores")
    op.drop_table("backtests")
