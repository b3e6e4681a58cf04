"""Contact sheet: `python -m tools.embedded.render.preview OUT.png [--size 128] [--columns 8] [--only
SUBJECT ...]`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from PIL import Image

from tools.embedded.render.scenes import SUBJECTS, render


def main() -> None:
    """Render a grid: one row a subject, one column a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(SUBJECTS))
    args = parser.parse_args()
    rows = []
    for subject in args.only:
        start = time.perf_counter()
        scenes = [render(subject, args.seed + k, args.size) for k in range(args.columns)]
        spent = (time.perf_counter() - start) / args.columns
        print(f"{subject:10s} {spent * 1e3:5.0f} ms", "|", scenes[0].facts.phrase, "|", scenes[0].facts.details)
        rows.append(np.concatenate([s.image_HWC for s in scenes], 1))
    Image.fromarray(np.concatenate(rows, 0)).save(args.out)


if __name__ == "__main__":
    main()
