"""`genir quickstart`: the main job once, for real, on the model that travels with genir, in a few minutes on two cores.

Two workers generate from the prompt bank and gate what they make; half way both are stopped, one politely and one by
kill -9, and started again; then the bare diffusers loop is timed on the same machine for comparison.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from genir import images, ranks, storage
from genir.config.base import load
from genir.config.generate import Generate
from genir.errors import ConfigError, ShardError
from genir.jobs.generate.launch import Launch
from genir.records import is_in_sight
from genir.runs.run import is_planned
from genir.runs.summary import Summary, summarise
from genir.shards import reader
from genir.shards.files import ShardFiles
from genir.sheet import Tile, contact_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = "configs/quickstart.yaml"
WORKERS = 2
STOP_AT = 0.4  # share of the images that are safe when the workers are stopped
BARE_SECONDS = 15.0
SHEET_TILES = 96


def quickstart(run: str) -> int:
    """Run it all in the directory `run`; returns the exit code."""
    if "=" in run:
        raise ConfigError(f"quickstart {run}: takes a directory, no overrides; `genir generate` takes them")
    root = Path(run)
    config = load(Generate, CONFIG, [f"run={run}"])
    Launch(config, ranks.Worker()).check()
    total = config.limit or 0
    resumed = is_planned(root)
    if not (resumed and summarise(root).state == "reached"):
        _say(f"generating {total} images with {WORKERS} workers of one thread into {root}")
        stopped = _generate(root, total, stop_at=None if resumed else int(STOP_AT * total))
        if stopped:
            _say(f"stopped both workers on purpose ({stopped}): SIGTERM and kill -9; now the same command again")
            _generate(root, total, stop_at=None)
    _say(f"timing the bare diffusers loop for comparison, {WORKERS} processes, {BARE_SECONDS:.0f} s each")
    bare = _bare(run)
    sheet = root / "contact_sheet.png"
    storage.write(sheet, contact_sheet(list(islice(_tiles(root), SHEET_TILES)), columns=12, side=128))
    _say("\n".join(_table(root, bare)))
    genir = "genir" if shutil.which("genir") else str(Path(sys.executable).with_name("genir"))
    _say(
        f"""
The model that travels with genir is small and knows 24 subjects, in the words of prompts/bank_embedded.jsonl.
Judge the machinery by it, not the pictures.

pictures   {sheet}   (the first {SHEET_TILES}; rejected ones are framed, with their reason)
shards     {root}/image/*.tar (WebDataset), *.parquet (a row for every image)
next       {genir} generate {CONFIG} run={run} limit=500      the same run, grown
           {genir} generate {CONFIG} run=outputs/mine prompts=my_prompts.txt
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


def _generate(root: Path, total: int, stop_at: int | None) -> str:
    """Start the workers and wait; with `stop_at`, stop them once so many images are safe and say what was done."""
    root.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "genir", "generate", CONFIG, f"run={root}"]
    workers = [
        subprocess.Popen(command, env={**_alone(), "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    try:
        return _watch(root, total, workers, stop_at)
    finally:
        for worker in workers:
            worker.kill()


def _watch(root: Path, total: int, workers: list[subprocess.Popen[str]], stop_at: int | None) -> str:
    shown = -1
    while any(worker.poll() is None for worker in workers):
        for worker in workers:  # reads what they say, too: a full pipe would stop them
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.communicate(timeout=0.5 / len(workers))
        safe = _safe(root)
        if safe >= shown + total // 8:
            shown = safe
            _say(f"  {safe} of {total} images are safe on the disk")
        if stop_at is not None and safe >= stop_at:
            workers[0].send_signal(signal.SIGTERM)
            workers[1].kill()
            for worker in workers:
                worker.communicate()
            return f"{_safe(root)} of {total} images safe"
    for worker in workers:
        _, text = worker.communicate()
        if worker.returncode:
            reason = (text.strip().splitlines() or [""])[-1]  # after the lines of its log
            raise ShardError(f"a worker of the quickstart ended with code {worker.returncode}: {reason}")
    return ""


def _safe(root: Path) -> int:
    if not is_planned(root):
        return 0
    summary = summarise(root)
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


def _tiles(root: Path) -> Iterator[Tile]:
    """The first images of the run in key order, rejected ones included where their pixels are stored."""
    plan = json.loads((root / "plan.json").read_bytes())
    for shard, _ in reader.markers(root / "image", plan["shards"]):
        files = ShardFiles.of(root / "image", shard, plan["shards"])
        kept = dict(reader.members(files))
        for row in reader.rows(files):
            stored = root / "rejects" / files.name / f"{row['key']}.png"
            data = kept.get(f"{row['key']}.png") or (stored.read_bytes() if stored.exists() else None)
            pixels_CHW = None if data is None else images.decode(data)
            face = is_in_sight(row["reason"], row)
            yield Tile(row["key"], row["category"], row["verdict"], row["reason"], pixels_CHW, face)


def _table(root: Path, bare: tuple[float, float]) -> list[str]:
    summary: Summary = summarise(root)
    workers = [json.loads(path.read_bytes()) for path in (root / "stats").glob("*.json")]
    judged, seconds, cpu_seconds = (
        sum(worker[key] for worker in workers) for key in ("judged", "seconds", "cpu_seconds")
    )
    bare_rate, bare_cpu = bare
    rate, cpu = WORKERS * judged / seconds, cpu_seconds / judged
    lines = [
        "",
        f"{'images':<32}{summary.done:>8}",
        f"{'kept':<32}{summary.kept:>8}{summary.kept / summary.done:>9.1%}",
    ]
    for reason, count in summary.reasons.most_common():
        lines.append(f"{'rejected: ' + reason:<32}{count:>8}{count / summary.done:>9.1%}")
    return [
        *lines,
        "",
        f"{'':<32}{'genir':>8}{'bare loop':>11}{'efficiency':>12}",
        f"{'images/s (wall time)':<32}{rate:>8.2f}{bare_rate:>11.2f}{rate / bare_rate:>12.2f}",
        f"{'processor seconds an image':<32}{cpu:>8.3f}{bare_cpu:>11.3f}{bare_cpu / cpu:>12.2f}",
        "bare loop: diffusers' own pipeline, nothing gated or stored, measured after the run; start-up excluded",
    ]


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this command talks to a person
