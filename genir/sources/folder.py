"""A folder of photographs, with the captions beside them (also Hugging Face's imagefolder)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from genir import images
from genir.photographs import Photographs
from genir.sources.original import Original


class FolderSource:
    """Photographs in the order of their names."""

    shard_size: int | None = None
    batch: int | None = None

    def __init__(self, folder: Path, column: str) -> None:
        """List the files.

        Args:
            folder: searched through with its subfolders.
            column: of metadata.jsonl, .csv or .parquet, that holds the captions.

        Raises:
            ConfigError: no such folder, or no picture in it.
        """
        self._photographs = Photographs(str(folder), column)
        self.n_tasks = self.available = len(self._photographs.names)

    @property
    def identity(self) -> dict[str, object]:
        """What makes two sources the same."""
        return {"folder": self._photographs.sha256}

    def originals(self, start: int, stop: int) -> list[Original]:
        """Photographs `start` to `stop` - 1."""
        folder, names = self._photographs.folder, self._photographs.names
        return [
            Original(
                f"{i:09d}",
                names[i],
                self._photographs.caption(names[i]),
                "",
                partial(images.read_marked, folder / names[i]),
                names[i].partition("/")[0] if "/" in names[i] else "",
            )
            for i in range(start, min(stop, self.n_tasks))
        ]
