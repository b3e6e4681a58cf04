"""Metrics of the package pyiqa, by its own exact names.

Its licence (PolyForm Noncommercial 1.0.0) forbids commercial use: never a default, never a dependency.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
import io
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genir.errors import ConfigError, ExtraError, ModelError
from genir.metrics.draws import same_draws

_SHOWN = 3


class PyiqaMetric:
    """One no-reference metric, made once."""

    lower_better: bool
    """Its direction."""
    version: str
    """Of the package: which weights belong to a name is its business."""

    def __init__(self, name: str, device: torch.device) -> None:
        """Load it; raises ExtraError without the package, ConfigError for a name that it does not know or a metric that
        needs a reference, ModelError where its weights are not there.
        """
        try:
            pyiqa: Any = importlib.import_module("pyiqa")
        except ImportError:
            raise ExtraError(
                f"gates.quality.pyiqa:{name}: the package pyiqa is not installed: pip install 'genir[pyiqa]' "
                "(its licence forbids commercial use)"
            ) from None
        known = list(pyiqa.list_models())
        if name not in known:
            close = difflib.get_close_matches(name, known, n=_SHOWN) or sorted(known)[:_SHOWN]
            raise ConfigError(f"gates.quality.pyiqa:{name}: pyiqa has no metric of that name; near: {', '.join(close)}")
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):  # pyiqa prints what it downloads, and from where
                self._metric: Any = pyiqa.create_metric(name, device=device, as_loss=False)
        except Exception as error:  # whatever a download or a file can provoke
            raise ModelError(_missing(name, said.getvalue(), error)) from error
        if getattr(self._metric, "metric_mode", "NR") != "NR":
            raise ConfigError(
                f"gates.quality.pyiqa:{name}: compares with a reference picture, which there is none of here"
            )
        self.lower_better = bool(self._metric.lower_better)
        self.version = f"pyiqa {importlib.metadata.version('pyiqa')}"
        self._device = device

    @torch.inference_mode()
    def score(self, images_NCHW: Tensor) -> list[float]:
        """uint8 RGB (N, 3, H, W) -> N scores."""
        with same_draws(self._device):
            scores = self._metric(images_NCHW.to(self._device).float() / 255)
        return [float(value) for value in scores.flatten().cpu()]


def _missing(name: str, said: str, error: Exception) -> str:
    address = re.search(r'https?://[^\s"]+', said)
    file = f"file {address[0]}" if address else "its weights"
    folder = Path(torch.hub.get_dir()) / "pyiqa"
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return (
        f"gates.quality.pyiqa:{name}: {file} cannot be had ({reason}); on a machine with a network run "
        f"python -c \"import pyiqa; pyiqa.create_metric('{name}')\" and copy its {folder} (and the hub cache) here"
    )
