"""What one worker did in this launch, and where its time went."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genir.records import Judged


@dataclass
class Tally:
    """Counts of what is on the disk; seconds begin with the first claim, so start-up is not in them."""

    judged: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Processor time of this process in these seconds, all threads."""
    making: float = 0.0
    """Of these seconds: images were made, the device was at work."""
    waiting: float = 0.0
    """Of these seconds: the device stood still because judging, encoding and writing were behind."""
    tail: float = 0.0
    """Of these seconds: all was made, and the last batches were being saved."""

    def __post_init__(self) -> None:
        self._begin, self._cpu_begin = time.monotonic(), time.process_time()

    @property
    def efficiency(self) -> float:
        """Seconds of making alone over all seconds: 1 is the bare denoising loop."""
        return self.making / self.seconds if self.seconds else 0.0

    def add(self, samples: Sequence[Judged]) -> None:
        """Count one batch that is saved."""
        for sample in samples:
            assert sample.verdict is not None
            self.judged += 1
            self.kept += sample.verdict.verdict == "kept"
            if sample.verdict.reason:
                self.reasons[sample.verdict.reason] += 1

    def timed_making(self, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
        """Pass the batches on, counting the seconds in which they are made."""
        while True:
            with self._counted("making"):
                samples = next(batches, None)
            if samples is None:
                return
            yield samples

    def timed_waiting(self) -> contextlib.AbstractContextManager[Any]:
        """The device waits in this block."""
        return self._counted("waiting")

    def timed_tail(self) -> contextlib.AbstractContextManager[Any]:
        """The last batches are saved in this block."""
        return self._counted("tail")

    @contextlib.contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        before = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            setattr(self, name, getattr(self, name) + now - before)
            self.seconds, self.cpu_seconds = now - self._begin, time.process_time() - self._cpu_begin
