"""The classifier gate: learned from pairs of one origin, judged on other photographs; nothing else is taken for one."""

import json

import numpy as np
import pytest
import torch
import trainsets
from PIL import Image, ImageFilter
from safetensors import safe_open
from safetensors.torch import save_file
from skimage import data

from genir.cli import run as genir
from genir.config.base import load, resolve
from genir.config.classify import Classify
from genir.config.gates import Gates
from genir.errors import ConfigError, ModelError, TrainSetError
from genir.jobs.classify import classify
from genir.runs.build import build_gates

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Photographs and round trips: 50 squares of scikit-image's photographs, sharp and blurred."""
    folder = tmp_path_factory.mktemp("set")
    whole, rows = (
        [Image.fromarray(data.coffee()), Image.fromarray(data.astronaut()), Image.fromarray(data.chelsea())],
        [],
    )
    for number in range(50):
        picture = whole[number % 3]
        left, top = 37 * number % (picture.width - 96), 53 * number % (picture.height - 96)
        sharp = picture.crop((left, top, left + 96, top + 96))
        for origin in ("photograph", "roundtrip"):
            for role in ("positive", "negative"):
                name = f"{number}_{origin}_{role}.png"
                shown = sharp.filter(ImageFilter.GaussianBlur(1.5)) if role == "negative" else sharp
                shown.quantize(64).convert("RGB").save(folder / name) if origin == "roundtrip" else shown.save(
                    folder / name
                )
                rows.append({"file_name": name, "text": "a", "pair": str(number), "role": role, "origin": origin})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def made(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "c.safetensors"
    wanted = [f"data.folder={prepared}", f"out={out}", "crop=64", "steps=40", "batch=8", "device=cpu"]
    return out, list(classify(load(Classify, None, wanted)))


def test_held_out_pairs_are_ordered_and_the_header_says_so(made):
    out, lines = made
    with safe_open(out, framework="pt") as file:
        header = file.metadata()
    assert float(header["auc"]) > 0.8
    assert float(header["ordered"]) > 0.9
    assert header["judged_pairs"] == "20"  # ten photographs, two origins
    assert lines[0] == "set        80 pairs to learn from, 20 of other photographs to judge by"
    leak = json.loads(header["leak"])
    assert leak["roundtrip"][1] == 50
    assert leak["roundtrip"][0] > 0.6  # 64 colours leave traces
    assert leak["sdedit"] == [None, 0]


def test_the_gate_scores_what_the_file_says(made):
    out, _ = made
    gates = resolve(Gates, {"face": None, "signal": None, "quality": {}}, "", [f"classifier={{file: {out}, min: 0.5}}"])
    (gate,) = build_gates(gates, CPU)
    sharp = Image.fromarray(data.rocket()).crop((200, 100, 400, 300))
    both = np.stack([np.asarray(sharp), np.asarray(sharp.filter(ImageFilter.GaussianBlur(2)))])
    images = torch.from_numpy(both).permute(0, 3, 1, 2).contiguous()
    rows = gate.score(images, ["", ""])
    assert rows[0]["classifier_score"] > rows[1]["classifier_score"]
    assert gate.score(images[1:], [""])[0] == pytest.approx(rows[1], abs=1e-6)
    assert len(gate.weights["classifier"]) == 64
    (check,) = gates.checks()
    assert (check.reason, check.column, check.low) == ("classifier", "classifier_score", 0.5)


def test_what_is_no_classifier_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    for name, message in (
        ("other", "is no file of `genir classify`"),
        ("junk", "cannot be read"),
        ("none", "cannot be read"),
    ):
        gates = Gates(face=None, signal=None, quality={}, classifier={"file": str(tmp_path / f"{name}.safetensors")})
        with pytest.raises(ModelError, match=rf"classifier .*{name}\.safetensors: {message}"):
            build_gates(gates, CPU)
    with pytest.raises(ConfigError, match=r"gates\.classifier\.file is not set"):
        build_gates(Gates(face=None, signal=None, quality={}, classifier={}), CPU)


def test_too_few_photographs_and_an_old_file_are_refused(tmp_path, prepared, made, capsys):
    few = trainsets.pairs(tmp_path / "few", 12)
    with pytest.raises(TrainSetError, match="pairs of 12 photographs, 2 of them held out; at least 10"):
        list(
            classify(
                load(Classify, None, [f"data.folder={few}", "crop=64", "device=cpu", f"out={tmp_path}/a.safetensors"])
            )
        )
    assert genir(["classify", "configs/classify_pairs.yaml", f"data.folder={prepared}", f"out={made[0]}"]) == 2
    assert "exists already" in capsys.readouterr().err
