"""The log on a person's screen."""

from __future__ import annotations

import logging
import sys


class Screen(logging.StreamHandler):
    """Writes above a progress bar, and leaves out what is for log files only (`extra={"only_in_file": True}`)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if getattr(record, "only_in_file", False):
            return
        module = sys.modules.get("tqdm")  # slow to import, and where it is not, there is no bar
        if module is None:
            super().emit(record)
            return
        with module.tqdm.external_write_mode(file=self.stream):
            super().emit(record)
