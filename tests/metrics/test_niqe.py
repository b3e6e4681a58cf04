import numpy as np
import pytest
import torch
from held_out import STRONG, degrade, to_NCHW

from genir.errors import GenirError, ModelError
from genir.metrics.niqe import SHIPPED, NiqeModel, fit, load_model, niqe, save_model, weights_sha256


@pytest.fixture(scope="module")
def niqe_96() -> NiqeModel:
    return load_model("niqe_96")


@pytest.fixture(scope="module")
def niqe_32() -> NiqeModel:
    return load_model("niqe_32")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_say_what_they_are(name):
    model = load_model(name)
    assert model.name == name
    assert model.patch == int(name.removeprefix("niqe_"))
    assert "14 photographs" in model.source
    assert len(weights_sha256(name)) == 64
    assert torch.linalg.eigvalsh(model.covariance_36x36).min() > 0


def test_clean_photographs_score_better_than_degraded_ones(photographs, niqe_96):
    # rocket is mostly smooth sky: blurred and enlarged, it stays as it was (docs/methods.md has larger sets)
    wins = dict.fromkeys(STRONG, 0)
    for picture in photographs.values():
        clean = niqe(to_NCHW([picture]), niqe_96)
        for kind, amount in STRONG.items():
            wins[kind] += bool(clean < niqe(to_NCHW([degrade(picture, kind, amount)]), niqe_96))
    assert wins == {"blur": 4, "noise": 5, "jpeg": 5, "x4": 4}


def test_clean_128_px_crops_score_better_than_degraded_ones(crops_128, niqe_32):
    clean = niqe(to_NCHW(crops_128), niqe_32)
    for kind, amount in STRONG.items():
        degraded = niqe(to_NCHW([degrade(crop, kind, amount) for crop in crops_128]), niqe_32)
        assert (clean < degraded).float().mean() > 0.85, kind


def test_more_blur_and_more_noise_are_worse(crops_288, niqe_96):
    for kind, amounts in {"blur": (1, 2, 4), "noise": (10, 20, 40)}.items():
        scores = [niqe(to_NCHW([degrade(p, kind, a)]), niqe_96).item() for p in crops_288 for a in amounts]
        assert (np.diff(np.array(scores).reshape(-1, 3).mean(axis=0)) > 0).all(), kind


def test_constants_are_finite_and_worse_than_photographs(constants_NCHW, crops_128, niqe_32):
    scores = niqe(constants_NCHW, niqe_32)
    assert scores.isfinite().all()
    assert scores.min() > niqe(to_NCHW(crops_128), niqe_32).median()


def test_batch_equals_single(crops_128, niqe_32):
    images = to_NCHW(crops_128[:6])
    together = niqe(images, niqe_32)
    for i in range(len(images)):
        assert niqe(images[i : i + 1], niqe_32).item() == pytest.approx(together[i].item(), abs=1e-4)


def test_the_smallest_image_has_four_patches(niqe_32):
    image = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    assert niqe(image, niqe_32).isfinite().all()
    with pytest.raises(GenirError, match=r"niqe_32: images of 64x63 pixels .* hold 2 patches of 32 pixels, but 4"):
        niqe(image[..., :63], niqe_32)


def test_a_fit_survives_saving(tmp_path, photographs):
    batches = [to_NCHW([picture]) for picture in photographs.values()]
    model = fit(batches, 32, "mine", "five photographs")
    save_model(model, tmp_path / "mine.safetensors", {"licence": "CC0"})
    again = load_model(str(tmp_path / "mine.safetensors"))
    assert (again.name, again.patch, again.source) == (model.name, 32, model.source)
    assert again.source.startswith("five photographs; ")
    assert torch.equal(niqe(batches[0], model), niqe(batches[0], again))


def test_a_fit_is_closest_to_its_own_pictures(crops_128):
    images = to_NCHW(crops_128)
    clean = fit([images], 32)
    blurred = fit([to_NCHW([degrade(crop, "blur", 2) for crop in crops_128])], 32)
    assert (niqe(images, clean) < niqe(images, blurred)).float().mean() > 0.9


def test_fits_of_too_little_are_refused(constants_NCHW):
    with pytest.raises(GenirError, match="0 sharp patches of 32 pixels, but 72 are needed"):
        fit([], 32)
    with pytest.raises(GenirError, match="patch is 33 pixels"):
        fit([constants_NCHW], 33)
    with pytest.raises(GenirError, match="hold 1 patches of 96"):
        fit([constants_NCHW], 96)


def test_unknown_and_broken_models_are_refused(tmp_path):
    with pytest.raises(ModelError, match="'niqe', but one of niqe_32, niqe_96"):
        load_model("niqe")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(tmp_path / "absent.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"no header here")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(tmp_path / "broken.safetensors"))
