"""Read a YAML file plus `key.path=value` overrides into a pydantic model; every mistake is one line for the user."""

from __future__ import annotations

import difflib
import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from genir.errors import ConfigError
from genir.resources import locate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Strict(BaseModel):
    """Base of all configuration models: unknown keys are refused, values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Strict)


def load(kind: type[Model], path: str | Path | None, overrides: Sequence[str] = ()) -> Model:
    """The configuration in `path` (None: all defaults) with the overrides applied.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a value outside its range.
    """
    values = {} if path is None else _read(locate(path))
    for override in overrides:
        _apply(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_one_line(kind, error, str(path or "the defaults"))) from None


def digest(meaning: dict[str, Any]) -> str:
    """SHA-256 of a nested mapping of plain values, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two nested mappings, as `key: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
        ]
    return [] if old == new else [f"{prefix}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; genir's own are configs/generate_*.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys to values, this is a {type(values).__name__}")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"override {override!r}: expected key.path=value, for example steps=30")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"override {override!r}: the value is not valid YAML; quote it") from None
    *parents, last = path.split(".")
    for key in parents:
        below = values.get(key)
        if not isinstance(below, dict):
            # a short form (`model: embedded`) makes room for the mapping that the override asks for
            below = values[key] = {"id": below} if isinstance(below, str) else {}
        values = below
    values[last] = value


def _one_line(kind: type[BaseModel], error: ValidationError, source: str) -> str:
    first, *more = error.errors()
    where = ".".join(str(part) for part in first["loc"]) or "the config"
    tail = f" (and {len(more)} more)" if more else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(kind, first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{source}: unknown key {where}; {hint}{tail}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{source}: {where} = {_short(_plain(first['input']))}: {message}{tail}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _known_keys(kind: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    schema = kind.model_json_schema()
    node: Any = schema
    for part in loc:
        node = _resolve(schema, node)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or node.get("items") or {}
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: Any) -> Any:
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
    return node
