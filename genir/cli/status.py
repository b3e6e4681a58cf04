"""`genir status`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time

from genir import ranks
from genir.cli import parser

_EXAMPLES = """\
examples:
  genir status outputs/a                          done, kept and rejected, each worker's rate, time left
  genir status outputs/a --watch 60               again every minute, until nothing is left to do
  genir status outputs/a --json                   for programs
Exit codes: 0 the latest launch's limit and target are reached, 75 work remains, 2 all is done, but fewer
images are kept than target.kept asks for, or the rest is quarantined (or no run there).
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    status = parser.command(commands, "status", _run, "how far a run is; exit code 75 while work remains", _EXAMPLES)
    parser.add_run(status)
    status.add_argument("--json", action="store_true", help="one line of JSON for programs")
    status.add_argument(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        nargs="?",
        const=10.0,
        help="look again every so often (10), until nothing is left to do",
    )


def _run(options: argparse.Namespace) -> int:
    from genir.jobs.status import status

    while True:
        found = status(options.run)
        if options.watch is not None and not options.json and sys.stdout.isatty():
            print("\033[H\033[2J", end="")  # clears the screen
        print(json.dumps(found.facts()) if options.json else "\n".join(found.lines()), flush=True)
        if options.watch is None or found.code != ranks.EXIT_AGAIN:
            return found.code
        time.sleep(options.watch)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, for example 60")
