"""BasicSR, neosr, traiNNer-redux: `gt/` and `lq/` with equal names, `meta_info.txt` with `NAME.png (H,W,C)` lines.

With the list BasicSR need not search its folders, which takes it time that grows with the square of their size.
"""

from __future__ import annotations

from genir.exporters.entry import Entry
from genir.exporters.folders import Folders, flat
from genir.exporters.format import Target


def basicsr(target: Target) -> Folders:
    """The format; `meta_info_file` of PairedImageDataset."""

    def line(entry: Entry) -> str:
        return f"{entry.name}.{target.stored} ({entry.height},{entry.width},3)"

    place = flat({"hq": "gt", "lq": "lq"})
    return Folders(target, target.pair_roles, target.stored, place, {"meta_info.txt": line})
