"""`genir degrade`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir degrade configs/degrade_realesrgan.yaml input=outputs/castles run=outputs/castles_x4
  genir degrade configs/degrade_dreamclear.yaml input=photos degradation.crop=512 epochs=4 store.sr_bicubic=true
  genir degrade configs/degrade_realesrgan.yaml input=outputs/a degradation=bsrgan degradation.scale=2
  genir degrade configs/degrade_realesrgan.yaml "input={castles: outputs/castles, own: photos}"
  torchrun --standalone --nproc_per_node 2 -m genir degrade configs/degrade_realesrgan.yaml input=outputs/castles
  genir degrade configs/degrade_dreamclear.yaml input=DIV2K_valid_HR run=outputs/div2k --protocol dreamclear
  genir degrade configs/degrade_dreamclear.yaml input=DIV2K_valid_HR run=outputs/again --protocol published.jsonl
Degradations: bicubic light bsrgan realesrgan seesr dreamclear, or a .yaml file of blocks. Inputs: a genir run
(its kept images; it may still grow), RUN#SELECTION, a folder of photographs, tars, or several.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    degrade = parser.command(commands, "degrade", _run, "HQ pictures into HQ-LQ pairs; resumes", _EXAMPLES)
    parser.add_config(degrade, "configs/degrade_*.yaml", "input=outputs/a epochs=4")
    degrade.add_argument("--protocol", metavar="NAME", help="test pairs to publish: dreamclear, or a manifest")
    parser.add_dry_run(degrade, "made")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.degrade import Degrade

    config = load(Degrade, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.degrade import dry_run

        for line in dry_run(config, options.protocol):
            print(line)
        return 0
    from genir.jobs.degrade import degrade

    return degrade(config, options.protocol)
