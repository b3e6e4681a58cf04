"""The story around the workers; the workers themselves are tested with the main job."""

import subprocess
import sys

import pytest

from genir import quickstart
from genir.errors import ShardError

FAILS = "import sys; print('09:00:00 8 images' * {n}, file=sys.stderr); sys.exit('genir: the disk is full')"


@pytest.mark.parametrize("lines", [1, 10_000])  # the second fills the pipe
def test_a_worker_s_error_is_told_in_one_line(tmp_path, lines):
    code = FAILS.format(n=lines)
    workers = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    with pytest.raises(ShardError, match=r"ended with code 1: genir: the disk is full$") as caught:
        quickstart._watch(tmp_path, 8, workers, None)
    assert "\n" not in str(caught.value)
    for worker in workers:
        worker.communicate()
