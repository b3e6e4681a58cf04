"""Fit the statistics of a NIQE model to a folder of sharp photographs.

The shipped models, from Debian's lomiri-wallpapers-16.04 and -20.04 (TABLE=tools/niqe_sources.tsv):

    python tools/fit_niqe.py PHOTOS $TABLE niqe_96.safetensors --patch 96 --short-side 1024 --crop 288
    python tools/fit_niqe.py PHOTOS $TABLE niqe_32.safetensors --patch 32 --short-side 128 256 --crop 128

Only photographs listed in the table (file, title, author, licence, package; tab-separated, one header line)
are used: the list goes into the header of the result. Every photograph is scaled down so that its short side
has each of the given sizes (Lanczos) and cut into whole crops; photographs smaller than a size are left out
at that size.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genir.metrics.niqe import fit, save_model


def crops(paths: list[Path], short_sides: list[int], crop: int) -> Iterator[torch.Tensor]:
    for short_side in short_sides:
        for path in paths:
            with Image.open(path) as file:
                picture = file.convert("RGB")
            factor = short_side / min(picture.size)
            if factor > 1:
                continue
            size = (round(picture.width * factor), round(picture.height * factor))
            pixels_HWC = np.asarray(picture.resize(size, Image.Resampling.LANCZOS)).copy()
            pixels_CHW = torch.from_numpy(pixels_HWC).permute(2, 0, 1)
            yield (pixels_CHW.unfold(1, crop, crop).unfold(2, crop, crop).flatten(1, 2).transpose(0, 1).contiguous())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="searched with its subfolders")
    parser.add_argument("sources", type=Path, help="table of the photographs to use, with their licences")
    parser.add_argument("out", type=Path, help="the .safetensors file to write; its stem is the model's name")
    parser.add_argument("--patch", type=int, required=True, help="side of a patch in pixels, even")
    parser.add_argument("--short-side", type=int, nargs="+", required=True, help="pixels; one or more")
    parser.add_argument("--crop", type=int, required=True, help="pixels; sharp patches are chosen in each crop")
    args = parser.parse_args()

    with args.sources.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = {path.name: path for path in sorted(args.folder.rglob("*")) if path.is_file()}
    missing = [row["file"] for row in rows if row["file"] not in found]
    if missing:
        raise SystemExit(f"{args.folder}: not there: {', '.join(missing)}; each photograph of {args.sources} is needed")
    sides = ", ".join(map(str, args.short_side))
    source = f"{len(rows)} photographs with short sides of {sides} px, crops of {args.crop} px"
    model = fit(
        crops([found[row["file"]] for row in rows], args.short_side, args.crop),
        args.patch,
        args.out.stem,
        source,
    )
    save_model(model, args.out, {"photographs": json.dumps(rows), "short_sides": sides, "crop": str(args.crop)})
    print(f"{args.out}: {model.source}")


if __name__ == "__main__":
    main()
