"""leadsync.yaml, replaced whole or not at all, and only when it is still the file that somebody looked at."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from include.leadsync.console.map_proposal import digest
from include.leadsync.errors import LeadSyncError
from include.leadsync.state.placement import ONE_HOST


class FileChanged(LeadSyncError):
    """Somebody else has saved meanwhile; `now` is the digest of the file as it is."""

    def __init__(self, was: str, now: str) -> None:
        self.was, self.now = was, now
        super().__init__(f"the file was changed meanwhile ({was} → {now}); nothing was saved")

    def __reduce__(self) -> tuple[type[FileChanged], tuple[str, str]]:
        return type(self), (self.was, self.now)


class NotWritable(LeadSyncError):
    """The file cannot be written from here: `reason` is "several_places" or "read_only"."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the configuration file cannot be written from here: {reason}")


def obstacle(path: Path, executor: str, *, shared: bool) -> str | None:
    """Why the file cannot be saved from here; None when it can.

    "several_places": tasks run on other hosts or in other containers (`executor`, as `[core] executor` names it), so
    that this copy need not be theirs, unless it is `shared`. "read_only": no right to write, a read-only disk, or a
    file that is baked into an image.
    """
    names = [name.strip().rpartition(".")[2].rpartition(":")[2].lower() for name in executor.split(",")]
    if not shared and any(name not in ONE_HOST for name in names):
        return "several_places"
    real = Path(os.path.realpath(path))
    return None if os.access(real, os.W_OK) and os.access(real.parent, os.W_OK) else "read_only"


def save(path: Path, was: str, body: bytes) -> None:
    """Put `body` in the place of the file whose digest is `was`; who reads meanwhile sees the old file or the new one.

    Raises `FileChanged` and leaves it alone when it is another file by now, and `NotWritable`.
    """
    real = Path(os.path.realpath(path))
    try:
        with _alone(real.parent):
            now = digest(real.read_bytes())
            if now != was:
                raise FileChanged(was, now)
            _replace(real, body)
    except OSError as error:
        raise NotWritable("read_only") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes of the API server must not both find the file unchanged."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _replace(real: Path, body: bytes) -> None:
    before = real.stat()
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(body)
            stream.flush()
            os.fchmod(stream.fileno(), before.st_mode & 0o7777)
            with suppress(OSError):  # only root may give a file away
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fsync(stream.fileno())
        Path(name).replace(real)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(real.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
