"""The trainer: a stopped run continues as if it had not stopped, and the saved folder is an SDXL pipeline."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from tools.embedded.components import fit, install, signs_of
from tools.embedded.latents import LatentPool
from tools.embedded.measure import to_signed
from tools.embedded.model import TextAndUNet
from tools.embedded.patch_autoencoder import PatchAutoencoder
from tools.embedded.render.scenes import render
from tools.embedded.sample import draw, export, load
from tools.embedded.tokenizer import train_tokenizer
from tools.embedded.train import PEAK_RATE, Trainer, make_fast


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny autoencoder, tokenizer and one shard of latents."""
    root = tmp_path_factory.mktemp("recipe")
    scenes = [render(subject, seed, 128) for subject in ("wood", "moon") for seed in range(2)]
    pictures = to_signed(torch.from_numpy(np.stack([s.image_HWC for s in scenes])))
    model = PatchAutoencoder(latent_channels=32, widths=(16, 16, 16), depths=(1, 1, 1))
    mean, components, deviations, signs = fit(pictures, 32)
    install(model, mean, components, deviations)
    model.save_pretrained(root / "ae" / "vae")
    torch.save(signs, root / "ae" / "mirror_signs.pt")
    train_tokenizer([s.facts for s in scenes]).save_pretrained(root / "ae" / "tokenizer")
    with torch.no_grad():
        latents = model.encode(pictures).latents.half().numpy()
    (root / "latents").mkdir()
    np.save(root / "latents" / "0000.npy", np.stack([latents] * 3, 1))
    rows = [
        {"facts": asdict(s.facts), "original": 128, "top": 0, "left": 0, "degraded": ["blur", "jpeg"]} for s in scenes
    ]
    (root / "latents" / "0000.json").write_text(json.dumps(rows))
    return root


def _trainer(folder, out):
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "ae" / "tokenizer")
    signs = torch.load(folder / "ae" / "mirror_signs.pt")
    out.mkdir(exist_ok=True)
    pool = LatentPool(folder / "latents", 1, signs, tokenizer, "noisy")
    return Trainer(TextAndUNet(tokenizer), out, rank=0, world=1), pool


def _advance(trainer, pool, steps):
    return [trainer.advance(pool.batch(2, 1, trainer.step, 0), 1e-6, False)[0] for _ in range(steps)]


def test_a_stopped_run_continues_as_if_it_had_not_stopped(folder, tmp_path):
    whole, pool = _trainer(folder, tmp_path / "whole")
    losses = _advance(whole, pool, 3)
    first, _ = _trainer(folder, tmp_path / "cut")
    start = _advance(first, pool, 1)
    first.save()
    second, _ = _trainer(folder, tmp_path / "cut")
    second.resume()
    assert second.step == 1
    assert start + _advance(second, pool, 2) == losses
    for a, b in zip(whole.average, second.average, strict=True):
        assert torch.equal(a, b)


def test_the_saved_folder_is_an_sdxl_pipeline(folder, tmp_path):
    trainer, pool = _trainer(folder, tmp_path / "run")
    _advance(trainer, pool, 1)
    trainer.save()
    pipeline = load(export(tmp_path / "run", folder / "ae"))
    images = draw(pipeline, ["a moon"] * 2, "blurry", range(2), 128, 3.0, 2)
    assert images.shape == (2, 128, 128, 3)
    assert not np.array_equal(images[0], images[1])
    assert pipeline.text_encoder_2.config.projection_dim == 128
    assert pipeline.unet.config.addition_embed_type == "text_time"


def test_training_goes_on_from_a_saved_pipeline(folder, tmp_path):
    """Weights, up to the float16 in which the UNet is stored, and the mirror signs of its autoencoder."""
    trainer, pool = _trainer(folder, tmp_path / "run")
    _advance(trainer, pool, 1)
    trainer.save()
    pipeline = export(tmp_path / "run", folder / "ae")
    again, _ = _trainer(folder, tmp_path / "again")
    again.model.load_pipeline(pipeline)
    trainer.model.load_average(tmp_path / "run" / "last.pt")
    for a, b in zip(trainer.model.parameters(), again.model.parameters(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)
    vae = PatchAutoencoder.from_pretrained(pipeline / "vae")
    assert torch.equal(signs_of(vae), torch.load(folder / "ae" / "mirror_signs.pt"))


def test_a_batch_is_a_function_of_its_key(folder):
    _, pool = _trainer(folder, folder / "unused")
    one, same, other = pool.batch(4, 7, 1), pool.batch(4, 7, 1), pool.batch(4, 7, 2)
    assert torch.equal(one.latents, same.latents)
    assert torch.equal(one.ids_NL, same.ids_NL)
    assert not torch.equal(one.noise, other.noise)


def test_the_fast_layout_takes_the_same_steps(folder, tmp_path):
    """Regression: a fused optimizer put the updates of channels-last weights in the wrong places."""
    moved = []
    for fast in (False, True):
        trainer, pool = _trainer(folder, tmp_path / str(fast))
        if fast:
            make_fast(trainer.model)
            trainer = Trainer(trainer.model, tmp_path / str(fast), rank=0, world=1)
        before = [p.detach().clone() for p in trainer.weights]
        trainer.step = 300  # past the warm-up
        trainer.advance(pool.batch(2, 1, 0, 0), PEAK_RATE, False)
        steps = [(p.detach() - b).reshape(-1) for p, b in zip(trainer.weights, before, strict=True)]
        moved.append(torch.cat(steps))
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.95
