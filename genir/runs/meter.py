"""How far a job is: one bar on a terminal, plain lines with the rate elsewhere, and in the log file in either case."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger("genir")

LINE_EVERY = 30.0  # seconds between plain lines


class Meter:
    """Told how much is done; use as a context manager."""

    def __init__(self, total: int, unit: str, on_screen: bool = True) -> None:
        """Begin at nothing done.

        Args:
            total: about what there is to do.
            unit: of what, in the singular.
            on_screen: False for all but one of several workers: their lines go to their log files only.
        """
        self._total, self._unit = total, unit
        self._begin = self._shown = time.monotonic()
        has_bar = on_screen and _is_terminal()
        self._bar = tqdm(total=total, unit=f" {unit}s", smoothing=0.05, dynamic_ncols=True) if has_bar else None
        self._only_in_file = has_bar or not on_screen

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, remark: str = "") -> None:
        """So much is done since the beginning; shown as often as a person wants it."""
        if self._bar is not None:
            self._bar.total = max(self._total, done)
            self._bar.set_postfix_str(remark, refresh=False)
            self._bar.update(done - self._bar.n)
        now = time.monotonic()
        if done and now - self._shown >= LINE_EVERY:
            self._shown = now
            rate = done / (now - self._begin)
            left = max(0, self._total - done) / rate
            told = f", {remark}" if remark else ""
            log.info(
                "%d of about %d %ss, %.2f/s, %s left%s",
                *(done, self._total, self._unit, rate, _duration(left), told),
                extra={"only_in_file": self._only_in_file},
            )


def _is_terminal() -> bool:
    if not sys.stderr.isatty():
        return False
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0  # none: of a container, say; no bar fits there
    except OSError:
        return True


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
