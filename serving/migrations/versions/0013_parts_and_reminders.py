"""Parts of a goal that was split anew within its period; reminders that were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.batch_alter_table("goals") as table:
        table.add_column(sa.Column("parts", sa.JSON))
    op.create_table(
        "reminders",
        sa.Column("key", sa.String(300), primary_key=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("reminders")
    with op.batch_alter_table("goals") as table:
        table.drop_column("parts")
