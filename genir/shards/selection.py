"""A selection: which images of a run are taken, by other thresholds than those it was made with.

`<run>/selections/NAME.parquet` has one row a task in key order, from the first on without a gap: key, verdict (kept,
rejected, undecidable) and reason. Its metadata hold the thresholds and the digest of the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir import storage
from genir.config.base import digest
from genir.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "selections"
NOT_SELECTED = "not selected"
"""Reason of what is not among the chosen keys, or was not made yet when they were chosen."""
_METADATA = b"genir_selection"

Choice = tuple[str, str, str]
"""Key, verdict, reason."""


@dataclass(frozen=True)
class Selection:
    """A selection that was read."""

    name: str
    run: str
    """Digest of the run it belongs to."""
    meaning: dict[str, Any]
    """Thresholds, stages."""
    reasons: list[str]
    """Of every task: why it is not taken; "": it is."""

    @property
    def covered(self) -> int:
        """It speaks of the tasks below this number."""
        return len(self.reasons)

    @property
    def sha256(self) -> str:
        """Of its meaning: a selection that grows with its run stays the same."""
        return digest(self.meaning)

    def reason(self, number: int) -> str:
        """Why task `number` is not taken; "": it is."""
        return self.reasons[number] if number < len(self.reasons) else NOT_SELECTED


def path_of(root: Path, name: str) -> Path:
    """Where a selection of the run in `root` lies."""
    return root / FOLDER / f"{name}.parquet"


def write(path: Path, choices: Iterable[list[Choice]], run: str, meaning: dict[str, Any]) -> None:
    """Write the choices of shard after shard, in key order; the file is whole or absent.

    Args:
        path: of the file.
        choices: of one shard after the other.
        run: digest of the run.
        meaning: what was asked for.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    facts = json.dumps({"format": 1, "run": run, "meaning": meaning})
    names = ("key", "verdict", "reason")
    schema = pa.schema([(name, pa.string()) for name in names], metadata={_METADATA: facts})
    with storage.explained(path):
        path.parent.mkdir(exist_ok=True)
        with storage.writing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for rows in choices:
                columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * len(names)
                writer.write_table(pa.table(columns, schema=schema))


def read(root: Path, name: str) -> Selection:
    """The selection of that name; raises PlanError for what is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = path_of(root, name)
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in (root / FOLDER).glob("*.parquet"))) or "none"
        raise PlanError(f"{root}: no selection {name!r}; there are: {known} (`genir select {root} name={name}`)")
    try:
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[_METADATA])
        verdicts, reasons = table["verdict"].to_pylist(), table["reason"].to_pylist()
        taken = ["" if v == "kept" else r or v for v, r in zip(verdicts, reasons, strict=True)]
        return Selection(name, facts["run"], facts["meaning"], taken)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path}: not a selection of `genir select` ({error!r})") from None
