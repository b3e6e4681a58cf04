"""Exported files are read by diffusers itself, and say the same as the pair in genir."""

import pytest
import torch
from backbone import tiny
from safetensors.torch import load_file

from genir import dualprompt
from genir.backbone.load import load
from genir.dualprompt import DualPrompt
from genir.errors import ConfigError, ModelError
from genir.jobs.export_dual import export_dual


def learned(backbone, **more):
    torch.manual_seed(0)
    sides = [
        {encoder.name: torch.randn(3, encoder.table.embedding_dim) for encoder in backbone.text.encoders}
        for _ in range(2)
    ]
    return DualPrompt("tokens", *sides, model_id=backbone.id, family=backbone.family, **more)


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_diffusers_reads_the_files_and_encodes_the_same(tmp_path, family):
    folder = str(tiny.saved(getattr(tiny, family)(), tmp_path / "model"))
    backbone = load(folder)
    dual = learned(backbone)
    dualprompt.save(dual, tmp_path / "pair.safetensors")
    lines = export_dual(str(tmp_path / "pair.safetensors"), str(tmp_path / "out"), "hq")
    backbone.apply(dual)
    ours = backbone.encode_positive(["the cat"]), backbone.encode_negative("", 1)

    pipe = load(folder).make_pipeline()
    loads = [line.strip() for line in lines if line.strip().startswith("pipe.load")]
    assert len(loads) == 2 * len(backbone.text.encoders)
    for line in loads:  # as a user would paste them
        exec(line.replace('("', f'("{tmp_path}/out/'), {"pipe": pipe})
    texts = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith(("prompt", "negative"))}
    assert texts == {"prompt": "A hq_positive image. YOUR PROMPT", "negative": "A hq_negative image."}
    prompt = texts["prompt"].replace("YOUR PROMPT", "the cat")
    encoded = pipe.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True,
                                 negative_prompt=texts["negative"])  # fmt: skip
    for conditioning, embeds_NLD in zip(ours, encoded[:2], strict=True):
        torch.testing.assert_close(conditioning.embeds_NLD, embeds_NLD, atol=1e-5, rtol=1e-5)


def test_comfyui_and_a1111_files_hold_all_encoders(tmp_path):
    backbone = load(str(tiny.saved(tiny.sdxl(), tmp_path / "model")))
    dual = learned(backbone, lora=tiny.lora(backbone.denoiser))
    dualprompt.save(dual, tmp_path / "pair.safetensors")
    export_dual(str(tmp_path / "pair.safetensors"), str(tmp_path / "out"), "hq")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "hq_lora.safetensors",
        *(f"hq_{side}{key}.safetensors" for side in ("negative", "positive") for key in ("", "_clip_g", "_clip_l")),
    ]
    both = load_file(tmp_path / "out" / "hq_negative.safetensors")
    assert set(both) == {"clip_l", "clip_g"}
    assert torch.equal(both["clip_g"], dual.negative["clip_g"])
    assert set(load_file(tmp_path / "out" / "hq_lora.safetensors")) == set(dual.lora)


def test_a_lora_of_one_side_has_no_file(tmp_path):
    backbone = load(str(tiny.saved(tiny.sd(), tmp_path / "model")))
    dual = learned(backbone, lora=tiny.lora(backbone.denoiser), lora_branch="negative")
    dualprompt.save(dual, tmp_path / "pair.safetensors")
    lines = export_dual(str(tmp_path / "pair.safetensors"), str(tmp_path / "out"), "hq")
    assert [line for line in lines if line.startswith("no file")] == [
        "no file    of the LoRA: it acts on the negative side alone, which a LoRA file cannot say"
    ]
    assert not list((tmp_path / "out").glob("*lora*"))


def test_what_cannot_be_exported_is_one_line(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        export_dual("none.safetensors", str(tmp_path), "hq")
    sides = {"embeds": torch.ones(2, 32)}, {"embeds": torch.ones(2, 32)}
    dualprompt.save(DualPrompt("output", *sides, model_id="x", family="sd"), tmp_path / "output.safetensors")
    with pytest.raises(ModelError, match=r"of mode output, .*learn with mode=tokens"):
        export_dual(str(tmp_path / "output.safetensors"), str(tmp_path), "hq")
    with pytest.raises(ConfigError, match="name 'a b': is written in prompts"):
        export_dual(str(tmp_path / "output.safetensors"), str(tmp_path), "a b")
