"""The dataset card of a Hugging Face export, and what every card of genir says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_NAMES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")
SPLITS = {"train": "train", "val": "validation"}
"""Folder or file prefix -> what Hugging Face calls the split."""
SYNTHETIC = "Pictures that a model made carry the IPTC digital source type `trainedAlgorithmicMedia`."
NOT_ASSESSED = (
    "Not assessed: whatever no gate looked for, what a detector misses, likeness to real persons, places or works, "
    "text that identifies somebody, copies of training images."
)


@dataclass(frozen=True)
class About:
    """What the card tells."""

    name: str
    made: str
    """How the pictures came to be: a sentence or several."""
    licence: str
    """Of the model that made them; "unknown" where nobody said."""
    outputs: str = ""
    """May they train other models? Empty where nobody read the licence."""


def card(about: About, counts: Mapping[str, int], synthetic: int, files: str, columns: Mapping[str, str]) -> str:
    """README.md: a header that tells `load_dataset` where the splits are, and what a person wants to know.

    Args:
        about: what was made, and how.
        counts: samples of each split.
        synthetic: samples that a model made.
        files: pattern of a split's files; {split} is filled in.
        columns: what each holds.
    """
    total = sum(counts.values())
    front = header(
        about.name, total, synthetic, {split: files.format(split=split) for split in SPLITS if split in counts}
    )
    splits = ", ".join(f"{SPLITS[split]} {counts[split]:,}" for split in SPLITS if split in counts)
    lines = [
        f"# {about.name}",
        "",
        about.made,
        "",
        f"Samples: {splits}. Synthetic (column `synthetic`): {synthetic:,} of {total:,}. {SYNTHETIC}",
        "",
        "| column | |",
        "|---|---|",
        *(f"| `{name}` | {meaning} |" for name, meaning in columns.items()),
        "",
        f"{licence_in_words(about.licence, about.outputs)} {NOT_ASSESSED}",
    ]
    return front + "\n".join(lines) + "\n"


def licence_in_words(name: str, outputs: str) -> str:
    """What is known of the licence of the model that made pictures, and of training on them."""
    told = f"May they train other models? {outputs} (genir's reading, no legal advice)."
    unread = "Whether its terms allow training on its output was not assessed."
    return f"Licence of the model that made the pictures: {name}. {unread if outputs in ('', 'unknown') else told}"


def header(
    name: str, total: int, synthetic: int, files: Mapping[str, str], features: Mapping[str, str] | None = None
) -> str:
    """The lines that the hub and `load_dataset` read.

    Args:
        name: of the set.
        total: samples.
        synthetic: of these, made by a model.
        files: split (train, val) -> pattern of its files.
        features: column -> type, where `load_dataset` should not guess them.
    """
    facts: dict[str, Any] = {
        "pretty_name": name,
        "task_categories": ["image-to-image"],
        "tags": ["image-restoration", *(["synthetic"] if synthetic else [])],
        "size_categories": [_NAMES[sum(total >= size for size in _SIZES)]],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": SPLITS[split], "path": pattern} for split, pattern in files.items()],
            }
        ],
    }
    if features:
        columns = [{"name": column, "dtype": kind} for column, kind in features.items()]
        facts["dataset_info"] = {"features": columns}
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"


def columns(pairs: bool) -> dict[str, str]:
    """Columns of both Hugging Face formats."""
    pictures = {"hq": "HQ picture", "lq": "LQ picture"} if pairs else {"image": "picture"}
    return {
        **pictures,
        "text": "prompt or caption",
        "key": "nine digits: the row of the run's tables",
        "synthetic": "a model made the picture (for a pair: the HQ)",
        "height, width": "pixels, of the HQ",
    }
