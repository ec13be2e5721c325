"""What both hooks share: reading the connection lazily, once, and testing it without leaking anything."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from leadsync_hooks.airflow_names import BaseHook

if TYPE_CHECKING:
    from include.leadsync import model


class ServiceHook(BaseHook):
    """An Airflow connection as the engine's `model.Connection`.

    Nothing is read before the first use, so that DAG files may construct hooks.
    """

    conn_type: ClassVar[str]
    default_conn_name: ClassVar[str]

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self._conn_id = conn_id

    @cached_property
    def _connection(self) -> model.Connection:
        from include.leadsync.config import connection_from_parts

        stored = self.get_connection(self._conn_id)
        parts = {name: getattr(stored, name) for name in ("host", "schema", "port", "login", "password", "extra")}
        return connection_from_parts(self.conn_type, parts)

    def get_conn(self) -> model.Connection:
        """Host and credentials, checked.

        Raises:
            ConfigurationInvalid: something is missing or malformed; all of it is named, no value is shown.
        """
        return self._connection

    def _greet(self) -> str:
        """Log in, make one harmless call, and say what answered."""
        raise AssertionError(f"{type(self).__name__} defines how to test its connection")

    def test_connection(self) -> tuple[bool, str]:
        """For the Test button of Airflow's connection form: (works, what to tell the user)."""
        from include.leadsync.errors import LeadSyncError, redact

        try:
            return True, self._greet()
        except LeadSyncError as error:
            return False, redact(str(error))
