"""The command line of `genir prompts`; imports nothing heavy."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir prompts compose configs/prompts_compose.yaml count=1000000 out=composed.jsonl
  genir prompts write configs/prompts_write.yaml prompts=composed.jsonl out=written.jsonl
  genir prompts screen composed.jsonl -o screened.jsonl
  genir prompts dedupe screened.jsonl -o bank.jsonl
  genir prompts stats bank.jsonl --plot bank.png
Inputs are .jsonl .txt .csv .parquet files of any origin; an output that is there already is refused.
"""
_COMPOSE = """\
examples:
  genir prompts compose configs/prompts_compose.yaml count=1000000 out=composed.jsonl
  genir prompts compose configs/prompts_compose.yaml count=5000 "shares={fur: 2, aerial: 0}" seed=1 out=more.jsonl
"""
_WRITE = """\
examples:
  genir prompts write configs/prompts_write.yaml prompts=composed.jsonl chat.model=NAME
  genir prompts write configs/prompts_write.yaml prompts=composed.jsonl variants=3 limit=100 out=try.jsonl
  genir prompts write configs/prompts_write.yaml prompts=composed.jsonl chat.url=https://host/v1 chat.key=MY_KEY
chat.key names the environment variable that holds the key. New prompts are screened; the same command goes on.
"""
_SCREEN = """\
examples:
  genir prompts screen composed.jsonl -o screened.jsonl
  genir prompts screen a.txt b.csv -o screened.jsonl --entities dslim/bert-base-NER
What was taken out, and why, goes to screened.removed.jsonl.
"""
_DEDUPE = """\
examples:
  genir prompts dedupe screened.jsonl -o bank.jsonl
  genir prompts dedupe a.jsonl b.jsonl -o bank.jsonl --threshold 0.5
Needs rensa: pip install 'genir[prompts]'. What was taken out goes to bank.removed.jsonl.
"""
_STATS = """\
examples:
  genir prompts stats bank.jsonl
  genir prompts stats bank.jsonl --plot bank.png
  genir prompts stats bank.jsonl --json
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add `prompts` and its commands."""
    prompts = commands.add_parser(
        "prompts",
        help="compose, write, screen, dedupe and describe prompt files",
        description="Compose, write, screen, dedupe and describe prompt files.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = prompts.add_subparsers(title="commands", metavar="COMMAND", required=True)

    compose = parser.command(
        kinds, "compose", _compose, "distinct prompts from the grammar in prompts/grammar/", _COMPOSE
    )
    parser.add_config(compose, "configs/prompts_compose.yaml", "count=1000000 shares.fur=2")

    write = parser.command(kinds, "write", _write, "a language model varies and enriches prompts; resumes", _WRITE)
    parser.add_config(write, "configs/prompts_write.yaml", "prompts=composed.jsonl chat.model=NAME")

    removed = "take out people, names, brands, characters, contact data, NSFW, artists"
    screen = parser.command(kinds, "screen", _screen, removed, _SCREEN)
    _files(screen)
    screen.add_argument(
        "--entities", metavar="MODEL", help="also ask a token-classification model (hub id or folder) for names"
    )

    dedupe = parser.command(
        kinds, "dedupe", _dedupe, "take out exact and near-duplicates; the first one stays", _DEDUPE
    )
    _files(dedupe)
    dedupe.add_argument(
        "--threshold", type=_share, default=0.7, help="Jaccard index of the words from which on it is one (0.7)"
    )

    stats = parser.command(kinds, "stats", _stats, "categories, skeletons, lengths, nearest neighbours", _STATS)
    stats.add_argument("files", metavar="FILE", nargs="+", help="prompt files")
    stats.add_argument("--plot", metavar="PAGE", help="also draw a page: .png, .svg or .pdf")
    stats.add_argument("--json", action="store_true", help="one line of JSON for programs")


def _files(of: argparse.ArgumentParser) -> None:
    of.add_argument("files", metavar="FILE", nargs="+", help="prompt files, read one after the other")
    of.add_argument("-o", "--out", metavar="OUT.jsonl", required=True, help="what stays; the rest goes beside it")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0, at most 1")
    return value


def _compose(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.prompts import Compose
    from genir.jobs.prompts.compose import compose

    return _say(compose(load(Compose, options.config, options.overrides)))


def _write(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.prompts import Write
    from genir.jobs.prompts.write import write

    return write(load(Write, options.config, options.overrides))


def _screen(options: argparse.Namespace) -> int:
    from genir.jobs.prompts.screen import screen

    return _say(screen(options.files, options.out, options.entities))


def _dedupe(options: argparse.Namespace) -> int:
    from genir.jobs.prompts.dedupe import dedupe

    return _say(dedupe(options.files, options.out, options.threshold))


def _stats(options: argparse.Namespace) -> int:
    from genir.jobs.prompts import stats

    found = stats.measure(options.files, options.plot)
    return _say([json.dumps(stats.facts(found))] if options.json else stats.lines(found))


def _say(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0
