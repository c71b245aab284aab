"""Review meetings: series, invitations, meetings, decisions, actions."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "review_series",
        sa.Column("series_id", sa.Integer, primary_key=True),
        sa.Column("rhythm", sa.String(20), nullable=False),
        sa.Column("team_id", sa.Text, nullable=False),
        sa.Column("weekday", sa.Integer, nullable=False),
        sa.Column("begins", sa.String(5), nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
    )
    op.create_table(
        "review_invitations",
        sa.Column("invitation_id", sa.Integer, primary_key=True),
        _of("series_id", "review_series"),
        sa.Column("email", sa.String(320), nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.Integer, primary_key=True),
        _of("series_id", "review_series"),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("since", sa.Date, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("data_cut", sa.Integer, nullable=False),
        sa.Column("forecast", sa.JSON),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("minutes", sa.Text, nullable=False),
        sa.Column("sent_at", _MOMENT),
        sa.UniqueConstraint("series_id", "day"),
    )
    op.create_table(
        "review_decisions",
        sa.Column("decision_id", sa.Integer, primary_key=True),
        _of("review_id", "reviews"),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("forecast", sa.JSON),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("made_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "review_actions",
        sa.Column("action_id", sa.Integer, primary_key=True),
        _of("series_id", "review_series"),
        _of("review_id", "reviews"),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("rep_id", sa.Text, nullable=False),
        sa.Column("due", sa.Date, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id", ondelete="SET NULL")),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("closed_on", sa.Date),
    )


def downgrade() -> None:
    for name in ("review_actions", "review_decisions", "reviews", "review_invitations", "review_series"):
        op.drop_table(name)


def _of(column: str, table: str) -> "sa.Column[int]":
    return sa.Column(column, sa.Integer, sa.ForeignKey(f"{table}.{column}", ondelete="CASCADE"), nullable=False)
