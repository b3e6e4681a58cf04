"""configs/schema/: a JSON schema for every kind of configuration file, so that editors complete and check the keys."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from typing import Any

from pydantic import BaseModel, Field, create_model

import genir.config
from genir.config.base import Strict
from genir.config.degradation import Degradation
from genir.config.generate import Gates

_OF_A_COMMAND = re.compile(r"All keys of `genir ([\w -]+)`")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def kinds() -> dict[str, type[BaseModel]]:
    """Name -> model: of commands (their docstrings say "All keys of `genir X`"), and of the other files."""
    found: dict[str, type[BaseModel]] = {}
    for module in pkgutil.iter_modules(genir.config.__path__):
        for model in vars(importlib.import_module(f"genir.config.{module.name}")).values():
            if inspect.isclass(model) and issubclass(model, Strict) and model.__module__.endswith(f".{module.name}"):
                named = _OF_A_COMMAND.match(model.__doc__ or "")
                if named:
                    found[named[1].replace("--", "").replace(" ", "_")] = model
    gates = Field(description="what `gates=FILE` takes")
    found["gates"] = create_model("GatesFile", __base__=Strict, __doc__="A file of gates.", gates=(Gates, gates))
    found["degradation"] = Degradation
    return dict(sorted(found.items()))


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """What a file may hold. No key is required: it may stand on the command line."""
    found = model.model_json_schema()
    required = found.pop("required", [])
    for name in required:
        text = found["properties"][name].get("description", "")
        found["properties"][name]["description"] = f"{text} (no default: here or on the command line)".strip()
    return {"$schema": _DRAFT, **_untitled(found)}


def _untitled(node: Any, below_properties: bool = False) -> Any:
    """Without pydantic's titles, which repeat the keys."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _untitled(value, name == "properties" and not below_properties)
        for name, value in node.items()
        if name != "title" or below_properties
    }


def document(model: type[BaseModel]) -> str:
    """The file."""
    return json.dumps(schema(model), indent=1, ensure_ascii=False) + "\n"
