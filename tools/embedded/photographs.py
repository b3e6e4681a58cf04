"""The photographs that splits.json names, read from unpacked packages.

None of them trains the text-to-image model: about twenty pictures of free licence teach it no subject,
and weights made of renders alone carry no photographer's licence. They test the autoencoder and serve the
learner.

Those of Python packages are read from the installed package. A folder of photographs holds one sub-folder a
Debian package, named like the package in splits.json without registry and version (`dpkg -x`).
"""

from __future__ import annotations

import hashlib
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from PIL import Image

from tools.embedded.splits import SPLITS

Image.MAX_IMAGE_PIXELS = 200_000_000
SHORT_SIDE = 512
CROP = 128
CROPS_A_PHOTOGRAPH = 8


def path_of(folder: Path | None, row: dict) -> Path:
    """Where a photograph lies; raises ValueError where the file is not the one that was read and licensed."""
    registry, package = row["package"].split(" ")[0].split(":")
    if registry == "pypi":
        path = Path(distribution(package).locate_file(row["file"]))
    else:
        path = folder / package / row["file"]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != row["sha256"]:
        raise ValueError(
            f"{path}: sha256 {found[:12]} is not {row['sha256'][:12]} of splits.json; unpack {row['package']}"
        )
    return path


def crops_of(folder: Path | None, splits: tuple[str, ...]) -> np.ndarray:
    """Crops (N, 128, 128, 3) uint8 of the splits' photographs, each scaled to a short side of 512 pixels
    first; without a folder, of those in Python packages only.
    """
    out = []
    for k, row in enumerate(SPLITS["photographs"]):
        if row["split"] not in splits or (folder is None and not row["package"].startswith("pypi:")):
            continue
        rng = np.random.default_rng((9, k))
        image = Image.open(path_of(folder, row)).convert("RGB")
        scale = min(1.0, SHORT_SIDE / min(image.size))
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        for _ in range(CROPS_A_PHOTOGRAPH):
            x, y = int(rng.integers(image.width - CROP + 1)), int(rng.integers(image.height - CROP + 1))
            out.append(np.asarray(image.crop((x, y, x + CROP, y + CROP))))
    return np.stack(out)
