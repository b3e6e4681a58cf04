"""`genir annotate`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir annotate configs/annotate_permissive.yaml source=outputs/a         into the run: outputs/a/annotation_depth/ ...
  genir annotate configs/annotate_joint.yaml source=photos run=outputs/p resize.short=1024
  genir annotate configs/annotate_offline.yaml source=outputs/a#sharp 'domains={edge: hed}'
  torchrun --standalone --nproc_per_node 2 -m genir annotate configs/annotate_permissive.yaml source=outputs/a
  genir export configs/export_jodi.yaml input=outputs/a out=datasets/joint              what Jodi reads
Domains: edge, lineart, depth, normal, albedo, segmentation, openpose. Sources: a genir run, RUN#SELECTION; with run=...
also a folder of photographs, tars, or several. Every label has a row with its model and licence; one that fails a
check has the reason there. Backends: docs/methods.md; your own: docs/adding_an_annotator.md.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    annotate = parser.command(
        commands, "annotate", _run, "labels in seven domains and captions for every picture; resumes", _EXAMPLES
    )
    parser.add_config(annotate, "configs/annotate_*.yaml", "source=outputs/a")
    parser.add_dry_run(annotate, "labelled")


def _run(options: argparse.Namespace) -> int:
    from genir.config.annotate import Annotate
    from genir.config.base import load

    config = load(Annotate, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.annotate import dry_run

        print("\n".join(dry_run(config)))
        return 0
    from genir.jobs.annotate import annotate

    return annotate(config)
