"""Baseline: the pattern of accelerate's examples/inference/distributed/distributed_image_generation.py. Every batch is
split between the processes, a barrier waits for all of them, the images are gathered, and the main process saves them.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python tests/bench/workers/gather.py '{...}'
"""

import json
import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from device import pipeline, report, together

from genir.promptfile import PromptFiles


def main():
    job = json.loads(sys.argv[1])
    os.environ["ACCELERATE_USE_CPU"] = "1"
    pipe, settings = pipeline(job)
    state = PartialState(cpu=True)
    prompts = [prompt.text for prompt in PromptFiles(["prompts/bank.jsonl"]).read(0, job["images"])]
    at_once, saved = job["batch"] * job["world"], 0
    begin = together(job)
    for first in range(0, job["images"], at_once):
        with state.split_between_processes(list(enumerate(prompts))[first : first + at_once]) as mine:
            generator = [torch.Generator().manual_seed(number) for number, _ in mine]
            images = pipe([prompt for _, prompt in mine], generator=generator, **settings).images
        state.wait_for_everyone()
        images = gather_object(images)
        if state.is_main_process:
            for image in images:
                image.save(Path(job["folder"]) / f"{saved:06d}.png")
                saved += 1
    print(json.dumps(report(begin, saved)))
    state.destroy_process_group()


if __name__ == "__main__":
    main()
