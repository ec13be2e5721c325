"""A mail server and a chat on the loopback address that keep what they get (DECISIONS 34)."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast


@dataclass
class Mailbox:
    """What arrived: who it was for, subject, text; and as whom somebody logged in."""

    port: int = 0
    to: list[list[str]] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)
    refuse: bool = False

    @property
    def subjects(self) -> list[str]:
        return [str(make_header(decode_header(str(mail["Subject"])))) for mail in self.mails]

    @property
    def texts(self) -> list[str]:
        return ["".join(_parts(mail)) for mail in self.mails]


def _parts(mail: Message) -> Iterator[str]:
    for part in mail.walk():
        if not part.is_multipart():
            yield cast("bytes", part.get_payload(decode=True)).decode()


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """RFC 5321 as far as `smtplib` needs it."""
    box = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            recipients: list[str] = []
            self.wfile.write(b"220 ready\r\n")
            while line := self.rfile.readline():
                command = line.strip().upper()
                if command.startswith(b"RCPT"):
                    recipients.append(line.decode().partition("<")[2].partition(">")[0])
                if command.startswith(b"MAIL") and box.refuse:
                    self.wfile.write(b"451 try later\r\n")
                elif command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    body = b"".join(iter(self.rfile.readline, b".\r\n"))
                    box.mails.append(message_from_bytes(body, policy=default))
                    box.to.append(recipients)
                    self.wfile.write(b"250 taken\r\n")
                else:
                    self.wfile.write(b"250 fine\r\n")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)) as port:
        box.port = port
        yield box


@dataclass
class Chat:
    """What was posted where; `status` is what it answers."""

    port: int = 0
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200


@contextmanager
def chat_server() -> Iterator[Chat]:
    chat = Chat()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            chat.posts.append((self.path, json.loads(body)))
            self.send_response(chat.status)
            self.send_header("Content-Length", "0")
            if chat.status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Hook)) as port:
        chat.port = port
        yield chat


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    with server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
