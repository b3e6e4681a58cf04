"""`genir export-dual`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir export-dual outputs/dual/dual.safetensors embeddings
  genir export-dual outputs/dual/dual.safetensors embeddings --name hq
Writes one file a side for ComfyUI and A1111 (SDXL: clip_l and clip_g in it), one a text encoder for diffusers,
and says how each is loaded. Only pairs learned with mode: tokens can be exported.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    export = parser.command(
        commands, "export-dual", _run, "a learned pair as files for ComfyUI, A1111 and diffusers", _EXAMPLES
    )
    export.add_argument("file", metavar="FILE", help="dual prompt, or `embedded`")
    export.add_argument("folder", metavar="FOLDER", help="where the files go")
    export.add_argument("--name", default="genir", help="what prompts call the pair (genir)")


def _run(options: argparse.Namespace) -> int:
    from genir.jobs.export_dual import export_dual

    print("\n".join(export_dual(options.file, options.folder, options.name)))
    return 0
