"""Finishing the decoder: the patch grid vanishes, the latents keep their meaning."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from tools.embedded import train_decoder
from tools.embedded.components import fit, install
from tools.embedded.measure import to_signed
from tools.embedded.model import TextAndUNet
from tools.embedded.patch_autoencoder import PatchAutoencoder
from tools.embedded.render.scenes import render
from tools.embedded.tokenizer import train_tokenizer
from tools.embedded.train import Trainer


@pytest.fixture(scope="module")
def scenes():
    return [render(subject, seed, 128) for subject in ("wood", "brick wall") for seed in range(6)]


@pytest.fixture
def data(scenes):
    """A small autoencoder, pictures, their latents and worse ones."""
    torch.manual_seed(0)
    pictures = np.stack([scene.image_HWC for scene in scenes])
    vae = PatchAutoencoder(latent_channels=32, widths=(16, 16, 16), depths=(1, 1, 1))
    mean, components, deviations, _ = fit(to_signed(torch.from_numpy(pictures)), 32)
    install(vae, mean, components, deviations)
    with torch.no_grad():
        encoded = vae.encoder(to_signed(torch.from_numpy(pictures)))
    return vae, (pictures, encoded, encoded + 0.1 * torch.randn(encoded.shape))


def grid(images):
    """By how much the spectra on the patch grid and off it differ."""
    on, off = train_decoder.spectrum(images)
    return float((on - off).abs().mean())


def test_only_a_grid_makes_the_spectra_differ():
    noise = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    blocks = noise[..., :32, :32].repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert grid(noise) < 0.05
    assert grid(blocks) > 0.2
    on, _ = train_decoder.spectrum(noise)
    assert on.mean() == pytest.approx(1, abs=0.02)  # the transform is orthonormal


def test_training_brings_the_spectra_to_the_pictures_and_leaves_the_latents_alone(data, tmp_path):
    vae, parts = data
    maps = {name: value.clone() for name, value in vae.state_dict().items() if "residual" not in name}
    wanted = train_decoder.spectrum(to_signed(torch.from_numpy(parts[0])))

    @torch.no_grad()
    def off():
        return float((train_decoder.spectrum(vae.decode(parts[2]).sample) - wanted).abs().mean())

    before = off()
    train_decoder.train(vae, parts, tmp_path / "state.pt", 60)
    assert off() < 0.9 * before
    for name, value in maps.items():
        assert torch.equal(value, vae.state_dict()[name])
    assert torch.load(tmp_path / "state.pt")["step"] == 60


def test_latents_are_noised_and_denoised_by_the_model(scenes, data, tmp_path, monkeypatch):
    vae, (pictures, encoded, _) = data
    monkeypatch.setattr(train_decoder, "SHARDS", 1)
    tokenizer = train_tokenizer([scene.facts for scene in scenes])
    tokenizer.save_pretrained(tmp_path / "ae" / "tokenizer")
    (tmp_path / "pool").mkdir()
    np.save(tmp_path / "pool" / "0000.npy", pictures)
    rows = [{"facts": asdict(scene.facts), "original": 128, "top": 0, "left": 0} for scene in scenes]
    (tmp_path / "pool" / "0000.json").write_text(json.dumps(rows))
    (tmp_path / "run").mkdir()
    Trainer(TextAndUNet(tokenizer), tmp_path / "run", rank=0, world=1).save()
    once, again = (
        train_decoder.make_latents(vae, tmp_path / "pool", tmp_path / "ae", tmp_path / "run") for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    clean = torch.arange(len(pictures)) % 5 != 0  # every fifth is degraded
    assert torch.allclose(once[1][clean], encoded[clean])
    assert 0.001 < float((once[2] - once[1]).square().mean()) < 1
