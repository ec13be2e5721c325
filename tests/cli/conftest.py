"""A sandbox and a home for the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.sandbox.server import SandboxServer
from tests.cli.command_line import CommandLine


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Empty systems without the set-up, an empty home; shared by the tests of a file."""
    folder = tmp_path_factory.mktemp("command-line")
    with SandboxServer(folder / "data") as sandbox:
        yield CommandLine(sandbox, folder / "home")
