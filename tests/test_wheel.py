"""The wheel carries everything: unpacked into an empty directory, genir works without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_works_in_an_empty_directory(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("genir-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("prompts", "configs"):
        packed = {name.split("/", 3)[3] for name in names if name.startswith(f"genir/_data/{folder}/")}
        tracked = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert packed == tracked
    presets = {path.name for path in (ROOT / "genir/degrade/presets").glob("*.yaml")}
    assert presets == {name.rpartition("/")[2] for name in names if name.startswith("genir/degrade/presets/")} - {
        "__init__.py"
    }
    assert not [name for name in names if name.startswith(("tests/", "prompts/", "configs/"))]
    site, empty = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(site)
    empty.mkdir()
    command = [sys.executable, "-m", "genir", "generate", "configs/generate_embedded.yaml", "--dry-run"]
    done = subprocess.run(
        command,
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "tasks      1200 of 1200" in done.stdout
    assert list(empty.iterdir()) == []
    where = "import genir; print(genir.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=empty, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True
    )
    assert str(site).encode() in found.stdout, "the wheel was tested, not the checkout"
