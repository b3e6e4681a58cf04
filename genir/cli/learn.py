"""`genir learn`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir learn configs/learn_embedded.yaml data.folder=outputs/set run=outputs/dual --dry-run
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set run=outputs/dual model=sdxl_folder
  accelerate launch --multi_gpu --num_processes 8 -m genir learn configs/learn_sdxl.yaml data.folder=outputs/set
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set mode=output objectives.pair.weight=1
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set run=outputs/more --from outputs/dual/dual.safetensors
  genir generate configs/generate_sdxl.yaml dual=outputs/dual/dual.safetensors      the learned pair at work
The data are a folder with metadata.jsonl, as genir prepare makes it (docs/formats.md, Training set).
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    learn = parser.command(commands, "learn", _run, "learn a positive and a negative prompt; resumes", _EXAMPLES)
    parser.add_config(learn, "configs/learn_*.yaml", "data.folder=outputs/set")
    learn.add_argument(
        "--from", dest="source", metavar="FILE", help="go on from this dual prompt (or `embedded`), not from words"
    )
    learn.add_argument("--dry-run", action="store_true", help="check everything, say what would be learned, and stop")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.learn import Learn

    config = load(Learn, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.learn.launch import Launch

        launch = Launch(config, options.source)
        launch.check()
        print("\n".join(launch.description()))
        return 0
    from genir.jobs.learn import learn

    return learn(config, options.source)
