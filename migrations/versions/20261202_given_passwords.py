"""Passwords that somebody else gave, and tries at second factors that are counted apart."""

import sqlalchemy as sa
from alembic import op

revision = "20261202_given_passwords"
down_revision = "20261202_api_answers"
branch_labels = None
depends_on = None

BEFORE = ("code", "passphrase")
KINDS = ("code", "known_device", "confirm", "passphrase", "recovery")
CHECK = "ck_factor_tries_kind"


def upgrade():
    op.add_column(
        "people", sa.Column("password_given", sa.Boolean(name=None), server_default=sa.false(), nullable=False)
    )
    _count(KINDS)


def downgrade():
    _count(BEFORE)
    op.drop_column("people", "password_given")


def _count(kinds):
    """What was tried before is forgotten: it counts for an hour at most, and its kinds are others."""
    op.execute("DELETE FROM factor_tries")
    allowed = "kind IN ({})".format(", ".join(f"'{kind}'" for kind in kinds))
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f(CHECK), "factor_tries", type_="check")
        op.create_check_constraint(op.f(CHECK), "factor_tries", allowed)
        return
    op.drop_table("factor_tries")
    op.create_table(
        "factor_tries",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("refused_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(allowed, name=op.f(CHECK)),
        sa.CheckConstraint("wrong >= 1", name=op.f("ck_factor_tries_wrong")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_factor_tries_person_id")),
        sa.PrimaryKeyConstraint("person_id", "kind", name=op.f("pk_factor_tries")),
    )
