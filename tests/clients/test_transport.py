"""The one place that touches a socket: whole answers or an error that says whether anything was sent."""

from __future__ import annotations

import gzip
import inspect
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from include.leadsync.clients import bounded_http
from include.leadsync.clients.transport import Headers, HttpRequest, RequestsTransport, translate
from include.leadsync.errors import AnswerMalformed, ConnectionBroken, FixConfiguration, LeadSyncError
from tests.waiting import PATIENCE

REQUEST = HttpRequest("POST", "https://user:pw@host.example/path?access_token=secret", {"Authorization": "Bearer x"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen: dict[str, Any] = self.server.seen  # type: ignore[attr-defined]
        seen["headers"] = dict(self.headers)
        getattr(self, "answer" + self.path.partition("?")[0].replace("/", "_"))()

    def do_POST(self) -> None:
        self.server.seen["body"] = self.rfile.read(int(self.headers["Content-Length"]))  # type: ignore[attr-defined]
        self.do_GET()

    def answer_plain(self) -> None:
        self._send(200, b"hello", {"X-Name": "value"})

    def answer_gzip(self) -> None:
        self._send(200, gzip.compress(b"a" * 5000), {"Content-Encoding": "gzip"})

    def answer_chunked(self) -> None:
        self._head(200, {"Transfer-Encoding": "chunked"})
        self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    def answer_short(self) -> None:
        self._head(200, {"Content-Length": "10"})
        self.wfile.write(b"abc")
        self.close_connection = True

    def answer_moved(self) -> None:
        self._send(302, b"", {"Location": "https://elsewhere.example/"})

    def answer_large(self) -> None:
        self._send(200, gzip.compress(b"0" * 3_000_000), {"Content-Encoding": "gzip"})

    def answer_never(self) -> None:
        """Never for who keeps a time limit of less than a minute; whoever does not is given a whole answer."""
        self.server.release.wait(PATIENCE)  # type: ignore[attr-defined]
        with suppress(OSError):
            self.answer_plain()

    def answer_drip(self) -> None:
        self._head(200, {"Content-Length": "1000"})
        self._again_and_again(b"x")

    def answer_drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Name: ")
        self._again_and_again(b"x")

    def answer_interim(self) -> None:
        self._again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer_moved_drip(self) -> None:
        self._head(302, {"Location": "https://elsewhere.example/", "Content-Length": "1000"})
        self._again_and_again(b"x")

    def answer_moved_endless(self) -> None:
        self._head(302, {"Location": "https://elsewhere.example/"})
        self._again_and_again(b"x" * 100_000, every=0.0001)

    def answer_gzip_cut(self) -> None:
        self._send(200, gzip.compress(b"a" * 5000)[:-9], {"Content-Encoding": "gzip"})

    def answer_gzip_not(self) -> None:
        self._send(200, b"plain after all", {"Content-Encoding": "gzip"})

    def answer_gzip_none(self) -> None:
        self._send(200, b"", {"Content-Encoding": "gzip"})

    def answer_gzip_members(self) -> None:
        self._send(200, gzip.compress(b"a" * 3000) + gzip.compress(b"a" * 2000), {"Content-Encoding": "x-gzip"})

    def answer_brotli(self) -> None:
        self._send(200, b"whatever", {"Content-Encoding": "br"})

    def answer_lengths(self) -> None:
        self._send(200, b"hello", {"content-length": "6"})

    def _again_and_again(self, what: bytes, every: float = 0.05) -> None:
        while not self.server.release.wait(every):  # type: ignore[attr-defined]
            try:
                self.wfile.write(what)
            except OSError:
                break
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def transport(**options: Any) -> Iterator[RequestsTransport]:
    made = RequestsTransport(**options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.seen = {}  # type: ignore[attr-defined]
    made.release = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.release.set()  # type: ignore[attr-defined]
    made.shutdown()
    thread.join()
    made.server_close()


def url(server: ThreadingHTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{server.server_port}{path}"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/plain", b"hello"), ("/gzip", b"a" * 5000), ("/chunked", b"abcde"), ("/gzip/members", b"a" * 5000),
     ("/gzip/none", b"")],
)  # fmt: skip
def test_an_answer_arrives_whole_and_decompressed(server: ThreadingHTTPServer, path: str, body: bytes) -> None:
    with transport() as sender:
        response = sender.send(HttpRequest("POST", url(server, path), {"A": "b"}, b"sent", timeout=PATIENCE))
    assert (response.status, response.body) == (200, body)
    assert server.seen["body"] == b"sent"  # type: ignore[attr-defined]
    assert server.seen["headers"]["A"] == "b"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/short", "/gzip/cut", "/gzip/not", "/brotli", "/lengths"])
def test_a_cut_off_or_undecipherable_answer_is_no_answer(server: ThreadingHTTPServer, path: str) -> None:
    with transport() as sender, pytest.raises(ConnectionBroken) as caught:
        sender.send(HttpRequest("GET", url(server, path), timeout=PATIENCE))
    assert caught.value.maybe_committed


def test_redirects_are_not_followed_because_the_token_would_travel(server: ThreadingHTTPServer) -> None:
    with transport() as sender:
        assert sender.send(HttpRequest("GET", url(server, "/moved"), timeout=PATIENCE)).status == 302


@pytest.mark.parametrize("path", ["/large", "/moved/endless"])
def test_a_body_over_the_cap_is_refused_by_its_unpacked_size(server: ThreadingHTTPServer, path: str) -> None:
    with transport(max_body=1_000_000) as sender, pytest.raises(AnswerMalformed):
        sender.send(HttpRequest("GET", url(server, path), timeout=PATIENCE))


@pytest.mark.parametrize("path", ["/never", "/drip", "/drip/head", "/interim", "/moved/drip"])
def test_the_time_limit_holds_for_silence_and_for_dripping(server: ThreadingHTTPServer, path: str) -> None:
    with transport() as sender, pytest.raises(ConnectionBroken) as caught:
        sender.send(HttpRequest("GET", url(server, path), timeout=0.3))
    assert caught.value.maybe_committed


def test_each_request_on_one_connection_has_its_own_time(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float | None] = []
    ports: set[int] = set()

    class Noted(bounded_http._UntilDeadline):
        def __init__(self, sock: socket.socket) -> None:
            limits.append(sock.gettimeout())
            ports.add(sock.getsockname()[1])
            super().__init__(sock)

    monkeypatch.setattr(bounded_http, "_UntilDeadline", Noted)
    with transport() as sender:
        for timeout in (PATIENCE, 2 * PATIENCE):
            assert sender.send(HttpRequest("GET", url(server, "/plain"), timeout=timeout)).body == b"hello"
        assert (limits, len(ports)) == ([PATIENCE, 2 * PATIENCE], 1)
        with pytest.raises(ConnectionBroken):
            sender.send(HttpRequest("GET", url(server, "/never"), timeout=0.2))
        assert sender.send(HttpRequest("GET", url(server, "/plain"), timeout=PATIENCE)).body == b"hello"


def test_a_refused_connection_was_never_sent() -> None:
    with socket.socket() as deaf:  # nobody else can take its port meanwhile
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        request = HttpRequest("POST", f"http://127.0.0.1:{port}/x?access_token=secret", timeout=PATIENCE)
        with transport() as sender, pytest.raises(ConnectionBroken) as caught:
            sender.send(request)
    assert not caught.value.maybe_committed
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("address", ["foo", "http://[", "ftp://host/x", "https://"])
def test_an_impossible_address_is_a_matter_of_configuration(address: str) -> None:
    with transport() as sender, pytest.raises(FixConfiguration, match="host"):
        sender.send(HttpRequest("GET", address, timeout=PATIENCE))


def test_a_netrc_entry_does_not_replace_our_authorization(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with transport() as sender:
        sender.send(HttpRequest("GET", url(server, "/plain"), {"Authorization": "Bearer ours"}, timeout=PATIENCE))
    assert server.seen["headers"]["Authorization"] == "Bearer ours"  # type: ignore[attr-defined]


def _every_requests_error() -> list[type[Exception]]:
    found = [kind for _, kind in inspect.getmembers(requests.exceptions, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, requests.RequestException)]


@pytest.mark.parametrize("kind", _every_requests_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_requests_becomes_one_of_ours_without_secrets(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    error.args = ("HTTPSConnectionPool: /path?access_token=secret",)
    ours = translate(error, REQUEST)
    assert isinstance(ours, LeadSyncError)
    assert "secret" not in str(ours)
    assert "pw" not in str(ours)


def test_only_connecting_errors_promise_that_nothing_was_sent() -> None:
    promises = {
        kind.__name__
        for kind in _every_requests_error()
        if isinstance(ours := translate(kind.__new__(kind), REQUEST), ConnectionBroken) and not ours.maybe_committed
    }
    assert promises == {"ConnectTimeout", "ProxyError"}


def test_a_certificate_that_is_not_trusted_is_a_matter_of_configuration() -> None:
    error = requests.exceptions.SSLError("certificate verify failed: self-signed certificate")
    assert isinstance(translate(error, REQUEST), FixConfiguration)


def test_https_to_a_plain_port_says_what_to_change(server: ThreadingHTTPServer) -> None:
    address = url(server, "/plain").replace("http://", "https://")
    with transport() as sender, pytest.raises(FixConfiguration, match=r"does not speak TLS .* http:// instead"):
        sender.send(HttpRequest("GET", address, timeout=PATIENCE))


def test_http_to_a_port_that_hangs_up_suspects_tls() -> None:
    """A TLS port closes the connection, or answers an alert."""
    for reason in ("RemoteDisconnected('Remote end closed connection')", "BadStatusLine('\\x15\\x03')"):
        error = requests.exceptions.ConnectionError(f"('Connection aborted.', {reason})")
        plain = translate(error, HttpRequest("GET", "http://host/path"))
        assert "write https://" in str(plain)
        assert isinstance(plain, ConnectionBroken)
        assert plain.maybe_committed
        assert "https://" not in str(translate(error, HttpRequest("GET", "https://host/path")))


def test_a_missing_ca_file_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with transport(verify=str(tmp_path / "none.pem")) as sender, pytest.raises(FixConfiguration, match="CA file"):
        sender.send(HttpRequest("GET", "https://127.0.0.1:9/", timeout=PATIENCE))


def test_header_names_are_found_in_any_case_and_values_stay_out_of_repr() -> None:
    headers = Headers({"Retry-After": "5", "Authorization": "Bearer secret"})
    assert headers["retry-after"] == headers["RETRY-AFTER"] == "5"
    assert "secret" not in repr(headers)
    assert "secret" not in repr(REQUEST)
