"""Tries to log in, known devices, sessions, and accounts at providers of single sign-on."""

import sqlalchemy as sa
from alembic import op

revision = "20261201_entry"
down_revision = "20261201_second_persons"
branch_labels = None
depends_on = None

ENDS = "'logged_out', 'renewed', 'ended', 'shut_out', 'ended_by_administrator', 'credentials_changed', 'expired'"


def upgrade():
    op.create_table(
        "log_in_tries",
        sa.Column("counter", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("counter IN ('account', 'address')", name=op.f("ck_log_in_tries_counter")),
        sa.CheckConstraint("length(key) = 64", name=op.f("ck_log_in_tries_key")),
        sa.CheckConstraint("tries >= 0", name=op.f("ck_log_in_tries_tries")),
        sa.PrimaryKeyConstraint("counter", "key", name=op.f("pk_log_in_tries")),
    )
    op.create_index("ix_log_in_tries_last_at", "log_in_tries", ["last_at"])
    op.create_table(
        "log_in_tried_from",
        sa.Column("account_key", sa.String(length=64), nullable=False),
        sa.Column("address_key", sa.String(length=64), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(account_key) = 64 AND length(address_key) = 64", name=op.f("ck_log_in_tried_from_keys")
        ),
        sa.PrimaryKeyConstraint("account_key", "address_key", name=op.f("pk_log_in_tried_from")),
    )
    op.create_index("ix_log_in_tried_from_last_at", "log_in_tried_from", ["last_at"])
    op.create_table(
        "known_devices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wrong", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_known_devices_digest")),
        sa.CheckConstraint("wrong BETWEEN 0 AND 5", name=op.f("ck_known_devices_wrong")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_known_devices_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_devices")),
        sa.UniqueConstraint("person_id", "digest", name=op.f("uq_known_devices_person_id_digest")),
    )
    op.create_index("ix_known_devices_digest", "known_devices", ["digest"])
    op.create_index("ix_known_devices_used_at", "known_devices", ["used_at"])
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=45), server_default="", nullable=False),
        sa.Column("device", sa.String(length=60), server_default="", nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=24), nullable=True),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_login_sessions_digest")),
        sa.CheckConstraint("started_at <= last_seen_at", name=op.f("ck_login_sessions_order")),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name=op.f("ck_login_sessions_ended")),
        sa.CheckConstraint(f"end_reason IS NULL OR end_reason IN ({ENDS})", name=op.f("ck_login_sessions_end_reason")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_login_sessions_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_login_sessions_digest")),
    )
    op.create_index("ix_login_sessions_person_id_ended_at", "login_sessions", ["person_id", "ended_at"])
    op.create_index("ix_login_sessions_last_seen_at", "login_sessions", ["last_seen_at"])
    op.create_table(
        "sign_on_identities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("issuer <> '' AND subject <> ''", name=op.f("ck_sign_on_identities_named")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sign_on_identities_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_on_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_sign_on_identities_issuer_subject")),
        sa.UniqueConstraint("person_id", "issuer", name=op.f("uq_sign_on_identities_person_id_issuer")),
    )


def downgrade():
    for table in ("sign_on_identities", "login_sessions", "known_devices", "log_in_tried_from", "log_in_tries"):
        op.drop_table(table)
