"""A run that dies while a lead is qualified and records are merged in both systems leaves no link behind (P2, P4).

Tried after every write that a service has answered and before every commit that moves links, of one cycle that has
to carry a conversion, a merge in Dynamics, a merge in Marketo, and a change on its way for each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.engine.lifecycle import Scene, copy_of, prepare
from tests.engine.play import column, shown
from tests.faults.test_kills import Killed, Strike


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pairs of `PEOPLE`."""
    return prepare(tmp_path_factory.mktemp("prepared"))


def play(scene: Scene) -> Callable[[], None]:
    """Everything at once; returns what must hold in the end."""
    ann, bo, cy, di = (scene.person(name) for name in ("ann", "bo", "cy", "di"))
    free = scene.world.add_person(email="free@example.com", lastName="Free")
    for person in (ann, bo, cy):
        scene.world.edit_person(person, title="on its way")
    contact = scene.qualify(scene.record("ann"))
    assert contact
    scene.merge_rows("contact", scene.record("di"), scene.record("cy"))
    scene.merge_persons(free, bo)

    def as_it_should_be() -> None:
        expected = {("contact", ann, contact), ("lead", free, scene.record("bo")), ("contact", di, scene.record("di"))}
        assert scene.live() == expected
        assert len(scene.links()) == len(expected) + 3  # one piece of history each
        assert scene.world.marketo.control("people_count", {}) == {"people": 4}
        assert (scene.shown(ann) or {})["Type"] == "Contact"
        assert scene.shown(cy) == {"Id": scene.record("cy"), "Type": "Contact", "IsDeleted": True,
                                   "MergedInto": scene.record("di")}  # fmt: skip
        for entity, person, record in expected:
            assert person
            assert record
            assert column(scene.world, entity, record, "jobtitle") == "on its way", (entity, record)
            assert shown(scene.world, person, "title") == "on its way", (entity, person)
            assert shown(scene.world, person, "microsoftId") == record
        assert scene.said(open_only=True) == [("merge_proposed", "D42")]

    return as_it_should_be


def recover(scene: Scene, as_it_should_be: Callable[[], None]) -> None:
    scene.world.reopen()
    scene.world.movable.advance(120)  # the dead run's leases expire
    scene.settled()
    as_it_should_be()


def test_a_kill_after_any_write_leaves_nobody_behind(prepared: Path, tmp_path: Path) -> None:
    position, struck = 0, True
    while struck:
        with copy_of(prepared, tmp_path / str(position)) as scene:
            as_it_should_be, strike = play(scene), Strike(position)

            def hook(request: object, response: object, strike: Strike = strike) -> object:
                if getattr(request, "method", "") == "POST":
                    strike.pass_by()
                return response

            scene.world.transport.after.append(hook)  # type: ignore[arg-type]
            struck = _dies(scene)
            scene.world.transport.after.clear()
            recover(scene, as_it_should_be)
        position += 1
    assert position > 3


def test_a_kill_before_any_commit_that_moves_links_leaves_nobody_behind(prepared: Path, tmp_path: Path) -> None:
    position, struck = 0, True
    while struck:
        with copy_of(prepared, tmp_path / str(position)) as scene:
            as_it_should_be, strike = play(scene), Strike(position)
            engine, written = scene.world.engine.store.engine, set[int]()

            def note(tx: sa.Connection, _c: object, text: str, *_: object, written: set[int] = written) -> None:
                if text.startswith(("INSERT INTO link ", "UPDATE link ", "INSERT INTO operation", "UPDATE cursor")):
                    written.add(id(tx))

            def before_commit(tx: sa.Connection, written: set[int] = written, strike: Strike = strike) -> None:
                if id(tx) in written:
                    written.discard(id(tx))
                    strike.pass_by()

            sa.event.listen(engine, "before_cursor_execute", note)
            sa.event.listen(engine, "commit", before_commit)
            struck = _dies(scene)
            sa.event.remove(engine, "before_cursor_execute", note)
            sa.event.remove(engine, "commit", before_commit)
            recover(scene, as_it_should_be)
        position += 1
    assert position > 3


def _dies(scene: Scene) -> bool:
    try:
        scene.world.run()
    except Killed:
        return True
    return False
