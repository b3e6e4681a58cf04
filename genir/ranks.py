"""Who am I among the workers, on which device, and was I asked to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genir.errors import ConfigError

if TYPE_CHECKING:
    import types
    from collections.abc import Mapping

    import torch

EXIT_AGAIN = 75  # BSD's EX_TEMPFAIL: stopped early, run the same command again


@dataclass(frozen=True)
class Worker:
    """One of `world` processes that share a run."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    launcher: Literal["accelerate", "slurm", "alone"] = "alone"

    @property
    def stopped_exit_code(self) -> int:
        """75; but 0 under torchrun and accelerate, where a worker's 75 would end its siblings."""
        return 0 if self.launcher == "accelerate" else EXIT_AGAIN


@dataclass(frozen=True)
class Part:
    """Part `index` (from 0) of `count` of a launch that is split by hand, as into the jobs of a SLURM array."""

    index: int
    count: int


def worker(environ: Mapping[str, str] = os.environ, part: Part | None = None) -> Worker:
    """The worker that the launcher's variables describe (torchrun and accelerate, srun, else alone).

    With a part, it is one of the workers of all parts, which have as many workers each.
    """
    own = _launched(environ)
    if part is None:
        return own
    return replace(own, rank=part.index * own.world + own.rank, world=part.count * own.world)


def _launched(environ: Mapping[str, str]) -> Worker:
    if "RANK" in environ and "WORLD_SIZE" in environ:
        # srun starts learners as one process group without torchrun: nobody ends a worker for its siblings' exit code
        launcher = "slurm" if "SLURM_PROCID" in environ and "TORCHELASTIC_RUN_ID" not in environ else "accelerate"
        local = int(environ.get("LOCAL_RANK", "0"))
        return Worker(int(environ["RANK"]), int(environ["WORLD_SIZE"]), local, launcher)
    if "SLURM_PROCID" in environ and int(environ.get("SLURM_NTASKS", "1")) > 1:
        local = int(environ.get("SLURM_LOCALID", "0"))
        return Worker(int(environ["SLURM_PROCID"]), int(environ["SLURM_NTASKS"]), local, "slurm")
    return Worker()


def device(name: str, worker: Worker) -> torch.device:
    """The device to run on.

    `auto` takes the accelerator of this local rank, else (or with accelerate's ACCELERATE_USE_CPU) the CPU; `cuda`
    without a number is the one of this local rank too.

    Raises:
        ConfigError: no such device on this machine.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    if name != "auto":
        try:
            chosen = torch.device(name)
            torch.zeros(1, device=chosen).tolist()  # "meta" fails here
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"device {name!r} cannot be used here: {reason}; device=auto takes what there is"
            ) from None
        own = _accelerator(worker)
        return own if chosen.index is None and own.type == chosen.type else chosen
    if parse_flag_from_env("ACCELERATE_USE_CPU"):  # PartialState itself does not ask
        return torch.device("cpu")
    if worker.launcher == "accelerate":
        state = PartialState()
        chosen = state.device
        assert chosen is not None
        state.destroy_process_group()  # the workers never wait for each other: a late or dead one must not matter
        return chosen
    return _accelerator(worker)


def _accelerator(worker: Worker) -> torch.device:
    """This local rank's accelerator, the CPU where there is none."""
    import torch

    if not torch.accelerator.is_available():
        return torch.device("cpu")
    kind = torch.accelerator.current_accelerator()
    assert kind is not None
    return torch.device(kind.type, worker.local_rank % torch.accelerator.device_count())


def tell_launcher(message: str, environ: Mapping[str, str] = os.environ) -> None:
    """Give torchrun the reason of a failure: it ends with a report, in which the reason would else be missing."""
    path = environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        extra = {"py_callstack": message, "timestamp": str(int(time.time()))}
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps({"message": {"message": message, "extraInfo": extra}}))


class StopSignal:
    """Turns SIGTERM, SIGUSR2 and the first Ctrl-C into a question the work can ask; the second Ctrl-C interrupts."""

    def __init__(self) -> None:
        self.name = ""
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        """Was this process asked to stop?"""
        return bool(self.name)

    def _ask(self, number: int, frame: types.FrameType | None) -> None:
        if self.name and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
        # not through logging: a handler may interrupt a logging call that holds its lock
        os.write(2, f"{self.name}: stopping after this step\n".encode())
