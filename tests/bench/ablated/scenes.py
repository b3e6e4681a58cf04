"""Unseen scenes, of subject x attribute combinations that the model was not trained on: captions, and real pictures."""

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genir import storage
from genir.metrics.features import network
from genir.metrics.gray import gray
from genir.metrics.niqe import load_model, niqe
from genir.metrics.piqe import piqe
from genir.metrics.signal import laplacian_variance
from tools.embedded.captions import describe
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed, held_out

ROOT = Path(__file__).parents[3]
SIZE = 128
FIRST = {"test": first_seed("test") + 5000, "development": first_seed("calibration") + 20_000}
"""Reserved scenes, and those on which configurations may be tried. Neither is in a training set, a prompt bank or the
pictures that scene features were trained on."""
REFERENCE = 20_000
"""So far behind a split's first seed the renders begin that images are compared with."""
MEASURE_AT_ONCE = 64
REJECTED_SHARE = 0.05
SCORES = ("niqe_32", "piqe", "minus Laplacian variance")
"""What decides whether a picture is kept, lower is better: between them they see blur, noise and JPEG."""


@dataclass(frozen=True)
class Scenes:
    """Scenes in the order of their seeds: fewer of them are the first of more."""

    captions: list[str]
    truth_N: torch.Tensor
    """Numbers in SUBJECTS."""
    images_NCHW: torch.Tensor
    features_NF: torch.Tensor
    scores_NS: torch.Tensor
    """Of SCORES."""

    @property
    def limits_S(self):
        """Above them are 5 % of these pictures, a third by each score."""
        return self.scores_NS.quantile(1 - REJECTED_SHARE / len(SCORES), dim=0)


def unseen_scenes(first, count, out, extractor):
    """The first `count` held-out scenes from a seed on, kept in the folder `out`."""
    path = out / f"scenes-{first}-{count}-{_renderer()}.npz"
    if not path.exists():
        numbered = list(itertools.islice(_numbered(first), count))
        made = [render(list(SUBJECTS)[number], seed, SIZE) for number, seed in numbered]
        captions = [
            describe(scene.facts, np.random.default_rng(pair)) for scene, pair in zip(made, numbered, strict=True)
        ]
        images = torch.from_numpy(np.stack([scene.image_HWC for scene in made])).permute(0, 3, 1, 2).contiguous()
        features, scores = measure(images, extractor)
        with storage.writing(path) as file:
            np.savez(
                file,
                captions=json.dumps(captions),
                truth=np.array([number for number, _ in numbered]),
                images=images.numpy(),
                features=features.numpy(),
                scores=scores.numpy(),
            )
    kept = np.load(path)
    tensors = [torch.from_numpy(kept[name]) for name in ("truth", "images", "features", "scores")]
    return Scenes(json.loads(str(kept["captions"])), *tensors)


def measure(images_NCHW, extractor):
    """(scene features (N, F), SCORES (N, 3)) of uint8 images."""
    model = load_model("niqe_32")
    scores = [
        torch.stack([niqe(part, model), piqe(part), -laplacian_variance(gray(part, SCORES[-1]))], dim=1).float()
        for part in images_NCHW.split(MEASURE_AT_ONCE)
    ]
    return network.scene_features(images_NCHW, extractor), torch.cat(scores)


def _numbered(first):
    """(subject's number, seed) of all held-out scenes from a seed on, without an end."""
    for seed in itertools.count(first):
        for number, subject in enumerate(SUBJECTS):
            if held_out(render(subject, seed, 16).facts):
                yield number, seed


def _renderer():
    """Digest of everything that decides what scenes, captions and their measurements are."""
    tools = ROOT / "tools/embedded"
    weights = (ROOT / "genir/metrics/weights").glob("*.safetensors")
    sources = [*(tools / "render").glob("*.py"), tools / "captions.py", tools / "splits.json", *weights]
    return digest([hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(sources)])


def digest(value):
    """Short name of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
