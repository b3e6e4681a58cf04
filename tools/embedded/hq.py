"""Make the small captioned HQ set that travels with genir: `python -m tools.embedded.hq PHOTOGRAPHS OUT`.

Renders and photographs of the positives split of splits.json, which the text-to-image model has not seen, as
lossless WebP in Hugging Face's imagefolder layout. PHOTOGRAPHS holds the unpacked packages; OUT is
genir/embedded/hq.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tools.embedded.photographs import path_of
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import SPLITS, first_seed, held_out

SIZE = 256
RENDERS_A_SUBJECT = 2


def rendered() -> Iterator[tuple[str, Image.Image, dict[str, str]]]:
    """(stem, picture, row) of every render; held-out combinations stay unseen by a learner too."""
    for subject in SUBJECTS:
        combinations: set[tuple[str, ...]] = set()
        for seed in itertools.count(first_seed("positives")):
            facts = render(subject, seed, 16).facts
            if held_out(facts) or facts.traits in combinations:
                continue
            combinations.add(facts.traits)
            row = {
                "text": re.sub(r"\ba (?=[aeio])", "an ", " ".join([facts.phrase, *facts.details])),
                "origin": "render",
                "licence": "CC0-1.0",
                "author": "genir",
                "source": f"tools/embedded/render, {subject}, seed {seed}",
            }
            picture = Image.fromarray(render(subject, seed, SIZE).image_HWC)
            yield f"{subject.replace(' ', '_')}_{seed}", picture, row
            if len(combinations) == RENDERS_A_SUBJECT:
                break


def photographed(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, str]]]:
    """(stem, picture, row) of every photograph: its middle square, scaled down."""
    for row in SPLITS["photographs"]:
        if row["split"] != "positives":
            continue
        image = Image.open(path_of(folder, row)).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        known = {key: row[key] for key in ("licence", "author")}
        source = f"{row['package']}, {row['file']}"
        stem = Path(row["file"]).stem.split("_by_")[0].lower()
        yield stem, square, {"text": row["caption"], "origin": "photograph", **known, "source": source}


def main() -> None:
    """Write OUT/images and OUT/metadata.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    (args.out / "images").mkdir(parents=True)
    rows = []
    for stem, image, row in itertools.chain(photographed(args.photographs), rendered()):
        name = f"images/{stem}.webp"
        image.save(args.out / name, lossless=True, quality=100, method=4)
        rows.append({"file_name": name, "text": row.pop("text"), "role": "positive", **row})
    (args.out / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
