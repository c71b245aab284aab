"""Jobs with their events, leases on what only one process may write; the first build's steps by a name of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.rename_table("jobs", "build_steps")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter index jobs_pkey rename to build_steps_pkey")  # the new table needs the name
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("asked_by", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("asked_how", sa.String(40), nullable=False),
        sa.Column("once", sa.String(80), unique=True),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("cancel_at", moment),
        sa.Column("done", sa.Float, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(120)),
        sa.Column("beat_at", moment),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_table(
        "job_events",
        sa.Column("event_id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("done", sa.Float, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_job_events_job_id", "job_events", ["job_id", "event_id"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("holder", sa.String(120), nullable=False),
        sa.Column("until", moment, nullable=False),
    )


def downgrade() -> None:
    for table in ("leases", "job_events", "jobs"):
        op.drop_table(table)
    op.rename_table("build_steps", "jobs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter index build_steps_pkey rename to jobs_pkey")
