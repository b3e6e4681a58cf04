"""The page: sections of escaped HTML around one style sheet and one script, all in one file."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from PIL import Image

_HERE = Path(__file__).parent
_UNREAD = ("model_files", "prompt_files")  # long lists of hashes; env.json has them


class Page:
    """Sections in the order in which they are added; `html()` is the whole file."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._lead = ""
        self._sections: list[tuple[str, str, str]] = []
        self._gallery: dict[str, Any] | None = None

    def lead(self, text: str) -> None:
        """One sentence under the title."""
        self._lead = text

    def section(self, name: str, *content: str, note: str = "") -> None:
        """Add a section with its heading; `content` is HTML already."""
        hint = f'<p class="note">{escape(note)}</p>' if note else ""
        self._sections.append((name.lower().replace(" ", "-"), name, hint + "".join(content)))

    def gallery(self, facts: dict[str, Any], note: str) -> None:
        """Add the gallery, which the script draws from `facts`; a page has one at most."""
        self._gallery = facts
        self.section("Gallery", (_HERE / "gallery.html").read_text(), note=note)

    def add_environment(self, root: Path) -> None:
        """Versions, model, licences, and the configuration."""
        parts = []
        if (root / "env.json").exists():
            facts = json.loads((root / "env.json").read_bytes())
            versions = facts.pop("versions", {})
            shown = {name: plain(value) for name, value in facts.items() if name not in _UNREAD}
            shown["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
            parts.append(definitions(shown))
        if (root / "config.yaml").exists():
            config = escape((root / "config.yaml").read_text())
            parts.append(f"<details><summary>config.yaml</summary><pre>{config}</pre></details>")
        if parts:
            self.section("Environment", *parts)

    def html(self) -> str:
        """The whole file."""
        links = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _ in self._sections)
        body = "".join(
            f'<section id="{anchor}" aria-labelledby="h-{anchor}"><h2 id="h-{anchor}">{escape(name)}</h2>{content}'
            "</section>"
            for anchor, name, content in self._sections
        )
        data = json.dumps(self._gallery, separators=(",", ":")).replace("<", "\\u003c")  # no tag, no comment
        parts = {
            "TITLE": escape(self._title),
            "LEAD": escape(self._lead),
            "VERSION": escape(__version__),
            "LINKS": links,
            "STYLE": (_HERE / "page.css").read_text(),
            "SCRIPT": (_HERE / "page.js").read_text(),
            "DATA": data,
            "BODY": body,
        }
        text = (_HERE / "page.html").read_text()
        first, *rest = text.split("{{")
        return first + "".join(parts[name] + after for name, _, after in (piece.partition("}}") for piece in rest))


def tiles(facts: Mapping[str, tuple[str, str]]) -> str:
    """Large numbers: label -> (number, remark)."""
    cells = "".join(
        f"<li><b>{escape(number)}</b><span>{escape(label)}</span><small>{escape(remark)}</small></li>"
        for label, (number, remark) in facts.items()
    )
    return f'<ul class="tiles">{cells}</ul>'


def bars(rows: Sequence[tuple[str, int, str]], whole: int) -> str:
    """Horizontal bars: (name, count, class); percentages are of `whole`."""
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><i class="{kind}" style="width:'
        f'{100 * count / max(whole, 1):.2f}%"></i></td><td>{count:,}</td><td>{percent(count, whole)}</td></tr>'
        for name, count, kind in rows
    )
    return f'<table class="bars"><tbody>{lines}</tbody></table>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """A table whose columns sort at a click on their heads; numbers are right-aligned."""
    head = "".join(f'<th scope="col"><button type="button">{escape(name)}</button></th>' for name in heads)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="table by {escape(heads[0])}">'
        f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def definitions(facts: Mapping[str, str]) -> str:
    """Name and value, line by line."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{lines}</dl>"


def picture(image: Image.Image, quality: int = 82) -> str:
    """A data URL."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def percent(count: float, whole: float) -> str:
    """\"12.3 %\"; a dash where there is no whole."""
    return f"{100 * count / whole:.1f} %" if whole else "–"


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f'<td class="number" data-value="{value}">{shown}</td>'


def plain(value: Any) -> str:
    """A JSON value in a line: names before values, semicolons between the parts of lists."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(plain(inner) for inner in value)
    return str(value)
