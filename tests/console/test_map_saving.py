"""leadsync.yaml is replaced whole, by one person at a time, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from include.leadsync.console.map_proposal import digest
from include.leadsync.console.map_saving import FileChanged, NotWritable, obstacle, save


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "leadsync.yaml"
    path.write_bytes(b"one\n")
    path.chmod(0o640)
    return path


def test_the_file_is_replaced_keeps_its_mode_and_leaves_nothing_behind(file: Path) -> None:
    save(file, digest(b"one\n"), b"two\n")
    assert file.read_bytes() == b"two\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(file: Path) -> None:
    with pytest.raises(FileChanged) as refused:
        save(file, digest(b"another\n"), b"two\n")
    assert refused.value.now == digest(b"one\n")
    assert file.read_bytes() == b"one\n"


def test_of_many_who_save_at_once_one_is_let_through(file: Path) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(8)

    def one(number: int) -> None:
        ready.wait()
        try:
            save(file, digest(b"one\n"), b"%d\n" % number)
            outcomes.append("saved")
        except FileChanged:
            outcomes.append("refused")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["saved"]


def test_a_link_to_the_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    pointer = tmp_path / "elsewhere" / "leadsync.yaml"
    pointer.symlink_to(file)
    save(pointer, digest(b"one\n"), b"two\n")
    assert pointer.is_symlink()
    assert file.read_bytes() == b"two\n"


def test_a_disk_that_fails_in_the_middle_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritable):
        save(file, digest(b"one\n"), b"two\n")
    assert file.read_bytes() == b"one\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("executor", "shared", "reason"),
    [
        ("LocalExecutor", False, None),
        ("", False, None),
        ("CeleryExecutor", False, "several_places"),
        ("airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor", False, "several_places"),
        ("LocalExecutor,CeleryExecutor", False, "several_places"),
        ("containers", False, "several_places"),
        ("CeleryExecutor", True, None),
    ],
)
def test_a_copy_that_need_not_be_the_one_that_tasks_read_is_not_saved(
    file: Path, executor: str, shared: bool, reason: str | None
) -> None:
    assert obstacle(file, executor, shared=shared) == reason


def test_a_file_that_cannot_be_written_is_told_beforehand(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    assert obstacle(file, "LocalExecutor", shared=True) == "read_only"
