"""Clients of both vendors' APIs: everything that leaves the process over HTTP goes through here.

`MarketoClient` and `DynamicsClient` answer in pyarrow Tables and small frozen records. Beneath them,
each replaceable in a test: `transport` (one HTTP exchange), `budget` (may I call now?), `retry`
(how long to go on), `tokens` (who am I), `vendor_codes` (what does this error mean), `decode` (JSON to Arrow).
"""
