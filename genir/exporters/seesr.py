"""SeeSR: `gt/`, `lr/`, `sr_bicubic/` as PNG and the captions in `tag/`, with equal names."""

from __future__ import annotations

from genir.exporters.entry import Role
from genir.exporters.folders import Folders, caption, flat
from genir.exporters.format import Target

FOLDERS: dict[Role, str] = {"hq": "gt", "lq": "lr", "sr_bicubic": "sr_bicubic"}


def seesr(target: Target) -> Folders:
    """The format; `root_folders` of PairedCaptionDataset."""
    return Folders(target, tuple(FOLDERS), "png", flat(FOLDERS), {}, lambda entry, _: caption(entry, "tag"))
