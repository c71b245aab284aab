"""The risk register and contingency plans."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def moment(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "risks",
        sa.Column("risk_id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject_kind", sa.String(20), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("owner_id", sa.Text),
        sa.Column("owner_set", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("accepted_until", sa.Date),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("likelihood", sa.Float),
        sa.Column("money", sa.Float),
        sa.Column("exposed", sa.Float),
        sa.Column("expected_loss", sa.Float),
        sa.Column("rest", sa.Float, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        moment("opened_at"),
        moment("seen_at"),
        sa.Column("false_weeks", sa.Integer, nullable=False),
        moment("false_at", nullable=True),
        sa.Column("low_runs", sa.Integer, nullable=False),
        moment("closed_at", nullable=True),
        sa.UniqueConstraint("kind", "subject_kind", "subject_id"),
    )
    op.create_index("ix_risks_state", "risks", ["state"])
    op.create_table(
        "risk_changes",
        sa.Column("change_id", sa.Integer, primary_key=True),
        sa.Column("risk_id", sa.Integer, sa.ForeignKey("risks.risk_id", ondelete="CASCADE"), nullable=False),
        moment("at"),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("what", sa.String(20), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.Column("undone", sa.Boolean, nullable=False),
    )
    op.create_index("ix_risk_changes_risk", "risk_changes", ["risk_id"])
    op.create_table(
        "contingency_plans",
        sa.Column("plan_id", sa.Integer, primary_key=True),
        sa.Column("template", sa.String(20), nullable=False),
        sa.Column("subject_kind", sa.String(20), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("risk_id", sa.Integer, sa.ForeignKey("risks.risk_id", ondelete="SET NULL")),
        sa.Column("state", sa.String(20), nullable=False),
        moment("started_at"),
        moment("closed_at", nullable=True),
        sa.Column("trigger", sa.JSON, nullable=False),
        sa.Column("filled", sa.JSON, nullable=False),
        moment("filled_at"),
        sa.Column("false_weeks", sa.Integer, nullable=False),
        moment("false_at", nullable=True),
    )
    op.create_index("ix_contingency_subject", "contingency_plans", ["template", "subject_id"])
    op.create_table(
        "contingency_steps",
        sa.Column("step_id", sa.Integer, primary_key=True),
        sa.Column(
            "plan_id", sa.Integer, sa.ForeignKey("contingency_plans.plan_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("owner_id", sa.Text),
        sa.Column("due", sa.Date, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        moment("changed_at"),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
    )
    op.create_index("ix_contingency_steps_plan", "contingency_steps", ["plan_id"])


def downgrade() -> None:
    for name in ("contingency_steps", "contingency_plans", "risk_changes", "risks"):
        op.drop_table(name)
