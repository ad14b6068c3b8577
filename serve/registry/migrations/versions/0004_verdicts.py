"""What came of adapters' parity probes."""

import sqlalchemy as sa
from alembic import op

from serve.registry.tables import Utc

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.create_table(
        "verdicts",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("engine", sa.String, primary_key=True),
        sa.Column("why", sa.String),
        sa.Column("found", sa.JSON, nullable=False),
        sa.Column("time", Utc, nullable=False),
    )
