"""Thresholds of real pictures: what is written is what generate and select take; stored scores are used."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, ImageFilter
from skimage import data

from genir.config.base import load
from genir.config.calibrate import Calibrate
from genir.config.generate import Generate
from genir.config.score import Score
from genir.errors import ConfigError, PlanError
from genir.jobs.calibrate import Asked, calibrate
from genir.jobs.score import score
from genir.jobs.select import select

CHECKS = "checks=[signal.min_laplacian, quality.piqe.max]"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Crops of photographs, and the same blurred."""
    root = tmp_path_factory.mktemp("sets")
    for name in ("sharp", "blurred"):
        (root / name).mkdir()
    sources = [data.coffee(), data.chelsea(), data.rocket()]
    for number in range(40):
        pixels = sources[number % 3]
        top, left = (number * 37) % (pixels.shape[0] - 128), (number * 53) % (pixels.shape[1] - 128)
        crop = Image.fromarray(pixels[top : top + 128, left : left + 128])
        crop.save(root / "sharp" / f"{number:02d}.png")
        crop.filter(ImageFilter.GaussianBlur(3)).save(root / "blurred" / f"{number:02d}.png")
    (root / "sharp" / "x.png").write_bytes(b"no picture")
    return root


def config(sets, run, *overrides):
    return load(Calibrate, None, [f"reference={sets}/sharp", f"run={run}", CHECKS, "device=cpu", *overrides])


def test_a_folder_is_calibrated_and_the_file_is_taken(sets, tmp_path):
    lines = list(calibrate(config(sets, tmp_path / "cal", f"negatives={sets}/blurred", "reject=0.1")))
    text = "\n".join(lines)
    assert "reference  40 pictures of" in text
    assert "left out   1: x.png: ImageError" in text
    gates = yaml.safe_load((tmp_path / "cal" / "gates.yaml").read_text())["gates"]
    found = load(Generate, None, [f"gates={tmp_path}/cal/gates.yaml"]).gates
    assert found.signal.min_laplacian == gates["signal"]["min_laplacian"] > 0
    assert found.quality["piqe"].max == gates["quality"]["piqe"]["max"]
    assert found.face.threshold == 0.3
    table = pq.read_table(tmp_path / "cal" / "scores.parquet").to_pylist()
    reference = [row for row in table if row["set"] == "reference"]
    assert len(reference) == 40

    def rejected(row):
        low = row["signal_laplacian"] < gates["signal"]["min_laplacian"]
        return low or row["quality_piqe"] > gates["quality"]["piqe"]["max"]

    assert 0 < sum(map(rejected, reference)) <= 4
    hit = np.mean([rejected(row) for row in table if row["set"] == "negatives"])
    assert f"hits       {hit:.1%} of the negatives" in text
    assert hit > 0.5
    assert (tmp_path / "cal" / "roc.png").stat().st_size > 10_000
    with pytest.raises(PlanError, match="holds a calibration already"):
        list(calibrate(config(sets, tmp_path / "cal")))


def test_stored_scores_give_the_same_thresholds(sets, tmp_path):
    gates = "gates={face: null, signal: {}, quality: {piqe: {}}}"
    assert score(load(Score, None, [f"source={sets}/sharp", f"run={tmp_path}/scored", gates, "device=cpu"])) == 0
    list(calibrate(config(sets, tmp_path / "a")))
    for number, place in enumerate((tmp_path / "scored", tmp_path / "scored" / "score_scores")):
        list(calibrate(config(sets, tmp_path / f"b{number}", f"reference={json.dumps(str(place))}")))
        mine = (tmp_path / f"b{number}" / "gates.yaml").read_text().split("gates:")[-1]
        assert mine == (tmp_path / "a" / "gates.yaml").read_text().split("gates:")[-1]
    lines = list(select(str(tmp_path / "scored"), [f"gates={tmp_path}/a/gates.yaml", "gates.face=null"]))
    assert lines[0] in ("kept        38 of 41", "kept        39 of 41")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["checks=[quality.piqe]"], "quality.piqe"),
        (["checks=[signal.entropy]"], "unknown key signal.entropy"),
        (["checks=[hash]"], "hash"),
        (["limit=10"], "10 pictures, but at least 20 are needed"),
        (["reference=/none"], "no such run, folder or tar"),
    ],
)
def test_mistakes_are_one_line(sets, tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message):
        list(calibrate(config(sets, tmp_path / "cal", *overrides)))
    assert not (tmp_path / "cal").exists()


@pytest.mark.parametrize(
    ("path", "limit", "expected"),
    [
        ("signal.min_laplacian", 123.456, 123.4),
        ("quality.piqe.max", 123.412, 123.5),
        ("signal.min_entropy", 5.0, 5.0),
        ("quality.piqe.max", 0.0, 0.0),
        ("face.threshold", 0.25, 0.2501),
    ],
)
def test_rounding_rejects_no_more(path, limit, expected):
    one = Asked.at(path)
    assert one.rounded(limit) == expected


def test_the_config_that_travels_with_genir_loads():
    loaded = load(Calibrate, "configs/calibrate_photographs.yaml")
    assert [Asked.at(path).path for path in loaded.checks] == list(loaded.checks)
