"""Every way to name a model gives the same model; every refusal is one line."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ldm
import pytest
import tiny
import torch
from diffusers import AutoencoderTiny
from huggingface_hub import constants
from safetensors.torch import save_file
from test_files import cached

from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.errors import ModelError


def image(backbone: Backbone) -> torch.Tensor:
    options: dict[str, Any] = {"size_HW": (32, 32), "seeds": [1], "steps": 3, "guidance": Guidance(4.0)}
    return backbone.generate(backbone.encode_positive(["a cat"]), backbone.encode_negative("", 1), **options)[0]


def test_from_a_hub_cache(sd: Backbone, sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cached(tmp_path, sd_folder)
    assert torch.equal(image(load("owner/model")), image(sd))


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_from_a_single_file(suffix: str, sd: Backbone, sd_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / f"model.{suffix}"
    state = ldm.checkpoint(tiny.sd())
    save_file(state, file) if suffix == "safetensors" else torch.save({"state_dict": state}, file)
    found = load(str(file), config=str(sd_folder))
    assert torch.equal(image(found), image(sd))
    assert found.family == "sd"


def test_a_single_file_without_configs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    save_file(ldm.checkpoint(tiny.sd()), tmp_path / "model.safetensors")
    with pytest.raises(
        ModelError,
        match=r"set model.config to a folder with its configs \(model.config .*: no such folder, not in",
    ):
        load(str(tmp_path / "model.safetensors"))


def test_another_vae(sd: Backbone, sd_folder: Path, tmp_path: Path) -> None:
    tiny.vae(seed=9).save_pretrained(tmp_path)
    found = load(str(sd_folder), vae=str(tmp_path))
    assert not torch.equal(image(found), image(sd))
    expected = tiny.vae(seed=9).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.vae.state_dict().items())


def test_a_tiny_autoencoder_as_vae(sd_folder: Path, tmp_path: Path) -> None:
    small = AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    small.save_pretrained(tmp_path)
    found = load(str(sd_folder), vae=str(tmp_path))
    assert found.geometry.multiple == 2
    assert image(found).shape == (1, 3, 32, 32)
    assert found.encode_images(image(found), seeds=[1]).shape == (1, 4, 16, 16)


def test_scheduler_with_options(sd_folder: Path) -> None:
    wanted = {"name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    found = load(str(sd_folder), scheduler=wanted).scheduler
    assert type(found).__name__ == "DPMSolverMultistepScheduler"
    assert found.config.use_karras_sigmas is True
    assert found.config.beta_end == 0.012
    own = load(str(sd_folder), scheduler={"timestep_spacing": "trailing"}).scheduler
    assert (type(own).__name__, own.config.timestep_spacing) == ("DDIMScheduler", "trailing")


def test_loras_are_fused_in_their_weights(sd: Backbone, sd_folder: Path, tmp_path: Path) -> None:
    def layer(backbone: Backbone) -> torch.Tensor:
        return backbone.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight

    first, second = tiny.lora(sd.denoiser, 1), tiny.lora(sd.denoiser, 2)
    save_file(first, tmp_path / "first.safetensors")
    (tmp_path / "second").mkdir()
    save_file(second, tmp_path / "second" / "only.safetensors")
    entries = [{"path": str(tmp_path / "first.safetensors"), "weight": 0.5}, {"id": str(tmp_path / "second")}]
    found = load(str(sd_folder), loras=entries)
    (down_1, up_1), (down_2, up_2) = first.values(), second.values()
    torch.testing.assert_close(layer(found), layer(sd) + 0.5 * up_1 @ down_1 + up_2 @ down_2, atol=1e-5, rtol=1e-5)
    assert not torch.equal(image(found), image(sd))


@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_one_dtype_for_all_parts(family: str, dtype: str, request: pytest.FixtureRequest) -> None:
    found = load(str(request.getfixturevalue(f"{family}_folder")), dtype=dtype)
    parts = [found.denoiser, *(encoder.model for encoder in found.text.encoders)]
    assert {p.dtype for part in parts for p in part.parameters()} == {getattr(torch, dtype)}
    # SDXL's autoencoder overflows in float16 and says so in its config
    upcast = family == "sdxl" and dtype == "float16"
    assert found.vae.dtype == (torch.float32 if upcast else getattr(torch, dtype))
    if dtype == "bfloat16":
        assert image(found).shape == (1, 3, 32, 32)


def test_auto_is_float32_on_a_cpu(sd: Backbone) -> None:
    assert (sd.dtype, sd.device.type) == (torch.float32, "cpu")
    assert sd.prediction_type == "epsilon"
    assert sd.num_train_timesteps == 1000
    assert not any(p.requires_grad for p in sd.denoiser.parameters())


def test_variant(sd: Backbone, tmp_path: Path) -> None:
    folder = tiny.saved(tiny.sd(), tmp_path / "half", variant="fp16")
    assert torch.equal(image(load(str(folder), variant="fp16")), image(sd))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: openrail++\ntags:\n- x\n---\ntext", "openrail++"),
        ("---\nlicense: other\nlicense_name: stabilityai-ai-community\n---\n", "stabilityai-ai-community"),
        ("---\nlicense: other\n---\n", "other"),
        ("license: mit", "unknown"),
        (None, "unknown"),
    ],
)
def test_licence(card: str | None, licence: str, sd_folder: Path, tmp_path: Path) -> None:
    from genir.backbone.hub import Found
    from genir.backbone.licences import licence as found_licence

    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert found_licence(Found("x", "folder", tmp_path)).name == licence


def damaged(folder: Path) -> dict[str, Any]:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    return {}


def other_width(folder: Path) -> dict[str, Any]:
    shutil.rmtree(folder / "text_encoder")
    config = tiny.text_config(tiny.tokenizer())
    config.vocab_size = 10
    tiny.CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return {}


def unfit_lora(folder: Path) -> dict[str, Any]:
    tensors = {"unet.nowhere.lora_A.weight": torch.ones(2, 4), "unet.nowhere.lora_B.weight": torch.ones(4, 2)}
    save_file(tensors, folder / "unfit.safetensors")
    return {"loras": [{"path": str(folder / "unfit.safetensors")}]}


def foreign_lora(folder: Path) -> dict[str, Any]:
    save_file({"something": torch.ones(2)}, folder / "foreign.safetensors")
    return {"loras": [{"path": str(folder / "foreign.safetensors")}]}


def unfit_vae(folder: Path) -> dict[str, Any]:
    tiny.AutoencoderKL(latent_channels=8, norm_num_groups=8, block_out_channels=(16,)).save_pretrained(folder / "wide")
    return {"vae": str(folder / "wide")}


REFUSED: list[tuple[Any, str]] = [
    ({"dtype": "fp16"}, "dtype 'fp16'; allowed: auto, float32, float16, bfloat16"),
    ({"device": "gpu"}, "device 'gpu': not known; allowed: cpu, cuda"),
    ({"attention": "fast"}, "attention 'fast'; allowed: auto, sdpa, xformers"),
    (
        {"scheduler": {"name": "EulerDiscrete"}},
        "scheduler EulerDiscrete: not known; nearest: EulerDiscreteScheduler, ",
    ),
    (
        {"scheduler": {"name": "DDIMScheduler", "eta": 1.0}},
        "scheduler DDIMScheduler: no option eta; nearest: ",
    ),
    (
        {"scheduler": {"name": "DDIMScheduler", "beta_schedule": "x"}},
        "scheduler DDIMScheduler with {'beta_schedule': 'x'}",
    ),
    ({"loras": [{"path": "none.safetensors"}]}, "lora none.safetensors: no such folder or file"),
    ({"loras": [{"path": "x.safetensors", "weight": "1"}]}, "lora x.safetensors: weight '1' is not a number"),
    (damaged, "unet cannot be loaded: "),
    (other_width, "text encoder clip_l: its tokenizer has "),
    (unfit_lora, "unfit.safetensors: cannot be used with this model: "),
    (foreign_lora, "foreign.safetensors: cannot be used with this model: "),
    (
        unfit_vae,
        "the UNet takes 4 channels in, its autoencoder 8; inpainting and edit models are not supported",
    ),
]


@pytest.mark.parametrize(("given", "text"), REFUSED, ids=[text[:35] for _, text in REFUSED])
def test_refused(given: Any, text: str, sd_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sd_folder, tmp_path / "copy"))
    options = given(folder) if callable(given) else given
    with pytest.raises(ModelError) as caught:
        load(str(folder), **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_checkpoint(sd_folder: Path, tmp_path: Path) -> None:
    save_file({"something": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=f"cannot be loaded with the configs of {sd_folder}: .*; model.config must be"):
        load(str(tmp_path / "model.safetensors"), config=str(sd_folder))


def test_xformers_on_a_cpu_falls_back_with_one_line(sd_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="genir"):
        found = load(str(sd_folder), attention="xformers")
    assert found.attention == "sdpa"
    assert [record.message for record in caplog.records] == [
        "attention xformers works on CUDA only, not on cpu: using sdpa"
    ]


def test_the_libraries_log_levels_come_back(sd_folder: Path) -> None:
    from diffusers.utils import logging as diffusers_logging

    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_info()
    load(str(sd_folder))
    assert diffusers_logging.get_verbosity() == diffusers_logging.INFO
    assert diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.set_verbosity(before)


def test_nothing_on_the_screen_and_no_xformers(sd_folder: Path) -> None:
    call = f"from genir.backbone.load import load; load({str(sd_folder)!r})"
    code = f"import sys; {call}; print('xformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
