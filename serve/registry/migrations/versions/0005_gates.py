"""What aliases ask for before they move, the reports that answer it, and moves in spite of them."""

import sqlalchemy as sa
from alembic import op

from serve.registry.tables import Utc

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("alias", sa.String, primary_key=True),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("by", sa.String),
        sa.Column("time", Utc, nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("report", sa.String, primary_key=True),
        sa.Column("suite", sa.String, nullable=False),
        sa.Column("finished", Utc, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("by", sa.String),
        sa.Column("time", Utc, nullable=False),
        sa.ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),
    )
    # Added in place: a table that is made anew would lose its triggers.
    op.add_column("alias_history", sa.Column("override", sa.String))
    op.add_column("alias_history", sa.Column("reports", sa.JSON, nullable=False, server_default="[]"))
