"""Work on a batch; where it fails, on its halves, until what cannot be worked on is alone.

What is alone and finds no memory waits for it: gates and denoiser share a device, and so may other programs.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from genir.errors import GenirError, Stopped

log = logging.getLogger("genir")

TRIES, PAUSE = 30, 1.0  # of what finds no memory; seconds

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_halves(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], list[Result]],
    failed: Callable[[Item, str], Result],
) -> list[Result]:
    """`work(items)`, or, where that runs out of memory or fails otherwise, of smaller and smaller parts; a single item
    that finds no memory is tried `patiently`.

    Args:
        items: a batch.
        work: one result an item, in order.
        failed: stands for an item that fails alone; is told the error's class and text on one line.

    Raises:
        GenirError, Stopped, torch.AcceleratorError: as they come; none of them is an item's fault.
    """
    try:
        return work(items) if len(items) > 1 else patiently(lambda: work(items))
    except (GenirError, Stopped, torch.AcceleratorError):
        raise  # a device that faults stays broken: nothing it says about an item can be trusted
    except Exception as error:  # noqa: BLE001 - whatever an item can provoke becomes its result
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    # outside of the handler: there, the error's traceback would keep the tensors of the failed batch in memory
    if len(items) == 1:
        return [failed(items[0], message)]
    log.warning("a batch of %d failed, trying halves: %s", len(items), message)
    _return_memory()
    half = len(items) // 2
    return in_halves(items[:half], work, failed) + in_halves(items[half:], work, failed)


def patiently(work: Callable[[], Result]) -> Result:
    """`work()`, tried again for half a minute while the device has no memory for it.

    Raises:
        torch.OutOfMemoryError: there was none in all that time.
    """
    for _ in range(TRIES):
        with contextlib.suppress(torch.OutOfMemoryError):
            return work()
        _return_memory()
        time.sleep(PAUSE)
    return work()


def _return_memory() -> None:
    """Give the device what this process has freed but still holds."""
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()
