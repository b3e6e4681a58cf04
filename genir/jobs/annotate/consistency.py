"""Do the depth and the normal label of a picture show the same surface? A table; nothing is changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import images
from genir.annotators.draw import agreement
from genir.jobs.annotate.work import Note, Noted
from genir.records import Columns, Score, Verdict
from genir.shards import reader
from genir.shards.files import ShardFiles
from genir.sources.tars import samples

if TYPE_CHECKING:
    import numpy as np

    from genir.sources.open import SourcePlan
    from genir.sources.pictures import Picture

STAGES = ("annotation_depth", "annotation_normal")


class Consistency:
    """Work of the stage `consistency`: every label that is there, compared."""

    def __init__(self, root: Path, plan: SourcePlan, least: float, labels: dict[str, Any]) -> None:
        """Compare the labels of a run.

        Args:
            root: the run.
            plan: how its labels are cut.
            least: agreement below which both labels are not to be used.
            labels: meaning of the two stages.
        """
        self._root, self._plan, self._least, self._labels = root, plan, least, labels
        self.columns: Columns = {"depth_normal": "float"}
        self.said: dict[str, Score] = {}

    def meaning(self) -> dict[str, Any]:
        """What makes two stages the same, beside source and cut."""
        return {"agreement": self._least, "labels": self._labels}

    def load(self) -> tuple[Note, dict[str, Any]]:
        """Nothing to load."""
        return lambda batch: [self._noted(picture) for picture in batch], {}

    def _noted(self, picture: Picture) -> Noted:
        depth, normal = (self._label(stage, picture.key) for stage in STAGES)
        if depth is None or normal is None:
            return Noted(picture, Verdict("kept"))
        found = agreement(depth[0], normal)
        if found is not None and found < self._least:
            return Noted(picture, Verdict("rejected", "depth against normals"), columns={"depth_normal": found})
        return Noted(picture, Verdict("kept"), columns={"depth_normal": found})

    def _label(self, stage: str, key: str) -> np.ndarray | None:
        files = ShardFiles.of(self._root / stage, int(key) // self._plan.shard_size, self._plan.n_shards)
        if not files.tar.exists():
            return None
        sample = next((one for one in samples(files.tar) if one.name == key), None)
        return None if sample is None else images.decode(sample.files["png"].read())

    def files(self, noted: Noted) -> dict[str, bytes]:
        """None: a table is all."""
        return {}


def covered(root: Path, plan: SourcePlan) -> int:
    """All pictures below this number have their rows in both stages."""
    counts = []
    for stage in STAGES:
        count = 0
        for shard, marker in reader.markers(root / stage, plan.n_shards):
            if shard * plan.shard_size != count:
                break
            count = marker.covered
        counts.append(count)
    return min(counts)
