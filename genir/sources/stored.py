"""What a run keeps, for export: its images or pairs as they lie in its shards, with their captions and labels."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from genir import images
from genir.errors import ConfigError, PlanError, ShardError
from genir.exporters.entry import Stored
from genir.shards import reader
from genir.shards.files import Marker, Row, ShardFiles, read_marker
from genir.shards.selection import Selection
from genir.sources.run import beside, judged_pixels
from genir.sources.tars import Sample, samples

_COLUMNS = ("key", "epoch", "prompt", "verdict", "height", "width", "synthetic")
_LABELS = "annotation_"
_CAPTIONS = "caption_"
_CONSISTENCY, _COMPARED = "consistency", ("depth", "normal")


@dataclass(frozen=True)
class FinishedShard:
    """A shard of a run."""

    number: int
    marker: Marker
    take: int | None
    """Of its kept images, in key order: where the run's target is reached; None: all."""


class StoredRun:
    """The finished shards of a run of `genir generate` or `genir degrade`."""

    def __init__(
        self,
        root: Path,
        selected: Collection[str] | None = None,
        selection: Selection | None = None,
        caption: str = "prompt",
        gt: str = "hq",
        labels: Sequence[str] | None = (),
        captioners: Sequence[str] | None = (),
    ) -> None:
        """Look at the plan and the markers.

        Args:
            root: the run directory.
            selected: keys to take; None takes all that were kept.
            selection: verdicts that replace the run's own.
            caption: `prompt`, or the captioner whose texts are in the stage `caption_<captioner>`.
            gt: which picture of a pair is its HQ: `hq` or `hq_usm`.
            labels: domains to take; None takes all that were not made by a backend which has to be asked for.
            captioners: `prompt` or captioners that every picture must have; None takes all that are there, else
                `prompt`.

        Raises:
            PlanError: not a run, or nothing of it is finished.
            ConfigError: the run does not store that HQ, or has no such captions or labels.
        """
        self.root, self._selected, self._selection, self._gt = root, selected, selection, gt
        self._index = lru_cache(4)(_by_name)  # of this reader only: a tar grows with its run
        self.without_pixels = set[str]()
        """Keys that the selection takes, and of which no pixels are stored, in the shards that were asked for."""
        try:
            plan = json.loads((root / "plan.json").read_bytes())
            meaning = plan["meaning"]
            self._n_shards, self._cut = int(plan["shards"]), int(plan["shard_size"])
            self.digest = str(plan["digest"])
            self._stage = str(plan.get("stage", "image"))
            self.format: images.Format = meaning["image"]["format"]
            self.level = int(meaning["image"]["level"])
            self.scale: int | None = int(meaning["degradation"]["scale"]) if self._stage == "lq" else None
            self._named_by_epoch = meaning.get("epochs", 1) > 1
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlanError(f"{root}/plan.json: not the plan of a run with images or pairs ({error!r})") from None
        if selection is not None and selection.run != self.digest:
            raise PlanError(f"{root}: the selection {selection.name!r} belongs to another run")
        if self.scale is not None and not meaning["store"][gt]:
            raise ConfigError(f"gt {gt}: {root} does not store it; make the pairs with store.{gt}=true")
        known = [path.name.removeprefix(_CAPTIONS) for path in sorted(root.glob(f"{_CAPTIONS}*"))]
        self._caption = caption
        self.captioners = tuple(known or ["prompt"]) if captioners is None else tuple(captioners)
        for name in (caption, *self.captioners):
            if name not in ("prompt", *known):
                there = ", ".join(["prompt", *known])
                raise ConfigError(f"caption {name}: {root} has no such captions; there are: {there}")
        self.domains = self._domains(labels)
        self.without_caption = set[str]()
        """Keys that lack one of the captioners, in the shards that were asked for."""
        self.shards = self._finished()
        if not self.shards:
            raise PlanError(f"{root}: none of its shards is finished; run the command that makes it first")

    def _domains(self, labels: Sequence[str] | None) -> tuple[str, ...]:
        there = {path.name.removeprefix(_LABELS): path for path in sorted(self.root.glob(f"{_LABELS}*"))}
        if labels is None:
            return tuple(domain for domain in there if self.label_facts(domain).get("exported", True))
        for domain in labels:
            if domain not in there:
                raise ConfigError(f"labels {domain}: {self.root} has no such labels; there are: {', '.join(there)}")
        return tuple(labels)

    def label_facts(self, domain: str) -> dict[str, Any]:
        """What the plan and env.json of a domain's stage say of its backend and model."""
        facts: dict[str, Any] = {}
        for document, part in (("plan.json", "meaning"), ("env.json", None)):
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
                content = json.loads((self.root / f"{_LABELS}{domain}" / document).read_bytes())
                facts |= content[part] if part else content
        return facts

    def _finished(self) -> list[FinishedShard]:
        wanted = None
        with contextlib.suppress(FileNotFoundError, KeyError):
            if self._selection is None:  # which says itself what is taken
                wanted = json.loads((self.root / "goal.json").read_bytes())["kept"]
        found: list[FinishedShard] = []
        for number in range(self._n_shards):
            marker = read_marker(self._files(self._stage, number))
            if marker is None and wanted:
                break  # a target counts the first shards without a gap
            if marker is not None:
                # a shard that is taken whole stays the same one when the target grows
                found.append(FinishedShard(number, marker, wanted if wanted and wanted < marker.kept else None))
                wanted = wanted and max(0, wanted - marker.kept)
                if wanted == 0:
                    break
        return found

    def _files(self, stage: str, shard: int) -> ShardFiles:
        return ShardFiles.of(self.root / stage, shard, self._n_shards)

    def pictures(self, shard: FinishedShard) -> list[Stored]:
        """Kept pictures of a shard in key order, those that are selected."""
        rows = self._taken(shard)
        texts = {name: self._texts(name, shard.number) for name in {self._caption, *self.captioners} - {"prompt"}}
        labels = {domain: self._labelled(domain, shard.number) for domain in self.domains}
        pictures = [
            Stored(
                row["key"],
                f"{row['key']}_{row['epoch']}" if self._named_by_epoch else row["key"],
                row["prompt"],
                texts[self._caption].get(row["key"], "") if self._caption in texts else row["prompt"],
                row.get("synthetic") is not False,
                row["height"],
                row["width"],
                tuple(domain for domain, keys in labels.items() if row["key"] in keys),
                tuple(
                    (name, texts[name].get(row["key"], "") if name in texts else row["prompt"])
                    for name in self.captioners
                ),
                "" if row["verdict"] == "kept" else row["pixels_sha256"],
            )
            for row in rows
        ]
        lacking = {one.key for one in pictures if any(not text and name != "prompt" for name, text in one.captions)}
        self.without_caption |= lacking
        return [one for one in pictures if one.key not in lacking]

    def _taken(self, shard: FinishedShard) -> list[Row]:
        if self._selection is None:
            rows = [row for row in self._rows(self._stage, shard.number, _COLUMNS) if row["verdict"] == "kept"]
            return [row for row in rows[: shard.take] if self._selected is None or row["key"] in self._selected]
        rows = self._rows(self._stage, shard.number, (*_COLUMNS, "pixels_sha256"))
        rows = [row for row in rows if not self._selection.reason(int(row["key"]))]
        there = [row for row in rows if row["verdict"] == "kept" or self._beside(shard.number, row["key"])]
        self.without_pixels |= {row["key"] for row in rows} - {row["key"] for row in there}
        return there

    def _beside(self, shard: int, key: str) -> Path | None:
        return beside(self.root, self._files(self._stage, shard).name, key)

    def identity(self, shard: FinishedShard) -> list[Any]:
        """What decides which pictures a shard holds."""
        facts: list[Any] = [shard.number, shard.take, shard.marker.files]
        stages = [f"{_LABELS}{domain}" for domain in self.domains]
        stages += [f"{_CAPTIONS}{name}" for name in self.captioners if name != "prompt"]
        if stages:
            markers = (read_marker(self._files(stage, shard.number)) for stage in (*stages, _CONSISTENCY))
            facts.append([marker and marker.files for marker in markers])
        return facts if self._selection is None else [*facts, [one.key for one in self.pictures(shard)]]

    def _rows(self, stage: str, shard: int, columns: Sequence[str]) -> list[Row]:
        files = self._files(stage, shard)
        return reader.rows(files, columns) if files.marker.exists() else []

    def _texts(self, captioner: str, shard: int) -> dict[str, str]:
        rows = self._rows(f"{_CAPTIONS}{captioner}", shard, ("key", "caption", "verdict"))
        return {row["key"]: row["caption"] or "" for row in rows if row.get("verdict", "kept") == "kept"}

    def _labelled(self, domain: str, shard: int) -> set[str]:
        rows = self._rows(f"{_LABELS}{domain}", shard, ("key", "verdict"))
        keys = {row["key"] for row in rows if row["verdict"] == "kept"}
        if domain in _COMPARED:
            keys -= {
                row["key"] for row in self._rows(_CONSISTENCY, shard, ("key", "verdict")) if row["verdict"] != "kept"
            }
        return keys

    def files(self, picture: Stored) -> dict[str, bytes]:
        """Stored files of a picture: `hq`, `lq`, ... and `json`, and its labels by domain.

        Raises:
            ShardError: they are not in the tars, though the tables say so.
        """
        shard = int(picture.key) // self._cut
        if picture.rejected:
            path = self._beside(shard, picture.key)
            if path is None:
                raise ShardError(f"{self.root}: the pixels of {picture.key} were there and are gone; run it again")
            pixels_CHW = judged_pixels(path, picture.rejected)
            return {"hq": images.encode(pixels_CHW, self.format, self.level, picture.synthetic)}
        sample = self._sample(self._stage, shard, picture.member)
        found = {self._role(ending): file.read() for ending, file in sample.files.items()}
        if "hq" not in found:
            raise ShardError(f"{self._files(self._stage, shard).tar}: no HQ of {picture.member}; genir verify")
        for domain in picture.labels:
            found[domain] = self._sample(f"{_LABELS}{domain}", shard, picture.key).files["png"].read()
        return found

    def _role(self, ending: str) -> str:
        role = ending.removesuffix(f".{self.format}")
        return "hq" if role in (self.format, self._gt) else "raw_hq" if role == "hq" else role

    def _sample(self, stage: str, shard: int, name: str) -> Sample:
        tar = self._files(stage, shard).tar
        sample = self._index(tar).get(name)
        if sample is not None:
            return sample
        raise ShardError(f"{tar}: no sample {name}, though its table says kept; genir verify tells more")

    @property
    def env(self) -> dict[str, Any]:
        """Model and versions; {} where the run does not say."""
        try:
            return json.loads((self.root / "env.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def bytes(self) -> int:
        """Of all tars."""
        return sum(shard.marker.data_bytes for shard in self.shards)


def _by_name(tar: Path) -> dict[str, Sample]:
    return {sample.name: sample for sample in samples(tar)}
