"""A run's pictures beside their labels: `python -m tools.label_sheet RUN OUT.png [--pictures 8] [--side 160]`.

One row a picture: the image, then a column for each `annotation_<domain>/` of the run; grey where there is no label.
"""

import argparse
import io
from pathlib import Path

from PIL import Image

from genir.sources.stored import StoredRun


def sheet(root: Path, pictures: int, side: int) -> Image.Image:
    domains = sorted(path.name.removeprefix("annotation_") for path in root.glob("annotation_*"))
    run = StoredRun(root, labels=domains)
    kept = [picture for shard in run.shards for picture in run.pictures(shard)][:pictures]
    drawn = Image.new("RGB", ((1 + len(domains)) * side, len(kept) * side), (90, 90, 90))
    for row, picture in enumerate(kept):
        files = run.files(picture)
        for column, name in enumerate(["hq", *domains]):
            if name in files:
                image = Image.open(io.BytesIO(files[name])).convert("RGB")
                image.thumbnail((side, side), Image.Resampling.LANCZOS)
                drawn.paste(image, (column * side, row * side))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--side", type=int, default=160)
    options = parser.parse_args()
    sheet(options.run, options.pictures, options.side).save(options.out)


if __name__ == "__main__":
    main()
