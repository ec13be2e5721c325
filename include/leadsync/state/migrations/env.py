"""Runs the revisions on the connection that `state.migrate` put into the configuration."""

from alembic import context

from include.leadsync.state.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
