"""`genir select`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir select outputs/a name=strict gates.quality.piqe.max=40 gates.face.threshold=0.2
  genir select outputs/a name=mine gates=outputs/calibration/gates.yaml     thresholds of genir calibrate
  genir select outputs/a name=loose gates.signal=null duplicates=null
  genir degrade configs/degrade_realesrgan.yaml input=outputs/a#strict      pairs of what was selected
Thresholds begin as the run's own; every override changes one. Writes outputs/a/selections/NAME.parquet (key,
verdict, reason); no image is touched. Of equal images, and of images from equal noise, the first stays.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    select = parser.command(commands, "select", _run, "other thresholds over the stored scores of a run", _EXAMPLES)
    parser.add_run(select)
    select.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as gates.quality.piqe.max=40")


def _run(options: argparse.Namespace) -> int:
    from genir.jobs.select import select

    print("\n".join(select(options.run, options.overrides)))
    return 0
