"""Which suggestions were shown, and which were held back by chance."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "hold_back",
        sa.Column("hold_back_id", sa.Integer, primary_key=True),
        sa.Column("deal_id", sa.Text, nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("held_back", sa.Boolean, nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("forecast", sa.Float, nullable=False),
        sa.Column("owner_id", sa.Text),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("deal_id", "action"),
    )


def downgrade() -> None:
    op.drop_table("hold_back")
