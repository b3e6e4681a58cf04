"""10,000 draws of every preset against the distributions that the papers (and their code) state.

The numbers here are written from the sources, not read from the presets. All draws have fixed seeds; a p-value below
1e-4 fails.
"""

import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from genir import seeds
from genir.degrade import NAMES, preset
from genir.degrade.draw import draw

DRAWS = 10_000
LEAST_P = 1e-4


def draws(name, size_HW=(1024, 1024), count=DRAWS):
    degradation = preset(name)
    return [draw(degradation, random.Random(seeds.derive(3, f"{i:09d}", "degrade:0")), size_HW) for i in range(count)]


def is_uniform(values, low, high):
    assert min(values) >= low * (1 - 1e-5) - 1e-12
    assert max(values) <= high * (1 + 1e-5)
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > LEAST_P


def has_shares(words, expected):
    """Chi-squared over a table of probabilities."""
    counts = Counter(words)
    assert set(counts) <= set(expected)
    total = len(words)
    observed = [counts[word] for word in expected]
    return stats.chisquare(observed, [share * total for share in expected.values()]).pvalue > LEAST_P


KERNELS = {
    "sinc": 0.1,
    **{f"{kind}": 0.9 * share for kind, share in {"iso": 0.45, "aniso": 0.25, "plateau_iso": 0.12}.items()},
    "plateau_aniso": 0.9 * 0.03,
    "generalized_iso": 0.9 * 0.12,
    "generalized_aniso": 0.9 * 0.03,
}
SIDES = dict.fromkeys(range(7, 22, 2), 1 / 8)
MODES = {"area": 1 / 3, "bilinear": 1 / 3, "bicubic": 1 / 3}


def check_kernels(steps, highest_sigma):
    assert has_shares([step["kernel"] for step in steps], KERNELS)
    assert has_shares([step["size"] for step in steps], SIDES)
    shaped = [step for step in steps if step["kernel"] != "sinc"]
    assert is_uniform([step["sigma"][0] for step in shaped], 0.2, highest_sigma)
    turned = [step for step in shaped if step["kernel"].endswith("aniso")]
    assert is_uniform([step["sigma"][1] for step in turned], 0.2, highest_sigma)
    assert is_uniform([step["angle"] for step in turned], -math.pi, math.pi)
    assert all(step["sigma"][0] == step["sigma"][1] for step in shaped if not step["kernel"].endswith("aniso"))
    beta = [step["beta"] for step in shaped if step["kernel"].startswith("generalized")]
    assert is_uniform([b for b in beta if b < 1], 0.5, 1)
    assert is_uniform([b for b in beta if b > 1], 1, 4)
    assert has_shares([b < 1 for b in beta if b != 1], {True: 0.5, False: 0.5})
    plateau = [step["beta"] for step in shaped if step["kernel"].startswith("plateau")]
    assert has_shares([b == 1 for b in plateau], {True: 0.5, False: 0.5})
    assert is_uniform([b for b in plateau if b > 1], 1, 2)
    ringing = [step for step in steps if step["kernel"] == "sinc"]
    assert is_uniform([step["cutoff"] for step in ringing if step["size"] < 13], 1 / 3, 1)
    assert is_uniform([step["cutoff"] for step in ringing if step["size"] >= 13], 1 / 5, 1)


def check_factor(steps, shares, low, high):
    factors = [step["factor"] for step in steps]
    assert has_shares([np.sign(f - 1) for f in factors], {1.0: shares[0], -1.0: shares[1], 0.0: shares[2]})
    assert is_uniform([f for f in factors if f > 1], 1, high)
    assert is_uniform([f for f in factors if f < 1], low, 1)
    assert has_shares([step["mode"] for step in steps], MODES)


def check_noise(steps, sigma, scale):
    assert has_shares([step["op"] for step in steps], {"gaussian": 0.5, "poisson": 0.5})
    assert has_shares([step["gray"] for step in steps], {True: 0.4, False: 0.6})
    assert is_uniform([step["sigma"] for step in steps if step["op"] == "gaussian"], 1, sigma)
    assert is_uniform([step["scale"] for step in steps if step["op"] == "poisson"], 0.05, scale)
    assert len({step["seed"] for step in steps}) == len(steps)


