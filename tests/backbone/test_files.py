"""Finding models, what they consist of, and every refusal as one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from genir.backbone import files
from genir.errors import ModelError


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def copy(sd_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sd_folder, tmp_path / "copy"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, offline."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


def cached(cache: Path, folder: Path, id: str = "owner/model") -> Path:
    """Put a folder into a hub cache: blobs named by hash, snapshots of links, as the hub client does."""
    root = cache / f"models--{id.replace('/', '--')}"
    snapshot = root / "snapshots" / ("c" * 40)
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("c" * 40)
    (root / "blobs").mkdir()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            large = path.suffix in (".safetensors", ".bin")
            name = sha256(path) if large else hashlib.sha1(path.read_bytes()).hexdigest()
            blob = root / "blobs" / name
            shutil.copy(path, blob)
            link = snapshot / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    return snapshot


def test_importing_files_imports_no_torch() -> None:
    heavy = "('torch', 'diffusers', 'transformers')"
    code = f"import sys, genir.backbone.files; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_identity_of_a_folder(copy: Path) -> None:
    (copy / "unrelated.txt").write_text("x")
    (copy / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_text("another variant")
    found = files.identity(str(copy))
    assert found == {name: sha256(copy / name) for name in found}
    assert set(found) >= {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    }
    assert not [name for name in found if "fp16" in name or "unrelated" in name]


def test_identity_reads_the_hash_from_a_hub_cache(copy: Path, hub: Path) -> None:
    snapshot = cached(hub, copy)
    weights = (snapshot / "unet" / "diffusion_pytorch_model.safetensors").resolve()
    plain = files.identity(str(copy))
    weights.write_bytes(b"not read")
    assert files.identity("owner/model") == plain
    assert files.find("owner/model").path == snapshot


def test_identity_with_another_vae_and_loras(copy: Path, tmp_path: Path) -> None:
    lora = tmp_path / "style.safetensors"
    lora.write_bytes(b"lora")
    found = files.identity(str(copy), vae=str(copy / "vae"), loras=[{"path": str(lora), "weight": 0.5}])
    assert found["lora0:style.safetensors"] == sha256(lora)
    assert found["vae:config.json"] == sha256(copy / "vae" / "config.json")
    assert not [name for name in found if name.startswith("vae/")]
    # The learned pair stays valid with another autoencoder and LoRAs
    assert files.model_hash(found) == files.model_hash(files.identity(str(copy)))


def test_identity_of_a_single_file(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    assert files.identity(str(file)) == {"model.safetensors": sha256(file)}
    found = files.identity(str(file), config=str(copy))
    assert found["config:unet/config.json"] == sha256(copy / "unet" / "config.json")
    assert not [name for name in found if name.startswith("config:") and name.endswith("safetensors")]


def test_the_model_hash_follows_the_weights(copy: Path) -> None:
    before = files.model_hash(files.identity(str(copy)))
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")
    assert files.model_hash(files.identity(str(copy))) != before


def test_variants_and_shards_are_chosen(copy: Path) -> None:
    unet = copy / "unet"
    plain = unet / "diffusion_pytorch_model.safetensors"
    (unet / "diffusion_pytorch_model.fp16.safetensors").write_text("half")
    found = files.identity(str(copy), variant="fp16")
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in found
    assert "unet/diffusion_pytorch_model.safetensors" not in found
    assert "vae/diffusion_pytorch_model.safetensors" in found
    plain.unlink()
    for number in (1, 2):
        (unet / f"diffusion_pytorch_model-0000{number}-of-00002.safetensors").write_text(str(number))
    (unet / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    assert len([name for name in files.identity(str(copy)) if name.startswith("unet/diff")]) == 3


def edited(name: str, **changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(values))

    return edit


def without(*names: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return edit


def only_half(folder: Path) -> None:
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.fp16.safetensors")


def half_downloaded(folder: Path) -> None:
    unet = folder / "unet"
    name = "diffusion_pytorch_model-00001-of-00002.safetensors"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / name)


FOLDERS: list[tuple[Callable[[Path], None], str | None, str]] = [
    (
        edited("model_index.json", _class_name="Flux2Pipeline"),
        None,
        "family Flux2Pipeline is not supported; known: StableDiffusionPipeline, StableDiffusionXLPipeline, PixArt",
    ),
    (without("model_index.json"), None, "no model_index.json; give a folder or hub id in diffusers' layout"),
    (lambda folder: (folder / "model_index.json").write_text("{"), None, "model_index.json cannot be read"),
    (lambda folder: (folder / "model_index.json").write_text("[]"), None, "is not a JSON object"),
    (
        edited("model_index.json", vae=["diffusers", "AutoencoderDC"]),
        None,
        "vae is of class AutoencoderDC; known: AutoencoderKL, AutoencoderTiny",
    ),
    (edited("model_index.json", unet=[None, None]), None, "has no unet, which StableDiffusionPipeline"),
    (without("unet/config.json"), None, "missing unet/config.json; complete the download"),
    (
        without("unet/diffusion_pytorch_model.safetensors"),
        None,
        "missing unet/diffusion_pytorch_model.safetensors (no other variants there); complete the download",
    ),
    (only_half, None, "variants there: fp16: set model.variant"),
    (half_downloaded, None, "missing unet/diffusion_pytorch_model.safetensors"),
    (lambda folder: None, "fp16", "no weights of variant 'fp16'; no other variants there"),
    (only_half, "bf16", "missing unet/diffusion_pytorch_model.safetensors (variants there: fp16"),
    (without("tokenizer/tokenizer.json"), None, "missing tokenizer/tokenizer.json or tokenizer/merges.txt"),
    (without("scheduler/scheduler_config.json"), None, "missing scheduler/scheduler_config.json"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "variant", "text"), FOLDERS, ids=[text[:40] for _, _, text in FOLDERS])
def test_refused_folders(edit: Callable[[Path], None], variant: str | None, text: str, copy: Path) -> None:
    edit(copy)
    for call in (files.find, files.identity):
        with pytest.raises(ModelError) as caught:
            call(str(copy), variant=variant)
        assert text in str(caught.value)
        assert str(caught.value).startswith(f"model {copy}: ")
        assert "\n" not in str(caught.value)


IDS = [
    (
        "owner/model",
        "not in the hub cache {hub}, and the hub is not reachable; `genir fetch CONFIG` gets it on",
    ),
    (
        "./nowhere",
        "no such folder or file; allowed: a folder, a .safetensors or .ckpt file, a hub id (owner/name)",
    ),
    ("/nowhere/at/all", "no such folder or file"),
    ("model.safetensors", "no such folder or file"),
    ("sdxl", "no such folder or file"),
]


@pytest.mark.parametrize(("id", "text"), IDS)
def test_refused_ids(id: str, text: str, hub: Path) -> None:
    with pytest.raises(ModelError) as caught:
        files.find(id)
    assert text.format(hub=hub) in str(caught.value)
    assert str(caught.value).startswith(f"model {id}: ")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("")
    with pytest.raises(ModelError, match=r"a file must end in .safetensors or .ckpt"):
        files.find(str(tmp_path / "model.gguf"))


def test_an_incomplete_hub_cache_offline_names_what_is_missing(copy: Path, hub: Path) -> None:
    (cached(hub, copy) / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model owner/model: missing vae/diffusion_pytorch_model.safetensors"):
        files.find("owner/model")


def test_an_unknown_revision_offline(copy: Path, hub: Path) -> None:
    cached(hub, copy)
    assert files.find("owner/model", revision="main").path == files.find("owner/model", revision="c" * 40).path
    with pytest.raises(ModelError, match="model owner/model: no such folder, not in the hub cache"):
        files.find("owner/model", revision="other")


VAES = [
    (
        without("config.json"),
        "no config.json; give a folder or hub id with config.json and weights beside it",
    ),
    (
        edited("config.json", _class_name="VQModel"),
        "class VQModel is not supported; known: AutoencoderKL, AutoencoderTiny",
    ),
    (without("diffusion_pytorch_model.safetensors"), "missing vae/diffusion_pytorch_model.safetensors"),
]


@pytest.mark.parametrize(("edit", "text"), VAES, ids=[text[:30] for _, text in VAES])
def test_refused_vaes(edit: Callable[[Path], None], text: str, copy: Path) -> None:
    edit(copy / "vae")
    with pytest.raises(ModelError) as caught:
        files.find_vae(str(copy / "vae"))
    assert text in str(caught.value)


def test_refused_loras(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    folder.mkdir()
    cases = [
        ({"path": str(folder)}, "name one file; there are: no .safetensors files"),
        ({"weight": 1.0}, "allowed keys: id or path, weight (1.0), file"),
        ({"path": str(folder), "scale": 2}, "allowed keys: id or path"),
        ({"path": str(tmp_path / "none.safetensors")}, "no such folder or file"),
    ]
    for lora, text in cases:
        with pytest.raises(ModelError) as caught:
            files.find_lora(lora)
        assert text in str(caught.value)
    for name in ("a.safetensors", "b.safetensors"):
        (folder / name).write_text(name)
    with pytest.raises(ModelError, match=r"there are: a.safetensors, b.safetensors"):
        files.find_lora({"path": str(folder)})
    assert files.find_lora({"path": str(folder), "file": "b.safetensors"}) == folder / "b.safetensors"
