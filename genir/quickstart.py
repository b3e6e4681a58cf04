"""`genir quickstart`: the whole story once, on the model that travels with genir, in a few minutes on two cores.

The pair of prompts that travels with the model is learned on for a minute, from the pictures that travel with it. Two
workers generate from the prompt bank and gate what they make; half way both are stopped, one politely and one by
kill -9, and started again. The same tasks are then made with the pair, and both are shown side by side; of what was
kept of them HQ-LQ pairs are made. At the end the bare diffusers loop is timed on the same machine for comparison.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from genir import embedded, images, ranks, storage
from genir.config.base import load
from genir.config.generate import Generate
from genir.errors import ConfigError, ShardError
from genir.jobs.generate.launch import Launch
from genir.records import is_in_sight
from genir.runs.run import is_planned
from genir.runs.summary import summarise
from genir.shards import reader
from genir.shards.files import ShardFiles
from genir.sheet import Tile, contact_sheet

CONFIG = "configs/quickstart.yaml"
PREPARE = ("configs/prepare_embedded.yaml", "sdedit=null")
LEARN = ("configs/learn_embedded.yaml", "--from", "embedded", "steps=60", "warmup=5", "learning_rate.vectors=0.0003",
         "validation.every=null")  # fmt: skip
"""The pair is good already: few steps, small ones, and no pictures on the way."""
PAIRS = ("configs/degrade_realesrgan.yaml", "degradation.crop=null", "degradation.patch=null", "epochs=2")
SIDES = ("plain", "dual")
WORKERS = 2
STOP_AT = 0.4  # share of the images that are safe when the workers are stopped
BARE_SECONDS = 15.0
SHEET_TASKS, SHEET_COLUMNS = 48, 12


def quickstart(run: str) -> int:
    """Run it all in the directory `run`; returns the exit code."""
    if "=" in run:
        raise ConfigError(f"quickstart {run}: takes a directory, no overrides; `genir generate` takes them")
    root = Path(run)
    pair = root / "learned" / "dual.safetensors"
    told = {"plain": [f"run={root / 'plain'}"], "dual": [f"run={root / 'dual'}", f"dual={pair}"]}
    config = load(Generate, CONFIG, told["plain"])
    Launch(config, ranks.Worker()).check()
    total = config.limit or 0
    _learn(root, pair)
    for side in SIDES:
        place = root / side
        resumed = is_planned(place)
        if resumed and summarise(place).state == "reached":
            continue
        _say(f"{side}: {total} images by {WORKERS} workers of one thread into {place}")
        stop_at = int(STOP_AT * total) if side == "plain" and not resumed else None
        stopped = _generate(place, told[side], total, stop_at)
        if stopped:
            _say(f"stopped both workers on purpose ({stopped}): SIGTERM and kill -9; now the same command again")
            _generate(place, told[side], total, stop_at=None)
    _say(f"HQ-LQ pairs, two LQs an image, into {root / 'pairs'}")
    _watch(_start("degrade", *PAIRS, f"input={root / 'dual'}", f"run={root / 'pairs'}", workers=WORKERS))
    _say(f"timing the bare diffusers loop for comparison, {WORKERS} processes, {BARE_SECONDS:.0f} s each")
    bare = _bare(str(root / "plain"))
    sheet = root / "contact_sheet.png"
    storage.write(sheet, contact_sheet(list(_beside(root)), columns=SHEET_COLUMNS, side=128))
    _say("\n".join(_table(root, bare)))
    genir = "genir" if shutil.which("genir") else str(Path(sys.executable).with_name("genir"))
    _say(
        f"""
The model that travels with genir is small and knows 24 subjects, in the words of prompts/bank_embedded.jsonl.
Judge the machinery by it, not the pictures; what the pair does to them is measured in docs/ablation.md.

