"""A run that read nothing to decide about decides nothing: most runs of a day, and the echo of every write.

What is left of such a run is bookkeeping: cursors, own writes seen again, versions of rows.
"""

from __future__ import annotations

from include.leadsync.context import Engine, RunRequest
from include.leadsync.model import Entity

_DOCUMENT = "quiet"
_ASKED = ("selection", "requests")
_READ = ("persons", "persons_deleted", "persons_missing", "persons_merged", "overwritten", "opt_outs")
_READ_PER_TABLE = ("crm", "crm_deleted", "crm_missing")


def note_quiet(engine: Engine, run: RunRequest) -> bool:
    """Whether nothing that `recover` and `extract` staged asks for a decision; kept for the later steps.

    A dry run is never quiet: what it would do is read from its datasets. Nor is one that read a table in full
    (`crm_ids`), since a record that is not there any more is news.
    """
    staging = engine.staging(run)
    names = [*_ASKED, *_READ, *(f"{name}.{entity.value}" for entity in Entity for name in _READ_PER_TABLE)]
    quiet = (
        run.incremental
        and not run.dry_run
        and not any(staging.exists(f"crm_ids.{entity.value}") for entity in Entity)
        and not any(staging.exists(name) and staging.read(name).height for name in names)
    )
    staging.write_json(_DOCUMENT, quiet)
    return quiet


def is_quiet(engine: Engine, run: RunRequest) -> bool:
    """What `note_quiet` found; false when the link step has not run."""
    return bool(engine.staging(run).read_json(_DOCUMENT))