@pytest.mark.parametrize(
    ("name", "crop", "patch"), [("realesrgan", 400, 256), ("seesr", 512, None), ("dreamclear", 1024, None)]
)
def test_second_order(name, crop, patch):
    """Wang et al. 2021, appendix A, and the options of Real-ESRGAN's x4plus."""
    assert (preset(name).crop, preset(name).patch, preset(name).scale) == (crop, patch, 4)
    found = draws(name, (crop, crop))
    assert all(steps[0] == {"op": "usm", "weight": 0.5, "radius": 50, "threshold": 10.0} for steps in found)
    check_kernels([steps[1] for steps in found], 3.0)
    first = [steps[2] for steps in found]
    check_factor(first, (0.2, 0.7, 0.1), 0.15, 1.5)
    assert all(
        step["size"] == [int(crop * step["factor"])] * 2 or abs(step["factor"] * crop % 1 - 0.5) > 0.49
        for step in first
    )
    check_noise([steps[3] for steps in found], 30, 3.0)
    assert is_uniform([steps[4]["quality"] for steps in found], 30, 95)
    assert all(step["op"] == "diffjpeg" for steps in found for step in steps if "quality" in step)
    rest = [steps[5:] for steps in found]
    second = [steps[0] for steps in rest if steps[0]["op"] == "blur"]
    assert has_shares([steps[0]["op"] for steps in rest], {"blur": 0.8, "resize": 0.2})
    check_kernels(second, 1.5)
    rest = [steps[steps[0]["op"] == "blur" :] for steps in rest]
    check_factor([steps[0] for steps in rest], (0.3, 0.4, 0.3), 0.3, 1.2)
    check_noise([steps[1] for steps in rest], 25, 2.5)
    ends = [steps[2:] for steps in rest]
    orders = [tuple(step["op"] for step in steps) for steps in ends]
    assert has_shares(
        orders,
        {
            ("resize", "blur", "diffjpeg"): 0.4,
            ("resize", "diffjpeg"): 0.1,
            ("diffjpeg", "resize", "blur"): 0.4,
            ("diffjpeg", "resize"): 0.1,
        },
    )
    sinc = [step for steps in ends for step in steps if step["op"] == "blur"]
    assert {step["kernel"] for step in sinc} == {"sinc"}
    assert has_shares([step["size"] for step in sinc], SIDES)
    assert is_uniform([step["cutoff"] for step in sinc], 1 / 3, 1)
    assert is_uniform([step["quality"] for steps in ends for step in steps if step["op"] == "diffjpeg"], 30, 95)
    back = [step for steps in ends for step in steps if step["op"] == "resize"]
    assert has_shares([step["mode"] for step in back], MODES)
    assert all(step["size"] == [crop // 4] * 2 for step in back)


def test_bsrgan():
    """Zhang et al. 2021, section 3.4 and figure 4, and the authors' degradation_bsrgan at x4."""
    found = draws("bsrgan")
    halved = [steps[0].get("factor") == 0.5 and steps[0]["size"] == [512, 512] for steps in found]
    # a first change of size in the shuffled order by exactly 2 has probability 0
    assert has_shares(halved, {True: 0.25, False: 0.75})
    for half, rest in ((False, found), (True, found)):
        rest = [steps[half:] for steps, is_half in zip(found, halved, strict=True) if is_half == half]
        scale = 2 if half else 4
        blurs = [step for steps in rest for step in steps if step["op"] == "blur"]
        assert len(blurs) == 2 * len(rest)
        assert has_shares([step["kernel"] for step in blurs], {"iso": 0.5, "aniso": 0.5})
        assert has_shares([step["size"] for step in blurs], dict.fromkeys(range(7, 26, 2), 1 / 10))
        turned = [step for step in blurs if step["kernel"] == "aniso"]
        assert is_uniform([step["sigma"][1] ** 2 for step in turned], 0, 4 + scale)
        assert is_uniform([step["sigma"][0] for step in blurs if step["kernel"] == "iso"], 0, 2 + 0.2 * scale)
        changes = [[step for step in steps if step["op"] in ("resize", "decimate")] for steps in rest]
        assert {len(steps) for steps in changes} == {2}
        assert all(steps[1]["size"] == [256, 256] for steps in changes)
        assert has_shares([steps[0]["op"] for steps in changes], {"resize": 0.75, "decimate": 0.25})
        assert is_uniform([1 / s[0]["factor"] for s in changes if s[0]["op"] == "resize"], 1, 2 * scale)
        assert is_uniform([s[0]["sigma"] for s in changes if s[0]["op"] == "decimate"], 0.1, 0.6 * scale)
        grain = [step for steps in rest for step in steps if step["op"] == "gaussian"]
        kinds = ["mixed" if "covariance" in step else "gray" if step["gray"] else "colour" for step in grain]
        assert has_shares(kinds, {"gray": 0.4, "mixed": 0.2, "colour": 0.4})
        assert is_uniform([step["sigma"] for step in grain], 2, 25)
        jpegs = [[step["quality"] for step in steps if step["op"] == "libjpeg"] for steps in rest]
        assert has_shares([len(steps) for steps in jpegs], {1: 0.1, 2: 0.9})
        assert has_shares([q for qs in jpegs for q in qs], dict.fromkeys(range(30, 96), 1 / 66))
        assert {steps[-1]["op"] for steps in rest} == {"libjpeg"}
        where = Counter([step["op"] for step in steps].index("gaussian") for steps in rest)
        assert set(where) == set(range(6))  # the order is shuffled


def test_light():
    found = draws("light")
    kernels = [steps[0]["kernel"] if steps[0]["op"] == "blur" else "none" for steps in found]
    expected = {"none": 0.3, "iso": 0.294, "aniso": 0.196, "defocus": 0.105, "motion": 0.105}
    assert has_shares(kernels, expected)
    first = [steps[0] for steps in found]
    assert is_uniform([step["radius"] for step in first if step.get("kernel") == "defocus"], 0.5, 1.5)
    assert is_uniform([step["length"] for step in first if step.get("kernel") == "motion"], 1, 5)
    assert is_uniform([step["sigma"][0] for step in first if step.get("kernel") == "iso"], 0.2, 1.2)
    grain = [step for steps in found for step in steps if step["op"] == "gaussian"]
    assert stats.binomtest(len(grain), DRAWS, 0.5).pvalue > LEAST_P
    assert is_uniform([step["sigma"] for step in grain], 0.5, 6)
    codecs = [step for steps in found for step in steps if "quality" in step]
    assert has_shares([step["op"] for step in codecs], {"libjpeg": 0.8, "webp": 0.2})
    assert has_shares([step["quality"] for step in codecs], dict.fromkeys(range(70, 99), 1 / 29))


def test_bicubic_is_one_step():
    assert {str(steps) for steps in draws("bicubic", count=50)} == {
        "[{'op': 'resize', 'mode': 'imresize', 'factor': 1.0, 'size': [256, 256]}]"
    }


def test_two_keys_share_nothing():
    sigma = np.array([steps[1].get("sigma", [np.nan])[0] for steps in draws("dreamclear", count=2000)])
    both = ~np.isnan(sigma[1:]) & ~np.isnan(sigma[:-1])
    assert abs(np.corrcoef(sigma[1:][both], sigma[:-1][both])[0, 1]) < 0.1


def test_the_check_can_fail():
    rng = np.random.default_rng(0)
    assert not is_uniform(rng.uniform(0.2, 2.9, DRAWS), 0.2, 3.0)
    assert not has_shares(rng.choice(["a", "b"], DRAWS, p=[0.53, 0.47]), {"a": 0.5, "b": 0.5})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_every_scale_ends_at_its_size(name, scale):
    degradation = preset(name).model_copy(update={"scale": scale})
    for seed in range(40):
        steps = draw(degradation, random.Random(seed), (240, 312))
        last = next(step for step in reversed(steps) if "size" in step and step["op"] in ("resize", "decimate"))
        assert last["size"] == [240 // scale, 312 // scale]
