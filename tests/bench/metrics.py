"""Images/s of `genir evaluate` (decoded once, in batches) against one metric at a time, on the same pictures.

    python tests/bench/metrics.py [--quick]

The other side is what scripts and the tools of the field do: one metric after the other over the whole set, in one
process of one thread. Every metric decodes its pictures and their references again and measures them one at a time:
PSNR and SSIM on RGB and on Y, NIQE and PIQE (these two of the references as well, as evaluate tells them). Every
family of distances extracts the features of both sets again: Frechet (a FID tool), kernel (a KID tool), precision and
recall together (a third). Both sides call the same functions of genir.

`evaluate` is as many workers of one thread as the machine has cores. Ratios: seconds of one process to seconds of the
workers (`ratio_to_one_by_one`); processor seconds, which do not count the cores; and seconds of as many such processes
as there are workers, which share the list of metrics as evenly as it can be cut, to seconds of the workers. Of every
time the least of several rounds. Imports, models and first calls are in none of them; evaluate's files and summary are.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from skimage import data

from genir import images, ranks
from genir.config.base import load
from genir.config.evaluate import Evaluate
from genir.jobs.evaluate import evaluate
from genir.metrics import catalogue
from genir.metrics.features.frechet import frechet_distance
from genir.metrics.features.kernel import paired_kernel_distance
from genir.metrics.features.precision_recall import precision_recall
from genir.metrics.metric import Batch

WORKERS = os.cpu_count() or 1
CPU = torch.device("cpu")
KINDS = ("restored", "hq")
FULL = ("psnr", "psnr_y", "ssim", "ssim_y")
DISTANCES = {
    "frechet_distance": lambda a_NF, b_NF: [frechet_distance(a_NF, b_NF)],
    "kernel_distance": lambda a_NF, b_NF: [paired_kernel_distance(a_NF, b_NF).value],
    "precision_recall": lambda a_NF, b_NF: list(precision_recall(a_NF, b_NF)),
}
TOLERANCE = 1e-4  # relative, between a picture alone and in a batch


def metrics_of(side):
    return [*FULL, "niqe_96" if side >= 192 else "niqe_32", "piqe"]


def make_pictures(folder, side, count):
    """Crops of scikit-image's photographs, and noisy ones of the same names."""
    rng = np.random.default_rng(0)
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.hubble_deep_field()]
    for kind in KINDS:
        (folder / kind).mkdir()
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        if min(photograph.shape[:2]) < side:
            photograph = np.pad(photograph, ((0, side), (0, side), (0, 0)), mode="reflect")
        top, left = (rng.integers(0, length - side + 1) for length in photograph.shape[:2])
        hq = photograph[top : top + side, left : left + side]
        noisy = (hq + rng.normal(0, 8, hq.shape)).clip(0, 255).astype(np.uint8)
        for kind, pixels in zip(KINDS, (noisy, hq), strict=True):
            Image.fromarray(pixels).save(folder / kind / f"{number:05d}.png")


