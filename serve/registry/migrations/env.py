"""Alembic's entry: the connection is `Database`'s own, with its transaction."""

from alembic import context

from serve.registry.tables import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
context.run_migrations()
