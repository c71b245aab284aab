"""Answers are given on plays for accounts too, not on next steps for deals alone."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("feedback") as table:
        table.alter_column("deal_id", new_column_name="entity_id")
        table.add_column(sa.Column("entity", sa.String(10), nullable=False, server_default="deal"))


def downgrade() -> None:
    # What was said of accounts has no place in a table of deals.
    op.execute("delete from feedback where entity <> 'deal'")
    with op.batch_alter_table("feedback") as table:
        table.drop_column("entity")
        table.alter_column("entity_id", new_column_name="deal_id")
