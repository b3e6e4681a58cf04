"""Documents: links lead somewhere, the newest entry of the change log is this version."""

import re
import urllib.parse
from pathlib import Path

import pytest

import genir

ROOT = Path(__file__).parents[1]
SKIPPED = {".git", ".venv", "outputs", "build", "dist", "node_modules"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts[:-1]))
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"!?\[[^\]\n]*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^\[[^\]\n]+\]:\s+(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)


def links(document):
    text = _CODE.sub("", _FENCE.sub("", document.read_text(encoding="utf-8")))
    return _LINK.findall(text) + _REFERENCE.findall(text)


def anchors(document):
    """The anchors that a forge makes of the headings."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document):
    for link in links(document):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue  # elsewhere: http, mailto
        path, _, anchor = urllib.parse.unquote(link).partition("#")
        target = document if not path else (document.parent / path).resolve()
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor.lower() not in anchors(target):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document):
    assert list(broken(document)) == []


def test_a_broken_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# One `two`, three\n")
    document = tmp_path / "here.md"
    document.write_text(
        "[a](there.md) [b](there.md#one-two-three) ![c](none.png) [d](there.md#four) [e](https://x.org/no) [f](#top)\n"
        "`[g](none.md)` [h](/etc/passwd)\n```\n[i](none.md)\n```\n[j]: none.txt\n# Top\n"
    )
    assert [line.partition(":")[0] for line in broken(document)] == [
        "none.png",
        "there.md#four",
        "/etc/passwd",
        "none.txt",
    ]


def test_the_change_log_begins_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^##\s+\[?v?([^\]\s]+)", text, re.MULTILINE)
    assert newest
    assert newest[1] in (genir.__version__, "Unreleased")


def test_the_version_of_the_package_is_the_version_of_the_project():
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version == genir.__version__
