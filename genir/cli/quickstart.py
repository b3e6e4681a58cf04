"""`genir quickstart`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir quickstart                                everything once; says where the pictures are
  genir quickstart outputs/another                the same in another run directory
The same command resumes. What it runs is configs/quickstart.yaml.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    quickstart = parser.command(commands, "quickstart", _run, "everything once, on the embedded model", _EXAMPLES)
    quickstart.add_argument("run", metavar="RUN", nargs="?", default="outputs/quickstart", help="run directory")


def _run(options: argparse.Namespace) -> int:
    from genir.quickstart import quickstart

    return quickstart(options.run)
