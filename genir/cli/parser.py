"""What the parsers of the commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Commands = argparse._SubParsersAction  # of argparse.ArgumentParser


def command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
    examples: str | None = None,
) -> argparse.ArgumentParser:
    """Add `genir NAME`; `run` returns the exit code."""
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def add_config(parser: argparse.ArgumentParser, files: str, example: str) -> None:
    """Arguments CONFIG.yaml and overrides."""
    parser.add_argument("config", metavar="CONFIG.yaml", help=f"{files}, or your own")
    parser.add_argument("overrides", metavar="key.path=value", nargs="*", help=f"for example {example}")


def add_dry_run(parser: argparse.ArgumentParser, what: str) -> None:
    """Option --dry-run."""
    parser.add_argument("--dry-run", action="store_true", help=f"say what would be {what}, and stop")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Argument RUN."""
    parser.add_argument("run", metavar="RUN", help="run directory")
