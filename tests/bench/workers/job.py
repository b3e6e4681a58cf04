"""One worker of the main job around the simulated device or the small model; start-up is not in its time.

    python tests/bench/workers/job.py '{"folder": ..., "model": "simulated", "rank": 0, "world": 2, ...}'

Everything but the model is real: plan, claims, gates, PNG, shards, journal. `score_only` keeps every image, so that
every one is encoded and written.
"""

import json
import sys

from device import SimulatedBackbone, mosaics, report, together

from genir import ranks
from genir.config.base import load
from genir.config.generate import Generate
from genir.jobs.generate.launch import Launch
from genir.runs.claims import Claims
from genir.runs.drive import Guard, drive

GATES = {
    "simulated": "gates={score_only: true, face: {long_side: 512}, signal: {}, quality: {}}",
    "embedded": "gates.score_only=true",
}


def main():
    job = json.loads(sys.argv[1])
    side = job["side"]
    overrides = [
        "guidance={scale: 4}",
        GATES[job["model"]],
        f"run={job['folder']}/run",
        f"size=[{side},{side}]",
        "device=cpu",
    ]
    overrides += [f"limit={job['images']}", f"batch={job['batch']}", f"shard_size={job['shard']}"]
    config = load(Generate, "configs/generate_embedded.yaml", overrides)
    launch = Launch(config, ranks.Worker(job["rank"], job["world"]))
    launch.check()
    simulated = job["model"] == "simulated"
    backbone = SimulatedBackbone(mosaics(side), job["seconds"]) if simulated else launch.backbone()
    run = launch.open()
    begin = together(job)
    claims = Claims(run, job["images"], None, lambda: False)
    stage = launch.stage(run, backbone, lambda: False)
    tally = drive(claims, stage, launch.packing(), Guard(0, 1), lambda: False, lambda tally: None)
    assert tally.kept == tally.judged, tally.reasons
    print(
        json.dumps(
            {**report(begin, tally.judged), "making": tally.making, "waiting": tally.waiting, "tail": tally.tail}
        )
    )


if __name__ == "__main__":
    main()
