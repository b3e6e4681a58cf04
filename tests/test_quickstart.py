"""The story around the workers; the workers themselves are tested with the jobs."""

import json
import subprocess
import sys
import tarfile
from itertools import pairwise

import pytest
import yaml

from genir import embedded, quickstart, sheet
from genir.config.base import load
from genir.config.degrade import Degrade
from genir.config.generate import Generate
from genir.config.learn import Learn
from genir.config.prepare import Prepare
from genir.degrade.presets import preset
from genir.errors import ConfigError, ShardError
from genir.resources import locate
from genir.runs.summary import summarise

FAILS = "import sys; print('09:00:00 8 images' * {n}, file=sys.stderr); sys.exit('genir: the disk is full')"


@pytest.mark.parametrize("lines", [1, 10_000])  # the second fills the pipe
def test_a_worker_s_error_is_told_in_one_line(lines):
    code = FAILS.format(n=lines)
    workers = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    with pytest.raises(ShardError, match=r"ended with code 1: genir: the disk is full$") as caught:
        quickstart._watch(workers)
    assert "\n" not in str(caught.value)
    for worker in workers:
        worker.communicate()


def test_what_it_starts_is_understood(tmp_path):
    config, *overrides = quickstart.PREPARE
    assert load(Prepare, config, [*overrides, f"images={embedded.hq_folder()}"]).sdedit is None
    config, option, source, *overrides = quickstart.LEARN
    assert load(Learn, config, overrides).mode == "tokens"
    assert (option, embedded.dual_files()[source].is_file()) == ("--from", True)
    config, *overrides = quickstart.PAIRS
    degradation = load(Degrade, config, [*overrides, "input=dual"]).degradation
    assert degradation.changed(preset(degradation.preset)).crop is None  # whole pictures: they are small


def test_overrides_are_refused_in_one_line():
    with pytest.raises(ConfigError, match="takes a directory, no overrides"):
        quickstart.quickstart("limit=3")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_story_on_few_images_and_again(tmp_path, monkeypatch, capsys):
    settings = yaml.safe_load(locate(quickstart.CONFIG).read_text())
    settings |= {"limit": 16, "steps": 3, "batch": 4, "shard_size": 4}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(quickstart, "CONFIG", str(tmp_path / "few.yaml"))
    monkeypatch.setattr(quickstart, "LEARN", (*quickstart.LEARN, "steps=2", "warmup=0"))
    monkeypatch.setattr(quickstart, "BARE_SECONDS", 1.0)
    monkeypatch.setattr(quickstart, "_bare", lambda run: (1.0, 1.0))
    run = tmp_path / "run"
    assert quickstart.quickstart(str(run)) == 0
    told = capsys.readouterr().out
    assert "SIGTERM and kill -9" in told
    rows = {side: [row for _, row, _ in quickstart._rows(run / side)] for side in quickstart.SIDES}
    assert [len(found) for found in rows.values()] == [16, 16]
    both = list(zip(*rows.values(), strict=True))
    for plain, dual in both:
        assert (plain["key"], plain["seed"], plain["prompt"]) == (dual["key"], dual["seed"], dual["prompt"])
    assert (
        sum(plain["pixels_sha256"] != dual["pixels_sha256"] for plain, dual in both) > 8
    )  # three steps: some are black
    drawn = sheet.keys_drawn((run / "contact_sheet.png").read_bytes())
    assert len(drawn) == 32
    assert all(left == right for left, right in list(pairwise(drawn))[::2])
    assert json.loads((run / "dual" / "plan.json").read_text())["digest"]
    made = []
    for path in (run / "pairs" / "lq").glob("*.tar"):
        with tarfile.open(path) as tar:
            made += tar.getnames()
    assert sum(name.endswith(".lq.png") for name in made) == 2 * summarise(run / "dual").kept > 0
    load(Generate, str(tmp_path / "few.yaml"), [f"run={run}/dual", f"dual={run}/learned/dual.safetensors"])
    assert quickstart.quickstart(str(run)) == 0  # all is there: nothing is made again
    assert "images by" not in capsys.readouterr().out
