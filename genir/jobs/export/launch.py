"""One launch of `genir export`: every part it needs, made from its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genir import __version__, ranks
from genir.config.base import digest
from genir.config.export import LABELLED, Export
from genir.errors import ConfigError
from genir.exporters.basicsr import basicsr
from genir.exporters.card import About
from genir.exporters.dreamclear import Features, dreamclear
from genir.exporters.entry import Division, Entry
from genir.exporters.format import Format, Target
from genir.exporters.imagefolder import ImageFolder
from genir.exporters.jodi import Jodi
from genir.exporters.lmdb import Lmdb
from genir.exporters.parquet import Parquet
from genir.exporters.paths import paths
from genir.exporters.pictures import Cutter
from genir.exporters.realesrgan import realesrgan
from genir.exporters.seesr import seesr
from genir.exporters.webdataset import WebDataset
from genir.jobs.export.folder import ExportFolder, Unit
from genir.runs.summary import human_bytes
from genir.shards import selection
from genir.shards.selection import Selection
from genir.sources.open import selected_keys
from genir.sources.stored import FinishedShard, StoredRun

_PAIRS_ONLY = ("seesr", "dreamclear")
_IMAGES_ONLY = ("jodi",)


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Export) -> None:
        self.config = config
        root, chosen = _selection(config.input)
        self._selected = None if config.keys is None else selected_keys(Path(config.keys))
        self._selection = chosen and chosen.sha256
        labels = config.labels if config.format in LABELLED and not (config.tile or config.multiscale) else ()
        captioners = self._captioners()
        self.run = StoredRun(root, self._selected, chosen, config.caption, config.gt, labels, captioners)
        self.folder = ExportFolder(Path(config.out))
        self._check_fit()
        run, folder = self.run, self.folder
        self.target = Target(folder.out, folder.scratch, run.scale, run.format, run.bytes, run.domains)
        self.format = self._format(None)
        self._division = self._divide()

    def _captioners(self) -> tuple[str, ...] | None:
        config = self.config
        if config.format != "jodi":
            return ()
        return (config.caption,) if config.captioners is None and config.caption != "prompt" else config.captioners

    def _check_fit(self) -> None:
        config, scale = self.config, self.run.scale
        if config.keys is not None and self._selection is not None:
            raise ConfigError(f"keys {config.keys}: {config.input} names a selection already; leave one of them out")
        if scale is None and config.format in _PAIRS_ONLY:
            raise ConfigError(
                f"format {config.format}: wants pairs, and {config.input} holds images; run genir degrade"
            )
        if scale is not None and config.format in _IMAGES_ONLY:
            raise ConfigError(f"format {config.format}: wants images, and {config.input} holds pairs; give their run")
        if scale is not None and config.multiscale:
            raise ConfigError(
                "multiscale: a reduced HQ needs an LQ of its own; export the images, and degrade that folder"
            )
        if config.format in _IMAGES_ONLY and (config.tile or config.multiscale):
            raise ConfigError(f"format {config.format}: labels belong to whole pictures; leave tile and multiscale out")
        if config.tile and scale and (config.tile.size % scale or (config.tile.step or 0) % scale):
            raise ConfigError(f"tile: size and step of pairs must be multiples of their scale {scale}")

    def _divide(self) -> Division:
        split, tile = self.config.split, self.config.tile
        return Division(
            self.format.undivided,
            split.val if split else 0.0,
            split is None or split.by == "prompt",
            self.config.multiscale,
            tile and tile.size,
            tile and tile.step,
        )

    def _format(self, features: Features | None) -> Format:
        target, about = self.target, self._about()
        made: Format = {
            "basicsr": lambda: basicsr(target),
            "realesrgan": lambda: realesrgan(target),
            "paths": lambda: paths(target),
            "lmdb": lambda: Lmdb(target),
            "seesr": lambda: seesr(target),
            "dreamclear": lambda: dreamclear(target, features),
            "jodi": lambda: Jodi(target, {domain: self.run.label_facts(domain) for domain in self.run.domains}),
            "webdataset": lambda: WebDataset(target),
            "imagefolder": lambda: ImageFolder(target, about),
            "parquet": lambda: Parquet(target, about),
        }[self.config.format]()
        return made

    def _about(self) -> About:
        env = self.run.env
        made = f"Exported by genir {__version__} from a run of " + ("pairs" if self.run.scale else "images") + "."
        if "model" in env:
            made += f" Images by the model {env['model']}."
        if self.run.scale:
            made += f" LQ: {self.run.scale} times smaller, degraded as `plan.json` of that run says."
        licence, outputs = env.get("model_licence", "unknown"), env.get("outputs_may_train", "")
        return About(self.folder.out.resolve().name, made, str(licence), str(outputs))

    def meaning(self) -> dict[str, Any]:
        """What makes two exports the same."""
        keys = None if self._selected is None else digest({"keys": sorted(self._selected)})
        return {**self.config.meaning(), "input": self.run.digest, "selection": self._selection, "keys": keys}

    def check(self) -> None:
        """Refuse another export's folder and a disk without room; writes nothing."""
        self.folder.check(self.meaning())
        room, needed = self.folder.free(), self._bytes_left()
        if room < needed:
            facts = f"{human_bytes(room)} free, about {human_bytes(needed)} needed"
            raise ConfigError(f"{self.folder.out}: {facts}; free some space or choose another folder (out=...)")

    def _bytes_left(self) -> int:
        """Estimate: tiles without overlap weigh what the pictures do."""
        shards = [shard for unit in self.units if not self.folder.is_done(unit) for shard in unit.shards]
        return sum(shard.marker.data_bytes for shard in shards)

    @cached_property
    def units(self) -> list[Unit]:
        """Shards of the run, each alone or as many as become one file."""
        size = self.config.shards_per_file if self.format.merges else 1
        found: dict[int, list[FinishedShard]] = {}
        for shard in self.run.shards:
            found.setdefault(shard.number // size, []).append(shard)
        return [
            Unit(f"{number:06d}", shards, json.dumps([self.run.identity(shard) for shard in shards]).encode())
            for number, shards in found.items()
        ]

    def entries(self, unit: Unit) -> Iterator[Entry]:
        """Everything that is exported of a unit, from tables alone."""
        kept = (picture for shard in unit.shards for picture in self.run.pictures(shard))
        return self._division.entries(unit.name, kept)

    def load(self) -> None:
        """Load what is needed to write pictures."""
        t5 = self.config.t5
        if t5 is not None:
            from genir.backbone.t5 import t5_features

            device = ranks.device("auto", ranks.worker())
            self.format = self._format(t5_features(t5.id, t5.revision, t5.length, device))

    @cached_property
    def cutter(self) -> Cutter:
        """Makes the pictures of entries."""
        scale = self.run.scale or 1
        return Cutter(self.format.roles, scale, self.run.format, self.format.ending, self.run.level, _enlarged)

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, run = self.config, self.run
        kind = "images" if run.scale is None else f"pairs x{run.scale}"
        kept = sum(min(shard.marker.kept, shard.take or shard.marker.kept) for shard in run.shards)
        left = sum(not self.folder.is_done(unit) for unit in self.units)
        return [
            f"export      {config.format}, {self.folder.out}" + (", resumed" if self.folder.is_begun else ", new"),
            f"input       {config.input}: {kept} kept {kind} in {len(run.shards)} finished shards",
            f"disk        about {human_bytes(self._bytes_left())} for {left} of {len(self.units)} parts that are left",
        ]


def _selection(place: str) -> tuple[Path, Selection | None]:
    """The run of `RUN#SELECTION`, and its selection."""
    if "#" not in place or Path(place).exists():
        return Path(place), None
    root, _, name = place.rpartition("#")
    return Path(root), selection.read(Path(root), name)


def _enlarged(lq_CHW: np.ndarray, scale: int) -> np.ndarray:
    from genir.degrade.degrader import enlarged  # torch is slow to import, and rarely needed here

    return enlarged(lq_CHW, scale)
