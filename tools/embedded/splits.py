"""The split of sources: which scenes and photographs each use may see (splits.json, committed)."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from tools.embedded.render.canvas import Facts

SPLITS = json.loads(Path(__file__).with_name("splits.json").read_text())


def first_seed(split: str) -> int:
    """First procedural seed of a split: "t2i_train", "positives", "calibration" or "test"."""
    return SPLITS["procedural"][split][0]


def held_out(facts: Facts) -> bool:
    """Is this subject x attribute combination kept from training, to test unseen captions?

    About one combination in eight, chosen by a checksum of its words.
    """
    key = "|".join((facts.subject, *facts.traits))
    return zlib.crc32(key.encode()) % SPLITS["held_out_share"] == 0
