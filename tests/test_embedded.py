from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genir import dualprompt, embedded
from genir.backbone import files, tokenizers
from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.metrics.signal import signal
from genir.runs.build import load_dual

PROMPTS = ["a photo of a red sunset over the sea", "long green grass"]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.set_num_threads(1)
    return load("embedded")


@pytest.fixture(scope="module")
def images(backbone: Backbone) -> np.ndarray:
    return generated(backbone, PROMPTS)


def generated(backbone: Backbone, prompts: list[str]) -> np.ndarray:
    pixels_NCHW, nonfinite = backbone.generate(
        backbone.encode_positive(prompts),
        backbone.encode_negative("", len(prompts)),
        size_HW=backbone.geometry.native_HW,
        seeds=[3, 4],
        steps=20,
        guidance=Guidance(3.0),
    )
    assert not any(nonfinite)
    return pixels_NCHW.numpy()


def test_importing_it_imports_no_torch() -> None:
    code = "import sys, genir.embedded as e; print(e.folder().is_dir(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_the_index_names_the_autoencoder_that_is_loaded(backbone: Backbone) -> None:
    index = json.loads((embedded.folder() / "model_index.json").read_text())
    module, name = index["vae"]
    assert (embedded.folder() / "vae" / f"{module}.py").is_file()
    assert embedded.autoencoder_class().__name__ == name
    assert type(backbone.vae) is embedded.autoencoder_class()


def test_what_it_is(backbone: Backbone) -> None:
    assert (backbone.family, backbone.geometry.native_HW, backbone.geometry.multiple) == ("sdxl", (128, 128), 8)
    assert backbone.prediction_type == "v_prediction"
    assert (backbone.licence.name, backbone.licence.outputs_may_train) == ("apache-2.0", "yes")


def test_two_calls_give_the_same_bytes(backbone: Backbone, images: np.ndarray) -> None:
    assert images.shape == (2, 3, 128, 128)
    assert np.array_equal(images, generated(backbone, PROMPTS))


def test_the_picture_follows_the_prompt_and_is_no_noise(images: np.ndarray) -> None:
    sunset, grass = images.astype(float)
    assert grass[1].mean() > grass[0].mean() + 20
    assert grass[1].mean() > grass[2].mean() + 20
    assert sunset[0].mean() > sunset[2].mean() + 20
    for image in (sunset, grass):
        gray = image.mean(axis=0)
        assert gray.std() > 10
        # Neighbours of white noise are not correlated
        assert np.corrcoef(gray[:, 1:].ravel(), gray[:, :-1].ravel())[0, 1] > 0.4


def test_the_patch_grid_is_faint(images: np.ndarray) -> None:
    """Renders have about 6; a decoder that knew encoded pictures only left 62 and 45 here instead of 31 and 12."""
    assert signal(torch.from_numpy(images))["blockiness"].max() < 40


def test_its_autoencoder_keeps_a_picture(backbone: Backbone, images: np.ndarray) -> None:
    from genir.backbone.latents import decode

    pixels_NCHW = torch.from_numpy(images)
    latents = backbone.encode_images(pixels_NCHW, seeds=[0, 0])
    assert latents.shape == (2, 32, 16, 16)
    with torch.no_grad():
        again, _ = decode(backbone.vae, latents)
    assert (again.float() - pixels_NCHW.float()).abs().mean() < 4


def test_its_tokenizer_alone() -> None:
    assert tokenizers.load("embedded").truncated([PROMPTS[0], "red lake " * 40], None) == [False, True]


@pytest.mark.parametrize("name", embedded.dual_files())
def test_the_pairs_that_travel_with_it_belong_to_it_and_change_its_pictures(
    backbone: Backbone, images: np.ndarray, name: str
) -> None:
    dual = load_dual(name)
    assert dual.mode == {"embedded": "tokens", "embedded-output": "output"}[name]
    assert dual.config["data"]["folder"] is None  # nobody's own folder travels
    assert embedded.dual_files()[name].stat().st_size < 200_000
    assert dual.model_hash == files.model_hash(files.identity("embedded"))
    backbone.apply(dual, model_hash=dual.model_hash)
    try:
        changed = generated(backbone, PROMPTS)
    finally:
        backbone.apply(None)
    assert all(signal(torch.from_numpy(changed))["std"] > 10)
    assert np.abs(changed.astype(float) - images).mean() > 1


def test_a_name_is_a_file_where_it_is_not_one_of_them() -> None:
    path = embedded.dual_files()["embedded"]
    assert load_dual(str(path)).sha256 == load_dual("embedded").sha256 == dualprompt.load(path).sha256


def test_the_package_holds_nothing_else() -> None:
    folder = Path(embedded.__file__).parent
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert size < 35_000_000  # the model's 30 MB, the HQ set's 4
