"""Real-ESRGAN: `meta_info.txt` with a path a line, or `gt/NAME.png, lq/NAME.png` for pairs, relative to its folder."""

from __future__ import annotations

from genir.exporters.entry import Entry
from genir.exporters.folders import Folders, flat
from genir.exporters.format import Target


def realesrgan(target: Target) -> Folders:
    """The format; `dataroot_gt` and `dataroot_lq` are the folder of the list."""
    place = flat({"hq": "gt", "lq": "lq"})

    def line(entry: Entry) -> str:
        return ", ".join(f"{place(role, entry)}.{target.stored}" for role in target.pair_roles)

    return Folders(target, target.pair_roles, target.stored, place, {"meta_info.txt": line})
