"""A second version that an alias sends some of the requests to."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    _extend("aliases")
    _extend("alias_history", sqlite_autoincrement=True)
    if op.get_bind().dialect.name == "sqlite":
        # The table was made anew, without the triggers of the old one.
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER IF NOT EXISTS alias_history_no_{verb} BEFORE {verb} ON alias_history "
                "BEGIN SELECT RAISE(ABORT, 'alias_history are immutable'); END"
            )


def _extend(table: str, **options: bool) -> None:
    with op.batch_alter_table(table, table_kwargs=options) as batch:
        batch.add_column(sa.Column("canary", sa.Integer))
        batch.add_column(sa.Column("weight", sa.Integer))
        batch.create_foreign_key(f"{table}_canary", "versions", ["adapter", "canary"], ["adapter", "number"])
