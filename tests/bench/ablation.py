"""What each part of the dual prompt buys, on the embedded model: paired tasks, bootstrap intervals, a table and a plot.

    python tests/bench/ablation.py [--quick] [--out FOLDER] [--oracle FOLDER] [--tasks N]
                                 [--rows plain,paper] [--report] [--plot FILE]

Every row answers the same captions (of scenes in combinations that the model was not trained on) with the same noise;
a second and third seed are another noise for all rows that have them, and another run of learning.
Distances are to other renders of such scenes in the scene features that genir ships: neither a gate, nor a reward, nor
the choice of a checkpoint has used them. Pairs are learned here, by `genir prepare` and `genir learn` on the shipped HQ
set, and their last checkpoint is taken. `--quick` measures the pairs that ship instead, on fewer tasks.

`--out` keeps all that is made, under the digest of what made it: the same command goes on where it was interrupted, and
any number of processes may work in one folder at a time. `--oracle` is the model that was trained with true quality
words (tools/embedded); without it there is no gap to close.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
sys.path.insert(0, str(Path(__file__).parents[2]))  # tools/ is not part of the package

import numpy as np
import torch
from ablated.report import report
from ablated.rows import BEST, ROWS, committed
from ablated.scenes import FIRST, REFERENCE, ROOT, SIZE, digest, measure, unseen_scenes

from genir import dualprompt, embedded, storage
from genir.backbone import files
from genir.backbone.load import load
from genir.metrics.features import network

STEPS = 20
BATCH = 8
CHUNK = 32  # tasks a file
TASKS = {True: 128, False: 300}
REFERENCES = {True: 256, False: 400}
PREPARE = ("configs/prepare_embedded.yaml", "worse.margin=-100")  # the paper keeps every edit
WAIT = 5.0  # seconds, for what another process makes


@dataclass(frozen=True)
class Job:
    """One file to make."""

    path: Path
    needs: Path | None
    make: Callable[[], None]


class Bench:
    """Rows -> jobs; every file lies under the digest of what made it."""

    def __init__(self, out, oracle, split, counts):
        self.out, self.oracle, self.extractor = out, oracle, network.load()
        first = FIRST[split]
        self.scenes = unseen_scenes(first, counts[0], out, self.extractor)
        """Tasks."""
        self.real = unseen_scenes(first + REFERENCE, counts[1], out, self.extractor)
        """What they are compared with."""
        whole = files.identity("embedded")
        self.model_hash = files.model_hash(whole)
        self.drawn_by = {False: digest(whole), True: digest(files.identity(oracle)) if oracle else ""}
        """Whole models, with their autoencoders: of the plain rows, of the oracle."""
        recipe = [self.drawn_by[False], (ROOT / PREPARE[0]).read_text(), PREPARE[1]]
        self.set = out / f"set-{digest(recipe)}"
        self._loaded = None, None

    def jobs(self, row, seed):
        """All that one seed of a row needs, in order."""
        pair, learned_from = self.pair(row, seed), self.set / "train" / "metadata.jsonl"
        if row.learn:
            yield Job(learned_from, None, self._prepare)
            start = self.pair(ROWS[row.start], seed) if row.start else None
            if start:
                yield Job(start, learned_from, lambda: self._learn(ROWS[row.start], seed, start))
            yield Job(pair, start or learned_from, lambda: self._learn(row, seed, pair))
        for number, path in enumerate(self.chunks(row, seed)):
            yield Job(path, pair, lambda n=number, p=path: self._draw(row, seed, n * CHUNK, p))

    def pair(self, row, seed):
        """The file of a row's pair; None without one."""
        if row.pair:
            return Path(row.pair)
        return self._run(row, seed) / "dual.safetensors" if row.learn else None

    def chunks(self, row, seed):
        """The files of a row's pictures and what was measured on them."""
        told = {"suffix": row.suffix, "negative": row.negative, "guidance": asdict(row.guidance)}
        told |= {"micro": asdict(row.micro), "swapped": row.swapped, "steps": STEPS, "batch": BATCH}
        pair = None
        if row.learn:
            pair = self._run(row, seed).name
        elif row.pair:
            pair = dualprompt.load(row.pair).sha256
        what, captions = digest([self.drawn_by[row.oracle], told, pair, seed]), self.scenes.captions
        folders = [captions[first : first + CHUNK] for first in range(0, len(captions), CHUNK)]
        return [self.out / f"images-{what}" / f"{n:03d}-{digest(part)}.npz" for n, part in enumerate(folders)]

    def measured(self, row, seed):
        """(images, features, scores) of all tasks, or None while some are missing."""
        chunks = self.chunks(row, seed)
        if not all(path.exists() for path in chunks):
            return None
        loaded = [np.load(path) for path in chunks]
        return tuple(
            torch.from_numpy(np.concatenate([one[name] for one in loaded])) for name in ("x", "features", "scores")
        )

    def seconds(self, row):
        """Processor seconds that learning took, the mean over seeds; None where nothing was learned here."""
        found = [self._run(row, seed).with_suffix(".seconds") for seed in range(row.seeds)] if row.learn else []
        spent = [sum(map(float, path.read_text().split())) for path in found if path.exists()]
        return sum(spent) / len(spent) if spent else None

    def _run(self, row, seed):
        settings = (ROOT / row.learn[0]).read_text()
        return self.out / f"learned-{digest([self.set.name, settings, row.learn, row.start, seed])}"

    def _prepare(self):
        _genir("prepare", *PREPARE, f"images={embedded.hq_folder()}", f"run={self.set}")

    def _learn(self, row, seed, pair):
        begin = _children_seconds()
        try:
            settings, *more = row.learn
            if row.start:
                more += ["--from", str(self.pair(ROWS[row.start], seed))]
            _genir("learn", settings, f"run={pair.parent}", f"data.folder={self.set}", f"seed={seed}", *more)
        finally:
            with pair.parent.with_suffix(".seconds").open("a") as file:  # one line for every time it went on
                file.write(f"{_children_seconds() - begin:.1f}\n")

    def _draw(self, row, seed, first, path):
        path.parent.mkdir(exist_ok=True)
        backbone = self._backbone(row, seed)
        captions = self.scenes.captions[first : first + CHUNK]
        images = []
        for k in range(0, len(captions), BATCH):
            texts = [f"{caption}, {row.suffix}" if row.suffix else caption for caption in captions[k : k + BATCH]]
            pixels_NCHW, _ = backbone.generate(
                backbone.encode_positive(texts),
                backbone.encode_negative(row.negative, len(texts)),
                empty=backbone.encode_empty(len(texts)),
                size_HW=(SIZE, SIZE),
                seeds=range(seed * 10_000 + first + k, seed * 10_000 + first + k + len(texts)),
                steps=STEPS,
                guidance=row.guidance,
                micro=row.micro,
            )
            images.append(pixels_NCHW)
        features, scores = measure(torch.cat(images), self.extractor)
        with storage.writing(path) as file:
            np.savez(file, x=torch.cat(images).numpy(), features=features.numpy(), scores=scores.numpy())

    def _backbone(self, row, seed):
        key = (row.oracle, self.pair(row, seed), row.swapped)
        if self._loaded[0] != key:
            backbone = load(self.oracle if row.oracle else "embedded")
            if key[1]:
                dual = dualprompt.load(key[1])
                if row.swapped:
                    dual = replace(dual, positive=dual.negative, negative=dual.positive)
                backbone.apply(dual, model_hash=self.model_hash)
            self._loaded = key, backbone
        return self._loaded[1]


