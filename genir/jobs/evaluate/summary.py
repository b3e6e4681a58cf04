"""The tables of all sets -> one document: means, distances to the reference, diversity, the same by category."""

from __future__ import annotations

import io
import statistics
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from genir import seeds
from genir.config.evaluate import REFERENCE
from genir.shards import reader
from genir.shards.files import ShardFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from genir.jobs.evaluate.launch import Launch, Set
    from genir.shards.files import Row

LEAST = 4  # images, below which sets have no distances (the third neighbour of precision and recall)


def summarise(launch: Launch) -> dict[str, Any]:
    """The document; needs all tables finished."""
    border = launch.config.crop_border
    rows = {one.name: _rows(one) for one in launch.sets}
    return {
        "sets": {one.name: {"place": one.place, **_single(launch, one, rows[one.name])} for one in launch.sets},
        "metrics": {metric.name: metric.facts(border) for metric in launch.metrics},
        "features": {
            extractor.name: {**extractor.facts(), "sets": _distances(launch, extractor.name, rows)}
            for extractor in launch.extractors
        },
    }


def _rows(one: Set) -> list[Row]:
    return [row for files in _shards(one) for row in reader.rows(files) if int(row["key"]) < one.limit]


def _shards(one: Set) -> list[ShardFiles]:
    count = one.plan.shards_within(one.limit)
    return [ShardFiles.of(one.root, shard, one.plan.n_shards) for shard in range(count)]


def _single(launch: Launch, one: Set, rows: list[Row]) -> dict[str, Any]:
    """What single images say."""
    measured = [row for row in rows if row["verdict"] == "kept"]
    by_category = defaultdict[str, list["Row"]](list)
    for row in measured:
        by_category[row["category"]].append(row)
    names = [metric.name for metric in launch.asked(one)]
    categories = sorted(by_category) if len(by_category) > 1 else []
    return {
        "images": len(measured),
        "references": None if one.partners is None or one.limit < one.source.available else len(one.partners),
        "not_measured": dict(Counter(row["reason"] for row in rows if row["verdict"] != "kept").most_common()),
        "problems": dict(Counter(row["error"] for row in measured if row["error"]).most_common(5)),
        "metrics": {name: _statistics([row[name] for row in measured]) for name in names},
        "by_category": {
            category: {
                "images": len(by_category[category]),
                **{name: _statistics([row[name] for row in by_category[category]])["mean"] for name in names},
            }
            for category in categories
        },
    }


def _statistics(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Of the numbers that could be computed; the standard error takes images as independent draws."""
    known = [value for value in values if value is not None]
    spread = statistics.stdev(known) if len(known) > 1 else None
    return {
        "images": len(known),
        "mean": statistics.fmean(known) if known else None,
        "median": statistics.median(known) if known else None,
        "std": spread,
        "standard_error": None if spread is None else spread / len(known) ** 0.5,
    }


def _distances(launch: Launch, name: str, rows: dict[str, list[Row]]) -> dict[str, Any]:
    """Every set against the reference, equally many images of each: the distances depend on the count."""
    from genir.metrics.features.diversity import diversity

    features = {one.name: _features(one, name) for one in launch.sets}
    reference = features.pop(REFERENCE, None)
    count = min(len(found) for found in features.values())
    categories = {key: {row["key"]: row["category"] for row in each} for key, each in rows.items()}
    result: dict[str, Any] = {}
    for key, found in features.items():
        taken = sorted(found, key=lambda image: seeds.derive(0, image, "evaluate"))[:count]
        result[key] = {"images": count}
        if count < LEAST:
            continue
        varied = diversity(_stacked(found, taken))
        result[key] |= {"diversity": varied.distance, "vendi": varied.vendi}
        partners = {row["key"]: row["reference"] for row in rows[key] if row["reference"]}
        result[key] |= _distance(name, found, taken, reference or {}, partners)
        result[key]["diversity_by_category"] = _by_category(found, categories[key])
    return result


def _distance(
    name: str,
    found: dict[str, np.ndarray],
    taken: Sequence[str],
    reference: dict[str, np.ndarray],
    partners: dict[str, str],
) -> dict[str, Any]:
    """Of the images that are taken: to their own references where they have some, else to the whole reference."""
    from genir.metrics.features.frechet import frechet_distance
    from genir.metrics.features.kernel import kernel_distance, paired_kernel_distance
    from genir.metrics.features.precision_recall import precision_recall

    there = [key for key in taken if partners.get(key) in reference] if partners else taken
    against = [partners[key] for key in there] if partners else list(reference)
    if min(len(there), len(against)) < LEAST:
        return {}
    set_NF, real_MF = _stacked(found, there), _stacked(reference, against)
    kernel = paired_kernel_distance(set_NF, real_MF) if partners else kernel_distance(set_NF, real_MF)
    near = precision_recall(set_NF, real_MF)
    own = ("kid", "fid") if name == "inception" else ("kernel_distance", "frechet_distance")
    return {
        "reference_images": len(against),
        "paired": bool(partners),
        own[0]: kernel.value,
        f"{own[0]}_standard_error": kernel.standard_error,
        own[1]: frechet_distance(set_NF, real_MF),
        "precision": near.precision,
        "recall": near.recall,
    }


def _by_category(found: dict[str, np.ndarray], categories: dict[str, str]) -> dict[str, float]:
    """Mean pairwise distance within each category that has images enough."""
    from genir.metrics.features.diversity import diversity

    by_category = defaultdict[str, list[str]](list)
    for key in found:
        by_category[categories[key]].append(key)
    if len(by_category) < 2:
        return {}
    enough = {name: keys for name, keys in sorted(by_category.items()) if len(keys) >= LEAST}
    return {name: diversity(_stacked(found, keys)).distance for name, keys in enough.items()}


def _features(one: Set, name: str) -> dict[str, np.ndarray]:
    """Key -> features, of every image that has them."""
    return {
        member.partition(".")[0]: np.load(io.BytesIO(content), allow_pickle=False)
        for files in _shards(one)
        for member, content in reader.members(files)
        if member.endswith(f".{name}.npy") and int(member.partition(".")[0]) < one.limit
    }


def _stacked(found: dict[str, np.ndarray], keys: Sequence[str]) -> Tensor:
    import torch

    return torch.from_numpy(np.stack([found[key] for key in keys]))
