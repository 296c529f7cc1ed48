"""Messages about alerts: channels, messages, the changes that they tell, and what waits to be told or passed on."""

import sqlalchemy as sa
from alembic import op

revision = "20261126_notices"
down_revision = "20261125_cases"
branch_labels = None
depends_on = None

LEVELS = "'ok', 'unknown', 'watch', 'low', 'critical', 'out'"
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Changes of a level; of what people do, only what brings an alert back.
TOLD = "NEW.kind IN ('level', 'reopened', 'woken')"
POSTGRESQL = (
    """
    CREATE FUNCTION alert_events_are_told() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO notices_to_fan_out (alert_event_id) VALUES (NEW.id);
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER alert_events_told AFTER INSERT ON alert_events FOR EACH ROW"
    f" WHEN ({TOLD}) EXECUTE FUNCTION alert_events_are_told()",
)
SQLITE = (
    f"CREATE TRIGGER alert_events_told AFTER INSERT ON alert_events WHEN {TOLD} BEGIN"
    " INSERT INTO notices_to_fan_out (alert_event_id) VALUES (NEW.id); END",
)


def upgrade():
    _channels()
    _messages()
    op.create_table(
        "notices_to_fan_out",
        sa.Column("alert_event_id", BIG_ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_event_id"], ["alert_events.id"], name=op.f("fk_notices_to_fan_out_alert_event_id")
        ),
        sa.PrimaryKeyConstraint("alert_event_id", name=op.f("pk_notices_to_fan_out")),
    )
    op.create_table(
        "escalations",
        sa.Column("alert_event_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_event_id"], ["alert_events.id"], name=op.f("fk_escalations_alert_event_id")),
        sa.PrimaryKeyConstraint("alert_event_id", name=op.f("pk_escalations")),
    )
    op.create_index(
        op.f("ix_escalations_due_at"),
        "escalations",
        ["due_at"],
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def _channels():
    op.create_table(
        "notice_channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("target", sa.String(500), nullable=False),
        sa.Column("secret", sa.String(64), nullable=True),
        sa.Column("least_level", sa.String(16), nullable=False),
        sa.Column("without", sa.JSON(), nullable=False),
        sa.Column("below", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("time_zone", sa.String(40), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unsubscribed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('email', 'telegram', 'webhook', 'other')", name=op.f("ck_notice_channels_kind")),
        sa.CheckConstraint(
            f"least_level IN ({LEVELS}) AND least_level <> 'ok'", name=op.f("ck_notice_channels_least_level")
        ),
        sa.CheckConstraint("target <> ''", name=op.f("ck_notice_channels_target")),
        sa.CheckConstraint("(kind = 'webhook') = (secret IS NOT NULL)", name=op.f("ck_notice_channels_secret")),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name=op.f("ck_notice_channels_quiet")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_notice_channels_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_channels")),
        sa.UniqueConstraint("person_id", "kind", "target", name=op.f("uq_notice_channels_person_id_kind_target")),
    )


def _messages():
    op.create_table(
        "messages",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("region_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("status", sa.String(8), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(300), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('change', 'escalation', 'test')", name=op.f("ck_messages_kind")),
        sa.CheckConstraint(
            "status IN ('waiting', 'sending', 'sent', 'dead', 'dropped')", name=op.f("ck_messages_status")
        ),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_messages_sent")),
        sa.CheckConstraint("(status = 'sending') = (claimed_at IS NOT NULL)", name=op.f("ck_messages_claimed")),
        sa.CheckConstraint("(kind = 'test') = (region_id IS NULL)", name=op.f("ck_messages_region")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_messages_attempts")),
        sa.ForeignKeyConstraint(["channel_id"], ["notice_channels.id"], name=op.f("fk_messages_channel_id")),
        sa.ForeignKeyConstraint(["region_id"], ["offices.id"], name=op.f("fk_messages_region_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
    )
    op.create_index(op.f("ix_messages_status_next_try_at"), "messages", ["status", "next_try_at"])
    op.create_index(op.f("ix_messages_channel_id_status"), "messages", ["channel_id", "status"])
    op.create_table(
        "message_changes",
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("alert_event_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("message_id", BIG_ID, nullable=False),
        sa.CheckConstraint("kind IN ('change', 'escalation')", name=op.f("ck_message_changes_kind")),
        sa.ForeignKeyConstraint(["channel_id"], ["notice_channels.id"], name=op.f("fk_message_changes_channel_id")),
        sa.ForeignKeyConstraint(
            ["alert_event_id"], ["alert_events.id"], name=op.f("fk_message_changes_alert_event_id")
        ),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_message_changes_message_id")),
        sa.PrimaryKeyConstraint("channel_id", "alert_event_id", "kind", name=op.f("pk_message_changes")),
    )
    op.create_index(op.f("ix_message_changes_message_id"), "message_changes", ["message_id"])


def downgrade():
    op.execute(
        "DROP TRIGGER alert_events_told ON alert_events"
        if op.get_bind().dialect.name == "postgresql"
        else "DROP TRIGGER alert_events_told"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION alert_events_are_told()")
    for table in ("escalations", "notices_to_fan_out", "message_changes", "messages", "notice_channels"):
        op.drop_table(table)
