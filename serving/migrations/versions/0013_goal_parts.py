"""Parts of a goal that was split anew within its period."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.batch_alter_table("goals") as table:
        table.add_column(sa.Column("parts", sa.JSON))


def downgrade() -> None:
    with op.batch_alter_table("goals") as table:
        table.drop_column("parts")
