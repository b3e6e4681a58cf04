"""`genir score`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir score configs/score_photographs.yaml source=photos run=outputs/photos     your own photographs; then select
  genir score configs/score_duplicates.yaml source=outputs/a                      into the run: outputs/a/score_hash/
  genir score configs/score_photographs.yaml source=outputs/a name=niqe gates=score_only
  torchrun --standalone --nproc_per_node 2 -m genir score configs/score_photographs.yaml source=tars run=outputs/t
Sources: a genir run (its kept images; it may still grow), RUN#SELECTION, a folder of photographs, tars, or several.
One row a picture, also of those that cannot be read; `genir select` applies other thresholds later.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    score = parser.command(
        commands, "score", _run, "any gate or metric over pictures that are there; resumes", _EXAMPLES
    )
    parser.add_config(score, "configs/score_*.yaml", "source=photos run=outputs/p")
    parser.add_dry_run(score, "measured")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.score import Score

    config = load(Score, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.score import dry_run

        print("\n".join(dry_run(config)))
        return 0
    from genir.jobs.score import score

    return score(config)
