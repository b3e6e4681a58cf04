"""`genir fetch`: all that configurations name on a hub, into the hub cache, so that compute nodes run offline."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import constants
from pydantic import BaseModel

from genir import config as configs
from genir import storage
from genir.backbone import files, hub
from genir.backbone.hashes import sha256_once
from genir.config.base import Strict, load, read
from genir.config.shared import Lora, Model
from genir.errors import ConfigError, ModelError
from genir.resources import locate
from genir.runs.summary import human_bytes


class Named(NamedTuple):
    """A hub repository that a configuration names."""

    kind: str
    """As `files.chooser` has it; else the key of the configuration."""
    id: str
    revision: str | None = None
    variant: str | None = None


@dataclass(frozen=True)
class Fetched:
    """A repository in the cache, or what it would take to have it there."""

    named: Named
    commit: str
    licence: str
    state: str
    """there, fetched, or to be fetched."""
    bytes: dict[str, int]
    """By file."""
    sha256: dict[str, str]
    """By file; of what is to be fetched, the large files only."""

    def lines(self) -> list[str]:
        """For a person."""
        named = self.named
        what = f"{named.kind} {named.id}" + (f" ({named.variant})" if named.variant else "")
        size = f"{len(self.bytes)} files, {human_bytes(sum(self.bytes.values()))}"
        head = f"{what}: {self.state}, {size}, commit {self.commit}, licence {self.licence}"
        width = max((len(human_bytes(count)) for count in self.bytes.values()), default=0)
        return [head] + [
            f"  {self.sha256.get(name, '')[:16]:16}  {human_bytes(count):>{width}}  {name}"
            for name, count in self.bytes.items()
        ]

    def facts(self) -> dict[str, Any]:
        """For programs."""
        named = {key: value for key, value in self.named._asdict().items() if value is not None}
        return {**named, "commit": self.commit, "licence": self.licence, "state": self.state} | {
            "files": {name: {"bytes": size, "sha256": self.sha256.get(name)} for name, size in self.bytes.items()}
        }


def collect(paths: Sequence[str], overrides: Sequence[str]) -> list[Named]:
    """All hub repositories that the configurations name, each once; raises ConfigError."""
    found = [named for path in paths for named in named_in(load(_kind_of(path, overrides), path, overrides))]
    return list(dict.fromkeys(found))


def named_in(config: Any, key: str = "") -> Iterator[Named]:
    """Hub repositories in a configuration: every string field whose description says "hub id" may hold one.

    Paths that exist are none, nor what stands beside a `url`.
    """
    if isinstance(config, Model):
        for kind, id in (("model", config.id), ("vae", config.vae), ("model.config", config.config)):
            revision = config.revision if kind == "model" else None
            variant = None if kind == "model.config" else config.variant
            yield from _if_remote(Named(kind, id or "", revision, variant))
        yield from named_in(config.loras)
    elif isinstance(config, Lora):
        yield from _if_remote(Named("lora", config.id))
    elif isinstance(config, BaseModel):
        if getattr(config, "url", None) is not None:
            return
        for name, field in type(config).model_fields.items():
            value = getattr(config, name)
            if isinstance(value, str) and "hub id" in (field.description or ""):
                kind = name if name not in ("id", "model") else key or "model"
                yield from _if_remote(Named(f"{kind} model", value, getattr(config, "revision", None)))
            else:
                yield from named_in(value, name)
    elif isinstance(config, dict):
        for name, value in config.items():
            yield from named_in(value, str(name))
    elif isinstance(config, tuple | list):
        for value in config:
            yield from named_in(value, key)


def fetch(wanted: Named, dry_run: bool) -> Fetched:
    """Have one repository in the cache; what is there is not asked for again, and works without a network.

    Raises:
        ModelError: no network, no such repository, gated, a damaged download, a disk without room.
    """
    choose = files.chooser(wanted.kind, wanted.id, wanted.variant)
    folder, state = hub.cached(wanted.id, choose, revision=wanted.revision), "there"
    if folder is None:
        if constants.is_offline_mode():
            raise ModelError(
                f"{wanted.kind} {wanted.id}: is not in the hub cache {hub.cache_folder()}, and HF_HUB_OFFLINE is set: "
                "unset it for this command"
            )
        listed = hub.listing(wanted.id, choose, revision=wanted.revision, what=wanted.kind)
        if dry_run:
            return Fetched(wanted, listed.commit, listed.licence, "to be fetched", listed.bytes, listed.sha256)
        _check_room(wanted, sum(listed.bytes.values()))
        folder = hub.download(wanted.id, listed, what=wanted.kind, revision=wanted.revision)
        state = "fetched"
    names = choose(hub.names(folder), folder)
    hashes = {name: sha256_once(folder / name) for name in names}
    sizes = {name: (folder / name).stat().st_size for name in names}
    return Fetched(wanted, folder.name, hub.licence(hub.Found(wanted.id, "folder", folder)), state, sizes, hashes)


def _if_remote(named: Named) -> Iterator[Named]:
    id = named.id
    if re.fullmatch(r"[\w.-]+/[\w.-]+", id) and not id.startswith(".") and not Path(id).exists():
        if Path(id).suffix in hub.FILE_SUFFIXES:
            return
        yield named


def _check_room(wanted: Named, need: int) -> None:
    cache = Path(hub.cache_folder()).expanduser().absolute()
    room = storage.free_bytes(next(path for path in (cache, *cache.parents) if path.is_dir()))
    if need > room:
        raise ModelError(
            f"{wanted.kind} {wanted.id}: needs {human_bytes(need)}, {cache} has {human_bytes(room)} free; "
            "set HF_HUB_CACHE to another disk"
        )


def _kind_of(path: str, overrides: Sequence[str]) -> type[Strict]:
    """The command of a configuration: by the name of its file, else the one whose keys it has."""
    read(locate(path))
    kinds = dict(_kinds())
    stem = Path(path).stem
    for name in sorted(kinds, key=len, reverse=True):
        if stem == name or stem.startswith(f"{name}_"):
            return kinds[name]
    for kind in kinds.values():
        try:
            load(kind, path, overrides)
        except ConfigError:
            continue
        return kind
    raise ConfigError(
        f"{path}: of which command? Call the file COMMAND_anything.yaml; commands: {', '.join(sorted(kinds))}"
    )


def _kinds() -> Iterator[tuple[str, type[Strict]]]:
    """`generate` -> Generate of genir/config/generate.py, ...; of genir/config/prompts.py `prompts_write` -> Write."""
    for found in pkgutil.iter_modules(configs.__path__):
        module = importlib.import_module(f"genir.config.{found.name}")
        if isinstance(own := getattr(module, found.name.capitalize(), None), type):
            yield found.name, own
    from genir.config.prompts import Compose, Write

    yield from (("prompts_compose", Compose), ("prompts_write", Write))
