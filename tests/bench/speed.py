"""What each speed option does on the embedded model: time against the plain loop, and pictures against those of it.

    python tests/bench/speed.py [--quick]

All rows are made by one process of one thread, batch by batch in turn, so that what else runs on the machine hits all
alike; times are processor seconds. Captions and noise are the same in every row; distances are kernel distances in the
scene features that genir ships, to renders of other scenes that the model has not seen (tests/bench/embedded.py), and
"nearer by" is the difference to the plain loop's, with the standard error of pairs.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))  # tools/ is not part of the package

import torch
from embedded import unseen_scenes

from genir.backbone import speed
from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.metrics.features import network
from genir.metrics.features.kernel import kernel_distance, kernel_gain

SIZE = 128
STEPS = 20
SCALE = 4.0
BATCH = 8
IMAGES = {True: 24, False: 192}
PLAIN = speed.Speed()
GUIDED = Guidance(SCALE)
CPU = torch.device("cpu")


@dataclass
class Row:
    """One way to make the pictures."""

    name: str
    wanted: speed.Speed = PLAIN
    guidance: Guidance = GUIDED
    dtype: str = "float32"
    seconds: float = 0.0
    passes: int = 0
    images: list = field(default_factory=list)

    def prepare(self):
        self.backbone = load("embedded", dtype=self.dtype)
        self.used = speed.use(self.backbone, self.wanted, CPU, "auto", lambda: self.make(["a lake"] * BATCH, 0, 2))
        self.backbone.denoiser.register_forward_pre_hook(self.count, with_kwargs=True)
        self.make(["a lake"] * BATCH, 0, 1)  # start-up
        self.passes = 0

    def count(self, module, args, kwargs):
        self.passes += len(args[0])

    def make(self, texts, first, steps=STEPS):
        pixels, _ = self.backbone.generate(
            self.backbone.encode_positive(texts),
            self.backbone.encode_negative("", len(texts)),
            size_HW=(SIZE, SIZE),
            seeds=range(first, first + len(texts)),
            steps=steps,
            guidance=self.guidance,
        )
        return pixels

    def timed(self, texts, first):
        begin = time.process_time()
        self.images.append(self.make(texts, first))
        self.seconds += time.process_time() - begin


def rows(quick):
    found = [
        Row("plain"),
        Row("channels_last", speed.Speed(channels_last=True)),
        Row("fuse_projections", speed.Speed(fuse_projections=True)),
        Row("bfloat16", dtype="bfloat16"),
        Row("decoder_tile 64", speed.Speed(decoder_tile=64)),
        Row("guidance 0.0 to 0.8", guidance=Guidance(SCALE, end=0.8)),
        Row("guidance 0.1 to 0.7", guidance=Guidance(SCALE, start=0.1, end=0.7)),
        Row("guidance 0.2 to 0.6", guidance=Guidance(SCALE, start=0.2, end=0.6)),
        Row("no guidance", guidance=Guidance(1.0)),
    ]
    return found if quick else [*found, Row("compile", speed.Speed(compile=True))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="24 images a row, nothing compiled")
    args = parser.parse_args()
    torch.set_num_threads(1)
    extractor, count = network.load(), IMAGES[args.quick]
    scenes, reference = unseen_scenes(extractor, True)
    texts = scenes.captions[:count]
    count = len(texts)
    table = rows(args.quick)
    for row in table:
        row.prepare()
    for first in range(0, count, BATCH):
        for row in table:
            row.timed(texts[first : first + BATCH], first)
    plain, captions, real = table[0], torch.arange(count), reference.features_NF
    features = {row.name: network.scene_features(torch.cat(row.images), extractor) for row in table}
    print(f"{count} images of {SIZE} px, {STEPS} steps, batches of {BATCH}, guidance {SCALE:g}, one thread\n")
    print(f"{'':>20}  s/image   ratio  passes  kernel distance         nearer by  pixels: largest, mean difference")
    figures = {}
    for row in table:
        distance = kernel_distance(features[row.name], real, captions)
        gain = None if row is plain else kernel_gain(features["plain"], features[row.name], real, captions)
        pixels = (torch.cat(row.images).int() - torch.cat(plain.images).int()).abs()
        ratio, passes = row.seconds / plain.seconds, row.passes / plain.passes
        unused = row.wanted.compile and "compile" not in row.used
        print(
            f"{row.name:>20}  {row.seconds / count:7.3f}  {ratio:6.3f}  {passes:6.3f}  "
            f"{distance.value:7.4f} ± {distance.standard_error:.4f}  "
            f"{f'{gain.value:7.4f} ± {gain.standard_error:.4f}' if gain else '':>16}  "
            f"{int(pixels.max()):>4} {pixels.float().mean():6.2f}{'  NOT USED' if unused else ''}",
            flush=True,
        )
        figures[row.name] = {
            "ratio": round(ratio, 3),
            "passes": round(passes, 3),
            "kernel_distance": [round(distance.value, 4), round(distance.standard_error, 4)],
            "nearer_by": gain and [round(gain.value, 4), round(gain.standard_error, 4)],
        }
    print(f"\n{plain.seconds / count:.3f} s of one core an image in the plain loop\n")
    print(json.dumps({"images": count, "plain_seconds_per_image": round(plain.seconds / count, 4), "rows": figures}))


if __name__ == "__main__":
    main()
