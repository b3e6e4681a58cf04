"""`genir evaluate`."""

from __future__ import annotations

import argparse
import json

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir evaluate configs/evaluate_pairs.yaml --restored results/SwinIR --reference DIV2K/gt   as IR papers do
  genir evaluate configs/evaluate_sets.yaml sets.plain=outputs/a sets.dual=outputs/b#clean reference=photos
  genir evaluate configs/evaluate_pairs.yaml sets.lq=outputs/pairs run=outputs/lq   LQ against HQ of a pairs run
  torchrun --standalone --nproc_per_node 2 -m genir evaluate configs/evaluate_sets.yaml sets.a=outputs/a
Every picture is decoded once for all metrics. One row a picture, a summary, a table; the same command resumes.
A picture finds its reference by its name, whatever its ending. Metrics of pyiqa are for non-commercial use.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    evaluate = parser.command(
        commands, "evaluate", _run, "PSNR, SSIM, LPIPS, NIQE, FID, ... of sets side by side; resumes", _EXAMPLES
    )
    parser.add_config(evaluate, "configs/evaluate_*.yaml", "sets.a=outputs/a reference=photos")
    evaluate.add_argument("--restored", metavar="DIR", help="short for sets.restored=DIR")
    evaluate.add_argument("--reference", metavar="DIR", help="short for reference=DIR")
    parser.add_dry_run(evaluate, "measured")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.evaluate import Evaluate

    short = {"sets.restored": options.restored, "reference": options.reference}
    overrides = [f"{key}={json.dumps(value)}" for key, value in short.items() if value is not None]
    config = load(Evaluate, options.config, [*overrides, *options.overrides])
    if options.dry_run:
        from genir.jobs.evaluate import dry_run

        print("\n".join(dry_run(config)))
        return 0
    from genir.jobs.evaluate import evaluate

    code, table = evaluate(config)
    print(table, end="")
    return code
