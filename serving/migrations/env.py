"""How Alembic brings a store up to date: on the connection it is given."""

from alembic import context

import serving.tables  # noqa: F401 (every table makes itself known)
from serving.tables.base import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
