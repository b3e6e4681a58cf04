"""Figures of a checkpoint: `python -m tools.embedded.evaluate RUN AE FEATURES TEST_POOL [--images 96]`.

Prints subject accuracy on held-out subject x attribute captions, the Frechet distance in this recipe's
own features to held-out clean renders (plain captions, hand-written quality words, quality words against
a degraded negative), and the Laplacian variance of each. The last line is JSON. `--oracle RUN` adds the
clean-label oracle, told "sharp".
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tools.embedded.captions import describe
from tools.embedded.features import SceneFeatures
from tools.embedded.measure import laplacian_variance, to_signed
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.sample import draw, export, load
from tools.embedded.splits import first_seed, held_out

GUIDANCE = 4.0
STEPS = 20
BATCH = 8
GOOD = "sharp, high quality, highly detailed"
BAD = "blurry, low quality, jpeg artifacts, noisy"


def unseen_captions(count: int) -> list[tuple[str, str]]:
    """(subject, caption) of held-out combinations only, subjects in turn; scenes of the test split."""
    rng = np.random.default_rng(6)
    out, seed = [], first_seed("test") + 5000
    while len(out) < count:
        for subject in SUBJECTS:
            facts = render(subject, seed, 16).facts
            if held_out(facts) and len(out) < count:
                out.append((subject, describe(facts, rng)))
        seed += 1
    return out


def frechet(a_NF: Tensor, b_NF: Tensor) -> float:
    """Frechet distance of two Gaussians fitted to features (Dowson and Landau 1982), in float64."""
    a, b = a_NF.double(), b_NF.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values = torch.linalg.eigvals(cov_a @ cov_b).real.clamp_min(0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * values)


@torch.no_grad()
def features_of(model: SceneFeatures, pixels_NHWC: np.ndarray) -> Tensor:
    """Features (N, F) of uint8 pictures."""
    parts = [pixels_NHWC[k : k + 64] for k in range(0, len(pixels_NHWC), 64)]
    return torch.cat([model(to_signed(torch.from_numpy(p))) for p in parts])


def sample_captions(run: Path, autoencoder: Path, captions: list[str], suffix: str, negative: str) -> np.ndarray:
    """One image a caption, seeds 0, 1, ..."""
    pipeline = load(export(run, autoencoder))
    texts = [f"{c}, {suffix}" if suffix else c for c in captions]
    images = []
    for k in range(0, len(texts), BATCH):
        part = texts[k : k + BATCH]
        images.append(draw(pipeline, part, negative, range(k, k + len(part)), 128, GUIDANCE, STEPS))
    return np.concatenate(images)


def main() -> None:
    """Sample every condition and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("test_pool", type=Path)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--oracle", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = SceneFeatures()
    model.load_state_dict(torch.load(args.features / "features.pt"))
    real = np.concatenate([np.load(f) for f in sorted(args.test_pool.glob("[0-9]*.npy"))])
    real_features = features_of(model, real)
    unseen = unseen_captions(args.images)
    truth = torch.tensor([list(SUBJECTS).index(subject) for subject, _ in unseen])
    conditions = {
        "plain": (args.run, "", ""),
        "words": (args.run, GOOD, ""),
        "words_both": (args.run, GOOD, BAD),
    }
    if args.oracle:
        conditions["oracle"] = (args.oracle, "sharp", "")
    figures: dict[str, float] = {}
    for name, (run, suffix, negative) in conditions.items():
        images = sample_captions(run, args.autoencoder, [caption for _, caption in unseen], suffix, negative)
        mine = features_of(model, images)
        with torch.no_grad():
            right = (model.subject(mine).argmax(1) == truth).float().mean()
        detail = laplacian_variance(to_signed(torch.from_numpy(images))).median()
        row = {"subject_accuracy": right, "frechet": frechet(mine, real_features), "detail": detail}
        figures |= {f"{name}_{key}": round(float(value), 3) for key, value in row.items()}
        print(name, {key: round(float(value), 3) for key, value in row.items()}, flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
