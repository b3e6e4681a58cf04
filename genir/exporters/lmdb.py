"""BasicSR's LMDB: `gt.lmdb/` and `lq.lmdb/` with PNGs under their names, `meta_info.txt` with `NAME.png (H,W,3) 1`.

BasicSR opens a database by its list, which is written last. A database cannot say what a picture is: `metadata.jsonl`
beside it does.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from genir.errors import ExtraError, ShardError
from genir.exporters.entry import Entry, Role
from genir.exporters.facts import told
from genir.exporters.folders import write_lists
from genir.exporters.format import Add, Target

_NAMES: dict[Role, str] = {"hq": "gt.lmdb", "lq": "lq.lmdb"}
_ROOM = 16  # times the run's tars: how large a database may become; what is not used takes no room


class Lmdb:
    """The format. Each unit is one transaction."""

    ending = "png"
    merges = False
    ordered = True
    undivided = ""

    def __init__(self, target: Target) -> None:
        """Raises ExtraError where lmdb is not installed."""
        try:
            import lmdb
        except ImportError:
            raise ExtraError("format lmdb: needs the package lmdb; pip install 'genir[lmdb]'") from None
        self._lmdb, self._target, self.roles = lmdb, target, target.pair_roles

    @contextlib.contextmanager
    def unit(self, name: str) -> Iterator[Add]:
        """Both databases of a split take the unit, or neither the part that was being written."""
        with contextlib.ExitStack() as stack:
            open_ones: dict[tuple[str, Role], Any] = {}

            def add(entry: Entry, pictures: Mapping[str, bytes]) -> None:
                for role in self.roles:
                    transaction = open_ones.get((entry.split, role))
                    if transaction is None:
                        transaction = stack.enter_context(self._transaction(entry.split, role))
                        open_ones[entry.split, role] = transaction
                    transaction.put(entry.name.encode(), pictures[role])

            yield add

    @contextlib.contextmanager
    def _transaction(self, split: str, role: Role) -> Iterator[Any]:
        folder = self._target.part(split) / _NAMES[role]
        folder.mkdir(parents=True, exist_ok=True)
        room = _ROOM * self._target.bytes + 2**30
        try:
            with self._lmdb.open(str(folder), map_size=room) as environment, environment.begin(write=True) as opened:
                yield opened
        except self._lmdb.Error as error:  # the disk is full, or the database is no database
            raise ShardError(f"{folder}: {error}; the same command goes on when that is mended") from None

    def finish(self, entries: Iterable[Entry]) -> None:
        """The lists that open the databases."""

        def line(role: Role, entry: Entry) -> str:
            scale = self._target.scale if role == "lq" else 1
            assert scale is not None
            return f"{entry.name}.png ({entry.height // scale},{entry.width // scale},3) 1"

        def facts(entry: Entry) -> str:
            return json.dumps({"name": entry.name, **told(entry)}, ensure_ascii=False)

        lists = {f"{_NAMES[role]}/meta_info.txt": partial(line, role) for role in self.roles}
        write_lists({**lists, "metadata.jsonl": facts}, lambda split, name: self._target.part(split) / name, entries)
