"""Images/s of `genir evaluate` (decoded once, in batches) against one metric at a time, on the same pictures.

    python tests/bench/metrics.py [--quick]

The other side is what scripts and the tools of the field do: for every metric, for every picture, decode it (and its
reference) and measure it alone. Both compute with the same functions, and both may use the whole machine: the script
with one process of as many threads as torch takes by itself, evaluate with as many workers of one thread; the last
column is the ratio of processor seconds with one thread each, which other programs on the machine disturb less.
Start-up of Python, imports and first calls are in neither. PSNR and SSIM on RGB and Y, NIQE, PIQE, scene features.
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
from genir.metrics.metric import Batch

WORKERS = os.cpu_count() or 1
CPU = torch.device("cpu")
FULL = ("psnr", "psnr_y", "ssim", "ssim_y")
TOLERANCE = 1e-4  # relative, between a picture alone and in a batch


def make_pictures(folder, side, count):
    """Crops of scikit-image's photographs, and noisy ones of the same names."""
    rng = np.random.default_rng(0)
    photographs = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.hubble_deep_field()]
    for kind in ("hq", "restored"):
        (folder / kind).mkdir()
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        if min(photograph.shape[:2]) < side:
            photograph = np.pad(photograph, ((0, side), (0, side), (0, 0)), mode="reflect")
        top, left = (rng.integers(0, length - side + 1) for length in photograph.shape[:2])
        hq = photograph[top : top + side, left : left + side]
        noisy = (hq + rng.normal(0, 8, hq.shape)).clip(0, 255).astype(np.uint8)
        for kind, pixels in (("hq", hq), ("restored", noisy)):
            Image.fromarray(pixels).save(folder / kind / f"{number:05d}.png")


def one_by_one(folder, names, threads):
    """(seconds, processor seconds, metric -> values) of a metric at a time, a picture at a time."""
    torch.set_num_threads(threads)
    metrics, (scene,) = catalogue.metrics(names, CPU), catalogue.extractors(["scene"], CPU)
    pictures, references = (sorted((folder / kind).iterdir()) for kind in ("restored", "hq"))

    def opened(path):
        return torch.from_numpy(np.ascontiguousarray(images.decode(path.read_bytes())))[None]

    def everything(pictures, references):
        scores = {name: [] for name in names}
        for metric in metrics:
            for path in pictures:
                reference = opened(folder / "hq" / path.name) if metric.full else None
                scores[metric.name] += metric.score(Batch(opened(path), reference)).tolist()
            for path in [] if metric.full else references:  # evaluate tells the reference's own numbers too
                metric.score(Batch(opened(path)))
        for path in (*pictures, *references):
            scene.extract(opened(path))
        return scores

    everything(pictures[:1], references[:1])  # start-up
    begin, cpu_begin = time.monotonic(), time.process_time()
    scores = everything(pictures, references)
    return time.monotonic() - begin, time.process_time() - cpu_begin, scores


def evaluated(folder, names, workers):
    """(seconds, processor seconds of all, metric -> values) of `genir evaluate` on as many workers, once they wait."""
    run = folder / f"out{workers}"
    command = [sys.executable, __file__, "--work", str(folder), str(run), json.dumps(names)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    started = [subprocess.Popen(command, env=environment, **pipes) for _ in range(workers)]
    assert all(process.stdout.readline() == "ready\n" for process in started)
    begin = time.monotonic()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = sum(float(process.communicate()[0]) for process in started)
    seconds = time.monotonic() - begin
    assert all(process.returncode == 0 for process in started)
    rows = [row for path in sorted((run / "restored").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return seconds, spent, {name: [row[name] for row in rows] for name in names}


def work(folder, run, names):
    """One worker of evaluate: imports and first calls, then the word to go."""
    overrides = [f"sets.restored={folder}/restored", f"reference={folder}/hq", f"metrics={names}", "shard_size=32"]
    config = load(Evaluate, None, [*overrides, f"run={run}", "device=cpu"])
    ranks.device("cpu", ranks.Worker())
    one = torch.zeros(1, 3, 128, 128, dtype=torch.uint8)
    for metric in catalogue.metrics([name for name in config.metrics if name != "niqe_96"], CPU):
        metric.score(Batch(one, one))
    catalogue.extractors(["scene"], CPU)[0].extract(one)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.process_time()
    evaluate(config)
    print(time.process_time() - begin)


def compared(side, count):
    """Print one line, and return (images/s of evaluate, ratio to one by one, ratio of processor seconds)."""
    names = [*FULL, "niqe_96" if side >= 192 else "niqe_32", "piqe"]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_pictures(folder, side, count)
        alone, _, wanted = one_by_one(folder, names, WORKERS)
        _, alone_cpu, _ = one_by_one(folder, names, 1)
        ours, ours_cpu, found = evaluated(folder, names, WORKERS)
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=TOLERANCE)
    figures = count / ours, alone / ours, alone_cpu / ours_cpu
    told = f"{side:>5} px {count:>5} pairs {count / alone:>12.1f}"
    print(f"{told} {figures[0]:>12.1f} {figures[1]:>8.2f} {figures[2]:>14.2f}")
    return figures


def main():
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    args = parser.parse_args()
    print(f"pairs/s on {WORKERS} cores; equal numbers within {TOLERANCE:g}\n")
    print(f"{'':>19} {'one by one':>12} {'evaluate':>12} {'ratio':>8} {'in processor s':>14}")
    small, ratio, single = compared(128, 96 if args.quick else 512)
    large, large_ratio, _ = compared(512, 32 if args.quick else 128)
    figures = {
        "images_per_s": round(small, 1),
        "ratio_to_one_by_one": round(ratio, 2),
        "ratio_in_processor_seconds": round(single, 2),
        "images_per_s_512": round(large, 1),
        "ratio_to_one_by_one_512": round(large_ratio, 2),
    }
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
