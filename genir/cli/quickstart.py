"""`genir quickstart`."""

from __future__ import annotations

import argparse

from genir.cli import parser


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    quickstart = parser.command(commands, "quickstart", _run, "everything once, on the embedded model")
    quickstart.add_argument("run", metavar="RUN", nargs="?", default="outputs/quickstart", help="run directory")


def _run(options: argparse.Namespace) -> int:
    from genir.quickstart import quickstart

    return quickstart(options.run)
