"""`genir regenerate`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir regenerate outputs/a --key 000000385      its whole frozen batch again; writes outputs/a/regenerated/
  genir regenerate outputs/a --key 000000385 device=cpu
  genir regenerate outputs/a --selection loose    what it keeps although the run had rejected it
On the run's hardware and libraries the pixels and bytes must be equal (exit code 2 if not); elsewhere
the PSNR to the stored image is shown. Rejected images can be had back so, except those with a face.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    regenerate = parser.command(
        commands, "regenerate", _run, "make one image of a run again, and compare it", _EXAMPLES
    )
    parser.add_run(regenerate)
    which = regenerate.add_mutually_exclusive_group(required=True)
    which.add_argument("--key", help="of the image, nine digits")
    which.add_argument("--selection", metavar="NAME", help="all that it keeps although no pixels are stored")
    regenerate.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as device=cpu")


def _run(options: argparse.Namespace) -> int:
    from genir.jobs.generate.regenerate import regenerate, regenerate_selection

    make = regenerate if options.selection is None else regenerate_selection
    for line in make(options.run, options.selection or options.key, options.overrides):
        print(line, flush=True)
    return 0
