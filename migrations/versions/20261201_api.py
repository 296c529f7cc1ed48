"""Accounts of machines, their tokens, the requests of the API; and marks that make the order of movements gapless."""

import sqlalchemy as sa
from alembic import op

revision = "20261201_api"
down_revision = "20261201_audit_seals"
branch_labels = None
depends_on = None

KIND = "kind = 'person' OR (kind = 'service' AND password IS NULL AND NOT active)"

# Ids are taken before they can be seen, so a reader who goes by them would pass over those that are still to come.
# A writer leaves a mark before it takes any: the last id of its moment, held until what it wrote can be seen, or never
# will be. Once in a transaction, for an import of thousands of statements would fill the table of locks.
MARK = (
    """
    CREATE FUNCTION movements_marked() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        mark bigint;
    BEGIN
        IF coalesce(current_setting('blangko.movements_marked', true), '') = '' THEN
            SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END INTO mark FROM movements_id_seq;
            PERFORM pg_advisory_xact_lock_shared(1112296262, (mark % 2147483648)::integer);
            PERFORM set_config('blangko.movements_marked', '1', true);
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER movements_marked BEFORE INSERT ON movements
    FOR EACH STATEMENT EXECUTE FUNCTION movements_marked()
    """,
)


def upgrade():
    # In place on SQLite too: a batch would copy the table, and what refers to it would break.
    op.execute(
        "ALTER TABLE people ADD COLUMN kind VARCHAR(8) DEFAULT 'person' NOT NULL"
        f" CONSTRAINT ck_people_kind CHECK ({KIND})"
    )
    op.create_table(
        "service_accounts",
        sa.Column("person_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("office_id", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.String(length=400), nullable=False),
        sa.Column("purpose", sa.String(length=240), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("scopes <> ''", name=op.f("ck_service_accounts_scopes")),
        sa.CheckConstraint("closed_at IS NOT NULL OR closed_by_id IS NULL", name=op.f("ck_service_accounts_closed")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["people.id"], name=op.f("fk_service_accounts_closed_by_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_service_accounts_created_by_id")),
        sa.ForeignKeyConstraint(["office_id"], ["offices.id"], name=op.f("fk_service_accounts_office_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_service_accounts_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_service_accounts")),
        sa.UniqueConstraint("request_id", name=op.f("uq_service_accounts_request_id")),
    )
    op.create_index("ix_service_accounts_office_id", "service_accounts", ["office_id"])
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_from", sa.String(length=45), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by_id", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_api_tokens_expires_at")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_api_tokens_digest")),
        sa.CheckConstraint("revoked_at IS NOT NULL OR revoked_by_id IS NULL", name=op.f("ck_api_tokens_revoked")),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_api_tokens_created_by_id")),
        sa.ForeignKeyConstraint(["person_id"], ["service_accounts.person_id"], name=op.f("fk_api_tokens_person_id")),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["people.id"], name=op.f("fk_api_tokens_revoked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_tokens_digest")),
        sa.UniqueConstraint("request_id", name=op.f("uq_api_tokens_request_id")),
    )
    op.create_index("ix_api_tokens_person_id", "api_tokens", ["person_id"])
    op.create_table(
        "api_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('claimed', 'done')", name=op.f("ck_api_requests_state")),
        sa.CheckConstraint(
            "(state = 'done') = (status IS NOT NULL) AND (state = 'done') = (done_at IS NOT NULL)",
            name=op.f("ck_api_requests_done"),
        ),
        sa.CheckConstraint("status BETWEEN 200 AND 299", name=op.f("ck_api_requests_status")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_api_requests_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_requests")),
        sa.UniqueConstraint("person_id", "key", name=op.f("uq_api_requests_person_id_key")),
    )
    op.create_index("ix_api_requests_claimed_at", "api_requests", ["claimed_at"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in MARK:
            op.execute(statement)


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER movements_marked ON movements")
        op.execute("DROP FUNCTION movements_marked()")
    op.drop_table("api_requests")
    op.drop_table("api_tokens")
    op.drop_table("service_accounts")
    op.execute("ALTER TABLE people DROP COLUMN kind")
