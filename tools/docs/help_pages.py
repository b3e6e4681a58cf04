"""docs/help.md: the help of every command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from unittest import mock

from genir import cli

WIDTH = "110"


def pages() -> dict[str, str]:
    """`genir generate`, `genir prompts compose`, ... -> what --help prints on a terminal of 110 columns."""
    with mock.patch.dict(os.environ, COLUMNS=WIDTH):
        return {parser.prog: parser.format_help() for parser in parsers(cli._parser())}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands, in the order of the help."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def document() -> str:
    """The file."""
    parts = [
        "# Help",
        "What `--help` says of every command. Made by `python -m tools.docs`; do not edit.",
    ]
    parts += [f"## {name}\n\n```text\n{text.rstrip()}\n```" for name, text in pages().items()]
    return "\n\n".join(parts) + "\n"
