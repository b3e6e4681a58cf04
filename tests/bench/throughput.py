"""What the main job costs beside the bare denoising loop, and against the scripts that people use instead.

    python tests/bench/throughput.py [--quick]

Two workers of one thread each. A simulated device sleeps as long as a model would denoise an image of 1024 px; gates
(signal, faces at a long side of 512 px), PNG and shards are real. Start-up is in nobody's time. The baselines, naive.py
and gather.py in workers/, save PNGs at the default level and have no gates.

The price of the job in processor seconds is measured on the small model, which computes on the CPU: against diffusers'
own pipeline with embeddings encoded beforehand, while the job encodes its own.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# the small model reads 32 tokens, and diffusers says so each time
os.environ |= {"DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from workers.device import SANA_CLASS, SDXL_CLASS

from genir import ranks
from genir.config.base import load
from genir.config.generate import Generate
from genir.jobs.generate.launch import Launch
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive

WORKERS, WORLD = Path(__file__).parent / "workers", 2


def busy_seconds():
    """Processor seconds that all processes of this machine have used."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def together(script, **job):
    """Run the workers of a script; (images a second, share of the processors that others used, what they printed)."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1]), "WORLD_SIZE": str(WORLD)}
        port.close()
        used, begin = busy_seconds(), time.monotonic()
        workers = [
            subprocess.Popen(
                [sys.executable, WORKERS / script, json.dumps({**job, "folder": folder, "rank": rank, "world": WORLD})],
                env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(WORLD)
        ]
        outputs = [worker.communicate()[0] for worker in workers]
        assert not any(worker.returncode for worker in workers), f"{script} failed"
        wall, used = time.monotonic() - begin, busy_seconds() - used
    told = [json.loads(output.splitlines()[-1]) for output in outputs]
    seconds = max(one["end"] for one in told) - max(one["begin"] for one in told)
    others = max(0.0, used - sum(one["cpu_seconds"] for one in told)) / (wall * (os.cpu_count() or 1))
    return sum(one["images"] for one in told) / seconds, others, told


def row(name, *cells):
    print(f"{name:<34}" + "".join(f"{cell:>11.3f}" if isinstance(cell, float) else f"{cell:>11}" for cell in cells))


def efficiency(name, seconds, images, shard):
    work = {"model": "simulated", "side": 1024, "seconds": seconds, "images": images, "batch": 4, "shard": shard}
    rate, others, told = together("job.py", **work)
    waits, tail = (max(one[key] for one in told) for key in ("waiting", "tail"))
    row(name, images, rate, WORLD / seconds, rate * seconds / WORLD, waits, tail, f"{others:.0%}")
    return rate, round(rate * seconds / WORLD, 3)


def against(ours, script, **work):
    rate, others, _ = together(script, **work)
    row(script, work["images"], rate, ours / rate, f"{others:.0%}")
    return round(ours / rate, 3)


def job(launch, run, backbone, limit):
    """Processor seconds an image of a run that goes on until `limit`."""
    claims = Claims(run, limit, None, lambda: False)
    stage = launch.stage(run, backbone, lambda: False)
    begin = time.process_time()
    tally = drive(claims, stage, launch.packing(), Guard(0, 1), lambda: False, lambda tally: None)
    return (time.process_time() - begin) / tally.judged


def bare(pipeline, backbone, launch, images):
    """Processor seconds an image of diffusers' own pipeline, from embeddings."""
    config, tasks = launch.config, launch.plan.tasks(0)[: launch.config.batch]
    positive = backbone.encode_positive([task.prompt.text for task in tasks])
    negative = backbone.encode_negative(config.negative, len(tasks))
    begin = time.process_time()
    for first in range(0, images, config.batch):
        pipeline(
            prompt_embeds=positive.embeds_NLD,
            negative_prompt_embeds=negative.embeds_NLD,
            pooled_prompt_embeds=positive.pooled_NP,
            negative_pooled_prompt_embeds=negative.pooled_NP,
            height=launch.sizes[0][0],
            width=launch.sizes[0][1],
            num_inference_steps=config.steps,
            guidance_scale=config.guidance.scale,
            generator=[torch.Generator().manual_seed(task.seed + first) for task in tasks],
            output_type="np",
        )
    return (time.process_time() - begin) / images


def cpu_seconds_ratio(rounds):
    """The worse of two batch sizes; the best of some rounds each, in turns. A round is a shard of 16 images.

    The first two shards are not counted: their images also go to preview.png, once a run.
    """
    ratios = []
    for batch in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            overrides = [f"batch={batch}", "shard_size=16", f"run={folder}/run"]
            launch = Launch(load(Generate, "configs/quickstart.yaml", overrides), ranks.Worker())
            backbone, run = launch.backbone(), launch.open()
            pipeline = backbone.make_pipeline()
            pipeline.set_progress_bar_config(disable=True)
            job(launch, run, backbone, 32)
            bare(pipeline, backbone, launch, 8)
            ours, theirs = [], []
            for number in range(rounds):
                ours.append(job(launch, run, backbone, 48 + 16 * number))
                theirs.append(bare(pipeline, backbone, launch, 16))
            ratios.append(min(ours) / min(theirs))
            row("seconds an image, all gates", batch, min(ours), min(theirs), ratios[-1])
    return round(max(ratios), 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer images, under ten minutes")
    quick = parser.parse_args().quick
    # whole shards, equally many for each worker: what a last odd shard costs depends on the length of a run alone
    few, many, small = (24, 160, 64) if quick else (64, 384, 192)
    figures = {}

    print("Simulated device, 1024 px, batches of 4. Others: share of the processors that other programs used.")
    row("genir generate", "images", "images/s", "bare loop", "efficiency", "waits s", "tail s", "others")
    figures["efficiency_sdxl_class"] = efficiency(f"SDXL class, {SDXL_CLASS} s an image", SDXL_CLASS, few, 4)[1]
    ours, figures["efficiency_sana_class"] = efficiency(f"Sana class, {SANA_CLASS} s an image", SANA_CLASS, many, 16)

    print()
    row("against, Sana class", "images", "images/s", "genir is", "others")
    sana = {"model": "simulated", "side": 1024, "seconds": SANA_CLASS, "images": many, "batch": 4}
    figures["ratio_to_naive"] = against(ours, "naive.py", **sana)
    figures["ratio_to_gather"] = against(ours, "gather.py", **sana)

    print()
    row("against, small model on the CPU", "images", "images/s", "genir is", "others")
    small = {"model": "embedded", "side": 128, "images": small, "batch": 4}
    rate, others, _ = together("job.py", **small, shard=16)
    row("genir generate, all gates", small["images"], rate, 1.0, f"{others:.0%}")
    against(rate, "naive.py", **small)
    against(rate, "gather.py", **small)

    print()
    row("small model, one process", "batch", "job CPU s", "bare CPU s", "ratio")
    figures["cpu_seconds_ratio"] = cpu_seconds_ratio(3 if quick else 10)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
