"""What a run of a million tasks costs beside its images: planning, status, resuming, and the price of one task.

    python tests/bench/plan.py [--quick]

A million prompts, each of its own, are written to a scratch folder and made into pictures of 8 px by the simulated
device, without a model, by two workers. Plan, claims, sampling loop, verdicts, tar, tables, journal and markers are
real; three of four pictures are rejected, so that the scratch folder stays near a gigabyte. It is in memory where there
is room, else the disk's fsync would be most of the time. Seconds include the start of the interpreter.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUT = Path("outputs/bench")
BATCH, SHARD, WORLD = 64, 128, 2


def write_prompts(path, count):
    """Lines of prompt-like length, none like another."""
    chance = random.Random(0)
    words = sorted(set(re.findall("[a-z]{4,}", Path(__file__).read_text())))
    with path.open("w") as file:
        for number in range(count):
            text = f"{number}: {' '.join(chance.choices(words, k=12))}"
            file.write(json.dumps({"prompt": text, "category": words[number % 8]}) + "\n")


def planned(root, prompts):
    """Check the prompts, plan, and publish the plan; what every launch does first."""
    from genir import ranks
    from genir.plan import Plan
    from genir.promptfile import PromptFiles
    from genir.runs.run import is_planned, open_run
    from genir.runs.saver import BASE_COLUMNS

    files = PromptFiles([str(prompts)])
    if not is_planned(root):
        files.check()
    plan = Plan(files, 0, 1, ((8, 8),), BATCH, SHARD)
    meaning = {"prompts": [file.sha256 for file in files.files]}
    return open_run(root, plan, BASE_COLUMNS, meaning, {}, None, ranks.worker())


def work(root, prompts, limit):
    """One worker; says what it cost and when its first picture was asked for."""
    import torch
    from workers.device import SimulatedBackbone, mosaics

    from genir.backbone.guidance import Guidance
    from genir.backbone.sdxl import Micro
    from genir.gate import judge
    from genir.runs.claims import Claims
    from genir.runs.drive import Guard, Stage, drive
    from genir.runs.run import set_goal
    from genir.runs.saver import Packing
    from genir.sample import Settings, sample

    torch.set_num_threads(1)
    backbone = SimulatedBackbone(mosaics(8), 0, nonfinite=lambda seed: seed % 4 > 0)
    settings = Settings(20, Guidance(scale=1.0), Micro(), "")
    run = planned(root, prompts)
    set_goal(run, limit, None)
    stage = Stage(
        lambda batches: sample(batches, backbone, settings, lambda: False),
        lambda samples: judge(samples, [], [], False, backbone.device),
    )
    claims = Claims(run, limit, None, lambda: False)
    left = claims.tasks_left() if claims.any_left() else 0
    tally = drive(claims, stage, Packing("png", 1, {}, None), Guard(0, 1), lambda: False, lambda tally: None)
    return {"left": left, "judged": tally.judged, "cpu_seconds": tally.cpu_seconds, "first": backbone.first_call}


def child(*arguments, world=1):
    """Run this file in processes of their own; (seconds, megabytes of the largest, what they printed)."""
    begin = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", *map(str, arguments)],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    return finished(processes, begin)


def finished(processes, begin):
    outputs, usage = [], []
    for process in processes:
        with process.stdout:
            outputs.append(process.stdout.read())
    for process in processes:
        _, process.returncode, used = os.wait4(process.pid, 0)
        usage.append((process.returncode, used))
    seconds = time.monotonic() - begin
    assert all(code in (0, 75 << 8) for code, _ in usage), outputs
    return seconds, max(used.ru_maxrss for _, used in usage) / 1024, outputs


def genir(*arguments):
    begin = time.monotonic()
    command = [sys.executable, "-m", "genir", *map(str, arguments)]
    return finished([subprocess.Popen(command, stdout=subprocess.PIPE, text=True)], begin)


def row(name, seconds, megabytes, note=""):
    print(f"{name:<44}{seconds:>9.2f} s{megabytes:>9.0f} MB   {note}", flush=True)


def drive_all(folder, count):
    """A whole run of `count` tasks but its last shard; processor microseconds a task."""
    prompts, root = folder / f"{count}.jsonl", folder / f"run{count}"
    write_prompts(prompts, count)
    plan_seconds, plan_megabytes, _ = child("plan", root, prompts)
    row(f"{count:,} tasks: plan", plan_seconds, plan_megabytes, f"{prompts.stat().st_size / 1e6:.0f} MB of prompts")
    seconds, megabytes, outputs = child("work", root, prompts, (count - 1) // SHARD * SHARD, world=WORLD)
    told = [json.loads(output) for output in outputs]
    done = sum(one["judged"] for one in told)
    assert done == (count - 1) // SHARD * SHARD, told
    cost = 1e6 * sum(one["cpu_seconds"] for one in told) / done
    row(f"{count:,} tasks: made by {WORLD} workers", seconds, megabytes, f"{cost:.0f} microseconds of processor a task")
    return plan_seconds, plan_megabytes, cost


def plot(costs):
    """outputs/bench/plan_cost.png: what a task costs, over the size of the run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(costs), list(costs.values()), "o-", color="black")
    axes.set(xscale="log", ylim=(0, 1.5 * max(costs.values())), xlabel="tasks in the run", ylabel="processor µs a task")
    OUT.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT / "plan_cost.png", dpi=150)
    print(f"plot: {OUT / 'plan_cost.png'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one step less between 10 thousand and a million tasks")
    quick = parser.parse_args().quick
    million, costs = 1_000_000, {}
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4e9
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as scratch:
        folder = Path(scratch)
        for count in (10_000, 100_000, million) if quick else (10_000, 30_000, 100_000, 300_000, million):
            plan_seconds, plan_megabytes, costs[count] = drive_all(folder, count)
        prompts, root = folder / f"{million}.jsonl", folder / f"run{million}"
        begin = time.monotonic()
        seconds, megabytes, outputs = child("work", root, prompts, million)
        told = json.loads(outputs[0])
        assert told["judged"] == told["left"] == million - (million - 1) // SHARD * SHARD, told
        resume = told["first"] - begin
        row("1,000,000 tasks: resumed, to the first picture", resume, megabytes, "the loading of a model excluded")
        statuses = [genir("status", root) for _ in range(3)]
        row("1,000,000 tasks: genir status", min(s for s, _, _ in statuses), statuses[0][1], "best of 3")
        config = ["configs/generate_embedded.yaml", f"prompts={prompts}", f"run={folder}/none", "shard_size=1000"]
        for replicas in (1, 100):
            seconds, megabytes, _ = genir("generate", "--dry-run", *config, f"replicas={replicas}")
            row(f"{replicas * million:,} tasks: genir generate --dry-run", seconds, megabytes, "torch included")
    plot(costs)
    figures = {
        "plan_1m_s": round(plan_seconds, 2),
        "plan_1m_mb": round(plan_megabytes),
        "status_1m_s": round(min(s for s, _, _ in statuses), 2),
        "resume_1m_s": round(resume, 2),
        "cost_growth": round(costs[million] / costs[10_000], 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        what, root, prompts, *limit = sys.argv[2:]
        told = work(Path(root), prompts, int(limit[0])) if what == "work" else planned(Path(root), prompts) and {}
        print(json.dumps(told))
    else:
        main()
