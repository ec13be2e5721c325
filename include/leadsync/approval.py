"""How an approval of what the brake holds travels: as the reason for which a link is read again (DECISIONS 16)."""

from __future__ import annotations

APPROVED = "approved:"
"""Beginning of a link's `dirty` reason after its held operations were released."""
