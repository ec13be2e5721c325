"""Changed records of both systems → Parquet staging, in canonical form.

Streams: `lead` and `contact` (Dynamics change tracking) and `person` (Marketo feeds). Nothing here
moves a cursor: the new tokens are staged and advance with the operations (DECISIONS 12).
"""
