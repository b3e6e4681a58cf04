"""A whole worker without torch: real plan, claims, shards and saver around pictures that are a function of the seed.

    python dummy_worker.py RUN_OR_URL '{"prompts": 24, "batch": 4, "shard_size": 8, ...}'

Options (JSON): prompts, replicas, sizes, batch, shard_size, limit, target, seed, sleep (seconds a batch),
reject ("some", "all", "none"), stats (write the worker's heartbeat), column (its score is the key modulo 10),
crash_at (end the process around the n-th change of the disk), crash_when ("before", "torn", "after", "power"),
crop (store so many rows and columns of every picture), fail_at (this task has no picture),
die_at (killed at this task, as for want of memory), clock (the time jumps by so many seconds either way), max_tries;
in an object store: part, beat, silence, patience.
Prints one line of JSON: the names of the disk changes, and the first keys of the batches it made itself, or the error.
"""

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
from power import CHANGES, PowerCut

from genir import objectstore, ranks, storage
from genir.errors import GenirError, StoreError
from genir.plan import Plan
from genir.records import Prompt, Sample, Verdict
from genir.runs import lease, mirror
from genir.runs.claims import Claims
from genir.runs.drive import Guard, Stage, drive
from genir.runs.progress import Progress, worker_name
from genir.runs.run import open_run
from genir.runs.saver import BASE_COLUMNS, Packing
from genir.shards import files, writer


class Prompts:
    def __init__(self, count):
        self.count = count

    def read(self, start, stop):
        return (Prompt(f"prompt {index}", "even" if index % 2 == 0 else "odd") for index in range(start, stop))


class CrashingOs:
    """Stands in for `os` inside genir.storage and ends the process before or after the n-th change of the disk."""

    def __init__(self, crash_at, crash_when):
        self.changes, self.crash_at, self.crash_when = [], crash_at, crash_when
        self.lock = threading.Lock()

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in CHANGES:
            return real

        def counted(*args, **kwargs):
            with self.lock:  # two threads change the disk: the one that saves, and the one that claims
                self.changes.append(name)
                here = len(self.changes)
            if here == self.crash_at and self.crash_when == "before":
                os._exit(9)
            if here == self.crash_at and self.crash_when == "torn" and name == "write":
                real(args[0], bytes(args[1])[: len(args[1]) // 2])
                os._exit(9)
            try:
                return real(*args, **kwargs)
            finally:  # also where the call failed, as an exclusive link does
                if here == self.crash_at:
                    os._exit(9)

        return counted


def picture(task):
    rng = np.random.default_rng(task.seed)
    return rng.integers(0, 256, (3, task.height, task.width), dtype=np.uint8)


def verdict(task, reject):
    bad = {"none": False, "all": True, "some": task.seed % 3 == 0}[reject]
    return Verdict("rejected", "signal.entropy") if bad else Verdict("kept")


def work(place, options):
    """Do the whole job in this process; returns the exit code and what to print."""
    crash_at, crash_when = options.get("crash_at", 0), options.get("crash_when", "before")
    shim = PowerCut(crash_at, Path(place).parent) if crash_when == "power" else CrashingOs(crash_at, crash_when)
    storage.os = shim
    sizes = tuple(tuple(size) for size in options.get("sizes", [[8, 8]]))
    plan = Plan(
        Prompts(options.get("prompts", 24)),
        options.get("seed", 0),
        options.get("replicas", 1),
        sizes,
        options.get("batch", 4),
        options.get("shard_size", 8),
    )
    reject, column = options.get("reject", "some"), options.get("column", "score")
    meaning = {"size": [list(size) for size in sizes], "seed": plan.seed, "batch": plan.batch, "tasks": plan.n_tasks}
    meaning["image"] = {"format": "png", "level": 1}
    stop = ranks.StopSignal()
    part = options.get("part")
    worker = ranks.worker(part=part and ranks.Part(*part))
    lease.BEAT, lease.SILENCE = options.get("beat", lease.BEAT), options.get("silence", lease.SILENCE)
    mirror.BEAT = lease.BEAT
    objectstore.PATIENCE = options.get("patience", objectstore.PATIENCE)
    made = []
    if options.get("clock"):
        jumps, real = itertools.cycle([0, options["clock"], -options["clock"]]), time.time
        time.time = lambda: real() + next(jumps)
    files.MAX_TRIES = writer.MAX_TRIES = options.get("max_tries", files.MAX_TRIES)

    def make(batches):
        for tasks in batches:
            time.sleep(options.get("sleep", 0))
            if options.get("mark"):  # say that a batch began, so that a test can count work done twice
                with Path(options["mark"]).open("a") as file:
                    file.write(f"{tasks[0].key}\n")
            if options.get("die_at") in [task.key for task in tasks]:
                os.kill(os.getpid(), signal.SIGKILL)
            samples = [sample(task) for task in tasks]
            made.append(tasks[0].key)
            yield samples

    def sample(task):
        if task.key == options.get("fail_at"):
            return Sample(task, None, error="ValueError: no such picture")
        rows, columns = options.get("crop", (None, None))
        score = float(int(task.key) % 10) if "column" in options else task.seed / 7
        return Sample(task, picture(task)[:, :rows, :columns], scores={column: score})

    def judge(samples):
        for made in samples:
            made.verdict = Verdict("error", "error:ValueError") if made.error else verdict(made.task, reject)

    try:
        with mirror.joined(str(place), worker, stop) as mirrored:
            root = Path(place) if mirrored is None else mirrored.root
            run = open_run(root, plan, {**BASE_COLUMNS, column: "float"}, meaning, {}, {}, worker, mirrored)
            claims = Claims(run, options.get("limit"), options.get("target"), stop)
            rejects = root / "rejects" if options.get("keep_rejects") else None
            packing = Packing("png", 1, {"model": "dummy"}, rejects)
            beat = Progress(run, worker_name(), plan.n_tasks) if options.get("stats") else contextlib.nullcontext()
            with beat as progress:
                drive(claims, Stage(make, judge), packing, Guard(0.0, 1), stop, progress or (lambda tally: None))
    except StoreError as error:
        return 75, {"error": str(error), "changes": shim.changes, "made": made}
    except GenirError as error:
        return 2, {"error": str(error), "changes": shim.changes}
    code = worker.stopped_exit_code if stop() and claims.left else 0
    return code, {"changes": shim.changes, "made": made, "quarantined": claims.quarantined}


if __name__ == "__main__":
    exit_code, facts = work(sys.argv[1], json.loads(sys.argv[2]))
    print(json.dumps(facts))
    sys.exit(exit_code)
