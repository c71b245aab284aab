"""Work with CRMs: fields that were written back, channels of messages, records to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.create_table(
        "written_back",
        sa.Column("crm", sa.String(20), primary_key=True),
        sa.Column("deal_id", sa.String(100), primary_key=True),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("written_at", when, nullable=False),
    )
    op.create_table(
        "crm_channels",
        sa.Column("crm", sa.String(20), primary_key=True),
        sa.Column("channel_id", sa.String(40), primary_key=True),
        sa.Column("address", sa.String(2000), nullable=False),
        sa.Column("expires_at", when, nullable=False),
    )
    op.create_table(
        "crm_touched",
        sa.Column("crm", sa.String(20), primary_key=True),
        sa.Column("resource", sa.String(100), primary_key=True),
        sa.Column("record_id", sa.String(100), primary_key=True),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.Column("said_at", when, nullable=False),
        sa.Column("received_at", when, nullable=False),
    )
    op.create_table(
        "crm_messages",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("received_at", when, nullable=False),
    )


def downgrade() -> None:
    for name in ("crm_messages", "crm_touched", "crm_channels", "written_back"):
        op.drop_table(name)
