"""Goals set here with their history and outbox; answers kept for repeated writes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "goals",
        sa.Column("goal_number", sa.Integer, primary_key=True),
        sa.Column("owner_kind", sa.String(20), nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("metric", sa.String(40), nullable=False),
        sa.Column("product_id", sa.Text),
        sa.Column("product_family", sa.Text),
        sa.Column("segment", sa.Text),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("target", sa.Float, nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("parent_goal_id", sa.Text),
        sa.Column("hides", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_goals_owner", "goals", ["owner_kind", "owner_id"])
    op.create_table(
        "goal_changes",
        sa.Column("change_id", sa.Integer, primary_key=True),
        sa.Column("goal_number", sa.Integer, sa.ForeignKey("goals.goal_number", ondelete="CASCADE"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.UniqueConstraint("goal_number", "version"),
    )
    op.create_table(
        "goal_outbox",
        sa.Column("outbox_id", sa.Integer, primary_key=True),
        sa.Column("row", sa.JSON, nullable=False),
    )
    op.create_table(
        "kept_answers",
        sa.Column("user_key", sa.String(40), primary_key=True),
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("worker", sa.String(40), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_kept_answers_ends_at", "kept_answers", ["ends_at"])


def downgrade() -> None:
    for table in ("kept_answers", "goal_outbox", "goal_changes", "goals"):
        op.drop_table(table)
