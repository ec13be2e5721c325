"""What all rooms of the emulator share: the file, the clock, the options and the stores built on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from include.sandbox.clock import MovableClock
from include.sandbox.marketo.catalog import Catalog
from include.sandbox.marketo.database import Database
from include.sandbox.marketo.feed import Feed
from include.sandbox.marketo.identity import Identity
from include.sandbox.marketo.limits import Limits
from include.sandbox.marketo.list_store import ListStore
from include.sandbox.marketo.options import Options
from include.sandbox.marketo.partition_access import PartitionAccess
from include.sandbox.marketo.people import People
from include.sandbox.marketo.program_store import ProgramStore
from include.sandbox.marketo.tokens import PagingTokens
from include.sandbox.marketo.writer import Writer


class Instance:
    """One Marketo instance."""

    def __init__(self, data_dir: Path, clock: MovableClock, options: Options) -> None:
        """Open the instance in `data_dir`, or lay down a new one."""
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        self.clock = clock
        self.options = options
        self.closing: list[Callable[[], None]] = []
        """What the rooms want done before the file is closed."""
        self.falling_due: list[Callable[[], None]] = []
        """What the rooms want done at every request, because time has passed; costs nothing where nothing waits."""
        self.database = Database(data_dir / "marketo.sqlite")
        with self.database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO partition VALUES (1, 'Default', 'Initial partition')")
            self.tokens = PagingTokens(connection)
            self.catalog = Catalog(connection)
        self.identity = Identity(self.database, options)
        self.limits = Limits(self.database, options)
        self.people = People(self.database)
        self.feed = Feed(self.database, options)
        self.lists = ListStore(self.people, self.feed)
        self.programs = ProgramStore()
        self.partitions = PartitionAccess()
        self.writer = Writer(self.catalog, self.people, self.feed, options)

    def now(self) -> int:
        """The instance's time in whole seconds since 1970."""
        return int(self.clock.now().timestamp())
