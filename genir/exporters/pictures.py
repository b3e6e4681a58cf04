"""The pictures of an entry: the stored bytes where nothing changes, else cut, reduced and encoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from genir import images
from genir.exporters.entry import Entry, Role


@dataclass(frozen=True)
class Cutter:
    """Makes the pictures of everything that comes of one stored sample."""

    roles: Sequence[Role]
    """That the format stores."""
    scale: int
    """HQ side over LQ side; 1 where there are no LQs."""
    stored: images.Format
    """Of the run's pictures."""
    wanted: images.Format
    """Of the export's."""
    level: int
    """Of the encoder, as in the run."""
    enlarge: Callable[[np.ndarray, int], np.ndarray]
    """An LQ and the scale -> `sr_bicubic`, where the run stores none."""

    def __call__(
        self, entries: Sequence[Entry], files: Mapping[str, bytes]
    ) -> Iterator[tuple[Entry, dict[str, bytes]]]:
        """The encoded pictures of each entry by role.

        Args:
            entries: all of one sample.
            files: its stored pictures by role.
        """
        decoded: dict[str, np.ndarray] = {}
        for entry in entries:
            yield entry, {role: self._encoded(entry, role, files, decoded) for role in self.roles}

    def _encoded(self, entry: Entry, role: Role, files: Mapping[str, bytes], decoded: dict[str, np.ndarray]) -> bytes:
        if entry.is_whole and role in files and self.stored == self.wanted:
            return files[role]
        if role not in decoded:
            missing = role not in files  # only sr_bicubic may be
            decoded[role] = (
                self.enlarge(images.decode(files["lq"]), self.scale) if missing else images.decode(files[role])
            )
        pixels_CHW = self._cut(entry, role, decoded[role])
        return images.encode(pixels_CHW, self.wanted, self.level, entry.stored.synthetic)

    def _cut(self, entry: Entry, role: Role, pixels_CHW: np.ndarray) -> np.ndarray:
        if entry.factor != 1:
            height, width = (max(1, round(length * entry.factor)) for length in pixels_CHW.shape[1:])
            image = Image.fromarray(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)))
            pixels_CHW = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
        if entry.corner is None:
            return pixels_CHW
        scale = self.scale if role == "lq" else 1
        top, left, height, width = (number // scale for number in (*entry.corner, entry.height, entry.width))
        return pixels_CHW[:, top : top + height, left : left + width]
