from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from genir import dualprompt
from genir.backbone import tokenizers
from genir.backbone.guidance import Guidance
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.dualprompt import DualPrompt
from genir.errors import ModelError
from genir.records import Conditioning

LONG = "the red cat the green dog " * 8


def word_vectors(backbone: Backbone, words: str) -> dict[str, torch.Tensor]:
    """Rows of each encoder's own token table."""
    found = {}
    for encoder in backbone.text.encoders:
        ids = encoder.tokenizer.tokenizer(words, add_special_tokens=False).input_ids
        assert len(ids) == len(words.split())
        found[encoder.name] = encoder.table.weight[ids].detach().clone()
    return found


def tokens_pair(backbone: Backbone, positive: str = "sharp clean", negative: str = "dirty blurry red") -> DualPrompt:
    sides = word_vectors(backbone, positive), word_vectors(backbone, negative)
    return DualPrompt("tokens", *sides, model_id=backbone.id, family=backbone.family)


def output_pair(backbone: Backbone, count: int = 4) -> DualPrompt:
    torch.manual_seed(3)
    width = backbone.adapter.text_width
    sides = ({"embeds": torch.randn(count, width)}, {"embeds": torch.randn(count, width)})
    return DualPrompt("output", *sides, model_id=backbone.id, family=backbone.family)


@pytest.fixture(params=["sd", "sdxl"])
def backbone(request: pytest.FixtureRequest) -> Any:
    found: Backbone = request.getfixturevalue(request.param)
    found.apply(None)
    yield found
    found.apply(None)


def assert_same(a: Conditioning, b: Conditioning) -> None:
    torch.testing.assert_close(a.embeds_NLD, b.embeds_NLD, atol=1e-6, rtol=1e-6)
    assert (a.pooled_NP is None) == (b.pooled_NP is None)
    if a.pooled_NP is not None and b.pooled_NP is not None:
        torch.testing.assert_close(a.pooled_NP, b.pooled_NP, atol=1e-6, rtol=1e-6)


def test_vectors_equal_to_words_encode_as_the_words(backbone: Backbone) -> None:
    """Both sides, the positions of the tokens and the pooled vector."""
    by_words = backbone.text.encode(["A sharp clean image. the cat", "A sharp clean image. a dog!"], None)
    negative_by_words = backbone.text.encode(["A dirty blurry red image."], None)
    backbone.apply(tokens_pair(backbone))
    assert_same(backbone.encode_positive(["the cat", "a dog!"]), by_words)
    assert_same(backbone.encode_negative("", 1), negative_by_words)
    assert backbone.encode_negative("", 3).embeds_NLD.shape[0] == 3


def test_a_text_beside_the_learned_negative_comes_last(backbone: Backbone) -> None:
    by_words = backbone.text.encode(["A dirty blurry red image. stone"], None)
    backbone.apply(tokens_pair(backbone))
    assert_same(backbone.encode_negative("stone", 1), by_words)


def test_the_plain_side_and_removal_are_untouched(backbone: Backbone) -> None:
    plain = backbone.encode_positive(["a cat"])
    empty = backbone.encode_empty(2)
    backbone.apply(tokens_pair(backbone))
    assert not torch.equal(backbone.encode_positive(["a cat"]).embeds_NLD, plain.embeds_NLD)
    assert_same(backbone.encode_empty(2), empty)
    backbone.apply(None)
    assert_same(backbone.encode_positive(["a cat"]), plain)


def test_a_word_after_the_tokens_changes_the_pooled_vector(sdxl: Backbone) -> None:
    """Pooling at the largest id would pool at a learned token, which sees nothing after it."""
    sdxl.apply(tokens_pair(sdxl))
    pooled_NP = sdxl.encode_positive(["the cat", "the dog"]).pooled_NP
    sdxl.apply(None)
    assert pooled_NP is not None
    assert (pooled_NP[0] - pooled_NP[1]).abs().max() > 1e-3


def test_braces_in_a_prompt_are_only_characters(backbone: Backbone) -> None:
    assert tokenizers.fill("A {tokens} image. {caption}", "{tokens} {caption}", [9]) == [
        "A ",
        [9],
        " image. {tokens} {caption}",
    ]


def test_truncation_is_reported_per_prompt(backbone: Backbone) -> None:
    exact = " ".join(["cat"] * (tiny.LENGTH - 2))
    assert backbone.encode_positive([LONG, "a cat", exact]).truncated == (True, False, False)
    backbone.apply(tokens_pair(backbone))
    # begin + end + A + 2 learned + image + . leave 17 of 24 positions
    room = " ".join(["cat"] * 17)
    assert backbone.encode_positive([room, room + " cat"]).truncated == (False, True)
    backbone.apply(output_pair(backbone))
    room = " ".join(["cat"] * 18)
    assert backbone.encode_positive([room, room + " cat"]).truncated == (False, True)


