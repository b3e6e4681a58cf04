"""docs/configuration.md: every key with its default and its meaning."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

_HEAD = """\
# Configuration

Every key with its default and its meaning. Made by `python -m tools.docs` from the models in `genir/config`; do not
edit.

A configuration is a YAML file: `genir COMMAND CONFIG.yaml key.path=value ...`. A key that is not in the file has its
default; a key of the command line replaces the file's. `configs/` holds commented files to begin with, and
`configs/schema/` a JSON schema for each kind: an editor with a YAML language server reads the first line of the shipped
files, `# yaml-language-server: $schema=...`, completes keys and marks mistakes. In a file of your own write the
schema's full path there.
"""
_FILES = {"degradation": "Degradation files", "gates": "Gate files"}


def document(kinds: dict[str, type[BaseModel]]) -> str:
    """The file."""
    schemas = {name: model.model_json_schema() for name, model in kinds.items()}
    shared = _shared(schemas)
    parts = [_HEAD.rstrip()]
    definitions: dict[str, dict[str, Any]] = {}
    for name, found in schemas.items():
        definitions |= found.get("$defs", {})
        title = _FILES.get(name) or "genir " + name.replace("verify_", "verify --").replace("prompts_", "prompts ")
        parts.append(f"## {title}\n\n{_table(found, found.get('$defs', {}), shared)}")
    for name in sorted(shared):
        found = definitions[name]
        parts.append(f"## {_title(name)}\n\n{found['description']}\n\n{_table(found, definitions, shared)}")
    return "\n\n".join(parts) + "\n"


def _shared(schemas: dict[str, dict[str, Any]]) -> set[str]:
    """Models with keys that stand in several kinds, or below themselves: each has a table of its own."""
    uses = Counter(name for found in schemas.values() for name in found.get("$defs", {}))
    blocks = {name for name in schemas["degradation"]["$defs"] if name != "Usm"}
    return {name for name, count in uses.items() if count > 1} - {"Bound", "Gates"} | blocks


def _title(model: str) -> str:
    return "Gates" if model == "GatesAndFile" else model


def _table(node: dict[str, Any], definitions: dict[str, Any], shared: set[str]) -> str:
    rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in _rows(node, definitions, shared, "")]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _rows(
    node: dict[str, Any], definitions: dict[str, Any], shared: set[str], prefix: str
) -> Iterator[tuple[str, str, str]]:
    for name, found in node.get("properties", {}).items():
        key = f"{prefix}{name}"
        inner = _model(found, definitions)
        nested = inner is not None and inner not in shared
        yield key, _default(found, inner, definitions, nested), _meaning(found, inner, definitions, shared)
        if nested and inner is not None:
            yield from _rows(definitions[inner], definitions, shared, f"{key}.")


def _default(found: dict[str, Any], inner: str | None, definitions: dict[str, Any], nested: bool) -> str:
    """Of a model that stands elsewhere, only what differs from its own defaults."""
    if "default" not in found:
        return "" if nested else "required"
    value = found["default"]
    if inner is None or not isinstance(value, dict):
        return _value(value)
    own = {name: below.get("default") for name, below in definitions[inner]["properties"].items()}
    differing = {name: below for name, below in value.items() if below != own.get(name)}
    return _value(differing) if differing and not nested else ""


def _model(found: dict[str, Any], definitions: dict[str, Any]) -> str | None:
    """The model whose keys stand below this one."""
    for option in (found, *found.get("anyOf", ())):
        name = option.get("$ref", "").rpartition("/")[2]
        if "properties" in definitions.get(name, {}):
            return name
    return None


def _meaning(found: dict[str, Any], inner: str | None, definitions: dict[str, Any], shared: set[str]) -> str:
    text = found.get("description") or (definitions[inner]["description"] if inner else "")
    text = re.sub(r"(?<!\.)\.$", "", " ".join(text.split()))
    if re.match(r"[A-Z][a-z]*\b", text):  # the first sentence of a docstring; CenterFace and SDXL stay as they are
        text = text[0].lower() + text[1:]
    links = [f"[{name}](#{name.lower()})" for name in map(_title, _linked(found)) if name in {*shared, "Gates"}]
    values = ", ".join(f"`{value}`" for value in _choices(found))
    parts = [
        text,
        f"keys: {', '.join(links)}" if links else "",
        values and (f"always {values}" if "const" in found else f"one of {values}"),
        _range(found),
    ]
    return "; ".join(part for part in parts if part).replace("|", "\\|")


def _linked(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for name in ("anyOf", "oneOf", "items", "additionalProperties"):
            yield from _linked(node.get(name))
    elif isinstance(node, list):
        for item in node:
            yield from _linked(item)


def _choices(found: dict[str, Any]) -> list[Any]:
    options = [found, *found.get("anyOf", ()), found.get("items", {}), found.get("propertyNames", {})]
    return [*([found["const"]] if "const" in found else []), *(v for option in options for v in option.get("enum", ()))]


def _range(found: dict[str, Any]) -> str:
    """The bounds of a number in words."""
    for option in (found, *found.get("anyOf", ())):
        if option.get("type") not in ("integer", "number"):
            continue
        low = option.get("minimum", option.get("exclusiveMinimum"))
        high = option.get("maximum", option.get("exclusiveMaximum"))
        above = "above" if "exclusiveMinimum" in option else "at least"
        below = "below" if "exclusiveMaximum" in option else "at most"
        words = [
            f"{above} {_whole(low):,}" if low is not None else "",
            f"{below} {_whole(high):,}" if high is not None else "",
        ]
        return ", ".join(word for word in words if word)
    return ""


def _value(value: Any) -> str:
    value = _whole(value)
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text}`".replace("|", "\\|")


def _whole(value: Any) -> Any:
    """1.0 -> 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
