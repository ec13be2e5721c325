"""One Great Expectations context per test process, and a way to start afresh."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.leadsync.validate import session


@pytest.fixture
def fresh_session() -> Iterator[None]:
    """No suite made before this test is used in it, and none of its suites after it."""
    session._session = None
    yield
    session._session = None
