"""The genir commands that documents, configurations and help texts tell a reader to type."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from genir import cli
from tools.docs.help_pages import parsers

ROOT = Path(__file__).parents[1]
MADE = {"docs/help.md", "docs/configuration.md"}  # from the parsers and the models themselves
_HIDDEN = {".git", ".venv", ".github", "outputs", "build", "dist", "CHANGELOG.md"}
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}\S.*(?:\n|$))+", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]*\bgenir [a-z][^`\n]*)`")
_PLACEHOLDER = re.compile(r"\.\.\.|\b(CONFIG|RUN|FILE|NAME|X|COMMAND)\b(?!=)")


class Told(NamedTuple):
    """A command line."""

    where: str
    text: str
    words: list[str]
    """What stands after `genir`."""
    whole: bool
    """Can be typed as it stands; else it names a command and some of its options."""


def documents():
    """Relative paths of the documents that people write."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(str(path) for path in found if not _HIDDEN & set(path.parts) and str(path) not in MADE)


def told():
    """All of them, each once."""
    found = [*_in_documents(), *_in_configurations(), *_in_help()]
    return list({one.text: one for one in found}.values())


def blocks(text):
    """Code blocks, fenced or indented."""
    rest = _FENCED.sub("", text)
    return [*_FENCED.findall(text), *_INDENTED.findall(rest)]


def _in_documents():
    for name in documents():
        text = (ROOT / name).read_text(encoding="utf-8")
        for block in blocks(text):
            for line in block.replace("\\\n", " ").splitlines():
                yield from _command(name, re.sub(r"\s#(\s.*)?$", "", line), True)
        for code in _INLINE.findall(_FENCED.sub("", text)):
            yield from _command(name, code, False)


def _in_configurations():
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        for line in path.read_text().splitlines():
            if line.startswith("#   "):
                yield from _command(f"configs/{path.name}", re.split(r"\s{2,}", line[4:])[0], True)


def _in_help():
    for parser in parsers(cli._parser()):
        for line in (parser.epilog or "").splitlines():
            if line.startswith("  "):
                yield from _command(f"{parser.prog} --help", re.split(r"\s{2,}", line.strip())[0], True)


def _command(where, line, is_block):
    line = line.strip()
    if not re.search(r"(^|\s)genir [a-z]", line):
        return
    try:
        words = shlex.split(line)
    except ValueError:  # prose: an apostrophe
        return
    starts = [n for n, word in enumerate(words) if word == "genir" and (n == 0 or words[n - 1] == "-m")]
    if not starts:
        return
    words = words[starts[0] + 1 :]
    whole = is_block and not _PLACEHOLDER.search(line)
    yield Told(where, line, words, whole)
