"""Hashes of large files: read once, never taken for those of another file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genir.backbone import hashes

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))


def test_a_large_file_is_read_by_one_of_many_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "LARGE", 1)
    path, read = tmp_path / "weights", []
    path.write_bytes(b"abc")
    real = hashes.sha256
    monkeypatch.setattr(hashes, "sha256", lambda path: (read.append(path), real(path))[1])
    expected = hashes.sha256_once(path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom genir.backbone import hashes\n"
        "hashes.LARGE, hashes.sha256 = 1, None\nprint(hashes.sha256_once(Path(sys.argv[1])))"
    )
    second = subprocess.run(  # would fail if it had to read the file
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert second.stdout.strip() == expected == real(path)
    path.write_bytes(b"abd")
    assert hashes.sha256_once(path) == real(path) != expected
    assert len(read) == 2


def test_without_a_cache_folder_every_process_reads_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "LARGE", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_bytes(b"abc")
    assert hashes.sha256_once(tmp_path / "file") == hashes.sha256(tmp_path / "file")


@pytest.mark.parametrize("torn", ["", "half"])
def test_an_answer_that_was_half_written_is_not_believed(tmp_path, monkeypatch, torn):
    monkeypatch.setattr(hashes, "LARGE", 1)
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    expected = hashes.sha256_once(path)
    (answer,) = (Path(os.environ["XDG_CACHE_HOME"]) / "genir" / "sha256").iterdir()
    answer.write_text(torn)
    assert hashes.sha256_once(path) == expected
    assert answer.read_text() == expected
