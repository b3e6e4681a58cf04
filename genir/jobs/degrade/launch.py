"""One launch of `genir degrade`: every part it needs, made from its configuration."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from genir import images, ranks, storage
from genir.degrade.presets import preset
from genir.errors import ConfigError, ImageError
from genir.jobs.degrade.packing import COLUMNS, Packing
from genir.jobs.degrade.preview import Preview
from genir.runs.drive import Stage
from genir.runs.run import Run, check_run, is_planned, open_run
from genir.runs.summary import human_bytes
from genir.sources import open_source
from genir.sources.open import SourcePlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from genir.config.degradation import Degradation
    from genir.config.degrade import Degrade
    from genir.jobs.degrade.made import Made
    from genir.jobs.degrade.protocol import Manifest
    from genir.sources import Original

STAGE = "lq"
LOOKED_AT = 8  # pictures, before work begins
BATCH = 4  # pictures, where the input has no batches of its own


class Launch:
    """The parts of one launch; raises GenirError for what cannot be used."""

    def __init__(self, config: Degrade, worker: ranks.Worker, protocol: str | None = None) -> None:
        self.config, self.worker, self.root = config, worker, Path(config.run)
        self.source = open_source(config.input, config.keys, config.column)
        self.manifest = None if protocol is None else self._manifest(protocol)
        self.degradation = self._degradation() if self.manifest is None else self.manifest.degradation
        self.batch = config.batch or self.source.batch or BATCH
        self.plan = SourcePlan(self.source, self.batch, self.source.shard_size or config.shard_size)
        self.limit = self._limit()

    def _manifest(self, protocol: str) -> Manifest:
        """What was begun here, was published, or is drawn now; the pictures become its pairs."""
        from genir.jobs.degrade import protocol as protocols

        if self.config.epochs != 1:
            raise ConfigError(
                f"epochs {self.config.epochs}: a protocol says itself how many pairs a picture has; leave it out"
            )
        begun = self.root / protocols.FILE
        if protocol.endswith(".jsonl"):
            manifest = protocols.read(Path(protocol))
        elif begun.exists():
            manifest = protocols.read(begun)
        else:
            manifest = protocols.drawn(protocol, self.source, self.config.seed)
        self.source = protocols.ProtocolSource(manifest, self.source)
        return manifest

    def _degradation(self) -> Degradation:
        chosen = self.config.degradation
        try:
            degradation = chosen.changed(preset(chosen.preset))
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(f"degradation {chosen.preset}: {message} (crop=..., patch=null)") from None
        if self.config.store.hq_usm and degradation.usm is None:
            raise ConfigError(f"store.hq_usm: the degradation {chosen.preset} has no usm; set degradation.usm={{}}")
        return degradation

    def _limit(self) -> int:
        """The pictures that are there, and whose batch is complete; fewer if fewer are asked for."""
        there = self.plan.whole(self.source.available)
        if not there:
            raise ConfigError(
                f"input {self.config.input}: {self.source.available} pictures are no batch of {self.batch}"
            )
        return min(there, self.config.limit or there)

    @cached_property
    def device(self) -> torch.device:
        """Where pictures are degraded; on a CPU with the planned number of threads."""
        import torch

        torch.set_num_threads(self.config.threads)
        return ranks.device(self.config.device, self.worker)

    def meaning(self) -> dict[str, Any]:
        """All that makes two runs the same run."""
        return {
            **self.config.meaning(),
            "input": self.source.identity,
            "keys": self.config.keys and storage.sha256(Path(self.config.keys)),
            "degradation": self.degradation.model_dump(mode="json"),
            "batch": self.batch,
            "shard_size": self.plan.shard_size,
        }

    def check(self) -> None:
        """Refuse another run's directory, pictures that are too small, a disk without room; writes nothing."""
        check_run(self.root, self.meaning())
        if self.manifest is None:
            self._check_sizes()
        folder = next(path for path in (self.root, *self.root.absolute().parents) if path.is_dir())
        room, batch = storage.free_bytes(folder), self.batch * self._bytes()
        if room < 4 * batch:
            facts = f"{human_bytes(room)} free, a batch needs about {human_bytes(batch)}"
            raise ConfigError(f"{folder}: {facts}; free some space or choose another run directory (run=...)")

    def _check_sizes(self) -> None:
        """Raises ImageError when none of the first pictures is large enough: the others hardly are."""
        from genir.degrade import Degrader

        degrade, problem = Degrader(self.degradation, self.config.seed), None
        for original in self.source.originals(0, min(LOOKED_AT, self.limit)):
            if original.reason:
                continue
            try:
                pixels_CHW, _ = original.read()
            except Exception:  # noqa: BLE001 - becomes its row
                continue
            try:
                degrade.recipe(original.key, 0, pixels_CHW.shape[1:])
                return
            except ImageError as error:
                problem = ImageError(
                    f"{original.name} of {_places(self.config.input)}: {error} (degradation.crop=...), or take whole "
                    "pictures (degradation.crop=null degradation.patch=null)"
                )
        if problem is not None:
            raise problem

    def open(self) -> Run:
        """Create or resume the run directory."""
        env = {"degradation_sha256": self.degradation.sha256, "device": self.device.type}
        config = self.config.model_dump(mode="json")
        run = open_run(self.root, self.plan, COLUMNS, self.meaning(), config, env, self.worker, stage=STAGE)
        if self.manifest is not None:
            with storage.explained(self.root):
                storage.publish(self.root / "protocol.jsonl", self.manifest.encode())
        return run

    @property
    def name(self) -> str:
        """Of the degradation."""
        if self.manifest is None:
            return self.config.degradation.preset
        return f"protocol {self.manifest.header['protocol']} {self.manifest.sha256[:12]}"

    def description(self) -> list[str]:
        """What this launch is asked for, a line a subject."""
        config, degradation = self.config, self.degradation
        crop = "whole pictures" if degradation.crop is None else f"crops of {degradation.crop}"
        patch = f", pairs of {degradation.patch}" if degradation.patch else ""
        waiting = self.source.n_tasks - self.plan.whole(self.source.available)
        later = f"; {waiting} more when the input has them" if waiting else ""
        stored = [name for name, wanted in config.store.model_dump().items() if wanted]
        return [
            f"run         {self.root}" + (", resumed" if is_planned(self.root) else ", new"),
            f"input       {self.limit} of {self.source.n_tasks} pictures of {_places(config.input)}{later}",
            f"degradation {self.name} ({degradation.sha256[:12]}), x{degradation.scale}, {crop}{patch}",
            f"device      {self.device}",
            f"pairs       {config.epochs} of each picture that is taken; stored: {', '.join(['lq', *stored])}",
            f"disk        about {human_bytes(self.limit * self._bytes())} if all are taken",
        ]

    def _bytes(self) -> int:
        """Estimated bytes of one picture's pairs."""
        side = self.degradation.patch or self.degradation.crop or 1024
        store = self.config.store
        whole = images.estimated_bytes(side, side, self.config.image.format)
        times = store.hq + store.hq_usm + 0.6 * store.sr_bicubic + 1 / self.degradation.scale**2
        return int(whole * times * self.config.epochs)

    def packing(self) -> Packing:
        """How pairs become files."""
        config = self.config
        image = config.image
        return Packing(self.name, self.degradation, config.seed, config.epochs, config.store, image.format, image.level)

    def stage(self, run: Run) -> Stage:
        """What is done with the pictures of a shard."""
        from genir.degrade import Degrader
        from genir.jobs.degrade.made import make

        degrade = Degrader(self.degradation, self.config.seed, self.device)
        if self.manifest is not None:
            from genir.jobs.degrade.protocol import ProtocolDegrader

            degrade = ProtocolDegrader(self.manifest, self.device)
        preview = Preview(run.root / "preview.png", self.plan.shard_size)

        def made(batches: list[list[Original]]) -> Iterator[list[Made]]:
            return make(batches, degrade, self.config.epochs)

        return Stage(made, preview.add)


def _places(places: str | dict[str, str]) -> str:
    return places if isinstance(places, str) else ", ".join(f"{prefix}: {place}" for prefix, place in places.items())
