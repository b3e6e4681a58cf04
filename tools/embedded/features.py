"""Train the scene features that genir ships (genir/metrics/features/network.py) and their subject head.

    python -m tools.embedded.features CALIBRATION_POOL PHOTOGRAPHS [--steps 1500]

CALIBRATION_POOL holds shards of the calibration split (`tools.embedded.pool OUT --split calibration`),
PHOTOGRAPHS the unpacked packages of splits.json (its calibration photographs are CC0 and CC-BY, so the weights
need attribution only). The text-to-image model sees neither. Two linear heads train
the network: the subject of a render, and how strongly a picture is blurred, scaled down, noisy and
compressed, from hardly to grossly. Prints what both heads do on the test split.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from genir.metrics.features.network import FEATURES, SceneFeatures
from tools.embedded.measure import to_signed
from tools.embedded.photographs import crops_of
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed

FAULTS = ("blur", "down", "noise", "jpeg")
PHOTOGRAPH = -100
"""Subject of a photograph: cross_entropy ignores it."""
PHOTOGRAPH_SHARE = 0.15
CLEAN_SHARE = 0.4
BATCH = 32
PEAK_RATE = 2e-3
FAULT_WEIGHT = 20.0
TEST_SEEDS = 4
ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "genir" / "metrics" / "weights" / "scene_features.safetensors"
HEAD = Path(__file__).with_name("subject_head.safetensors")


def worsen(pixels_HWC: np.ndarray, fault: str, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A uint8 picture with one fault of strength 0 (hardly visible) .. 1 (gross)."""
    image = Image.fromarray(pixels_HWC)
    if fault == "blur":
        return np.asarray(image.filter(ImageFilter.GaussianBlur(0.35 * 10**strength)))
    if fault == "down":
        side = max(8, round(image.width / (1.2 * 5**strength)))
        way = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
        return np.asarray(image.resize((side, side), Image.Resampling.BOX).resize(image.size, way))
    if fault == "noise":
        grain = rng.normal(0, 2.5 * 18**strength, (*pixels_HWC.shape[:2], 3 if rng.random() < 0.7 else 1))
        return np.clip(pixels_HWC + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=round(80 * 0.05**strength))
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))


def example(pixels_HWC: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture, shifted and mirrored at random and mostly worsened once or twice, and its faults (4,)."""
    y, x = rng.integers(0, 17, 2)
    pixels = np.pad(pixels_HWC, ((8, 8), (8, 8), (0, 0)), "reflect")[y : y + 128, x : x + 128]
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    strengths = np.zeros(len(FAULTS), np.float32)
    if rng.random() >= CLEAN_SHARE:
        # as pictures travel: scaled or out of focus first, then noisy, compressed last
        for k in sorted(rng.choice(len(FAULTS), 1 if rng.random() < 0.7 else 2, replace=False)):
            strengths[k] = rng.uniform(0.05, 1)
            pixels = worsen(np.ascontiguousarray(pixels), FAULTS[k], float(strengths[k]), rng)
    return pixels, strengths


class WithHeads(nn.Module):
    """The network and the two linear heads that train it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = SceneFeatures()
        self.subject = nn.Linear(FEATURES, len(SUBJECTS))
        self.faults = nn.Linear(FEATURES, len(FAULTS))

    def losses(self, images: Tensor, subjects_N: Tensor, faults_N4: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the subject, mean square error of the strengths."""
        with torch.autocast("cpu", torch.bfloat16):
            features = self.network(images)
        features = features.float()
        named = F.cross_entropy(self.subject(features), subjects_N, ignore_index=PHOTOGRAPH)
        return named, F.mse_loss(self.faults(features), faults_N4)


def named_subjects(features_NF: Tensor) -> Tensor:
    """Number (N,) in SUBJECTS of what each picture most likely shows."""
    head = load_file(HEAD)
    return F.linear(features_NF, head["weight"], head["bias"]).argmax(1)


def _pictures(pool: Path, photographs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Renders and photographs (N, 128, 128, 3) and their subjects (N,)."""
    files = sorted(pool.glob("[0-9]*.npy"))
    rows = [row for f in files for row in json.loads(f.with_suffix(".json").read_text())]
    crops = crops_of(photographs, ("calibration",))
    subjects = [list(SUBJECTS).index(row["subject"]) for row in rows] + [PHOTOGRAPH] * len(crops)
    return np.concatenate([np.load(f) for f in files] + [crops]), np.array(subjects)


@torch.no_grad()
def _test(model: WithHeads, photographs: Path) -> dict[str, float]:
    """Subjects named rightly and correlation of told and true strengths, on pictures of the test split."""
    first = first_seed("test") + 2000
    scenes = [(k, render(s, first + i, 128).image_HWC) for k, s in enumerate(SUBJECTS) for i in range(TEST_SEEDS)]
    truth = torch.tensor([k for k, _ in scenes])
    renders = np.stack([image for _, image in scenes])
    rng = np.random.default_rng(8)
    features = model.network(to_signed(torch.from_numpy(renders)))
    figures = {"subjects_clean": float((model.subject(features).argmax(1) == truth).float().mean())}
    for name, clean in (("renders", renders), ("photographs", crops_of(photographs, ("test",)))):
        for k, fault in enumerate(FAULTS):
            strengths = rng.uniform(0, 1, len(clean)).tolist()
            worse = np.stack([worsen(p, fault, s, rng) for p, s in zip(clean, strengths, strict=True)])
            features = model.network(to_signed(torch.from_numpy(worse)))
            pair = torch.stack([model.faults(features)[:, k], torch.tensor(strengths)])
            figures[f"{name}_{fault}"] = float(torch.corrcoef(pair)[0, 1])
            if name == "renders":
                figures[f"subjects_{fault}"] = float((model.subject(features).argmax(1) == truth).float().mean())
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """Train, save the network into genir and the subject head beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures, subjects = _pictures(args.pool, args.photographs)
    renders = int((subjects != PHOTOGRAPH).sum())
    model = WithHeads()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=args.steps, pct_start=0.1)
    for step in range(args.steps):
        rng = np.random.default_rng((31, step))
        at = np.where(
            rng.random(BATCH) < PHOTOGRAPH_SHARE,
            rng.integers(renders, len(pictures), BATCH),
            rng.integers(0, renders, BATCH),
        )
        images, faults = zip(*(example(pictures[k], rng) for k in at), strict=True)
        signed = to_signed(torch.from_numpy(np.stack(images)))
        named, measured = model.losses(signed, torch.from_numpy(subjects[at]), torch.from_numpy(np.stack(faults)))
        optimizer.zero_grad()
        (named + FAULT_WEIGHT * measured).backward()
        optimizer.step()
        schedule.step()
        if step < 3 or (step + 1) % 50 == 0:
            print(f"step {step + 1} subjects {named.item():.3f} faults {measured.item():.4f}", flush=True)
    save_file({name: value.half() for name, value in model.network.state_dict().items()}, WEIGHTS)
    save_file(model.subject.state_dict(), HEAD)
    print(json.dumps(_test(model, args.photographs)))


if __name__ == "__main__":
    main()
