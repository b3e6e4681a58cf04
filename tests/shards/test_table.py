"""Tables of shards: what reading one leaves behind."""

import os
import subprocess
import sys

from processes import TESTS

SCRIPT = """
import os
from genir.shards import table

rows = [{"key": str(n), "prompt": f"a lake {n}", "score": n / 7} for n in range(5000)]
data = table.encode(rows, {"key": "string", "prompt": "string", "score": "float"})
before = len(os.listdir("/proc/self/task"))
assert table.decode(data) == rows
assert len(os.listdir("/proc/self/task")) == before
"""


def test_reading_leaves_no_thread_that_could_end_the_process(tmp_path):
    """A thread of arrow that holds Python's bytes while the interpreter ends aborts it: exit code 134 after all."""
    env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=env, check=True)
