"""`genir generate`."""

from __future__ import annotations

import argparse

from genir import ranks
from genir.cli import parser


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    generate = parser.command(commands, "generate", _run, "make, gate and store images; resumes")
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
