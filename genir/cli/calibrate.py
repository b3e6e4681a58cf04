"""`genir calibrate`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir calibrate configs/calibrate_photographs.yaml reference=photos run=outputs/calibration
  genir calibrate configs/calibrate_photographs.yaml reference=photos "negatives=[bad, outputs/pilot]" reject=0.02
  genir calibrate configs/calibrate_photographs.yaml reference=outputs/photos negatives=outputs/bad   stored scores
  genir generate configs/generate_sdxl.yaml gates=outputs/calibration/gates.yaml
Sets all thresholds of `checks` at once: together they reject the chosen share of the reference. Prints what they
hit of the negatives; writes gates.yaml, scores.parquet and roc.png (pip install 'genir[plot]').
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    calibrate = parser.command(commands, "calibrate", _run, "thresholds at a share of rejected real HQ", _EXAMPLES)
    parser.add_config(calibrate, "configs/calibrate_*.yaml", "reference=photos")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.calibrate import Calibrate
    from genir.jobs.calibrate import calibrate

    for line in calibrate(load(Calibrate, options.config, options.overrides)):
        print(line, flush=True)
    return 0
