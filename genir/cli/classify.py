"""`genir classify`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir classify configs/classify_pairs.yaml data.folder=outputs/set out=outputs/classifier.safetensors
  genir score configs/score_photographs.yaml source=outputs/a gates.classifier.file=outputs/classifier.safetensors
  genir select outputs/a name=good gates.classifier.min=0.5
Learns from pairs of one origin, judges on photographs that were held out; AUC and leak test stand in its header.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    classify = parser.command(commands, "classify", _run, "train a classifier gate on a prepared set", _EXAMPLES)
    parser.add_config(classify, "configs/classify_*.yaml", "data.folder=outputs/set")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.classify import Classify
    from genir.jobs.classify import classify

    for line in classify(load(Classify, options.config, options.overrides)):
        print(line, flush=True)
    return 0
