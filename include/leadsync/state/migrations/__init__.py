"""Alembic's folder: `env` runs on the connection that `state.migrate` hands over."""
