"""Who pushed and moved what, removed and pinned versions, keys, servers; immutability on every database."""

import sqlalchemy as sa
from alembic import op

from serve.registry.tables import Utc

revision, down_revision = "0002", "0001"

_IMMUTABLE = ("versions", "alias_history")


def upgrade() -> None:
    op.add_column("versions", sa.Column("size", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("versions", sa.Column("pushed_by", sa.String))
    op.add_column("versions", sa.Column("provenance", sa.JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("alias_history", table_kwargs={"sqlite_autoincrement": True}) as history:
        history.alter_column("number", existing_type=sa.Integer, nullable=True)
        history.add_column(sa.Column("by", sa.String))
    for name in ("tombstones", "pins"):
        op.create_table(
            name,
            sa.Column("adapter", sa.String, primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("by", sa.String),
            sa.Column("time", Utc, nullable=False),
            sa.ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),
        )
    op.create_table(
        "keys",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("hash", sa.String, nullable=False, unique=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("adapters", sa.JSON(none_as_null=True)),
        sa.Column("created", Utc, nullable=False),
        sa.Column("expires", Utc),
        sa.Column("revoked", Utc),
    )
    op.create_table(
        "servers",
        sa.Column("identity", sa.String, primary_key=True),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("loaded", sa.JSON, nullable=False),
        sa.Column("seen", Utc, nullable=False),
    )
    revision = op.create_table(
        "revision",
        sa.Column("identity", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(revision, [{"identity": 1, "number": 0}])
    (_sqlite if op.get_bind().dialect.name == "sqlite" else _postgresql)()


def _sqlite() -> None:
    for table in _IMMUTABLE:
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} are immutable'); END"
            )


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION enxerto_immutable() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% are immutable', TG_TABLE_NAME; END $$"
    )
    for table in _IMMUTABLE:
        op.execute(
            f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION enxerto_immutable()"
        )
