"""What a pair of the `dreamclear` preset costs beside the same steps done as public pair makers do them.

    python tests/bench/degrade.py [--quick]

One process, one thread, 1024 px, in turns. Both sides execute the same drawn steps: the baseline on a whole batch at
once (it draws once a batch), genir picture by picture (it draws for every picture). Ratios are of processor time, which
a busy machine does not distort as it does wall time; reading and encoding files is in neither. Pairs a second are
those of one processor core.
"""

import argparse
import json
import time

import numpy as np
import torch
from PIL import Image
from skimage import data
from workers import status_quo_pairs

from genir.degrade import Degrader
from genir.degrade.apply import apply
from genir.degrade.degrader import to_uint8

BATCH = 2
ROUNDS = {True: 4, False: 20}


def timed(work):
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    rounds = ROUNDS[parser.parse_args().quick]
    torch.set_num_threads(1)
    picture = Image.fromarray(data.astronaut()).resize((1024, 1024), Image.Resampling.LANCZOS)
    image_CHW = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    batch_NCHW = torch.stack([image_CHW] * BATCH)
    degrade = Degrader("dreamclear")
    seconds = {(side, usm): [] for side in ("genir", "status quo") for usm in (True, False)}
    with torch.inference_mode():
        for number in range(-1, rounds):  # the first round warms up
            steps = degrade.recipe(f"{number:09d}", 0, (1024, 1024)).steps
            for usm in (True, False):
                chosen = steps if usm else steps[1:]
                theirs, _ = timed(lambda chosen=chosen: status_quo_pairs.degrade(batch_NCHW, chosen))
                ours, _ = timed(lambda chosen=chosen: [to_uint8(apply(image_CHW, chosen)) for _ in range(BATCH)])
                if number >= 0:
                    seconds["genir", usm].append(ours / BATCH)
                    seconds["status quo", usm].append(theirs / BATCH)
    mean = {key: sum(values) / len(values) for key, values in seconds.items()}
    print(f"{'CPU s a pair':<14}{'genir':>8}{'status quo':>12}{'ratio':>8}")
    for usm, name in ((True, "with USM"), (False, "without USM")):
        ours, theirs = mean["genir", usm], mean["status quo", usm]
        print(f"{name:<14}{ours:>8.3f}{theirs:>12.3f}{theirs / ours:>8.1f}")
    figures = {
        "ratio_to_status_quo": round(mean["status quo", True] / mean["genir", True], 2),
        "ratio_without_usm": round(mean["status quo", False] / mean["genir", False], 2),
        "pairs_per_s": round(1 / mean["genir", True], 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
