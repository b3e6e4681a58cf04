"""A simulated device, so that everything around a model can be measured on any machine.

It sleeps as long as a model would denoise, without using the processor, and returns pictures with the statistics of
photographs. `SimulatedBackbone` is what genir's own loop calls, `SimulatedPipeline` what a script around diffusers
calls.
"""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image
from skimage import data

from genir.errors import Stopped
from genir.records import Conditioning

SDXL_CLASS, SANA_CLASS = 5.9, 0.59  # seconds an image of 1024 px: an A100 with 30 steps of SDXL, with 20 of Sana
STEPS = 20


def mosaics(side, count=8):
    """uint8 RGB (count, 3, side, side): four crops of scikit-image's photographs each, at their own scale."""
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    half, chance = side // 2, np.random.default_rng(0)
    pictures = np.empty((count, side, side, 3), np.uint8)
    for number, picture in enumerate(pictures):
        for corner in range(4):
            photograph = photographs[(number + corner) % len(photographs)]
            moved = np.roll(photograph, chance.integers(0, 400, 2), (0, 1))
            wide = np.tile(moved, (half // moved.shape[0] + 1, half // moved.shape[1] + 1, 1))
            row, column = half * (corner // 2), half * (corner % 2)
            picture[row : row + half, column : column + half] = wide[:half, :half]
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


class SimulatedBackbone:
    """Stands for `genir.backbone.model.Backbone` in `genir.sample`."""

    device = torch.device("cpu")

    def __init__(self, pictures_NCHW, seconds, nonfinite=lambda seed: False):
        self._pictures_NCHW, self._seconds, self._nonfinite = torch.from_numpy(pictures_NCHW), seconds, nonfinite
        self.first_call = None

    def encode_positive(self, texts):
        return Conditioning(torch.zeros(len(texts), 1, 1), None, (False,) * len(texts))

    def encode_negative(self, text, count):
        return self.encode_positive([text] * count)

    def encode_empty(self, count):
        return self.encode_positive([""] * count)

    def generate(self, positive, negative, *, seeds, should_stop, **settings):
        self.first_call = self.first_call or time.monotonic()
        if self._seconds:
            begin, seconds = time.monotonic(), self._seconds * len(seeds)
            for step in range(1, STEPS + 1):
                if should_stop():
                    raise Stopped
                time.sleep(max(0.0, begin + seconds * step / STEPS - time.monotonic()))
        return self._pictures_NCHW[[seed % len(self._pictures_NCHW) for seed in seeds]], [
            self._nonfinite(seed) for seed in seeds
        ]


class SimulatedPipeline:
    """Stands for a diffusers pipeline: prompts in, PIL images out."""

    def __init__(self, pictures_NCHW, seconds):
        self._pictures_NCHW, self._seconds = pictures_NCHW, seconds

    def __call__(self, prompt, *, generator, **settings):
        time.sleep(self._seconds * len(prompt))
        chosen = [one.initial_seed() % len(self._pictures_NCHW) for one in generator]
        return SimpleNamespace(images=[Image.fromarray(self._pictures_NCHW[n].transpose(1, 2, 0)) for n in chosen])


def pipeline(job):
    """What a baseline calls, and its settings: a simulated pipeline, or diffusers' own around the small model."""
    torch.set_num_threads(1)
    if job["model"] == "simulated":
        return SimulatedPipeline(mosaics(job["side"]), job["seconds"]), {}
    from genir.backbone.load import load

    made = load("embedded", device="cpu").make_pipeline()
    made.set_progress_bar_config(disable=True)
    side = job["side"]
    return made, {"height": side, "width": side, "num_inference_steps": STEPS, "guidance_scale": 3.0}


def together(job):
    """Wait until every worker has started up, so that start-up is in nobody's time; returns the beginning."""
    folder = Path(job["folder"])
    (folder / f"ready-{job['rank']}").touch()
    while not all((folder / f"ready-{rank}").exists() for rank in range(job["world"])):
        time.sleep(0.01)
    return time.monotonic()


def report(begin, images):
    """What a worker prints: monotonic clocks are the same in all processes of a machine."""
    return {"begin": begin, "end": time.monotonic(), "cpu_seconds": time.process_time(), "images": images}