def alone(folder, names):
    """Child: the named metrics and distances, one after the other -> name -> [seconds, values]."""
    torch.set_num_threads(1)
    (scene,) = catalogue.extractors(["scene"], CPU)
    metrics = {name: None if name in DISTANCES else catalogue.metrics([name], CPU)[0] for name in names}
    restored, references = (sorted((Path(folder) / kind).iterdir()) for kind in KINDS)

    def opened(path):
        return torch.from_numpy(np.ascontiguousarray(images.decode(path.read_bytes())))[None]

    def measured(name, count):
        if (metric := metrics[name]) is None:
            a_NF, b_NF = (
                torch.cat([scene.extract(opened(path)) for path in s[:count]]) for s in (restored, references)
            )
            return DISTANCES[name](a_NF, b_NF)
        if metric.full:
            pairs = zip(restored[:count], references[:count], strict=True)
            return [metric.score(Batch(opened(path), opened(reference))).item() for path, reference in pairs]
        values = [metric.score(Batch(opened(path))).item() for path in (*restored[:count], *references[:count])]
        return values[: len(values) // 2]

    def timed(name):
        begin = time.monotonic()
        values = measured(name, None)
        return [time.monotonic() - begin, values]

    for name in names:  # first calls
        measured(name, 4)
    yield
    yield {name: timed(name) for name in names}


def evaluated(folder, run, names, shard):
    """Child: one worker of evaluate."""
    places = [f"sets.restored={folder}/restored", f"reference={folder}/hq", f"metrics={json.dumps(names)}"]

    def work(to, *overrides):
        evaluate(load(Evaluate, None, [*places, f"run={to}", f"shard_size={shard}", "device=cpu", *overrides]))

    ranks.device("cpu", ranks.Worker())
    work(f"{run}-first-{os.getpid()}", "limit=4")
    yield
    yield work(run)


def child(kind, *arguments):
    """Be ready, wait for the word, work, tell the processor seconds and what was found."""
    work = {"alone": alone, "evaluated": evaluated}[kind](*arguments)
    next(work)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.process_time()
    found = next(work)
    print(json.dumps([time.process_time() - begin, found]), flush=True)


def together(*commands):
    """Children at once -> (seconds from the word to the last answer, processor seconds of all, what they found)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    started = [
        subprocess.Popen([sys.executable, __file__, "--child", json.dumps(command)], env=environment, **pipes)
        for command in commands
    ]
    assert all(process.stdout.readline() == "ready\n" for process in started)
    begin = time.monotonic()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.stdout.readline()) for process in started]
    seconds = time.monotonic() - begin
    assert all(process.wait() == 0 for process in started)
    return seconds, sum(spent for spent, _ in told), [found for _, found in told]


def shares(seconds):
    """Names in as many lists as there are workers: the longest first, each to the list that has least."""
    lists = [(0.0, []) for _ in range(WORKERS)]
    for name in sorted(seconds, key=seconds.__getitem__, reverse=True):
        lists.sort(key=lambda one: one[0])
        lists[0] = (lists[0][0] + seconds[name], [*lists[0][1], name])
    return [names for _, names in lists if names]


def check(run, values):
    """Raise unless evaluate's numbers are those of one metric at a time."""
    rows = [row for path in sorted((run / "restored").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    near = json.loads((run / "summary.json").read_text())["features"]["scene"]["sets"]["restored"]
    for name, wanted in values.items():
        keys = ("precision", "recall") if name == "precision_recall" else (name,)
        found = [near[key] for key in keys] if name in DISTANCES else [row[name] for row in rows]
        np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, err_msg=name)


def least(rounds):
    """Seconds and processor seconds, each of the round where it is least."""
    return (min(told[k] for told in rounds) for k in (0, 1))


def compared(side, count, rounds):
    """Print one line, and return (images/s of evaluate, the ratios)."""
    names = metrics_of(side)
    one, shared, ours = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(Path(folder), side, count)
        for number in range(rounds):
            one.append(together(["alone", folder, [*names, *DISTANCES]]))
            seconds, values = ({name: told[k] for name, told in one[-1][2][0].items()} for k in (0, 1))
            shared.append(together(*(["alone", folder, part] for part in shares(seconds))))
            run = Path(folder) / f"out{number}"
            shard = max(4, count // (2 * WORKERS))
            ours.append(together(*[["evaluated", folder, str(run), names, shard]] * WORKERS))
            check(run, values)
    (one_s, one_cpu), (shared_s, _), (ours_s, ours_cpu) = least(one), least(shared), least(ours)
    figures = count / ours_s, one_s / ours_s, one_cpu / ours_cpu, shared_s / ours_s
    told = f"{side:>5} px {count:>5} pairs {count / one_s:>12.1f} {figures[0]:>12.1f}"
    print(f"{told} {figures[1]:>8.2f} {figures[2]:>14.2f} {figures[3]:>18.2f}", flush=True)
    return figures


def main():
    if sys.argv[1:2] == ["--child"]:
        child(*json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures and rounds")
    quick = parser.parse_args().quick
    print(f"pairs/s on {WORKERS} cores; equal numbers within {TOLERANCE:g}\n")
    print(f"{'':>19} {'one by one':>12} {'evaluate':>12} {'ratio':>8} {'in processor s':>14} {'to shared metrics':>18}")
    figures = {}
    for side, count in ((128, 192 if quick else 512), (512, 24 if quick else 96)):
        rate, *ratios = compared(side, count, 2 if quick else 3)
        end = "" if side == 128 else f"_{side}"
        figures[f"images_per_s{end}"] = round(rate, 1)
        for name, ratio in zip(("to_one_by_one", "in_processor_seconds", "to_shared_metrics"), ratios, strict=True):
            figures[f"ratio_{name}{end}"] = round(ratio, 2)
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
