"""A migrated store to copy: most tests here want one of their own."""

from tests.state.conftest import migrated_sqlite

__all__ = ["migrated_sqlite"]
