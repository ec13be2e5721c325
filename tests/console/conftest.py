"""A world for the few rules that need the engine itself."""

from tests.engine.conftest import world

__all__ = ["world"]
