"""Hugging Face parquet: `data/train-000000.parquet` with the encoded pictures in it, and a card.

`load_dataset(FOLDER)` gives the columns `image`, or `hq` and `lq`, `annotation_<domain>` where the run has labels, and
`text`; the hub's viewer shows the pictures.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from genir import storage
from genir.exporters.card import About, card, columns
from genir.exporters.entry import Entry
from genir.exporters.facts import told
from genir.exporters.format import Add, Target

_GROUP = 64  # rows that are written, and read, at a time
_PLAIN = {"text": "string", "key": "string", "synthetic": "bool", "height": "int64", "width": "int64"}


class Parquet:
    """The format."""

    merges = True
    ordered = True
    undivided = "train"

    def __init__(self, target: Target, about: About) -> None:
        self._target, self._about = target, about
        self.roles, self.ending = target.pair_roles, target.stored
        self._columns = {role: "image" if target.scale is None else role for role in self.roles}
        self._labels = {domain: f"annotation_{domain}" for domain in target.labels}

    def _schema(self) -> Any:
        import pyarrow as pa

        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        types = {"string": pa.string(), "bool": pa.bool_(), "int64": pa.int64()}
        fields = [(column, picture) for column in (*self._columns.values(), *self._labels.values())]
        fields += [(column, types[kind]) for column, kind in _PLAIN.items()]
        features = {
            **{column: {"_type": "Image"} for column in (*self._columns.values(), *self._labels.values())},
            **{column: {"dtype": kind, "_type": "Value"} for column, kind in _PLAIN.items()},
        }
        # what `datasets` reads to know that the bytes are pictures
        return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})

    @contextlib.contextmanager
    def unit(self, name: str) -> Iterator[Add]:
        """One file a split."""
        rows: dict[str, list[dict[str, Any]]] = {}
        with contextlib.ExitStack() as stack:
            writers: dict[str, Any] = {}

            def flush(split: str) -> None:
                import pyarrow as pa
                import pyarrow.parquet as pq

                if split not in writers:
                    path = self._target.out / "data" / f"{split}-{name}.parquet"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    file = stack.enter_context(storage.writing(path, self._target.scratch))
                    # the pictures are compressed already
                    writers[split] = stack.enter_context(pq.ParquetWriter(file, self._schema(), compression="none"))
                writers[split].write_table(pa.Table.from_pylist(rows.pop(split), schema=self._schema()))

            def add(entry: Entry, pictures: Mapping[str, bytes]) -> None:
                rows.setdefault(entry.split, []).append(self._row(entry, pictures))
                if len(rows[entry.split]) == _GROUP:
                    flush(entry.split)

            yield add
            for split in list(rows):
                flush(split)

    def _row(self, entry: Entry, pictures: Mapping[str, bytes]) -> dict[str, Any]:
        facts = told(entry)
        return {
            **{
                column: {"bytes": pictures[role], "path": f"{entry.name}_{role}.{self.ending}"}
                for role, column in self._columns.items()
            },
            **{
                column: {"bytes": pictures[domain], "path": f"{entry.name}_{domain}.png"}
                for domain, column in self._labels.items()
                if domain in entry.stored.labels
            },
            **{column: facts[column] for column in _PLAIN},
        }

    def finish(self, entries: Iterable[Entry]) -> None:
        """The card."""
        counts, synthetic = Counter[str](), 0
        for entry in entries:
            counts[entry.split] += 1
            synthetic += entry.stored.synthetic
        text = card(self._about, counts, synthetic, "data/{split}-*.parquet", self._told())
        storage.write(self._target.out / "README.md", text.encode())

    def _told(self) -> dict[str, str]:
        labels = {column: f"{domain} label; null: none" for domain, column in self._labels.items()}
        return {**columns(self._target.scale is not None), **labels}
