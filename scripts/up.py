"""`make up`: the sandbox and Airflow in the foreground, until Ctrl-C.

Ports: LEADSYNC_PORT (Airflow, 8080), LEADSYNC_MARKETO_PORT (8801), LEADSYNC_DYNAMICS_PORT (8802);
LEADSYNC_PEOPLE linked people (300) are made on the first start. Everything is kept under LEADSYNC_HOME.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.local_airflow import LocalAirflow, StartFailed
from scripts.local_airflow.environment import ROOT
from scripts.sandbox_process import SandboxFailed, SandboxProcess


def main() -> int:
    """0 after Ctrl-C, 2 when something could not be started."""
    # A closing terminal and `kill` mean the same as Ctrl-C, which a shell may have told its background jobs to ignore.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    home = Path(os.environ.get("LEADSYNC_HOME") or ROOT / ".leadsync").absolute()
    sandbox = SandboxProcess(
        home / "sandbox",
        marketo_port=_number("LEADSYNC_MARKETO_PORT", 8801),
        dynamics_port=_number("LEADSYNC_DYNAMICS_PORT", 8802),
        people=_number("LEADSYNC_PEOPLE", 300),
    )
    try:
        print("Starting the sandbox …", flush=True)
        with sandbox:
            _set_up(home, sandbox)
            print("Starting Airflow …", flush=True)
            port = _number("LEADSYNC_PORT", 8080)
            with LocalAirflow(home, port, environment=sandbox.connections(), edited=True) as airflow:
                _show(airflow, sandbox)
                while airflow.running and sandbox.running:
                    time.sleep(1)
                print(f"Something ended by itself; see {airflow.logs} and {sandbox.log}")
                return 2
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except (StartFailed, SandboxFailed, subprocess.CalledProcessError) as failure:
        print(failure, file=sys.stderr)
        return 2


def _set_up(home: Path, sandbox: SandboxProcess) -> None:
    """What `python -m include.leadsync setup` does for a user: custom fields and the activity type."""
    environment = {**os.environ, **sandbox.connections(), "LEADSYNC_HOME": str(home)}
    command = [sys.executable, "-m", "include.leadsync", "setup"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def _show(airflow: LocalAirflow, sandbox: SandboxProcess) -> None:
    print(
        f"\n  Airflow   {airflow.url}   user {airflow.user}, password {airflow.password}"
        f"\n  Marketo   {sandbox.marketo_url}   (sandbox; its page: {sandbox.marketo_url}/_sandbox/)"
        f"\n  Dynamics  {sandbox.dynamics_url}   (sandbox; its page: {sandbox.dynamics_url}/_sandbox/)"
        "\n\n  On the pages you play the marketer and the salesperson; they ask for the token, which is"
        f" {'in LEADSYNC_SANDBOX_TOKEN' if os.environ.get('LEADSYNC_SANDBOX_TOKEN') else '“sandbox”'}."
        "\n  The DAG lead_sync runs every five minutes. Ctrl-C stops everything.\n",
        flush=True,
    )


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


if __name__ == "__main__":
    sys.exit(main())
