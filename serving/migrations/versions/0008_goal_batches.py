"""What was done to goals in one go, so that it can be undone in one go."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    with op.batch_alter_table("goal_changes") as table:
        table.add_column(sa.Column("batch", sa.String(32)))
        table.create_index("ix_goal_changes_batch", ["batch"])


def downgrade() -> None:
    with op.batch_alter_table("goal_changes") as table:
        table.drop_index("ix_goal_changes_batch")
        table.drop_column("batch")
