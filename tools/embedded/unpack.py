"""What training needs of a finished model: `python -m tools.embedded.unpack genir/embedded/model AE`.

Writes AE/vae, AE/tokenizer and AE/mirror_signs.pt, so that the pool can be encoded for `train.py --from` where the
recipe's own folders are gone.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

from tools.embedded.components import signs_of
from tools.embedded.patch_autoencoder import PatchAutoencoder


def main() -> None:
    """Copy the parts and find the signs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    for part in ("vae", "tokenizer"):
        shutil.copytree(args.model / part, args.out / part, dirs_exist_ok=True)
    torch.save(signs_of(PatchAutoencoder.from_pretrained(args.out / "vae")), args.out / "mirror_signs.pt")


if __name__ == "__main__":
    main()
