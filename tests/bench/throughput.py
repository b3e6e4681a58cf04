"""What the main job costs beside the bare denoising loop, on the embedded model.

    python tests/bench/throughput.py [--quick]

One process, one thread: the whole job (plan, encode, denoise, three gates, PNG, shards, journal) against diffusers' own
pipeline at equal model, batch, size and steps, in turns. Start-up is excluded on both sides. Ratios are of processor
time, which a busy machine does not distort as it does wall time.
"""

import argparse
import json
import os
import tempfile
import time
from itertools import count

os.environ.setdefault(
    "DIFFUSERS_VERBOSITY", "error"
)  # the embedded model reads 32 tokens, and diffusers says so each time
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch

from genir import ranks
from genir.config.base import load
from genir.config.generate import Generate
from genir.jobs.generate.launch import Launch
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive

ROUNDS = {True: 3, False: 10}


def job(folder, backbone, number, batch, images):
    """Processor seconds an image of one whole run."""
    overrides = [f"run={folder}/{number}", f"seed={number}", f"limit={images}", f"batch={batch}"]
    launch = Launch(load(Generate, "configs/quickstart.yaml", overrides), ranks.Worker())
    run = launch.open()
    claims = Claims(run, images, None, lambda: False)
    stage = launch.stage(run, backbone, lambda: False)
    begin = time.process_time()
    tally = drive(claims, stage, launch.packing(), Guard(0, 1), lambda: False, lambda tally: None)
    return (time.process_time() - begin) / tally.judged


def bare(pipeline, launch, images):
    """Processor seconds an image of diffusers' own pipeline."""
    config = launch.config
    begin = time.process_time()
    for first in range(0, images, config.batch):
        tasks = launch.plan.tasks(0)[: config.batch]
        pipeline(
            [task.prompt.text for task in tasks],
            height=launch.sizes[0][0],
            width=launch.sizes[0][1],
            num_inference_steps=config.steps,
            guidance_scale=config.guidance.scale,
            generator=[torch.Generator().manual_seed(task.seed + first) for task in tasks],
            output_type="np",
        )
    return (time.process_time() - begin) / images


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    quick = parser.parse_args().quick
    figures = {}
    print(f"{'batch':>6}{'job, CPU s an image':>22}{'bare loop':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()
        for batch in (1, 8):
            launch = Launch(load(Generate, "configs/quickstart.yaml", [f"batch={batch}"]), ranks.Worker())
            backbone = launch.backbone()
            pipeline = backbone.make_pipeline()
            pipeline.set_progress_bar_config(disable=True)
            job(folder, backbone, next(numbers), batch, 8)
            bare(pipeline, launch, 8)
            ours, theirs = [], []
            for _ in range(ROUNDS[quick]):
                ours.append(job(folder, backbone, next(numbers), batch, 16))
                theirs.append(bare(pipeline, launch, 16))
            best = min(ours), min(theirs)
            ratio = best[0] / best[1]
            print(f"{batch:>6}{best[0]:>22.3f}{best[1]:>12.3f}{ratio:>8.2f}")
            figures[f"cpu_seconds_ratio_batch_{batch}"] = round(ratio, 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
