"""Opening a store: made, migrated, shared, refused; and what its failures say."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from include.leadsync.clock import FakeClock
from include.leadsync.errors import FixConfiguration, StateUnavailable
from include.leadsync.state import Cursors, Links, StateStore, engines
from include.leadsync.state.migrate import HEAD, MIGRATIONS, VERSION_TABLE, migrate
from include.leadsync.state.schema import metadata
from tests.state.rows import link_rows


def test_the_migrations_make_exactly_the_tables_of_the_schema(new_url: str, clock: FakeClock) -> None:
    store = StateStore.open(new_url, clock)
    with store.read() as tx:
        context = MigrationContext.configure(tx, opts={"version_table": VERSION_TABLE, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    store.close()
    assert differences == []


def test_the_partial_indexes_of_the_migrations_have_the_conditions_of_the_schema(
    new_url: str, clock: FakeClock
) -> None:
    store = StateStore.open(new_url, clock)
    dialect = store.engine.dialect.name
    with store.read() as tx:
        found = {
            index["name"]: str(index["dialect_options"][f"{dialect}_where"])
            for table in metadata.tables
            for index in sa.inspect(tx).get_indexes(table)
            if f"{dialect}_where" in index.get("dialect_options", {})
        }
    store.close()
    wanted = {
        index.name: str(index.dialect_options[dialect]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options[dialect]["where"] is not None
    }
    assert found.keys() == wanted.keys()
    if dialect == "sqlite":  # PostgreSQL spells conditions its own way
        assert found == wanted


def test_this_version_works_with_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_opening_a_store_again_finds_what_was_stored(new_url: str, clock: FakeClock) -> None:
    first = StateStore.open(new_url, clock)
    Links(first).insert(link_rows([1]))
    first.close()
    second = StateStore.open(new_url, clock)
    assert Links(second).by_person([1]).num_rows == 1
    second.close()


def test_starters_that_come_at_the_same_time_all_find_one_store(new_url: str) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        barrier.wait()
        try:
            StateStore.open(new_url, FakeClock()).close()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_starter_waits_for_one_that_is_in_the_middle_of_migrating(new_url: str, clock: FakeClock) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            StateStore.open(new_url, clock).close()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    first = StateStore(engines.make_engine(engines.parse_url(new_url)), clock)
    other = threading.Thread(target=start)
    with first.begin() as tx:
        migrate(tx, "store")
        other.start()
        other.join(timeout=0.3)  # it has to wait; nothing else tells that it does
        assert other.is_alive()
    other.join()
    first.close()
    assert failures == []


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(state_url: str, clock: FakeClock) -> None:
    store = StateStore.open(state_url, clock)
    Links(store).insert(link_rows([1]))
    _set_revision(store, "9999")
    try:
        with pytest.raises(FixConfiguration, match=r"newer version of Lead Sync \(schema 9999.*nothing was changed"):
            StateStore.open(state_url, clock)
        assert Links(store).by_person([1]).num_rows == 1
    finally:
        _set_revision(store, HEAD)
        store.close()


def _set_revision(store: StateStore, revision: str) -> None:
    with store.begin() as tx:
        tx.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'"))


def test_sqlite_runs_in_wal_mode_with_full_synchronisation(tmp_path: Path, clock: FakeClock) -> None:
    store = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    with store.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_a_transaction_that_fails_leaves_nothing(store: StateStore) -> None:

    def write_and_fail() -> None:
        with store.begin() as tx:
            Links(store).insert(link_rows([1]), tx)
            Cursors(store).advance("stream", "token", "2026-03-01T10:00:00Z", 0, tx)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert Links(store).by_person([1]).num_rows == 0
    assert Links(store).count() == 0
    assert Cursors(store).get("stream") is None


def test_a_process_that_dies_inside_a_transaction_leaves_nothing(state_url: str, clock: FakeClock) -> None:
    dying = StateStore.open(state_url, clock)
    transaction = dying.begin()
    tx = transaction.__enter__()
    Links(dying).insert(link_rows([1, 2]), tx)
    Cursors(dying).advance("stream", "token", "2026-03-01T10:00:00Z", 0, tx)
    tx.connection.driver_connection.close()  # type: ignore[union-attr]  # no commit, no rollback: the line is cut
    survivor = StateStore.open(state_url, clock)
    assert Links(survivor).by_person([1, 2]).num_rows == 0
    assert Cursors(survivor).get("stream") is None
    Links(survivor).insert(link_rows([1]))
    assert Links(survivor).count() == 1
    survivor.close()
    tx.invalidate()
    tx.close()
    dying.close()


def test_a_store_is_opened_while_another_process_writes(
    state_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.01)
    first = StateStore.open(state_url, clock)
    with first.begin() as tx:
        Links(first).insert(link_rows([1]), tx)
        second = StateStore.open(state_url, clock)
        assert Links(second).by_person([1]).num_rows == 0
        second.close()
    first.close()


def test_a_reader_does_not_wait_for_a_writer_and_sees_the_state_before(store: StateStore) -> None:
    with store.begin() as tx:
        Links(store).insert(link_rows([1]), tx)
        assert Links(store).by_person([1]).num_rows == 0
    assert Links(store).by_person([1]).num_rows == 1


def test_a_store_that_stays_locked_is_reported_with_what_to_check(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.01)
    store = StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    with store.begin(), pytest.raises(StateUnavailable, match=r"state\.db.*locked.*Check which process"), store.begin():
        pass
    store.close()


def test_a_server_that_cannot_be_reached_is_reported_without_the_password(clock: FakeClock) -> None:
    with pytest.raises(StateUnavailable, match=r"leads at 127\.0\.0\.1:1 ") as caught:
        StateStore.open("postgresql://sync:hunter2@127.0.0.1:1/leads?connect_timeout=2", clock)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_a_database_that_does_not_exist_is_a_mistake_in_the_settings(postgresql_server: str, clock: FakeClock) -> None:
    url = sa.engine.make_url(postgresql_server).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(FixConfiguration, match=r"nowhere.*LEADSYNC_STATE_URL"):
        StateStore.open(url, clock)


def test_a_file_that_is_no_database_is_a_mistake_in_the_settings(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "state.db").write_text("not a database, but long enough to be taken for one\n" * 100)
    with pytest.raises(FixConfiguration, match=r"state\.db is damaged or no database"):
        StateStore.open(f"sqlite:///{tmp_path / 'state.db'}", clock)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "keeps the state in memory"),
        ("sqlite:///:memory:", "keeps the state in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "keeps the state in memory"),
        ("mysql://root:hunter2@host/db", "names mysql"),
        ("hunter2", "no SQLAlchemy URL"),
        ("postgresql://u:hunter2@host:port/db", "no SQLAlchemy URL"),
    ],
)
def test_a_url_that_cannot_hold_a_store_is_refused_without_repeating_it(
    url: str, message: str, clock: FakeClock
) -> None:
    with pytest.raises(FixConfiguration, match=message) as caught:
        StateStore.open(url, clock)
    assert "hunter2" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FixConfiguration, match=r"folder .*file.* cannot be made"):
        StateStore.open(f"sqlite:///{tmp_path / 'file' / 'state.db'}", clock)


def test_a_mistake_of_ours_is_not_dressed_up_as_an_outage(store: StateStore) -> None:
    with pytest.raises(sa.exc.DBAPIError), store.begin() as tx:
        tx.execute(sa.text("SELECT * FROM no_such_table"))


def test_values_never_enter_the_text_of_a_database_error(store: StateStore) -> None:
    statement = sa.text("INSERT INTO cursor (stream, token) VALUES (:stream, :token)")
    with pytest.raises(sa.exc.DBAPIError) as caught, store.begin() as tx:
        tx.execute(statement, {"stream": "private@example.test", "token": "secret"})
    assert "private@example.test" not in str(caught.value).partition("DETAIL")[0]
    assert sqlite3.sqlite_version_info >= (3, 35)  # RETURNING and UPSERT are relied on
