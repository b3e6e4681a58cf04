"""OSEDiff, DiffBIR, PiSA-SR: `gt.txt` (and `lq.txt`) with an absolute path a line."""

from __future__ import annotations

from genir.exporters.entry import Role
from genir.exporters.folders import Folders, Line, flat
from genir.exporters.format import Target

_NAMES: dict[Role, str] = {"hq": "gt", "lq": "lq"}


def paths(target: Target) -> Folders:
    """The format; the same command writes the lists again after the folder was moved."""
    place = flat(_NAMES)

    def lines(role: Role) -> Line:
        return lambda entry: f"{target.part(entry.split).absolute()}/{place(role, entry)}.{target.stored}"

    lists = {f"{_NAMES[role]}.txt": lines(role) for role in target.pair_roles}
    return Folders(target, target.pair_roles, target.stored, place, lists)
