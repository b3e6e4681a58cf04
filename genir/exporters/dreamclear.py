"""DreamClear: `gt/`, `lr/`, `sr_bicubic/` as PNG, `caption/`, T5 features in `npz/`, and a list of pairs."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np

from genir.exporters.entry import Entry
from genir.exporters.folders import Folders, caption, flat
from genir.exporters.format import Target
from genir.exporters.seesr import FOLDERS

Features = Callable[[str], tuple[np.ndarray, np.ndarray]]
"""A caption -> its features (1, L, D) as float32 and the attention mask (1, L)."""


def dreamclear(target: Target, features: Features | None) -> Folders:
    """The format; its list names the HQ and the LQ enlarged to its size, from which DreamClear restores."""

    def line(entry: Entry) -> str:
        return f"gt/{entry.name}.png, sr_bicubic/{entry.name}.png"

    def more(entry: Entry, pictures: Mapping[str, bytes]) -> dict[str, bytes]:
        if features is None:
            return caption(entry, "caption")
        feature_1LD, mask_1L = features(entry.stored.caption)
        out = io.BytesIO()
        np.savez_compressed(out, caption_feature=feature_1LD, attention_mask=mask_1L)
        return caption(entry, "caption") | {f"npz/{entry.name}.npz": out.getvalue()}

    return Folders(target, tuple(FOLDERS), "png", flat(FOLDERS), {"meta_info.txt": line}, more)
