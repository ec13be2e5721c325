"""Preferences of a read that an answer honours and echoes (V10, V19)."""

from __future__ import annotations

from include.sandbox.dynamics.call import Call


def page_size(call: Call) -> int:
    """Rows on a page: what was preferred, at most the service's own size (V19)."""
    largest = call.world.options.page_size
    preferred = call.prefer.page_size
    if preferred is None:
        return largest
    call.prefer.applied.append(f"odata.maxpagesize={preferred}")
    return min(preferred, largest)


def note_annotations(call: Call) -> None:
    """Say that asked-for annotations are given (V10)."""
    if call.prefer.annotations:
        call.prefer.applied.append(f'odata.include-annotations="{",".join(call.prefer.annotations)}"')
