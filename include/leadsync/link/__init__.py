"""Who belongs to whom: turns extracted records into pairs, and events about links.

Staged per entity E and slice N: `pairs.E.N` (see `frames`); once per run `events`, and `slices` (JSON list
of [E, N]). Identity first, then e-mail for the unlinked; deletions are confirmed; requests answered.
"""

from include.leadsync.link.step import link

__all__ = ["link"]
