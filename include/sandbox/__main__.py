"""`python -m include.sandbox serve`: both emulators in the foreground."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from include.sandbox.folder import FolderInUse
from include.sandbox.listening import Address
from include.sandbox.server import EMULATORS, Factory, SandboxServer

_MOST_FILES = 65_536
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Stop(BaseException):
    """The process was asked to end."""


def main(arguments: Sequence[str] | None = None, emulators: Mapping[str, Factory] = EMULATORS) -> int:
    """Serve until a signal; 0 after a clean end, 2 when the sandbox could not start."""
    given = _parser().parse_args(arguments)
    if (given.tls_cert is None) != (given.tls_key is None):
        return _refuse("--tls-cert and --tls-key go together")
    if given.people < 0:
        return _refuse("--people is a number from 0 on")
    address = Address(given.host, given.marketo_port, given.dynamics_port, given.tls_cert, given.tls_key)
    sandbox = SandboxServer(given.data_dir, given.people, given.seed, address=address, emulators=emulators)
    _allow_many_connections()
    quiet = True
    try:
        for number in _SIGNALS:
            signal.signal(number, _stop)
        try:
            sandbox.start()
        except (FolderInUse, OSError, RuntimeError) as error:
            return _refuse(str(error))
        print(f"ready marketo={sandbox.marketo_url} dynamics={sandbox.dynamics_url}", flush=True)
        threading.Event().wait()
    except _Stop:
        quiet = sandbox.stop()
    if not quiet:
        # A call is still being worked on; its thread would hold up the interpreter's end.
        sys.stdout.flush()
        os._exit(0)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run both emulators until Ctrl-C")
    serve.add_argument("--marketo-port", type=int, default=8801, help="0 takes a free port")
    serve.add_argument("--dynamics-port", type=int, default=8802, help="0 takes a free port")
    serve.add_argument("--data-dir", type=Path, required=True, help="state is kept here across restarts")
    serve.add_argument("--people", type=int, default=0, help="linked people to generate on the first start")
    serve.add_argument("--seed", type=int, default=1, help="of the people")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--tls-cert", type=Path, help="PEM file; with it both emulators speak TLS")
    serve.add_argument("--tls-key", type=Path, help="PEM file")
    return parser


def _allow_many_connections() -> None:
    """As many open files as the system lets this process have: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
    for later in _SIGNALS:
        signal.signal(later, signal.SIG_IGN)  # one request to end is enough
    raise _Stop


def _refuse(text: str) -> int:
    print(f"sandbox: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
