"""The command line: `genir COMMAND CONFIG.yaml [key.path=value ...]`.

Exit codes: 0 done, 2 user error (one line on stderr), 75 stopped early, run the same command again.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from genir import __version__, ranks
from genir.cli import (
    annotate,
    bench,
    calibrate,
    classify,
    degrade,
    evaluate,
    export,
    export_dual,
    fetch,
    generate,
    learn,
    prepare,
    prompts,
    quickstart,
    regenerate,
    report,
    score,
    select,
    status,
    utility,
    verify,
)
from genir.cli.screen import Screen
from genir.errors import GenirError, StoreError

EXIT_USER_ERROR = 2

COMMANDS = (
    *(prompts, prepare, learn, export_dual),
    *(fetch, bench, generate, status, verify, regenerate),
    *(score, calibrate, classify, select, degrade, annotate, export, evaluate, utility, report, quickstart),
)
"""Modules with `add(commands)`, in the order of the help."""

_DESCRIPTION = "Mass-generate clean, measured training images for image restoration."
_EPILOG = """\
examples:
  genir quickstart                                                         everything once, on a small model
  genir generate configs/generate_embedded.yaml --dry-run                  what would be made
  genir generate configs/generate_sdxl.yaml run=outputs/a limit=1000
  genir prepare configs/prepare_sdxl.yaml images=photos run=outputs/set  pairs for learning a dual prompt
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set run=outputs/dual
  torchrun --standalone --nproc_per_node 8 -m genir generate configs/generate_sdxl.yaml
The same command resumes, on any number of workers. Exit codes: 0 done, 2 user error, 75 stopped
early: run it again, 130 interrupted twice.
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = _parse(arguments)
    for library in (
        "TRANSFORMERS_VERBOSITY",
        "DIFFUSERS_VERBOSITY",
        "HF_HUB_VERBOSITY",
    ):  # their notices are not about the user's job
        os.environ.setdefault(library, "error")
    rank = f"[{os.environ['RANK']}] " if "RANK" in os.environ else ""
    logging.basicConfig(
        level=logging.INFO, handlers=[Screen(sys.stderr)], format=f"%(asctime)s {rank}%(message)s", datefmt="%H:%M:%S"
    )
    for library in ("httpx", "httpx2", "botocore", "aiobotocore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        return options.command(options)
    except GenirError as error:
        logging.getLogger("genir").debug("", exc_info=True)
        ranks.tell_launcher(f"genir: {error}")
        for line in str(error).splitlines():  # a config may hold several mistakes
            print(f"genir: {line}", file=sys.stderr)
        return ranks.worker().stopped_exit_code if isinstance(error, StoreError) else EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("genir: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in options or any(text.startswith("-") for text in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # argparse ends the list of overrides at an option: `CONFIG.yaml --dry-run steps=20`
        options.overrides += rest
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genir", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"genir {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser
