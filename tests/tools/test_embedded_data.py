"""Splits, captions, degradations and the mirror symmetry of the latents."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from tools.embedded.captions import BAD, GOOD, QUALITY_SHARE, caption, describe
from tools.embedded.components import fit, install
from tools.embedded.degrade import WORDS, degrade
from tools.embedded.measure import blockiness, laplacian_variance, psnr_db, to_signed
from tools.embedded.patch_autoencoder import PatchAutoencoder
from tools.embedded.render.canvas import Facts
from tools.embedded.render.scenes import render
from tools.embedded.splits import SPLITS, first_seed, held_out

FACTS = Facts("canyon", "a orange rock canyon", ("at sunset",), ("orange", "sunset"))


def _pictures(count: int) -> np.ndarray:
    return np.stack([render("pebbles" if k % 2 else "house", k, 64).image_HWC for k in range(count)])


def test_procedural_splits_do_not_overlap():
    ranges = sorted(SPLITS["procedural"].values())
    assert all(low[1] < high[0] for low, high in itertools.pairwise(ranges))
    assert first_seed("test") == SPLITS["procedural"]["test"][0]


def test_no_photograph_trains_and_every_licence_is_free():
    rows = SPLITS["photographs"]
    assert {row["split"] for row in rows} == {"positives", "calibration", "test"}
    assert {row["licence"] for row in rows} <= {"CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"}
    assert len({row["sha256"] for row in rows}) == len(rows)


def test_held_out_combinations_are_few_and_fixed():
    kinds = [Facts("x", "", (), (str(a), str(b))) for a in range(40) for b in range(40)]
    share = np.mean([held_out(facts) for facts in kinds])
    assert 0.1 < share < 0.15
    assert [held_out(f) for f in kinds] == [held_out(f) for f in kinds]


def test_captions_are_exact_and_a_third_name_the_quality():
    rng = np.random.default_rng(0)
    texts = [caption(FACTS, "blur", rng) for _ in range(3000)]
    assert all("canyon" in text and "a orange" not in text for text in texts)
    words = {*GOOD, *BAD, *(word for kind in WORDS.values() for word in kind)}
    named = [text for text in texts if text.split(", ")[-1] in words]
    assert abs(len(named) / len(texts) - QUALITY_SHARE) < 0.03
    true = [text for text in named if text.split(", ")[-1] in WORDS["blur"] + BAD]
    assert 0.8 < len(true) / len(named) < 0.97
    assert not any(describe(FACTS, rng).split(", ")[-1] in words for _ in range(200))


def test_oracle_captions_always_tell_the_truth():
    rng = np.random.default_rng(1)
    assert all(caption(FACTS, "", rng, "oracle").split(", ")[-1] in GOOD for _ in range(200))


def test_each_degradation_changes_what_it_is_known_for():
    rng, clean = np.random.default_rng(2), _pictures(4)
    seen = {}
    for _ in range(12):
        for picture in clean:
            worse, kind = degrade(picture, rng)
            a, b = (to_signed(torch.from_numpy(p[None])) for p in (picture, worse))
            seen.setdefault(kind, []).append((laplacian_variance(b) / laplacian_variance(a), blockiness(b)))
    assert set(seen) == set(WORDS)
    assert np.median([ratio.item() for ratio, _ in seen["noise"]]) > 1.2
    assert np.median([blocks.item() for _, blocks in seen["jpeg"]]) > 1.3


def test_mirrored_pictures_have_mirrored_latents():
    pictures = to_signed(torch.from_numpy(_pictures(6)))
    mean, components, deviations, signs = fit(pictures, 32)
    model = PatchAutoencoder(latent_channels=32)
    install(model, mean, components, deviations)
    with torch.no_grad():
        latents, mirrored = model.encode(pictures).latents, model.encode(pictures.flip(3)).latents
        assert psnr_db(model(pictures).sample, pictures).mean() > 24
    torch.testing.assert_close(mirrored, latents.flip(3) * signs.view(1, -1, 1, 1), atol=2e-3, rtol=0)
    assert 0.5 < latents.std() < 2.0
