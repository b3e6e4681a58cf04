"""`genir export`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir export configs/export_basicsr.yaml input=outputs/pairs out=datasets/castles
  genir export configs/export_basicsr.yaml input=outputs/pairs out=datasets/castles.lmdb format=lmdb
  genir export configs/export_basicsr.yaml input=outputs/castles out=datasets/subs format=realesrgan tile.size=480
  genir export configs/export_dreamclear.yaml input=outputs/pairs out=datasets/dc t5.id=google/t5-v1_1-xxl
  genir export configs/export_huggingface.yaml input=outputs/castles out=datasets/hub split.val=0.01
Formats: basicsr (also neosr, traiNNer-redux), realesrgan, lmdb, seesr, dreamclear, paths (OSEDiff, DiffBIR), jodi,
webdataset, imagefolder, parquet. Input: a run of images or of pairs; it may still grow.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    export = parser.command(commands, "export", _run, "a run as the files that a trainer reads; resumes", _EXAMPLES)
    parser.add_config(export, "configs/export_*.yaml", "input=outputs/a out=data/a")
    parser.add_dry_run(export, "written")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.export import Export

    config = load(Export, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.export import dry_run

        print("\n".join(dry_run(config)))
        return 0
    from genir.jobs.export import export

    return export(config)
