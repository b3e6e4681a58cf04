"""launch/pipeline.sh from an empty folder, stopped in the middle, and again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import TESTS, published

SMALL = ["size=[64,64]", "steps=1", "gates=score_only", "shard_size=4"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_story_runs_and_runs_again(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(TESTS.parent),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PROMPTS": "50",
        "LIMIT": "8",
    }

    def tell():
        command = [TESTS.parent / "launch" / "pipeline.sh", *SMALL]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    text = tell()
    assert [line[:4] for line in text.splitlines() if line.startswith("==")] == ["== 1", "== 4", "== 5", "== L"]
    assert "outputs/pipeline/run: proven: 2 shards, every hash, row and image" in text
    before = published(tmp_path)
    assert len([name for name in before if name.endswith(".tar")]) == 2
    tell()
    assert published(tmp_path) == before
