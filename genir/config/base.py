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
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails


class Strict(BaseModel):
    """Base of all configuration models: unknown keys are refused, values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)

_SHOWN = 8  # of many mistakes
_SHORT_FORMS = {
    "model": "id",
    "scheduler": "name",
    "degradation": "preset",
    "gates": "file",
}  # `model: embedded` is short for `model: {id: embedded}`
_MESSAGES = {
    "model_type": "expected a mapping of keys to values",
    "tuple_type": "expected a list",
    "missing": "is required",
}  # where pydantic's own words are about Python


def load(kind: type[Model], path: str | Path | None, overrides: Sequence[str] = ()) -> Model:
    """The configuration in `path` (None: all defaults) with the overrides applied.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a value outside its range.
    """
    return resolve(kind, {} if path is None else read(locate(path)), str(path or "the defaults"), overrides)


def resolve(kind: type[Model], values: dict[str, Any], source: str, overrides: Sequence[str]) -> Model:
    """The configuration of values that came from `source`, with the overrides applied; raises ConfigError."""
    for override in overrides:
        _apply(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_mistakes(kind, error, source, overrides)) from None


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
    try:
        text = json.dumps(value, default=str)
    except TypeError:  # YAML has dates even as keys
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        scalars = (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))  # PyYAML refuses other keys
        for key in scalars:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such config file; genir's own are configs/*.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no such day, 2024-02-30
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise ConfigError(f"{path}{where}: not valid YAML: {problem}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys to values, this is a {type(values).__name__}")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    *parents, last = keys = path.split(".")
    if not equals or not all(keys):
        raise ConfigError(f"override {override!r}: expected key.path=value, for example steps=30")
    try:
        value = yaml.safe_load(text) if text else ""
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"override {override!r}: the value is not valid YAML; quote it") from None
    for key in parents:
        below = values.get(key)
        if below is None:
            below = {}
        elif isinstance(below, str) and key in _SHORT_FORMS:
            below = {_SHORT_FORMS[key]: below}
        elif not isinstance(below, dict):
            raise ConfigError(f"override {override!r}: {key} is {_short(below)}, it has no keys; set {key}=... whole")
        values[key] = values = below
    values[last] = value


def _mistakes(kind: type[BaseModel], error: ValidationError, source: str, overrides: Sequence[str]) -> str:
    """One line a mistake, the first ones of many."""
    found = _joined(error.errors())
    above = {details["loc"][:length] for details in found for length in range(len(details["loc"]))}
    # a list without its bad items may be too short as well: the items are what is wrong
    lines = [_one_line(kind, details, source, overrides) for details in found if details["loc"] not in above]
    return "\n".join(lines[:_SHOWN] + ([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []))


def _joined(found: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """The forms that a value may have, each of which failed, as one mistake; pydantic's names for them are left out."""
    whole: dict[tuple[int | str, ...], ErrorDetails] = {}
    for details in found:
        loc = tuple(part for part in details["loc"] if part == "[key]" or not str(part).endswith("]"))
        if loc in whole and details["loc"] != loc:
            other = details["msg"].removeprefix("Input should be ")
            message = f"{whole[loc]['msg']} or {other[0].lower()}{other[1:]}"
            whole[loc] = {**whole[loc], "msg": message, "type": "union"}
        else:
            whole.setdefault(loc, {**details, "loc": loc})
    return list(whole.values())


def _one_line(kind: type[BaseModel], details: ErrorDetails, source: str, overrides: Sequence[str]) -> str:
    where = ".".join(str(part) for part in details["loc"] if part != "[key]") or "the config"
    for override in overrides:
        if f"{where}.".startswith(override.partition("=")[0] + "."):
            source = f"override {override!r}"
    if details["type"] == "extra_forbidden":
        known = _known_keys(kind, details["loc"][:-1])
        close = difflib.get_close_matches(str(details["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{source}: unknown key {where}; {hint}"
    message = _MESSAGES.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    value = "" if details["type"] == "missing" or not details["loc"] else f" = {_short(details['input'])}:"
    return f"{source}: {where}{value} {message}"


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
