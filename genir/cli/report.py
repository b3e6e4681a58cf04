"""`genir report`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir report outputs/a                          writes outputs/a/report.html: counts, scores, gallery, environment
  genir report outputs/a --images 1000 --out /tmp/a.html
Takes the run directory of generate, degrade, prepare or learn, at any time. The page is one file that needs
no server and no network.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    report = parser.command(commands, "report", _run, "one HTML page about a run: counts, scores, pictures", _EXAMPLES)
    parser.add_run(report)
    report.add_argument("--out", metavar="FILE", help="page to write (RUN/report.html)")
    report.add_argument("--images", metavar="N", type=_count, default=240, help="pictures in the gallery at most (240)")


def _run(options: argparse.Namespace) -> int:
    from genir.jobs.report import report

    print(report(options.run, options.out, options.images))
    return 0


def _count(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 5000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 to 5000")
