"""`genir prepare`."""

from __future__ import annotations

import argparse

from genir import ranks
from genir.cli import parser

_EXAMPLES = """\
examples:
  genir prepare configs/prepare_embedded.yaml images=photos run=outputs/set --dry-run
  genir prepare configs/prepare_sdxl.yaml images=photos run=outputs/set model=sdxl_folder
  genir prepare configs/prepare_sdxl.yaml images=photos captions.chat.model=NAME captions.chat.url=http://localhost:8000/v1
  accelerate launch --multi_gpu --num_processes 8 -m genir prepare configs/prepare_sdxl.yaml images=photos
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set run=outputs/dual       what the set is for
Photographs need captions: NAME.txt beside NAME.jpg, a metadata.jsonl, or a model that is asked (captions.chat).
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    prepare = parser.command(
        commands, "prepare", _run, "photographs into a training set of clean pairs; resumes", _EXAMPLES
    )
    parser.add_config(prepare, "configs/prepare_*.yaml", "images=photos batch=8")
    parser.add_dry_run(prepare, "made")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.prepare import Prepare

    config = load(Prepare, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.prepare.launch import Launch

        launch = Launch(config, ranks.worker())
        launch.check()
        print("\n".join(launch.description()))
        return 0
    from genir.jobs.prepare import prepare

    return prepare(config)
