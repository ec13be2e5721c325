"""How Airflow sends what the engine has to tell: by mail, and to the incoming webhook of a chat.

Both go through Airflow's notifiers, so that callbacks of other DAGs may use them too. Texts are sent as they are: they
are not rendered as templates.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leadsync_hooks.airflow_names import AirflowException, BaseHook, BaseNotifier, Context, mail

if TYPE_CHECKING:
    from include.leadsync.alerts.telling import Message
    from include.leadsync.settings.alerts import Alerts

_SECONDS = 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ChatNotifier(BaseNotifier):
    """Posts `{"text": …}`, which Slack, Teams, Mattermost, Rocket.Chat and Google Chat take.

    The Airflow connection holds the webhook's address: `host` is scheme and host, `password` the rest of the address
    (path and query), which is the secret. Without a password the whole address is in `host`.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, text: str, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.conn_id = conn_id

    def notify(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Raises `AirflowException` unless the chat answers with success; the address is in no message."""
        import requests

        try:
            # A redirect would carry the text to another host than the one that was configured.
            answer = requests.post(self._address(), json={"text": self.text}, timeout=_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise AirflowException(f"the chat of {self.conn_id} was not reached: {type(error).__name__}") from None
        if not answer.ok or answer.is_redirect:
            raise AirflowException(f"the chat of {self.conn_id} answered {answer.status_code}")

    def _address(self) -> str:
        stored = BaseHook.get_connection(self.conn_id)
        host = stored.host or ""
        if "://" not in host:
            host = f"{stored.schema or 'https'}://{host}"
        parts = urlsplit(host)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise AirflowException(f"the address in {self.conn_id} must begin with https")
        if stored.port and parts.port is None:
            host = f"{parts.scheme}://{parts.netloc}:{stored.port}{parts.path}"
        return f"{host.rstrip('/')}/{stored.password.lstrip('/')}" if stored.password else host


def channels_of(alerts: Alerts) -> dict[str, Callable[[Message], None]]:
    """What leadsync.yaml names, by name: `email`, `chat`."""
    channels: dict[str, Callable[[Message], None]] = {}
    if alerts.email.to:
        recipients, smtp = list(alerts.email.to), alerts.email.connection
        channels["email"] = lambda message: _mail(message, recipients, smtp)
    if alerts.chat.connection:
        chat = alerts.chat.connection
        channels["chat"] = lambda message: ChatNotifier(text=f"{message.subject}\n{message.text}", conn_id=chat).notify(
            {}
        )
    return channels


def _mail(message: Message, to: list[str], conn_id: str) -> None:
    body = "<br>\n".join(html.escape(line) for line in message.text.splitlines())
    mail(to, message.subject, f"<p>{body}</p>", conn_id)
