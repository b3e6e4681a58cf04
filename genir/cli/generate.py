"""`genir generate`."""

from __future__ import annotations

import argparse

from genir import ranks
from genir.cli import parser

_EXAMPLES = """\
examples:
  genir generate configs/generate_embedded.yaml --dry-run     what would be made, on the model that travels with genir
  genir generate configs/generate_sdxl.yaml run=outputs/a prompts=my_prompts.jsonl limit=1000
  genir generate configs/generate_sdxl.yaml run=outputs/a prompts=my_prompts.jsonl target.kept=5000
  genir generate configs/generate_sdxl.yaml model=sdxl_folder dual=outputs/dual/dual.safetensors run=outputs/b
  genir generate configs/generate_sdxl.yaml gates=configs/gates_1024.yaml gates.quality.piqe.max=60 run=outputs/c
  accelerate launch --multi_gpu --num_processes 8 -m genir generate configs/generate_sdxl.yaml run=outputs/a
  genir generate configs/generate_sdxl.yaml run=s3://bucket/a --part 0/4
The same command resumes, on any number of workers; limit and target.kept may grow. Every key: docs/configuration.md.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    generate = parser.command(commands, "generate", _run, "make, gate and store images; resumes", _EXAMPLES)
    parser.add_config(generate, "configs/generate_*.yaml", "steps=20 model.dtype=bfloat16")
    generate.add_argument(
        "--part",
        metavar="I/N",
        type=_part,
        help="be part I (from 0) of N launches of one run, where it lies in an object store",
    )
    parser.add_dry_run(generate, "made")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.generate import Generate

    config = load(Generate, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.generate.dry_run import dry_run

        for line in dry_run(config):
            print(line)
        return 0
    from genir.jobs.generate import generate

    return generate(config, options.part)


def _part(text: str) -> ranks.Part:
    index, _, count = text.partition("/")
    if index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return ranks.Part(int(index), int(count))
    raise argparse.ArgumentTypeError(f"{text!r}: expected I/N; of 4 parts the first is 0/4, the last 3/4")
