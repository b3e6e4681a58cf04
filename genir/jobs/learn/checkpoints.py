"""The files of a learning run; each is whole or absent, and one of them is enough to go on.

learn.json config.yaml env.json    what is learned, compared by every later launch
checkpoints/000500.safetensors     the dual prompt after 500 steps
state.pt                           the latest state: parameters, optimizer, validations; written in one piece
dual.safetensors                   the chosen checkpoint
grids/000500.png log.jsonl         the validation pictures; losses, a line a step
cache/                             latents, text features, the reward's classifier; made again if removed
"""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, TextIO

import torch

from genir import dualprompt, storage
from genir.errors import PlanError
from genir.jobs.learn.learned import copy_into

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator

    from genir.jobs.learn.learned import Learned
    from genir.jobs.learn.loop import Loop
    from genir.jobs.learn.validate import Row


class Checkpoints:
    """Written by the main process only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.chosen = root / "dual.safetensors"
        self._state = root / "state.pt"
        self._log: TextIO | None = None

    def path(self, step: int) -> Path:
        """The dual prompt after `step` steps."""
        return self._root / "checkpoints" / f"{step:06d}.safetensors"

    def grid(self, step: int) -> Path:
        """The validation pictures after `step` steps."""
        return self._root / "grids" / f"{step:06d}.png"

    def save(self, step: int, learned: Learned, loop: Loop, accelerator: Accelerator, rows: list[Row]) -> None:
        """Write the pair of this step, then the state that goes on from it."""
        dualprompt.save(learned.dual(step), self.path(step))
        content = {
            "step": step,
            "parameters": [parameter.detach().cpu() for parameter in learned.parameters],
            "optimizer": loop.optimizer.state_dict(),
            "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
            "rows": rows,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with storage.explained(self._state):
            storage.write(self._state, buffer.getvalue())

    def resume(self, learned: Learned, loop: Loop, accelerator: Accelerator) -> tuple[int, list[Row]]:
        """(steps done, validations) of the latest state, which is put into place; (0, []) without one.

        Raises PlanError for a damaged state.
        """
        if not self._state.exists():
            return 0, []
        try:
            content: dict[str, Any] = torch.load(self._state, map_location="cpu", weights_only=True)
            copy_into(learned.parameters, content["parameters"])
        except Exception as error:  # torch and zip raise what they like for a damaged file
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise PlanError(
                f"{self._state}: damaged ({first}); begin a new run with --from {self._root}/checkpoints/..."
            ) from error
        loop.optimizer.load_state_dict(content["optimizer"])
        if accelerator.scaler and content["scaler"]:
            accelerator.scaler.load_state_dict(content["scaler"])
        return content["step"], content["rows"]

    def publish(self, step: int) -> None:
        """Make the checkpoint of `step` the run's dual prompt."""
        with storage.explained(self.chosen):
            data = self.path(step).read_bytes()
            if not self.chosen.exists() or self.chosen.read_bytes() != data:
                storage.write(self.chosen, data)

    def log(self, step: int, facts: dict[str, float]) -> None:
        """Add a line to log.jsonl."""
        if self._log is None:
            self._log = self._open_log(step)
        # a float16 overflow is no number that JSON knows
        finite = {name: value if math.isfinite(value) else None for name, value in facts.items()}
        self._log.write(json.dumps({"step": step, **finite}) + "\n")
        self._log.flush()

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _open_log(self, step: int) -> TextIO:
        """Without the lines of steps that are done again, and without a line that a kill cut."""
        path = self._root / "log.jsonl"
        with storage.explained(path):
            if path.exists():
                lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
                storage.write(path, "".join(li for li in lines if json.loads(li)["step"] < step).encode())
            return path.open("a")
