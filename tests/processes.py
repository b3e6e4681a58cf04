"""Start workers in processes of their own, and compare what they published."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import dummy_worker

TESTS = Path(__file__).parent
PUBLISHED = (".tar", ".parquet", ".done")


class Dummy:
    """Starts tests/dummy_worker.py processes on one run directory."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, name, environment=None, **options):
        return subprocess.Popen(
            [sys.executable, str(TESTS / "dummy_worker.py"), str(self.folder / name), json.dumps(options)],
            env={**os.environ, "PYTHONPATH": str(TESTS.parent), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name, environment=None, **options):
        process = self.start(name, environment, **options)
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 2, 9, 75), err
        return process.returncode, json.loads(out) if out else None

    def published(self, name):
        return published(self.folder / name)


def published(root):
    """Relative path -> sha256 of every tar, table and marker of a run."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.suffix in PUBLISHED
    }


def forked(root, **options):
    """Run the dummy worker in a forked child (no torch in it, and quick); returns (exit code, facts)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code, facts = dummy_worker.work(root, options)
            os.write(write, json.dumps(facts).encode())
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(text) if text else {}
