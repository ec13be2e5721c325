"""The sandbox's data folder: one owner at a time, small JSON notes, snapshots of everything in it."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

from include.sandbox.service import Json

_LOCK = "sandbox.lock"
_SNAPSHOTS = "snapshots"
# A snapshot on its way back: being copied, whole while the old content goes, and being moved to its place.
_COPYING, _WHOLE, _MOVING = ".restore-copying", ".restore-whole", ".restore-moving"
_NEVER_COPIED = frozenset({_LOCK, _SNAPSHOTS, _COPYING, _WHOLE, _MOVING})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SQLITE_MAGIC = b"SQLite format 3\0"
_JOURNALS = ("-wal", "-shm", "-journal")


class FolderInUse(RuntimeError):
    """Another sandbox works in this folder."""


class DataFolder:
    """A folder that belongs to one running sandbox."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Create the folder and claim it; raises `FolderInUse`. The claim dies with the process.

        What a killed process had begun with snapshots is finished, or taken back.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / _LOCK).open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            message = f"another sandbox uses {self.path}: stop it or choose another --data-dir"
            raise FolderInUse(message) from error
        self._lock = lock
        self._settle_snapshots()
        self._settle_restore()

    def give_back(self) -> None:
        """Let another sandbox have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def note(self, name: str) -> Json:
        """A note by name, or null."""
        path = self.path / f"{name}.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def write_note(self, name: str, content: Json) -> None:
        """Write a note so that a crash leaves the old or the new one."""
        temporary = self.path / f"{name}.json.new"
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        temporary.replace(self.path / f"{name}.json")

    def empty(self) -> None:
        """Remove everything but the lock and the snapshots."""
        for path in self._content():
            _remove(path)

    def save(self, name: str) -> int:
        """Copy the content into snapshot `name`, while it may be written to; returns bytes copied."""
        target = self._snapshot(name)
        building, old = (target.with_name(f".{target.name}.{state}") for state in ("new", "old"))
        _remove(building)
        building.mkdir(parents=True)
        copied = sum(_copy(path, building / path.name) for path in self._content())
        if target.exists():
            target.rename(old)
        building.rename(target)
        _remove(old)
        return copied

    def restore(self, name: str) -> None:
        """Replace the content by a snapshot; nobody may have its files open. Raises `LookupError`.

        A crash leaves what there was, or what `take` makes the snapshot of: never a mixture.
        """
        source = self.check(name)
        copying = self.path / _COPYING
        _remove(copying)
        _copy(source, copying)
        copying.rename(self.path / _WHOLE)
        self._settle_restore()

    def _settle_restore(self) -> None:
        """Go on with a restore from wherever it stands; each step can be done again."""
        whole, moving = self.path / _WHOLE, self.path / _MOVING
        if whole.exists():
            self.empty()
            whole.rename(moving)
        if moving.exists():
            for path in sorted(moving.iterdir()):
                path.rename(self.path / path.name)
            moving.rmdir()
        _remove(self.path / _COPYING)

    def _settle_snapshots(self) -> None:
        for path in (self.path / _SNAPSHOTS).glob(".*"):
            name, _, state = path.name.removeprefix(".").rpartition(".")
            if state == "old" and not path.with_name(name).exists():
                path.rename(path.with_name(name))
            else:
                _remove(path)

    def check(self, name: str) -> Path:
        """Where snapshot `name` is; raises `LookupError` when there is none."""
        source = self._snapshot(name)
        if not source.is_dir():
            message = f"no snapshot {name!r}; there are: {', '.join(self.snapshots()) or 'none'}"
            raise LookupError(message)
        return source

    def snapshots(self) -> list[str]:
        """Names of the snapshots."""
        folder = self.path / _SNAPSHOTS
        return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []

    def _snapshot(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            message = f"a snapshot's name is letters, digits, '-' and '_', not {name!r}"
            raise ValueError(message)
        return self.path / _SNAPSHOTS / name

    def _content(self) -> list[Path]:
        return sorted(path for path in self.path.iterdir() if path.name not in _NEVER_COPIED)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> int:
    if source.is_dir():
        target.mkdir(exist_ok=True)
        return sum(_copy(path, target / path.name) for path in sorted(source.iterdir()))
    if source.name.endswith(_JOURNALS):
        return 0  # their content comes along with the database
    with source.open("rb") as file:
        is_database = file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    if is_database:
        with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
            origin.backup(copy)
    else:
        shutil.copyfile(source, target)
    return target.stat().st_size