@pytest.mark.parametrize("mode", ["none", "tokens", "output"])
def test_the_dry_run_tokenizers_agree(backbone: Backbone, mode: str) -> None:
    dual = {"none": None, "tokens": tokens_pair(backbone), "output": output_pair(backbone)}[mode]
    backbone.apply(dual)
    texts = [" ".join(["cat"] * count) for count in range(14, 25)]
    light = tokenizers.load(backbone.id)
    found = light.truncated(texts, dual)
    assert tuple(found) == backbone.encode_positive(texts).truncated
    assert True in found
    assert False in found


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_long_prompt_is_read_in_chunks(family: str, request: pytest.FixtureRequest) -> None:
    """Each as a prompt of its own; the pooled vector is the first one's; learned vectors stand where they stood."""
    folder = str(request.getfixturevalue(f"{family}_folder"))
    one, two = load(folder), load(folder, chunks=2)
    size = tiny.LENGTH - 2
    words = ["cat", "dog"] * size
    halves = [" ".join(words[:size]), " ".join(words[size:])]
    first, second = (one.encode_positive([half]) for half in halves)
    whole = two.encode_positive([" ".join(words), "a cat"])
    assert whole.truncated == (False, False)
    assert whole.embeds_NLD.shape[1] == 2 * tiny.LENGTH
    torch.testing.assert_close(whole.embeds_NLD[0], torch.cat([first.embeds_NLD, second.embeds_NLD], dim=1)[0])
    short, empty = one.encode_positive(["a cat"]), one.encode_positive([""])
    torch.testing.assert_close(whole.embeds_NLD[1], torch.cat([short.embeds_NLD, empty.embeds_NLD], dim=1)[0])
    if first.pooled_NP is not None and whole.pooled_NP is not None and short.pooled_NP is not None:
        torch.testing.assert_close(whole.pooled_NP, torch.cat([first.pooled_NP, short.pooled_NP]))
    assert two.encode_positive([" ".join(words) + " cat"]).truncated == (True,)
    assert tokenizers.load(folder, chunks=2).truncated([" ".join(words), LONG * 2], None) == [False, True]
    two.apply(output_pair(two))
    room = " ".join(words[:-4])
    assert two.encode_positive([room, room + " cat"]).truncated == (False, True)
    assert torch.equal(two.encode_negative("", 1).embeds_NLD[0, -4:], two.vectors()["negative"]["embeds"])
    made = two.sample_latents(
        two.encode_positive([room]),
        two.encode_negative("", 1),
        empty=two.encode_empty(1),
        size_HW=(32, 32),
        seeds=[1],
        steps=2,
        guidance=Guidance(5.0, delay=0.5),
    )
    assert torch.isfinite(made).all()


def test_output_vectors_take_the_last_positions(backbone: Backbone) -> None:
    plain = backbone.encode_positive(["a cat", LONG])
    dual = output_pair(backbone)
    backbone.apply(dual)
    joined = backbone.encode_positive(["a cat", LONG])
    assert joined.embeds_NLD.shape == plain.embeds_NLD.shape
    for row in joined.embeds_NLD:
        assert torch.equal(row[-4:], dual.positive["embeds"])
    assert torch.equal(joined.embeds_NLD[0, :-4], plain.embeds_NLD[0, :-4])
    if plain.pooled_NP is not None and joined.pooled_NP is not None:
        assert torch.equal(joined.pooled_NP[0], plain.pooled_NP[0])
    negative = backbone.encode_negative("", 2)
    assert torch.equal(negative.embeds_NLD[1, -4:], dual.negative["embeds"])
    # The negative is the encoded empty text, not SDXL's zeros, in front of the vectors
    assert torch.equal(negative.embeds_NLD[0, :-4], backbone.text.encode([""], None).embeds_NLD[0, :-4])


def test_a_pooled_vector_is_added(sdxl: Backbone) -> None:
    plain = sdxl.encode_positive(["a cat"]).pooled_NP
    dual = output_pair(sdxl)
    pooled_P = torch.randn(40)
    sdxl.apply(replace(dual, positive=dual.positive | {"pooled": pooled_P}))
    found = sdxl.encode_positive(["a cat"]).pooled_NP
    sdxl.apply(None)
    torch.testing.assert_close(found, plain + pooled_P)


def test_a_file_of_vectors_changes_the_image(backbone: Backbone, tmp_path: Path) -> None:
    def image() -> torch.Tensor:
        sides = backbone.encode_positive(["a cat"]), backbone.encode_negative("", 1)
        options = {"size_HW": (32, 32), "seeds": [1], "steps": 3, "guidance": Guidance(5.0)}
        return backbone.sample_latents(*sides, **options)

    plain = image()
    dualprompt.save(tokens_pair(backbone), tmp_path / "pair.safetensors")
    backbone.apply(dualprompt.load(tmp_path / "pair.safetensors"))
    assert (image() - plain).abs().max() > 1e-2
    assert torch.equal(image(), image())
    backbone.apply(None)
    assert torch.equal(image(), plain)


