"""Planted faults are found on photographs and on the HQ set; clean pictures are not."""

import numpy as np
import pytest
import torch
from held_out import degrade, to_NCHW
from PIL import Image, ImageEnhance

from genir import embedded
from genir.config.gates import FaultGate, Gates
from genir.errors import GenirError, ImageError
from genir.gate import judge
from genir.gate.measures import fault_gate, signal_gate
from genir.metrics.faults import CHECKS, faults
from genir.records import Prompt, Sample, Task

LIMITS = FaultGate(max_saturated=0.5, max_grid=12.0, max_repeat=0.75)
"""Those of the shipped configurations."""


def reasons(pictures):
    samples = [
        Sample(Task(f"{n:09d}", Prompt(""), n, p.height, p.width), np.asarray(p).transpose(2, 0, 1).copy())
        for n, p in enumerate(pictures)
    ]
    checks = Gates(face=None, signal=None, quality={}, fault=LIMITS).checks()
    judge(samples, [fault_gate()], checks, False, torch.device("cpu"))
    return [sample.verdict.reason for sample in samples]


def gridded(picture, period, levels):
    """Lines that are brighter by a few levels of 255, as a decoder of that stride leaves them."""
    pixels = np.asarray(picture).astype(int)
    pixels[::period] += levels
    pixels[:, ::period] += levels
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def stacked(picture):
    """The upper half once more below: what a model does above its native size."""
    half = picture.crop((0, 0, picture.width, picture.height // 2))
    twice = Image.new("RGB", picture.size)
    twice.paste(half)
    twice.paste(ImageEnhance.Brightness(half).enhance(1.1), (0, picture.height // 2))
    return twice


@pytest.fixture(scope="module")
def hq():
    folder = embedded.hq_folder() / "images"
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.webp"))]


def test_photographs_and_the_hq_set_have_no_fault(photographs, hq):
    assert reasons([*photographs.values(), *hq]) == [""] * (len(photographs) + len(hq))


@pytest.mark.parametrize("period", [8, 16])
def test_a_faint_grid_is_found_in_every_photograph(photographs, period):
    assert reasons([gridded(p, period, 3) for p in photographs.values()]) == ["fault.grid"] * len(photographs)


def test_a_scene_that_is_painted_twice_is_found(photographs):
    found = dict(zip(photographs, reasons([stacked(p) for p in photographs.values()]), strict=True))
    assert {name for name, reason in found.items() if reason != "fault.repeat"} <= {"rocket"}  # mostly empty sky


def test_burnt_colours_are_found_where_there_are_colours(photographs):
    burnt = [ImageEnhance.Color(photographs[name]).enhance(4) for name in ("coffee", "chelsea")]
    assert reasons(burnt) == ["fault.saturated"] * 2


def test_a_threshold_means_the_same_at_every_size(photographs):
    picture = photographs["astronaut"]
    large, small = ({k: float(v) for k, v in faults(to_NCHW([picture.resize((s, s))])).items()} for s in (512, 256))
    assert small["repeat"] == pytest.approx(large["repeat"], abs=0.03)
    assert small["saturated"] == pytest.approx(large["saturated"], abs=0.01)
    for side in (256, 512, 1024):
        grid = float(faults(to_NCHW([gridded(picture.resize((side, side)), 8, 3)]))["grid"])
        assert 15 < grid < 45


def test_blur_and_noise_are_no_such_fault(photographs):
    for kind, amount in (("blur", 2.0), ("noise", 20.0)):
        assert set(reasons([degrade(p, kind, amount) for p in photographs.values()])) == {""}, kind


def test_batch_is_single(crops_288):
    images = to_NCHW(crops_288)
    together = faults(images)
    assert list(together) == list(CHECKS)
    for n in range(len(images)):
        for name, value in faults(images[n : n + 1]).items():
            assert float(value) == pytest.approx(float(together[name][n]), abs=1e-4)


def test_constants_are_finite(constants_NCHW):
    scores = faults(constants_NCHW)
    assert all(values.isfinite().all() for values in scores.values())
    assert scores["saturated"].tolist() == [0, 0, 0, 1, 0, 0]
    assert scores["repeat"][5] > 0.9  # a checkerboard is everywhere alike


def test_what_cannot_be_looked_at_is_named():
    with pytest.raises(GenirError, match=r"fault: images are torch.float32"):
        faults(torch.zeros(1, 3, 128, 128))
    with pytest.raises(ImageError, match=r"fault: images are 100x200 pixels .* but 128 is the smallest side"):
        faults(torch.zeros(1, 3, 100, 200, dtype=torch.uint8))


def test_signal_checks_at_a_fixed_scale_mean_the_same_at_every_size(photographs):
    picture = photographs["astronaut"]
    sizes = [to_NCHW([picture.resize((side, side), Image.Resampling.BOX)]) for side in (512, 256)]
    native, fixed = (
        [gate.score(images, [""])[0] for images in sizes] for gate in (signal_gate(None), signal_gate(128))
    )
    assert native[0]["signal_laplacian"] < 0.7 * native[1]["signal_laplacian"]
    for name, value in fixed[0].items():
        assert value == pytest.approx(fixed[1][name], rel=0.05, abs=0.01), name
