"""Who agreed to uses of figures on persons, who looked at them, what persons wrote to them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "purpose_records",
        sa.Column("record_id", sa.Integer, primary_key=True),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("agreed_by", sa.Text, nullable=False),
        sa.Column("agreed_on", sa.Date, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("recorded_by", sa.String(320), nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("withdrawn_at", moment),
        sa.Column("withdrawn_by", sa.String(320)),
        sa.Column("withdrawn_why", sa.Text),
    )
    op.create_index("ix_purpose_records_purpose", "purpose_records", ["purpose"])
    op.create_table(
        "person_views",
        sa.Column("view_id", sa.Integer, primary_key=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("person_key", sa.String(40), nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("what", sa.String(80), nullable=False),
    )
    op.create_index("ix_person_views_person", "person_views", ["person_key", "at"])
    op.create_index("ix_person_views_at", "person_views", ["at"])
    op.create_table(
        "person_requests",
        sa.Column("request_id", sa.Integer, primary_key=True),
        sa.Column("person_key", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("about", sa.String(80), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("answered_by", sa.String(320)),
        sa.Column("answered_at", moment),
    )
    op.create_index("ix_person_requests_person", "person_requests", ["person_key"])
    op.create_index("ix_person_requests_state", "person_requests", ["state"])


def downgrade() -> None:
    for table in ("person_requests", "person_views", "purpose_records"):
        op.drop_table(table)
