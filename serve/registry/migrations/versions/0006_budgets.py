"""What keys share and may use, what they have used of it, and by which adapter."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.add_column("keys", sa.Column("group", sa.String))
    for name in ("requests_per_minute", "tokens_per_minute", "tokens_per_day"):
        op.add_column("keys", sa.Column(name, sa.BigInteger))
    op.create_table(
        "budgets",
        sa.Column("key", sa.String, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("minute", "requests", "minute_tokens", "day", "day_tokens")
        ),
    )
    op.create_table(
        "usage",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("adapter", sa.String, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("requests", "prompt_tokens", "completion_tokens")
        ),
    )
