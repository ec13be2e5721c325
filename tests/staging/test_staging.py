"""Datasets are published whole or not at all, on any file system, and swept when their time is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import polars as pl
import pyarrow as pa
import pytest

from include.leadsync.errors import AnswerMalformed, FixConfiguration, RetryLater
from include.leadsync.staging import Staging, sweep

RUN = "20260301T100000Z-000001"
ROWS = pl.DataFrame({"id": [1, 2], "text": ["Åsa 💡", None]})


@pytest.fixture(params=["folder", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same rules on a plain folder, a file URL and another file system."""
    if request.param != "memory":
        yield f"file://{tmp_path}/staging" if request.param == "file" else str(tmp_path / "staging")
        return
    name = f"memory://{uuid4().hex}"
    yield name
    memory = fsspec.filesystem("memory")
    if memory.exists(name):
        memory.rm(name, recursive=True)


def published(url: str) -> list[str]:
    """Names of all files of the run."""
    fs, base = fsspec.core.url_to_fs(url)
    return sorted(str(path).rsplit("/", 1)[-1] for path in fs.find(f"{base}/{RUN}"))


class Crash(Exception):
    pass


def crash_while_writing(staging: Staging, rows: pl.DataFrame) -> None:
    with staging.writer("plan", rows.to_arrow().schema) as writer:
        writer.write(rows.to_arrow())
        writer.flush()
        raise Crash


def test_what_was_published_is_read_back_by_another_process(url: str) -> None:
    assert Staging(url, RUN).write("plan", ROWS) == 2
    assert Staging(url, RUN).read("plan").equals(ROWS)
    assert published(url) == ["plan.parquet"]


def test_a_crash_while_writing_publishes_nothing(url: str) -> None:
    staging = Staging(url, RUN)
    with pytest.raises(Crash):
        crash_while_writing(staging, ROWS)
    assert not staging.exists("plan")
    with pytest.raises(RetryLater, match="'plan' of run 20260301T100000Z-000001 is not staged"):
        staging.read("plan")


def test_a_crash_while_writing_leaves_the_earlier_dataset_as_it_was(url: str) -> None:
    staging = Staging(url, RUN)
    staging.write("plan", ROWS)
    with pytest.raises(Crash):
        crash_while_writing(staging, ROWS.head(1))
    assert staging.read("plan").equals(ROWS)


def test_a_dataset_is_not_there_before_its_last_row(url: str) -> None:
    staging = Staging(url, RUN)
    with staging.writer("plan", ROWS.to_arrow().schema) as writer:
        for _ in range(3):
            writer.write(ROWS.to_arrow())
            writer.flush()
        assert not staging.exists("plan")
    assert staging.read("plan").height == 6


def test_small_pieces_become_few_row_groups(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    staging = Staging(str(tmp_path), RUN)
    piece = pa.table({"id": list(range(300))})
    with staging.writer("persons", piece.schema) as writer:
        for _ in range(100):
            writer.write(piece)
    assert writer.rows == 30_000
    assert pq.ParquetFile(staging.path("persons.parquet")).num_row_groups == 2


def test_writing_again_replaces(url: str) -> None:
    staging = Staging(url, RUN)
    staging.write("plan", ROWS)
    staging.write("plan", ROWS.head(0))
    assert staging.read("plan").height == 0
    assert published(url) == ["plan.parquet"]


def test_documents_and_reports_are_published_too(url: str) -> None:
    staging = Staging(url, RUN)
    assert staging.read_json("summary") is None
    staging.write_json("summary", {"name": "Åsa 💡"})
    path = staging.write_text("report.html", "<p>Åsa</p>")
    assert staging.read_json("summary") == {"name": "Åsa 💡"}
    assert path.endswith(f"/{RUN}/report.html")
    assert published(url) == ["report.html", "summary.json"]


def test_runs_do_not_see_each_other_and_a_discarded_one_is_gone(url: str) -> None:
    staging, other = Staging(url, RUN), Staging(url, "20260301T100000Z-000002")
    staging.write("plan", ROWS)
    other.write("plan", ROWS.head(1))
    staging.discard()
    staging.discard()
    assert (staging.exists("plan"), other.read("plan").height) == (False, 1)


def test_a_damaged_dataset_says_which(url: str) -> None:
    staging = Staging(url, RUN)
    staging.write("plan", ROWS)
    with fsspec.open(f"{url}/{RUN}/plan.parquet", "wb") as file:
        file.write(b"PAR1 half of it")
    with pytest.raises(AnswerMalformed, match="dataset plan of run 2026"):
        staging.read("plan")


def test_what_is_kept_at_hand_is_what_a_reader_would_get(url: str) -> None:
    staging, reader = Staging(url, RUN, at_hand=True), Staging(url, RUN)
    times = pl.DataFrame(
        {"at": [datetime(2026, 3, 1, tzinfo=UTC)], "flag": [None]}, schema_overrides={"flag": pl.Boolean}
    )
    for name, rows in {"plan": ROWS, "times": times, "none": ROWS.head(0)}.items():
        staging.write(name, rows)
        assert staging.read(name).equals(rows)
        assert reader.read(name).schema == staging.read(name).schema
        assert reader.read(name).equals(rows)
    staging.write("plan", ROWS.head(1))
    assert staging.read("plan").height == reader.read("plan").height == 1
    staging.discard()
    assert not staging.exists("plan")


def test_many_rows_are_not_kept_at_hand_and_a_crash_leaves_there_what_was(url: str) -> None:
    staging = Staging(url, RUN, at_hand=True)
    staging.write("plan", ROWS)
    with pytest.raises(Crash):
        crash_while_writing(staging, ROWS.head(1))
    assert staging.read("plan").equals(ROWS)
    staging.write("plan", pl.DataFrame({"id": range(1_001)}))
    Staging(url, RUN).write("plan", pl.DataFrame({"id": range(1_002)}))
    assert staging.read("plan").height == 1_002


def test_old_runs_are_swept_and_nothing_else(url: str) -> None:
    now = datetime(2026, 3, 10, 10, tzinfo=UTC)
    for run in ("20260303T095959Z-000001", "20260303T100000Z-000002", "20260310T095500Z-000003", "notes"):
        Staging(url, run).write_json("summary", {})
    assert sweep(url, timedelta(days=7), now) == 1
    fs, base = fsspec.core.url_to_fs(url)
    left = sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in fs.ls(base, detail=False))
    assert left == ["20260303T100000Z-000002", "20260310T095500Z-000003", "notes"]
    assert sweep(f"{url}/nowhere", timedelta(days=7), now) == 0


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    staging = Staging(str(tmp_path / "file"), RUN)
    with pytest.raises(RetryLater, match=r"cannot be written .*LEADSYNC_STAGING"):
        staging.write("plan", ROWS)
    with pytest.raises(RetryLater, match=r"cannot be written .*LEADSYNC_STAGING"):
        staging.write_json("summary", {})


def test_a_file_system_that_is_not_installed_is_named_without_its_login() -> None:
    with pytest.raises(FixConfiguration, match="'nosuch'") as raised:
        Staging("nosuch://user:hunter2@place", RUN)
    assert "hunter2" not in str(raised.value)
