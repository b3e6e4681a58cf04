"""Pictures beside their references: by name in two places, or LQ and HQ of a pairs run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import numpy as np

from genir import images
from genir.degrade.degrader import enlarged
from genir.errors import ConfigError, ImageError, PlanError
from genir.shards import reader
from genir.shards.files import ShardFiles, read_marker
from genir.sources.open import taken
from genir.sources.original import Original
from genir.sources.tars import samples

if TYPE_CHECKING:
    from genir.shards.files import Row
    from genir.sources.open import Source

_LOOKED_AT = 1024  # pictures of a set, for one that has a reference


class Partners:
    """The reference of every picture: the one of the same name, whatever its ending."""

    def __init__(self, source: Source, place: str) -> None:
        """List the references; raises ConfigError where two have one name."""
        self._source, self._place, self._numbers = source, place, dict[str, int]()
        for one in taken(source):
            if _stem(one.name) in self._numbers:
                raise ConfigError(f"reference {place}: two pictures are called {_stem(one.name)!r}; rename one")
            self._numbers[_stem(one.name)] = int(one.key)

    def __len__(self) -> int:
        """Number of references."""
        return len(self._numbers)

    @property
    def identity(self) -> dict[str, object]:
        """What makes two references the same."""
        return self._source.identity

    def of(self, picture: Original) -> Original | None:
        """The reference of a picture; None: there is none."""
        number = self._numbers.get(_stem(picture.name))
        return None if number is None else self._source.originals(number, number + 1)[0]

    def check(self, source: Source, place: str) -> None:
        """Raises ConfigError when none of the first pictures of a source has a reference."""
        looked_at = source.originals(0, min(_LOOKED_AT, source.available))
        if any(self.of(one) for one in looked_at):
            return
        theirs = next(iter(self._numbers), "")
        raise ConfigError(
            f"reference {self._place}: no picture of {place} has its name there (such as {_stem(looked_at[0].name)!r}; "
            f"there: {theirs!r}); names must be equal but for the ending"
        )


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix.lower() in images.SUFFIXES else name


class PairSource:
    """One side of the pairs of `genir degrade`: the HQ, or the LQ enlarged to its size (bicubic)."""

    shard_size: int | None = None
    batch: int | None = None

    def __init__(self, root: Path, side: Literal["hq", "lq"]) -> None:
        """Look at the plan and the finished shards; raises PlanError where there are no pairs with their HQ."""
        self._side = side
        plan = json.loads((root / "plan.json").read_bytes())
        self._digest, meaning = str(plan["digest"]), plan["meaning"]
        if not meaning["store"]["hq"]:
            raise PlanError(f"{root}: its pairs are stored without their HQ (store.hq=true)")
        self._scale, self._by_epoch = int(meaning["degradation"]["scale"]), meaning["epochs"] > 1
        self._pairs: list[tuple[ShardFiles, Row]] = []
        for shard in range(plan["shards"]):
            files = ShardFiles.of(root / "lq", shard, plan["shards"])
            if read_marker(files) is None:
                break
            rows = reader.rows(files, ("key", "epoch", "prompt", "verdict", "synthetic"))
            self._pairs += [(files, row) for row in rows if row["verdict"] == "kept"]
        self.n_tasks = self.available = len(self._pairs)
        if not self._pairs:
            raise PlanError(
                f"{root}: its first shard is not finished, or keeps no pair; run `genir degrade` on it first"
            )

    @property
    def identity(self) -> dict[str, object]:
        """What makes two sources the same."""
        return {"pairs": self._digest, "side": self._side, "count": len(self._pairs)}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Pictures `start` to `stop` - 1; the names of both sides are equal."""
        found = []
        for number in range(start, min(stop, self.n_tasks)):
            files, row = self._pairs[number]
            name = f"{row['key']}_{row['epoch']}" if self._by_epoch else row["key"]
            read = partial(self._read, files.tar, name, bool(row.get("synthetic")))
            found.append(Original(f"{number:09d}", name, row["prompt"], "", read))
        return found

    def _read(self, tar: Path, name: str, synthetic: bool) -> tuple[np.ndarray, bool]:
        sample = next((sample for sample in samples(tar) if sample.name == name), None)
        files = {} if sample is None else sample.files
        member = next((file for ending, file in files.items() if ending.startswith(f"{self._side}.")), None)
        if member is None:
            raise ImageError(f"{tar}: no {self._side} of {name}, though its table says kept")
        pixels_CHW = images.decode(member.read())
        return (enlarged(pixels_CHW, self._scale) if self._side == "lq" else pixels_CHW), synthetic


def is_pairs(place: str) -> bool:
    """Is it a run of `genir degrade`?"""
    try:
        return json.loads((Path(place).expanduser() / "plan.json").read_bytes()).get("stage") == "lq"
    except (OSError, ValueError, AttributeError):
        return False
