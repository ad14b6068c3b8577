"""Adapters, versions, aliases and their history: what 0.1 made without a version number."""

import sqlalchemy as sa
from alembic import op

from serve.registry.tables import Utc

revision, down_revision = "0001", None


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("adapters"):
        return  # made before there were migrations
    op.create_table(
        "adapters", sa.Column("name", sa.String, primary_key=True), sa.Column("created", Utc, nullable=False)
    )
    op.create_table(
        "versions",
        sa.Column("adapter", sa.String, sa.ForeignKey("adapters.name"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("base_fingerprint", sa.String, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
        sa.Column("created", Utc, nullable=False),
        sa.UniqueConstraint("adapter", "digest"),
    )
    version = ["versions.adapter", "versions.number"]
    op.create_table(
        "aliases",
        sa.Column("adapter", sa.String, primary_key=True),
        sa.Column("alias", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["adapter", "number"], version),
    )
    op.create_table(
        "alias_history",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("adapter", sa.String, nullable=False, index=True),
        sa.Column("alias", sa.String, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("time", Utc, nullable=False),
        sa.ForeignKeyConstraint(["adapter", "number"], version),
        sqlite_autoincrement=True,
    )
