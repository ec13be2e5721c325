"""The command line: one command per question a data engineer has.

Exit status: 0 done (or skipped because another cycle is at work), 1 done with failed rows, 2 could not
run (the message says what to fix).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from include.leadsync import cli_commands as commands
from include.leadsync import cli_questions as questions
from include.leadsync import cli_reconcile as reconcile
from include.leadsync import cli_survey as survey
from include.leadsync import cli_undo as undo
from include.leadsync.errors import LeadSyncError, redact

Command = Callable[[argparse.Namespace], int]
Adding = Callable[[str, Command, str], argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every expected error into one message and exit status 2."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(levelname)s %(message)s")
    command: Command = options.command
    try:
        status = command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the interpreter's own flush at the end
        return 0
    except LeadSyncError as error:
        print(redact(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was stored goes on with the next run", file=sys.stderr)
        return 2
    return status


def _marketo_id(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no Marketo id: a whole number from 1 to {2**31 - 1}")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.leadsync", description=__doc__.split("\n", 1)[0])
    parser.add_argument("-v", "--verbose", action="store_true", help="log each step and call")
    sub = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        entry = sub.add_parser(name, help=text, description=text)
        entry.set_defaults(command=command)
        return entry

    for commands_of in (_running, _backfill, _undo, _reconcile, _request, _survey, _questions):
        commands_of(add)
    return parser


def _running(add: Adding) -> None:
    """Check, set-up, and one pass."""
    checking = add("check", commands.run_check, "look at connections, rights and schema; say what to fix")
    checking.add_argument("--json", action="store_true", help="print the points as one JSON list")
    add("setup", commands.run_setup, "create the custom fields and the activity type in Marketo")
    cycle = add("cycle", commands.run_one_cycle, "one pass of the sync")
    cycle.add_argument("--json", action="store_true", help="print the report as one JSON object on the last line")
    cycle.add_argument("--approve", metavar="HASH", help="let the held plan with this hash pass the brake")
    planned = add("plan", commands.run_plan, "what a cycle would write, without writing it")
    planned.add_argument(
        "--json", action="store_true", help="print plan and report as one JSON object on the last line"
    )


def _backfill(add: Adding) -> None:
    """A selection read afresh."""
    backfill = add("backfill", commands.run_backfill, "read a window or chosen persons afresh, by the usual rules")
    backfill.add_argument("--since", metavar="WHEN", help="what changed from then on; ISO 8601 date or date-time")
    backfill.add_argument("--until", metavar="WHEN", help="end of the window that --since begins; else until now")
    backfill.add_argument("--entity", choices=["lead", "contact"])
    backfill.add_argument(
        "--person",
        metavar="MARKETO_ID",
        type=_marketo_id,
        action="append",
        default=[],
        help="these linked persons, whenever they changed",
    )
    backfill.add_argument(
        "--field", metavar="NAME", action="append", default=[], help="only these fields (Marketo names)"
    )
    backfill.add_argument(
        "--direction",
        choices=["inbound", "outbound", "by_type"],
        help="with --field: which side fills the other where no baseline decides",
    )
    backfill.add_argument(
        "--on",
        choices=["modified", "created"],
        default="modified",
        help="what the window means: when records changed, or only CRM records that were created then",
    )
    backfill.add_argument("--dry-run", action="store_true", help="plan only; with --field count first")
    backfill.add_argument("--json", action="store_true")


def _undo(add: Adding) -> None:
    """What a run has written, taken back."""
    undoing = add("undo", undo.run_undo, "put back what a run has written, where nobody has edited it since")
    undoing.add_argument("run", metavar="RUN_ID", help="as in the report of the run, in `status` and in `why`")
    undoing.add_argument("--dry-run", action="store_true", help="only list what would become of each value")
    undoing.add_argument("--approve", metavar="HASH", help="let the held undo with this hash pass the brake")
    undoing.add_argument(
        "--json", action="store_true", help="print report and list as one JSON object on the last line"
    )


def _reconcile(add: Adding) -> None:
    """Everything, held against both systems."""
    full = add("reconcile", reconcile.run_reconcile, "compare every link with both systems and repair what differs")
    full.add_argument("--dry-run", action="store_true", help="find and plan only")
    full.add_argument("--out", metavar="FOLDER", help="where the findings go, as CSV")
    full.add_argument("--json", action="store_true", help="print the report as one JSON object on the last line")


def _request(add: Adding) -> None:
    """Sync Person to Microsoft."""
    request = add("sync-person", commands.run_sync_person, "create a CRM record for persons that have none")
    request.add_argument("persons", metavar="MARKETO_ID", type=_marketo_id, nargs="+")
    request.add_argument("--as", dest="sync_as", choices=["lead", "contact"], default="lead")
    request.add_argument(
        "--owner", metavar="WHO", help="owner of the new record: id, e-mail address or name of a user, or team:NAME"
    )
    request.add_argument("--reason", metavar="TEXT", help="kept with the request")
    request.add_argument("--json", action="store_true")


def _survey(add: Adding) -> None:
    """Two systems that both hold people, or a state store that was lost."""
    first = add("first-sync", survey.run_first_sync, "two systems that both hold people: report, then accept")
    first.add_argument("action", choices=["report", "accept"])
    first.add_argument("hash", metavar="HASH", nargs="?", help="of the report to accept")
    rebuild = add("rebuild", survey.run_rebuild, "make the link table anew from the ids in both systems")
    rebuild.add_argument("--from-native", action="store_true", help="after the native sync: match by e-mail too")
    rebuild.add_argument("--accept", metavar="HASH", help="store the links of the report with this hash")
    rebuild.add_argument("--write", action="store_true", help="report and store in one go")
    for surveying in (first, rebuild):
        surveying.add_argument("--since", metavar="DATE", help="read every person created since then, in bulk")
        surveying.add_argument("--id-field", metavar="NAME", action="append", default=[], help="also holds the CRM id")
        surveying.add_argument("--out", metavar="FOLDER", help="where the report goes")
        surveying.add_argument("--json", action="store_true", help="print the report as one JSON object")


def _questions(add: Adding) -> None:
    """Commands that look and change nothing."""
    status = add("status", questions.run_status, "backlog, last run, API budgets, held plans")
    status.add_argument("--json", action="store_true")
    errors = add("errors", questions.run_errors, "records that did not cross, and why")
    errors.add_argument("--export", choices=["csv"], help="all of them, to standard output")
    why = add("why", questions.run_why, "where a person's values came from, when and by which rule")
    why.add_argument("person", metavar="MARKETO_ID", type=_marketo_id)
    why.add_argument("field", metavar="FIELD", nargs="?")
