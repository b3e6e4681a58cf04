"""The command line of `genir prompts`; imports nothing heavy."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

_EPILOG = """\
examples:
  genir prompts compose configs/prompts_compose.yaml count=1000000 out=composed.jsonl
  genir prompts write configs/prompts_write.yaml prompts=composed.jsonl out=written.jsonl
  genir prompts screen composed.jsonl -o screened.jsonl
  genir prompts dedupe screened.jsonl -o bank.jsonl
  genir prompts stats bank.jsonl --plot bank.png
Inputs are .jsonl .txt .csv .parquet files of any origin; an output that is there already is refused.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `prompts` and its commands."""
    prompts = commands.add_parser(
        "prompts",
        help="compose, write, screen, dedupe and describe prompt files",
        description="Compose, write, screen, dedupe and describe prompt files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = prompts.add_subparsers(title="commands", metavar="COMMAND", required=True)

    compose = kinds.add_parser("compose", help="distinct prompts from the grammar in prompts/grammar/")
    compose.set_defaults(command=_compose)
    compose.add_argument("config", metavar="CONFIG.yaml", help="configs/prompts_compose.yaml, or your own")
    compose.add_argument("overrides", metavar="key=value", nargs="*", help="for example count=1000000 shares.fur=2")

    write = kinds.add_parser("write", help="a language model varies and enriches prompts; resumes")
    write.set_defaults(command=_write)
    write.add_argument("config", metavar="CONFIG.yaml", help="configs/prompts_write.yaml, or your own")
    write.add_argument(
        "overrides", metavar="key=value", nargs="*", help="for example prompts=composed.jsonl chat.model=NAME"
    )

    screen = kinds.add_parser("screen", help="take out people, names, brands, characters, contact data, NSFW, artists")
    screen.set_defaults(command=_screen)
    _files(screen)
    screen.add_argument(
        "--entities", metavar="MODEL", help="also ask a token-classification model (hub id or folder) for names"
    )

    dedupe = kinds.add_parser("dedupe", help="take out exact and near-duplicates; the first one stays")
    dedupe.set_defaults(command=_dedupe)
    _files(dedupe)
    dedupe.add_argument(
        "--threshold", type=_share, default=0.7, help="Jaccard index of the words from which on it is one (0.7)"
    )

    stats = kinds.add_parser("stats", help="categories, skeletons, lengths, nearest neighbours")
    stats.set_defaults(command=_stats)
    stats.add_argument("files", metavar="FILE", nargs="+", help="prompt files")
    stats.add_argument("--plot", metavar="PAGE", help="also draw a page: .png, .svg or .pdf")
    stats.add_argument("--json", action="store_true", help="one line of JSON for programs")


def _files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="prompt files, read one after the other")
    parser.add_argument("-o", "--out", metavar="OUT.jsonl", required=True, help="what stays; the rest goes beside it")


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
