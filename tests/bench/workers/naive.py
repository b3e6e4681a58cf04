"""Baseline: the script that everybody writes first. One prompt at a time, its PNG saved before the next one begins.

python tests/bench/workers/naive.py '{"folder": ..., "model": "simulated", "rank": 0, "world": 2, ...}'
"""

import json
import sys
from pathlib import Path

import torch
from device import pipeline, report, together

from genir.promptfile import PromptFiles


def main():
    job = json.loads(sys.argv[1])
    pipe, settings = pipeline(job)
    prompts = [prompt.text for prompt in PromptFiles(["prompts/bank.jsonl"]).read(0, job["images"])]
    mine = range(job["rank"], job["images"], job["world"])
    begin = together(job)
    for number in mine:
        generator = [torch.Generator().manual_seed(number)]
        image = pipe([prompts[number]], generator=generator, **settings).images[0]
        image.save(Path(job["folder"]) / f"{number:06d}.png")
    print(json.dumps(report(begin, len(mine))))


if __name__ == "__main__":
    main()
