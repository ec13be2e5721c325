"""The story: which scenes, in which rounds."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.demo.cast import Cast
from scripts.demo.creations import creations, requested_again
from scripts.demo.deletions import deletions, orphan_updated
from scripts.demo.edits import edited_meanwhile, edits
from scripts.demo.identities import converted_collides, identities, let_in
from scripts.demo.refusals import corrected, refusals
from scripts.demo.scene import Round


def rounds(cast: Cast) -> Iterator[Round]:
    """In order; a later round goes on with the people of an earlier one."""
    first = [*edits(cast), *creations(cast), *deletions(cast), *refusals(cast), *identities(cast)]
    yield Round("Changes on both sides", first, runs=2)
    follow_ups = [requested_again(cast), orphan_updated(cast), corrected(cast), edited_meanwhile(cast)]
    yield Round("What follows", [*follow_ups, converted_collides(cast), let_in(cast)], runs=3)
