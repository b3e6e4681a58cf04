"""The gate before any training of the UNet: `python -m tools.embedded.gate_autoencoder VAE PHOTOGRAPHS`.

PHOTOGRAPHS is the folder with the packages' files that splits.json names. The gate asks, after the
autoencoder: held-out photographs at 28 dB or more with 40 % or more of their Laplacian variance, and a
twofold change between clean and degraded renders that it has not seen: of the Laplacian variance for
blur, down-scaling and noise, of the blockiness for JPEG (whose blocks add as much Laplacian variance as
the lost detail took away).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from tools.embedded.degrade import WORDS, degrade
from tools.embedded.measure import blockiness, laplacian_variance, psnr_db, to_signed
from tools.embedded.patch_autoencoder import PatchAutoencoder
from tools.embedded.photographs import crops_of
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed

SEEDS = 3


@torch.no_grad()
def photograph_figures(model: PatchAutoencoder, crops_NHWC: np.ndarray) -> dict[str, float]:
    """PSNR in dB and share of the Laplacian variance that photographs keep."""
    clean = to_signed(torch.from_numpy(crops_NHWC))
    made = model(clean).sample
    kept = laplacian_variance(made) / laplacian_variance(clean)
    return {
        "photographs_psnr_db": round(float(psnr_db(made, clean).mean()), 2),
        "photographs_detail_kept": round(float(laplacian_variance(made).mean() / laplacian_variance(clean).mean()), 3),
        "photographs_detail_kept_median": round(float(kept.median()), 3),
    }


@torch.no_grad()
def degradation_figures(model: PatchAutoencoder, clean_NHWC: np.ndarray) -> dict[str, float]:
    """Median factor by which each degradation changes its measurement, after the autoencoder."""
    rng = np.random.default_rng(4)
    twins = [degrade(picture, rng) for picture in clean_NHWC]
    clean = model(to_signed(torch.from_numpy(clean_NHWC))).sample
    degraded = model(to_signed(torch.from_numpy(np.stack([t for t, _ in twins])))).sample
    figures = {}
    for kind in WORDS:
        mine = torch.tensor([name == kind for _, name in twins])
        measure = blockiness if kind == "jpeg" else laplacian_variance
        ratio = (measure(clean[mine]) / measure(degraded[mine])).log().abs().median().exp()
        figures[f"changed_by_{kind}"] = round(float(ratio), 2)
    return figures


def main() -> None:
    """Print the figures as one line of JSON; exit code 1 where the gate is not passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("photographs", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = PatchAutoencoder.from_pretrained(args.autoencoder).eval()
    first = first_seed("calibration")
    clean = np.stack([render(s, first + k, 128).image_HWC for s in SUBJECTS for k in range(SEEDS)])
    figures = photograph_figures(model, crops_of(args.photographs, ("positives", "calibration", "test")))
    figures |= degradation_figures(model, clean)
    figures["renders_psnr_db"] = photograph_figures(model, clean)["photographs_psnr_db"]
    print(json.dumps(figures))
    changed = min(v for k, v in figures.items() if k.startswith("changed_by_"))
    passed = figures["photographs_psnr_db"] >= 28 and figures["photographs_detail_kept"] >= 0.4 and changed >= 2
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
