"""`genir bench`."""

from __future__ import annotations

import argparse
import json

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir bench configs/generate_sdxl.yaml                              minutes on a GPU
  genir bench configs/generate_sdxl.yaml speed.channels_last=true     does it help here?
  genir bench configs/generate_embedded.yaml --json                   on a CPU
Batches of 1, 2, 4, 8, ... images are made, judged and saved until they no longer fit or are no faster. Start-up is
not in the numbers.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    bench = parser.command(
        commands, "bench", _run, "how fast a config runs here, its best batch, and hours for its plan", _EXAMPLES
    )
    parser.add_config(bench, "configs/generate_*.yaml", "steps=20 limit=100000")
    bench.add_argument("--json", action="store_true", help="one line of JSON for programs")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.generate import Generate
    from genir.jobs.generate.bench import bench

    found = bench(load(Generate, options.config, options.overrides))
    print(json.dumps(found.facts()) if options.json else "\n".join(found.lines()))
    return 0