pictures   {sheet}   (the first {SHEET_TASKS} tasks, each plain and dual; rejected ones are framed, with their reason)
shards     {root}/plain/image/*.tar (WebDataset), *.parquet (a row for every image); the same in {root}/dual
pair       {pair}
HQ-LQ      {root}/pairs/lq/*.tar, the first ones on {root}/pairs/preview.png
next       {genir} generate {CONFIG} run={root}/dual dual={pair} limit=500      the same run, grown
           {genir} generate {CONFIG} run=outputs/mine dual=embedded prompts=my_prompts.txt
           {genir} generate configs/generate_sdxl.yaml --dry-run       SDXL, for GPUs"""
    )
    return 0


def bare_loop(run: str) -> None:
    """Print [images/s, processor seconds an image] of diffusers' pipeline at the run's model, size, batch and steps."""
    import torch

    config = load(Generate, CONFIG, [f"run={run}"])
    launch = Launch(config, ranks.Worker())
    pipeline = launch.backbone().make_pipeline().to(launch.device)
    pipeline.set_progress_bar_config(disable=True)
    height, width = launch.sizes[0]
    tasks = launch.plan.tasks(0)[: config.batch]

    def batch() -> None:
        pipeline(
            [task.prompt.text for task in tasks],
            height=height,
            width=width,
            num_inference_steps=config.steps,
            guidance_scale=config.guidance.scale,
            generator=[torch.Generator().manual_seed(task.seed) for task in tasks],
            output_type="np",
        )

    batch()
    made, begin, cpu_begin = 0, time.monotonic(), time.process_time()
    while time.monotonic() - begin < BARE_SECONDS:
        batch()
        made += len(tasks)
    facts = made / (time.monotonic() - begin), (time.process_time() - cpu_begin) / made
    print(json.dumps(facts))  # noqa: T201 - read by the parent process


def _learn(root: Path, pair: Path) -> None:
    """Make the training set and the pair, where they are not there yet."""
    pictures = embedded.hq_folder()
    if not (root / "set" / "train" / "metadata.jsonl").exists():
        _say(f"preparing good and bad pictures from {pictures} into {root / 'set'}")
        _watch(_start("prepare", *PREPARE, f"images={pictures}", f"run={root / 'set'}", workers=WORKERS))
    if not pair.exists():
        _say(f"learning on from the pair that travels with the model, into {pair}")
        _watch(_start("learn", *LEARN, f"data.folder={root / 'set'}", f"run={root / 'learned'}", workers=1))


def _generate(place: Path, told: Sequence[str], total: int, stop_at: int | None) -> str:
    """Start the workers and wait; with `stop_at`, stop them once so many images are safe and say what was done."""
    workers, shown = _start("generate", CONFIG, *told, workers=WORKERS), 0

    def stopped() -> str:
        nonlocal shown
        safe = _safe(place)
        if safe >= shown + total // 4:
            shown = safe
            _say(f"  {safe} of {total} images are safe on the disk")
        if stop_at is None or safe < stop_at:
            return ""
        workers[0].send_signal(signal.SIGTERM)
        workers[1].kill()
        for worker in workers:
            worker.communicate()
        return f"{_safe(place)} of {total} images safe"

    return _watch(workers, stopped)


def _start(*command: str, workers: int) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            [sys.executable, "-m", "genir", *command],
            env={**_alone(), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]


def _watch(workers: list[subprocess.Popen[str]], stopped: Callable[[], str] = str) -> str:
    """Wait for workers, until `stopped` says that it has stopped them: its words, or "". Raises ShardError for a worker
    that failed.
    """
    try:
        while any(worker.poll() is None for worker in workers):
            for worker in workers:  # reads what they say, too: a full pipe would stop them
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.communicate(timeout=0.5 / len(workers))
            if words := stopped():
                return words
        for worker in workers:
            _, text = worker.communicate()
            if worker.returncode:
                reason = (text.strip().splitlines() or [""])[-1]  # after the lines of its log
                raise ShardError(f"a worker of the quickstart ended with code {worker.returncode}: {reason}")
        return ""
    finally:
        for worker in workers:
            worker.kill()


def _safe(place: Path) -> int:
    if not is_planned(place):
        return 0
    summary = summarise(place)
    return summary.done + summary.journalled


def _bare(run: str) -> tuple[float, float]:
    """Images/s of all bare loops together, processor seconds an image."""
    command = [sys.executable, "-c", f"from genir.quickstart import bare_loop; bare_loop({run!r})"]
    loops = [subprocess.Popen(command, env=_alone(), stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)]
    rates, seconds = zip(*(json.loads(loop.communicate()[0]) for loop in loops), strict=True)
    return sum(rates), sum(seconds) / WORKERS


def _alone() -> dict[str, str]:
    """The environment without a launcher's variables: our workers are not ranks of it; quiet as a worker is."""
    launcher = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS")
    return {name: value for name, value in os.environ.items() if name not in launcher}


def _beside(root: Path) -> Iterator[Tile]:
    """The first tasks in key order, each plain and then dual."""
    for tiles in islice(zip(*(_tiles(root / side) for side in SIDES), strict=True), SHEET_TASKS):
        for side, tile in zip(SIDES, tiles, strict=True):
            reason = tile.reason and f"{side}: {tile.reason}"
            yield replace(tile, category=f"{side}: {tile.category}", reason=reason)


def _tiles(place: Path) -> Iterator[Tile]:
    """The images of a run in key order, rejected ones included where their pixels are stored."""
    for files, row, kept in _rows(place):
        stored = place / "rejects" / files.name / f"{row['key']}.png"
        data = kept.get(f"{row['key']}.png") or (stored.read_bytes() if stored.exists() else None)
        pixels_CHW = None if data is None else images.decode(data)
        face = is_in_sight(row["reason"], row)
        yield Tile(row["key"], row["category"], row["verdict"], row["reason"], pixels_CHW, face)


def _rows(place: Path) -> Iterator[tuple[ShardFiles, dict[str, Any], dict[str, bytes]]]:
    plan = json.loads((place / "plan.json").read_bytes())
    for shard, _ in reader.markers(place / "image", plan["shards"]):
        files = ShardFiles.of(place / "image", shard, plan["shards"])
        kept = dict(reader.members(files))
        for row in reader.rows(files):
            yield files, row, kept


def _table(root: Path, bare: tuple[float, float]) -> list[str]:
    plain, dual = (summarise(root / side) for side in SIDES)
    workers = [json.loads(path.read_bytes()) for path in (root / "plain" / "stats").glob("*.json")]
    judged, seconds, cpu_seconds = (
        sum(worker[key] for worker in workers) for key in ("judged", "seconds", "cpu_seconds")
    )
    detail = [_median_detail(root / side) for side in SIDES]
    bare_rate, bare_cpu = bare
    rate, cpu = WORKERS * judged / seconds, cpu_seconds / judged
    lines = [
        "",
        f"{'':<32}{'plain':>8}{'dual':>11}",
        f"{'images':<32}{plain.done:>8}{dual.done:>11}",
        f"{'kept':<32}{plain.kept:>8}{dual.kept:>11}",
    ]
    for reason in sorted({*plain.reasons, *dual.reasons}):
        lines.append(f"{'rejected: ' + reason:<32}{plain.reasons[reason]:>8}{dual.reasons[reason]:>11}")
    return [
        *lines,
        f"{'fine detail (median Laplacian)':<32}{detail[0]:>8.0f}{detail[1]:>11.0f}",
        "",
        f"{'':<32}{'genir':>8}{'bare loop':>11}{'efficiency':>12}",
        f"{'images/s (wall time)':<32}{rate:>8.2f}{bare_rate:>11.2f}{rate / bare_rate:>12.2f}",
        f"{'processor seconds an image':<32}{cpu:>8.3f}{bare_cpu:>11.3f}{bare_cpu / cpu:>12.2f}",
        "bare loop: diffusers' own pipeline, nothing gated or stored, measured after the run; start-up excluded",
    ]


def _median_detail(place: Path) -> float:
    """Of the variance of the Laplacian, over all images of a run."""
    scores = (row["signal_laplacian"] for _, row, _ in _rows(place))
    return statistics.median([score for score in scores if score is not None] or [0.0])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this command talks to a person
