"""WebDataset: shards of a run merged into fewer tars; `NAME.png` (or `NAME.hq.png`, `NAME.lq.png`), `.json`, `.txt`,
and `NAME.annotation_<domain>.png` where there are labels.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping

from genir import storage
from genir.exporters.entry import Entry
from genir.exporters.facts import all_known
from genir.exporters.format import Add, Target


class WebDataset:
    """The format; tars with equal content are equal, and there is no empty one."""

    merges = True
    ordered = True
    undivided = "train"

    def __init__(self, target: Target) -> None:
        self._target, self.roles, self.ending = target, target.pair_roles, target.stored

    @contextlib.contextmanager
    def unit(self, name: str) -> Iterator[Add]:
        """One tar a split."""
        with contextlib.ExitStack() as stack:
            tars: dict[str, tarfile.TarFile] = {}

            def add(entry: Entry, pictures: Mapping[str, bytes]) -> None:
                if entry.split not in tars:
                    path = self._target.out / f"{entry.split}-{name}.tar"
                    file = stack.enter_context(storage.writing(path, self._target.scratch))
                    opened = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
                    tars[entry.split] = stack.enter_context(opened)
                for member, data in self._members(entry, pictures):
                    info = tarfile.TarInfo(member)  # its defaults are fixed: no owner, no time
                    info.size = len(data)
                    tars[entry.split].addfile(info, io.BytesIO(data))

            yield add

    def _members(self, entry: Entry, pictures: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
        for role in self.roles:
            kind = self.ending if self._target.scale is None else f"{role}.{self.ending}"
            yield f"{entry.name}.{kind}", pictures[role]
        for domain in entry.stored.labels if entry.is_whole else ():
            yield f"{entry.name}.annotation_{domain}.png", pictures[domain]
        yield f"{entry.name}.json", json.dumps(all_known(entry, pictures), ensure_ascii=False).encode()
        yield f"{entry.name}.txt", entry.stored.caption.encode()

    def finish(self, entries: Iterable[Entry]) -> None:
        """Nothing stands above the tars."""