@pytest.mark.parametrize("mode", ["tokens", "output"])
def test_gradients_reach_only_the_vectors(backbone: Backbone, mode: str) -> None:
    backbone.apply(tokens_pair(backbone) if mode == "tokens" else output_pair(backbone))
    vectors = backbone.vectors()
    learned = [*vectors["positive"].values(), *vectors["negative"].values()]
    assert len(learned) == (2 * len(backbone.text.encoders) if mode == "tokens" else 2)
    assert all(parameter.dtype == torch.float32 for parameter in learned)
    for parameter in learned:
        parameter.requires_grad_(True)
    clean = torch.randn(1, 4, 8, 8)
    step = {"noise_NCHW": torch.randn(1, 4, 8, 8), "timesteps_N": torch.tensor([500])}
    backbone.loss(clean, backbone.encode_positive(["a cat"]), **step).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vectors["positive"].values())
    assert all(p.grad is None or not p.grad.any() for p in vectors["negative"].values())
    backbone.loss(clean, backbone.encode_negative("", 1), **step).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vectors["negative"].values())
    assert not any(p.requires_grad for p in backbone.denoiser.parameters())


def test_the_lora_of_a_pair_is_fused_once(sd_folder: Path) -> None:
    backbone = load(str(sd_folder))
    layer = backbone.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2.to_k
    before = layer.weight.detach().clone()
    tensors = tiny.lora(backbone.denoiser)
    down, up = tensors.values()
    dual = replace(tokens_pair(backbone), lora=tensors)
    backbone.apply(dual)
    backbone.apply(dual)
    after = backbone.denoiser.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight
    torch.testing.assert_close(after, before + up @ down, atol=1e-5, rtol=1e-5)
    with pytest.raises(ModelError, match="load the model again"):
        backbone.apply(None)


def test_a_pair_of_another_model_is_refused(sd: Backbone, sdxl: Backbone) -> None:
    pair = tokens_pair(sd)
    wide = {"clip_l": torch.zeros(2, 48)}
    narrow = {"embeds": torch.zeros(4, 32)}
    many = {"clip_l": torch.zeros(23, tiny.WIDTH)}
    cases = [
        (sdxl, pair, "", f"learned on family sd, but model {sdxl.id} is sdxl"),
        (sd, replace(pair, model_id="other/model"), "", f"learned on model other/model, not on {sd.id}"),
        (sd, replace(pair, model_hash="a" * 64), "b" * 64, f"{'a' * 12}, but this {sd.id} has {'b' * 12}"),
        (sd, replace(pair, positive=wide, negative=wide), "", f"clip_l is 48 wide, model {sd.id} needs 32"),
        (sd, replace(pair, positive=many), "", "23 vectors do not fit into the 24 positions of clip_l"),
        (sdxl, replace(output_pair(sdxl), positive=narrow, negative=narrow), "", "embeds is 32 wide"),
    ]  # fmt: skip
    for backbone, dual, model_hash, text in cases:
        with pytest.raises(ModelError) as caught:
            backbone.apply(dual, model_hash=model_hash)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)
        assert backbone.text.dual is None


def test_equal_hashes_allow_another_id(sd: Backbone) -> None:
    sd.apply(replace(tokens_pair(sd), model_id="elsewhere", model_hash="a" * 64), model_hash="a" * 64)
    assert sd.text.dual is not None
    sd.apply(None)


def test_offloaded_encoders_compute_where_they_always_did(sd_folder, monkeypatch):
    backbone = load(str(sd_folder), device="cpu")
    backbone.apply(tokens_pair(backbone))
    before, places = backbone.encode_positive([LONG, "a cat"]), []
    (encoder,) = backbone.text.encoders
    home = torch.device("cpu", 0)  # the same place by another name, so that going and coming can be told apart
    monkeypatch.setattr(type(encoder.model), "device", home)
    monkeypatch.setattr(encoder.model, "to", places.append)
    backbone.text.offload()
    backbone.text.offload()
    after = backbone.encode_positive([LONG, "a cat"])
    assert [str(place) for place in places] == ["cpu", "cpu", "cpu:0"]
    assert_same(before, after)


@pytest.mark.gpu
def test_offloaded_encoders_free_the_device_and_give_the_same_bytes(sd_folder):
    backbone = load(str(sd_folder), device="cuda")
    before = backbone.encode_positive([LONG, "a cat"])
    backbone.text.offload()
    assert backbone.text.encoders[0].model.device.type == "cpu"
    assert_same(before, backbone.encode_positive([LONG, "a cat"]))
    assert backbone.text.encoders[0].model.device.type == "cuda"
