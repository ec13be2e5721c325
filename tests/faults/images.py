"""What a process that is killed leaves on disk, for every moment of a run at which it may be killed.

While one run goes on undisturbed, the files are copied after every answer of a service and before every commit: what
was committed is in the copy, what was not is not, as after SIGKILL. Moments that leave the same behind are one image.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import sqlalchemy as sa

from tests.world import World

_DATABASES = ("state.db", "systems/marketo.sqlite", "systems/dynamics.sqlite")
_NOT_TELLING = frozenset(
    {"run", "lease", "counter", "budget", "budget_use", "budget_slot", "token", "client", "usage", "usage_error"}
)
"""Tables that differ from moment to moment and decide nothing of what happens next, once leases have run out."""


class Images:
    """Copies of a world's files below `folder`, in the order of the moments.

    `moments`: how many there were; `answers`: how many of them came with an answer, the others with a commit.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self._looked_at: dict[str, tuple[Mapping[str, bytes], str]] = {}
        self.moments = self.answers = 0
        self.taken: list[Path] = []

    @contextmanager
    def taken_of(self, world: World) -> Iterator[None]:
        """While the block runs, every moment is looked at."""

        def answered(_: object, response: object) -> object:
            self.answers += 1
            self._take(world)
            return response

        def before_commit(_: object) -> None:
            self._take(world)

        engine = world.engine.store.engine
        world.transport.after.append(answered)  # type: ignore[arg-type]
        sa.event.listen(engine, "commit", before_commit)
        try:
            yield
        finally:
            sa.event.remove(engine, "commit", before_commit)
            world.transport.after.clear()

    def _take(self, world: World) -> None:
        image = self._folder / f"{self.moments:03}"
        self.moments += 1
        shows = self._fingerprint(world.folder)
        if shows in self._known:
            return
        self._known.add(shows)
        # Without the index of the write-ahead log: it belongs to the living, who build it anew from the log.
        shutil.copytree(world.folder, image, ignore=shutil.ignore_patterns("*-shm", "staging"))
        (image / "time").write_text(world.movable.now().isoformat())
        self.taken.append(image)

    def _fingerprint(self, folder: Path) -> str:
        """What the databases hold. Between two moments most of them stay as they are: then it is known already."""
        for name in _DATABASES:
            files = {suffix: folder / f"{name}{suffix}" for suffix in ("", "-wal")}
            written = {suffix: file.read_bytes() for suffix, file in files.items() if file.exists()}
            if name not in self._looked_at or self._looked_at[name][0] != written:
                self._looked_at[name] = written, _digest(written)
        return "".join(digest for _, digest in self._looked_at.values())


def _digest(written: Mapping[str, bytes]) -> str:
    """Of a database and its write-ahead log, as another process would find them."""
    digest = hashlib.sha256()
    with TemporaryDirectory() as folder:
        for suffix, content in written.items():
            Path(folder, f"database{suffix}").write_bytes(content)
        with closing(sqlite3.connect(Path(folder, "database"))) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in sorted(set(tables) - _NOT_TELLING):
                digest.update(table.encode())
                digest.update(msgspec.msgpack.encode(database.execute(f"SELECT * FROM {table}").fetchall()))
    return digest.hexdigest()
