"""Sync Person to Microsoft: where requests come from, and how they are answered (R46-R57, D22-D35).

Several equal channels: static lists and request fields in Marketo (`channels`), the DAG's form, REST, the webhook and
the command line (`intake`). All of them end in the request table; the link step decides (`link.requests`), and
`answers` tells the outcome. What a channel of Marketo's asked is taken out of it after that.
"""

from include.leadsync.requests.channels import Channels
from include.leadsync.requests.intake import request_persons

__all__ = ["Channels", "request_persons"]
