"""The accelerate configurations are what accelerate reads, and start the job."""

import os
import subprocess
import sys

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from processes import TESTS

from genir.jobs.status import status

LAUNCH = TESTS.parent / "launch"


@pytest.mark.parametrize(
    ("name", "kind", "processes", "machines"),
    [("1gpu", "NO", 1, 1), ("8gpu", "MULTI_GPU", 8, 1), ("2nodes", "MULTI_GPU", 16, 2)],
)
def test_accelerate_reads_it(name, kind, processes, machines):
    config = load_config_from_file(str(LAUNCH / f"accelerate_{name}.yaml"))
    assert (config.distributed_type, config.num_processes, config.num_machines) == (kind, processes, machines)


@pytest.mark.slow
def test_accelerate_launch_starts_the_job(tmp_path):
    command = ["--config_file", LAUNCH / "accelerate_1gpu.yaml", "--cpu", "-m", "genir", "generate"]
    small = ["configs/generate_embedded.yaml", "size=[64,64]", "steps=1", "limit=2", "gates=score_only"]
    subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *map(str, command), *small, f"run={tmp_path}/run"],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        check=True,
        capture_output=True,
        timeout=170,
    )
    assert status(str(tmp_path / "run")).summary.kept == 4, "rounded up to a batch"
