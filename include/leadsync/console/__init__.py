"""What the console shows and changes: read models over the state store that return plain rows.

Knows nothing of pages. Every look is bounded: a page reads by key or by index, and where a filter has none it looks
through a stretch of fixed length and says how far it came, so that a page costs the same on a million people.
"""