def work(jobs, out):
    """Make every missing file that no other process is making; wait for theirs."""
    waiting = [job for job in jobs if not job.path.exists()]
    while waiting:
        before = len(waiting)
        for job in waiting:
            if not job.path.exists() and (job.needs is None or job.needs.exists()):
                _claimed(job, out)
        waiting = [job for job in waiting if not job.path.exists()]
        if len(waiting) == before:
            time.sleep(WAIT)


def _claimed(job, out):
    locks = out / "locks"
    locks.mkdir(exist_ok=True)
    lock = storage.try_lock(locks / digest(str(job.path.relative_to(out))))
    if lock is None:
        return
    try:
        if not job.path.exists():
            print(time.strftime("%H:%M:%S"), job.path.parent.name, job.path.name, flush=True)
            job.make()
    finally:
        os.close(lock)


def _genir(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "genir", *arguments], cwd=ROOT, env=environment, check=True)


def _children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the pairs that ship, fewer tasks, ten minutes")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "ablation", help="folder of all that is made")
    parser.add_argument("--oracle", help="folder of the model trained with true quality words")
    parser.add_argument("--tasks", type=int, help="so many instead of 300 (128); may grow")
    parser.add_argument("--rows", help="only these, separated by commas")
    parser.add_argument("--report", action="store_true", help="make nothing: the table of what is finished")
    parser.add_argument("--plot", type=Path, help="where the plot goes; default: in --out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    pairs = embedded.dual_files()
    rows = committed(pairs) if args.quick else ROWS
    best = next(iter(pairs)) if args.quick else BEST
    wanted = args.rows.split(",") if args.rows else list(rows)
    rows = {name: row for name, row in rows.items() if name in wanted and (args.oracle or not row.oracle)}

    counts = (args.tasks or TASKS[args.quick], REFERENCES[args.quick])
    bench = Bench(out, args.oracle, "test", counts)
    if not args.report:
        seeds = range(max(row.seeds for row in rows.values()))
        work([job for seed in seeds for row in rows.values() if seed < row.seeds for job in bench.jobs(row, seed)], out)
    report(bench, rows, best, out, args.plot or out / "ablation.png")


if __name__ == "__main__":
    main()
