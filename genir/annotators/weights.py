"""A weight file of a network that is written here."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genir.errors import ModelError

Network = TypeVar("Network", bound=nn.Module)


def load_state(
    model: Network, path: Path, what: str, convert: Callable[[str, Tensor], Tensor] = lambda name, weight: weight
) -> Network:
    """The network with the weights of a file (.pth, .pt, .ckpt or .safetensors), for inference.

    Args:
        model: whose names and shapes the file must have.
        path: the file; `state_dict` inside of it and a leading `module.` are seen through. No code in it runs.
        what: named in errors.
        convert: (name, weight of the file) -> the network's weight.

    Raises:
        ModelError: it cannot be read, or holds another network.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{what}: {path} cannot be read as weights: {' '.join(str(error).split())[:150]}") from None
    found = found.get("state_dict", found) if isinstance(found, Mapping) else {}
    state = {name.removeprefix("module."): weight for name, weight in found.items() if isinstance(weight, Tensor)}
    state = {name: convert(name, weight) for name, weight in state.items()}
    wanted = model.state_dict()
    wrong = sorted(wanted.keys() ^ state.keys()) or [name for name in wanted if wanted[name].shape != state[name].shape]
    if wrong:
        raise ModelError(f"{what}: {path} holds another network: {len(wrong)} of its weights differ, first {wrong[0]}")
    model.load_state_dict(state)
    return model.eval()
