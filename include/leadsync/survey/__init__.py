"""Two non-empty systems and no link table: look at both, report, and store links once that was accepted.

Three occasions, one way (D11, D18, D101): the first sync of two systems that both hold people, the rebuild of a lost
state store, and an instance that had the native sync before. `reading` streams both systems into staging, `matching`
decides who belongs to whom, `comparing` says what would be written and by which side, `report` tells it, `storing`
makes the links. Nothing here writes to either system: the normal cycle fills, by the rules of a first link (D4).
"""

from include.leadsync.survey.report import write_report
from include.leadsync.survey.run import Survey, survey
from include.leadsync.survey.storing import accept, store

__all__ = ["Survey", "accept", "store", "survey", "write_report"]
