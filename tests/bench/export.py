"""What the lists of a million pairs cost.

    python tests/bench/export.py [--quick]

A run with the tables of a million pairs (7,813 shards of 128, with the record of every draw; nine of ten pairs are
kept) whose pictures are exported already: the command reads every table and writes BasicSR's `meta_info.txt`, as it
does at the end of every export. Neither tars nor pictures exist; copying them is a matter of the disk. One process;
seconds include the start of the interpreter. `--quick` makes as many rows: it takes minutes anyway.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genir.config.base import load
from genir.config.export import Export
from genir.jobs.degrade.packing import COLUMNS
from genir.jobs.export.launch import Launch
from genir.shards import table
from genir.shards.files import Marker, ShardFiles

ROWS, SHARD = 1_000_000, 128


def row(number, chance):
    steps = [
        {"op": "blur", "kernel": "iso", "size": 13, "sigma": [chance.random()] * 2},
        {"op": "diffjpeg", "quality": 51},
    ]
    return {
        "key": f"{number:09d}",
        "epoch": 0,
        "source": f"{number:09d}",
        "prompt": f"a photograph of a lighthouse on a cliff at dusk, number {number}",
        "verdict": "kept" if number % 10 else "rejected",
        "reason": "" if number % 10 else "signal.entropy",
        "height": 1024,
        "width": 1024,
        "steps": json.dumps(steps * 4),
        "hq_sha256": f"{chance.getrandbits(256):064x}",
        "lq_sha256": f"{chance.getrandbits(256):064x}",
        "synthetic": True,
    }


def make_run(root, rows):
    chance, shards = random.Random(0), -(-rows // SHARD)
    meaning = {
        "image": {"format": "png", "level": 1},
        "degradation": {"scale": 4},
        "epochs": 1,
        "store": {"hq": True, "hq_usm": False},
    }
    (root / "lq").mkdir(parents=True)
    plan = {"stage": "lq", "tasks": rows, "shards": shards, "shard_size": SHARD, "digest": "bench", "meaning": meaning}
    (root / "plan.json").write_text(json.dumps(plan))
    for shard in range(shards):
        files = ShardFiles.of(root / "lq", shard, shards)
        some = [row(number, chance) for number in range(shard * SHARD, min((shard + 1) * SHARD, rows))]
        content = table.encode(some, COLUMNS)
        files.table.write_bytes(content)
        kept = sum(one["verdict"] == "kept" for one in some)
        facts = {files.table.name: {"size": len(content), "sha256": ""}}
        marker = Marker(files.name, "bench", 1, int(some[-1]["key"]) + 1, len(some), kept, {}, 0, facts)
        files.marker.write_bytes(marker.encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same; it takes minutes anyway")
    parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="genir-bench-"))
    try:
        make_run(scratch / "run", ROWS)
        changes = [f"input={scratch}/run", f"out={scratch}/out"]
        launch = Launch(load(Export, "configs/export_basicsr.yaml", changes))
        with launch.folder.opened(launch.meaning()):
            launch.folder.mark(launch.units)  # as if the pictures were there
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "genir", "export", "configs/export_basicsr.yaml", *changes], check=True)
        seconds = time.monotonic() - begin
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with (scratch / "out" / "meta_info.txt").open() as file:
            lines = sum(1 for _ in file)
    finally:
        shutil.rmtree(scratch)
    cpu = used.ru_utime + used.ru_stime
    print(f"{'rows':<16}{ROWS:>12,}\n{'lines':<16}{lines:>12,}\n{'s':<16}{seconds:>12.1f}\n{'CPU s':<16}{cpu:>12.1f}")
    print(f"{'peak memory, MB':<16}{used.ru_maxrss / 1024:>12.0f}")
    assert lines == ROWS - -(-ROWS // 10)
    print(json.dumps({"meta_info_1m_s": round(seconds, 1), "meta_info_1m_cpu_s": round(cpu, 1)}))


if __name__ == "__main__":
    main()
