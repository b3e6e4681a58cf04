"""Is a picture as good as the positives of a training set? GenIR's own filter (arXiv 2410.18666, section 3.3).

The paper keeps images by the probability of a binary classifier that was trained on its positives and negatives; it
does not state the network, the threshold or how many were kept. Ours is three convolutions on pixels and their finest
detail. `genir classify` trains it, on pairs of one origin only: camera photographs and decoded pictures can be told
apart without any quality.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from genir.errors import ModelError
from genir.metrics.detail import detail

FORMAT = "genir-classifier-1"
_WIDTHS = (6, 32, 64, 128)
_DETAIL_GAIN = 4.0


class PixelClassifier(nn.Module):
    """Float RGB -1..1 (N, 3, H, W), any size from 16 pixels -> logit (N,) of being a positive."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(_WIDTHS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(_WIDTHS[-1], 1)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits (N,)."""
        maps = self.features(torch.cat([images_NCHW, _DETAIL_GAIN * detail(images_NCHW)], dim=1))
        return self.head(maps.mean(dim=(2, 3))).squeeze(1)


def as_input(images_NCHW: Tensor) -> Tensor:
    """uint8 RGB 0..255 -> what the network takes."""
    return images_NCHW.float() / 127.5 - 1


@torch.inference_mode()
def probability(images_NCHW: Tensor, network: PixelClassifier) -> Tensor:
    """uint8 RGB -> probability (N,) of being a positive, 0..1, float32; one picture does not change another's."""
    return torch.cat([torch.sigmoid(network(as_input(image[None]))) for image in images_NCHW])


def save(network: PixelClassifier, header: dict[str, str], path: Path) -> None:
    """Write a safetensors file; `header` says what it was trained on and how well it does."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, path, metadata={"format": FORMAT, **header})


def load(path: Path, device: torch.device) -> PixelClassifier:
    """The network of a file that `save` wrote; raises ModelError for any other."""
    network = PixelClassifier()
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                raise ModelError(f"classifier {path}: is no file of `genir classify`, which makes one")
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"classifier {path}: cannot be read ({reason}): `genir classify` makes one") from error
    return network.to(device).eval().requires_grad_(False)
