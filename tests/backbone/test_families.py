"""Every family on a small pipeline of its real classes; the last test prints what each one was seen to do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers
import pyarrow.parquet as pq
import pytest
import tiny_families
import torch
import trainsets
from huggingface_hub import constants
from torch import Tensor

from genir import dualprompt
from genir.backbone import speed, tokenizers
from genir.backbone.families import FAMILIES
from genir.backbone.forward import FlowMatching
from genir.backbone.guidance import DenoiserInput, Guidance, Start
from genir.backbone.hub import Found
from genir.backbone.licences import Licence, licence
from genir.backbone.load import _dtype, load
from genir.backbone.model import Backbone
from genir.backbone.schedulers import FLOW_NAMES
from genir.config.base import load as load_config
from genir.config.generate import Generate
from genir.config.learn import Learn
from genir.dualprompt import DualPrompt
from genir.errors import ConfigError, ModelError
from genir.jobs import learn as learn_job
from genir.jobs.generate import generate
from genir.jobs.generate.dry_run import dry_run
from genir.jobs.generate.launch import Launch
from genir.jobs.learn import learn

# diffusers 0.42 mixes numpy and tensors in ways that numpy 2 deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

CPU = torch.device("cpu")
PROMPTS = ["a photo of a cat", "a red stone house. the green lake"]
SEEDS = [7, 8]
SIZE = (64, 96)
STEPS = 4


@dataclass(frozen=True)
class Case:
    """One model, and how its pipeline is called."""

    build: Callable[[], Any]
    family: str
    call: dict[str, Any]
    guidance: Guidance
    absent: tuple[str, ...] = ()


GUIDED = {"guidance_scale": 4.0, "negative_prompt": ["dirty"] * 2}
PLAIN_SIZE = {"use_resolution_binning": False, "clean_caption": False}
TUNED = {
    "sd": Case(tiny_families.sd, "sd", GUIDED, Guidance(4.0)),
    "sdxl": Case(tiny_families.sdxl, "sdxl", GUIDED, Guidance(4.0)),
    "sd lcm": Case(tiny_families.sd_lcm, "sd", {"guidance_scale": 8.0}, Guidance(8.0)),
    "sdxl lcm": Case(tiny_families.sdxl_lcm, "sdxl", {"guidance_scale": 8.0}, Guidance(8.0)),
    "pixart_alpha": Case(tiny_families.pixart_alpha, "pixart_alpha", {**GUIDED, **PLAIN_SIZE}, Guidance(4.0)),
    "pixart_sigma": Case(tiny_families.pixart_sigma, "pixart_sigma", {**GUIDED, **PLAIN_SIZE}, Guidance(4.0)),
    "sana": Case(tiny_families.sana, "sana", {**GUIDED, **PLAIN_SIZE}, Guidance(4.0)),
    "sd3": Case(tiny_families.sd3, "sd3", GUIDED, Guidance(4.0)),
    "sd3 without T5": Case(
        tiny_families.sd3_without_t5, "sd3", GUIDED, Guidance(4.0), ("text_encoder_3", "tokenizer_3")
    ),
    "flux dev": Case(
        tiny_families.flux,
        "flux",
        {"guidance_scale": 3.5, "true_cfg_scale": 3.0, "negative_prompt": ["dirty"] * 2},
        Guidance(3.5, true_cfg=3.0),
    ),
    "flux schnell": Case(
        tiny_families.flux_schnell, "flux", {"guidance_scale": 0.0, "max_sequence_length": 256}, Guidance(0.0)
    ),
}
WHOLE = {
    "lumina2": Case(tiny_families.lumina2, "lumina2", GUIDED, Guidance(4.0)),
    "cogview4": Case(tiny_families.cogview4, "cogview4", GUIDED, Guidance(4.0)),
    "qwenimage": Case(
        tiny_families.qwenimage, "qwenimage", {"true_cfg_scale": 4.0, "negative_prompt": ["dirty"] * 2}, Guidance(4.0)
    ),
    "zimage": Case(tiny_families.zimage, "zimage", GUIDED, Guidance(4.0)),
}
CASES = {**TUNED, **WHOLE}
SEEN: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root, made = tmp_path_factory.mktemp("families"), {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = root / name.replace(" ", "_")
            CASES[name].build().save_pretrained(made[name])
        return made[name]

    return folder


@pytest.fixture(scope="session")
def backbones(folders: Callable[[str], Path]) -> Callable[[str], Backbone]:
    loaded: dict[str, Backbone] = {}

    def backbone(name: str) -> Backbone:
        if name not in loaded:
            loaded[name] = load(str(folders(name)))
        return loaded[name]

    return backbone


@pytest.fixture
def clean(backbones: Callable[[str], Backbone]) -> Iterator[Callable[[str], Backbone]]:
    """The loaded models without a dual prompt, before and after."""
    used: list[Backbone] = []

    def backbone(name: str) -> Backbone:
        found = backbones(name)
        found.apply(None)
        used.append(found)
        return found

    yield backbone
    for one in used:
        one.apply(None)


def seen(name: str, feature: str) -> None:
    SEEN[name, feature] = "yes"


def opened(folder: Path, case: Case, kind: Any = diffusers.DiffusionPipeline) -> Any:
    pipeline = kind.from_pretrained(
        folder, **dict.fromkeys(case.absent), **({"safety_checker": None} if case.family == "sd" else {})
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in SEEDS]


def told(backbone: Backbone, scale: Guidance, **changes: Any) -> dict[str, Any]:
    return {"size_HW": SIZE, "seeds": SEEDS, "steps": STEPS, "guidance": scale, **changes}


def unpacked(latents: Tensor) -> Tensor:
    """FLUX's packed latents (N, patches, 4 C) of SIZE as (N, C, H, W)."""
    rows, columns = SIZE[0] // 16, SIZE[1] // 16
    patches = latents.reshape(len(latents), rows, columns, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(len(latents), -1, 2 * rows, 2 * columns)


@pytest.mark.parametrize("name", TUNED)
def test_a_familys_loop_equals_its_pipeline(name: str, folders: Any, clean: Any) -> None:
    case, backbone = TUNED[name], clean(name)
    pipeline = opened(folders(name), case)
    common = {"height": SIZE[0], "width": SIZE[1], "num_inference_steps": STEPS}
    expected = pipeline(list(PROMPTS), generator=generators(), output_type="latent", **common, **case.call).images
    expected = unpacked(expected) if case.family == "flux" else expected
    sides = backbone.encode_positive(PROMPTS), backbone.encode_negative("dirty", 2)
    ours = backbone.sample_latents(*sides, **told(backbone, case.guidance))
    # Relative: PixArt's sampler leaves an untrained model's latents in the hundreds
    torch.testing.assert_close(ours, expected, atol=1e-4 * max(1.0, float(expected.abs().max())), rtol=0)
    assert (ours[0] - ours[1]).abs().max() > 1e-3
    with torch.no_grad():
        latents = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
        pixels, broken = backbone.decode_latents(latents)
        config = backbone.vae.config
        raw = latents / config.scaling_factor + (config.get("shift_factor") or 0.0)
        decoded = (pipeline.vae.decode(raw, return_dict=False)[0] / 2 + 0.5).clamp(0, 1)
    assert broken == [False, False]
    assert (pixels.float() - decoded * 255).abs().max() <= 0.51
    seen(name, "generate")


@pytest.mark.parametrize("name", TUNED)
def test_a_familys_empty_negative_is_its_pipelines(name: str, folders: Any, clean: Any) -> None:
    case, backbone = TUNED[name], clean(name)
    if case.guidance.of_passes(backbone.is_told_scale).scale <= 1:
        rows: list[int] = []
        handle = backbone.denoiser.register_forward_pre_hook(
            lambda module, args, kwargs: rows.append(len(args[0] if args else kwargs["hidden_states"])),
            with_kwargs=True,
        )
        backbone.generate(backbone.encode_positive(PROMPTS), None, **told(backbone, case.guidance))
        handle.remove()
        assert rows == [2] * STEPS  # the positive side alone
        return
    call = {**case.call, "negative_prompt": [""] * 2 if case.family.startswith(("pixart", "flux")) else None}
    if call["negative_prompt"] is None and case.family == "sana":
        call["negative_prompt"] = ""
    expected = opened(folders(name), case)(
        list(PROMPTS), generator=generators(), output_type="latent", height=SIZE[0], width=SIZE[1],
        num_inference_steps=2, **call,
    ).images  # fmt: skip
    expected = unpacked(expected) if case.family == "flux" else expected
    sides = backbone.encode_positive(PROMPTS), backbone.encode_negative("", 2)
    ours = backbone.sample_latents(*sides, **told(backbone, case.guidance, steps=2))
    torch.testing.assert_close(ours, expected, atol=1e-4 * max(1.0, float(expected.abs().max())), rtol=0)


class Oracle:
    """An adapter whose answer is always the right one."""

    def __init__(self, backbone: Backbone, clean_NCHW: Tensor) -> None:
        self._own, self._process, self._clean = backbone.adapter, backbone.process, clean_NCHW

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def predict(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        process, shape = self._process, (-1, 1, 1, 1)
        if isinstance(process, FlowMatching):
            return (latents_NCHW - self._clean) / (t / len(process.sigmas_T)).reshape(shape)
        kept = process.kept_T[t.long()].reshape(shape)
        return (latents_NCHW - kept.sqrt() * self._clean) / (1 - kept).sqrt()


@pytest.mark.parametrize("name", TUNED)
def test_a_familys_oracle_has_no_loss_and_lands_on_the_clean_latents(name: str, clean: Any) -> None:
    backbone = clean(name)
    factor = backbone.geometry.factor
    shape = (2, backbone.adapter.channels, SIZE[0] // factor, SIZE[1] // factor)
    draw = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)
    oracle = replace(backbone, adapter=Oracle(backbone, latents))
    step: dict[str, Any] = {"noise_NCHW": noise, "timesteps_N": torch.tensor([40, 700])}
    side = backbone.encode_positive(PROMPTS)
    assert oracle.loss(latents, side, **step).max() < 1e-6
    assert backbone.loss(latents, side, **step).min() > 1e-2
    found = oracle.sample_latents(side, None, **told(backbone, Guidance(1.0), steps=20))
    # Samplers that round their times to whole numbers, and DDIM's last step, leave a little noise
    exact = type(backbone.scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"
    torch.testing.assert_close(found, latents, atol=1e-3 if exact else 0.12, rtol=0)
    middle = backbone.process.noisy(latents, noise, torch.tensor([700, 700]))
    torch.testing.assert_close(
        oracle.process.step(middle, latents, 700, 300),
        backbone.process.noisy(latents, noise, torch.tensor([300, 300])),
        atol=1e-4,
        rtol=0,
    )


def words_pair(backbone: Backbone, positive: str, negative: str) -> DualPrompt:
    """Vectors that are rows of each encoder's own token table."""

    def rows(words: str) -> dict[str, Tensor]:
        found = {}
        for encoder in backbone.text.encoders:
            blank = " " if encoder.name == "gemma" else ""
            ids = encoder.tokenizer.tokenizer(blank + words, add_special_tokens=False).input_ids
            found[encoder.name] = encoder.table.weight[ids].detach().clone()
        return found

    return DualPrompt("tokens", rows(positive), rows(negative), model_id=backbone.id, family=backbone.family)


@pytest.mark.parametrize("name", TUNED)
def test_a_familys_tokens_say_what_the_words_say(name: str, clean: Any) -> None:
    backbone = clean(name)
    positive = backbone.text.encode(["A sharp clean image. the cat", "A sharp clean image. a dog!"], "positive")
    negative = backbone.text.encode(["A dirty red image."], "negative")
    plain = backbone.encode_empty(1)
    backbone.apply(words_pair(backbone, "sharp clean", "dirty red"))
    for ours, expected in (
        (backbone.encode_positive(["the cat", "a dog!"]), positive),
        (backbone.encode_negative("", 1), negative),
        (backbone.encode_empty(1), plain),
    ):
        torch.testing.assert_close(ours.embeds_NLD, expected.embeds_NLD, atol=1e-5, rtol=1e-5)
        for mine, theirs in ((ours.pooled_NP, expected.pooled_NP), (ours.mask_NL, expected.mask_NL)):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    seen(name, "tokens")


def output_pair(backbone: Backbone, count: int = 3) -> DualPrompt:
    torch.manual_seed(3)
    width = backbone.adapter.text_width
    sides = ({"embeds": torch.randn(count, width)}, {"embeds": torch.randn(count, width)})
    if backbone.adapter.pooled_width:
        sides[0]["pooled"] = torch.randn(backbone.adapter.pooled_width)
    return DualPrompt("output", *sides, model_id=backbone.id, family=backbone.family)


@pytest.mark.parametrize("name", TUNED)
def test_a_familys_output_vectors_take_the_last_positions(name: str, clean: Any) -> None:
    backbone = clean(name)
    reader = next((e for e in reversed(backbone.text.encoders) if e.tokenizer.reader.gives_way), None)
    most = 10 if reader is None else reader.tokenizer.most
    full = " ".join(["cat"] * most)
    texts = ["a cat", full]
    plain, dual = backbone.encode_positive(texts), output_pair(backbone)
    backbone.apply(dual)
    joined = backbone.encode_positive(texts)
    assert joined.embeds_NLD.shape == plain.embeds_NLD.shape
    assert torch.equal(joined.embeds_NLD[:, -3:], dual.positive["embeds"].expand(2, -1, -1))
    torch.testing.assert_close(joined.embeds_NLD[0, :-3], plain.embeds_NLD[0, :-3], atol=1e-5, rtol=1e-5)
    if reader is not None and reader.name in ("t5", "gemma"):
        clips = any(e.tokenizer.ids([full])[1] for e in backbone.text.encoders)
        assert plain.truncated == (False, clips)
        assert joined.truncated == (False, True)
    light = tokenizers.load(backbone.id)
    assert tuple(light.truncated(texts, dual)) == joined.truncated
    if plain.mask_NL is None:
        assert joined.mask_NL is None
    else:
        assert joined.mask_NL is not None
        assert joined.mask_NL[:, -3:].all()
        assert torch.equal(joined.mask_NL[0, :-3], plain.mask_NL[0, :-3])
        assert joined.mask_NL[0].sum() == plain.mask_NL[0].sum() + 3
    if plain.pooled_NP is not None and joined.pooled_NP is not None:
        torch.testing.assert_close(joined.pooled_NP[0], plain.pooled_NP[0] + dual.positive["pooled"])
    negative = backbone.encode_negative("", 2)
    assert torch.equal(negative.embeds_NLD[1, -3:], dual.negative["embeds"])

    # They reach the denoiser: other vectors, other latents
    def latents() -> Tensor:
        side = backbone.encode_positive(PROMPTS)
        return backbone.sample_latents(side, None, **told(backbone, Guidance(1.0), steps=1))

    before = latents()
    backbone.apply(replace(dual, positive={"embeds": dual.positive["embeds"] + 1.0}))
    assert (latents() - before).abs().max() > 1e-4
    seen(name, "output")


@pytest.fixture(scope="session")
def training_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trainsets.pairs(tmp_path_factory.mktemp("set"), 3)


LEARNED = [
    *((name, "tokens") for name in ("flux dev", "sd3", "sana", "pixart_alpha")),
    *((name, "output") for name in ("flux schnell", "sd3 without T5", "sana", "pixart_sigma", "sdxl lcm")),
]


@pytest.mark.parametrize(("name", "mode"), LEARNED)
def test_a_family_learns_its_vectors_alone(
    name: str, mode: str, folders: Any, training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load(str(folders(name)))
    parts = [backbone.denoiser, backbone.vae, *(encoder.model for encoder in backbone.text.encoders)]
    before = [copy.deepcopy(part.state_dict()) for part in parts]
    monkeypatch.setattr(learn_job, "load_backbone", lambda *args: backbone)
    pooled = ["learn_pooled=true"] if mode == "output" and backbone.adapter.pooled_width else []
    words = "words={positive: sharp clean photo, negative: blurry dirty house}"
    config = load_config(Learn, None, [
        "size=[64,64]", "device=cpu", "tokens={positive: 3, negative: 3}", words, "batch=2", "steps=10",
        "checkpoint.every=10", "validation={every: null}", f"data.folder={training_set}",
        f"model={folders(name)}", f"run={tmp_path / 'run'}", f"mode={mode}", *pooled,
    ])  # fmt: skip
    assert learn(config) == 0
    ended = dualprompt.load(tmp_path / "run" / "dual.safetensors")
    assert (ended.step, ended.mode, ended.family) == (10, mode, TUNED[name].family)
    names = (
        {e.name for e in backbone.text.encoders} if mode == "tokens" else {"embeds", *(["pooled"] if pooled else [])}
    )
    assert set(ended.positive) == names
    backbone.apply(None)
    begun = learn_job.Learned(backbone, config, None, "").dual(0)
    for side in ("positive", "negative"):
        for key, tensor in getattr(ended, side).items():
            assert not torch.equal(tensor, getattr(begun, side)[key]), (side, key)
    backbone.apply(None)
    for part, state in zip(parts, before, strict=True):
        now = part.state_dict()
        assert now.keys() == state.keys()
        assert all(torch.equal(now[key], tensor) for key, tensor in state.items())
    seen(name, "learn")


def run_config(folder: Path, run: Path, case: Case, *more: str) -> Generate:
    guidance = {"scale": case.guidance.scale, "true_cfg": case.guidance.true_cfg}
    prompts = run.parent / "prompts.txt"
    prompts.write_text(
        "\n".join(f"{word} and a red lake" for word in ("cat", "dog", "house", "stone", "photo", "image"))
    )
    return load_config(Generate, None, [
        f"model={folder}", f"run={run}", f"guidance={json.dumps(guidance)}", "size=[64,64]", "steps=2", "batch=2",
        "shard_size=4", "device=cpu", "gates={face: null, signal: {min_std: 1.0}, quality: {}}", "negative=dirty",
        f"prompts={prompts}", *more,
    ])  # fmt: skip


class Killed(BaseException):
    pass


@pytest.mark.parametrize("name", CASES)
def test_a_familys_run_goes_on_after_a_stop_with_the_same_bytes(
    name: str, folders: Any, backbones: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, folder = CASES[name], folders(name)
    backbone = backbones(name)
    backbone.apply(None)
    monkeypatch.setattr(Launch, "backbone", lambda self: backbone)
    assert generate(run_config(folder, tmp_path / "whole", case, "limit=6")) == 0
    made = Backbone.generate
    calls: list[int] = []

    def dies(self: Backbone, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Killed
        return made(self, *args, **options)

    monkeypatch.setattr(Backbone, "generate", dies)
    with pytest.raises(Killed):
        generate(run_config(folder, tmp_path / "broken", case, "limit=6"))
    assert generate(run_config(folder, tmp_path / "broken", case, "limit=6")) == 0
    assert len(calls) in (4, 5)  # the batch in flight, or all of the shard, is made again
    whole, broken = (sorted((tmp_path / run / "image").glob("*.*")) for run in ("whole", "broken"))
    assert [path.name for path in whole] == [path.name for path in broken]
    for ours, theirs in zip(whole, broken, strict=True):
        if ours.suffix in (".tar", ".parquet"):
            assert ours.read_bytes() == theirs.read_bytes(), ours.name
    rows = [row for path in whole if path.suffix == ".parquet" for row in pq.read_table(path).to_pylist()]
    assert [row["verdict"] for row in rows if row["verdict"] == "error"] == []
    assert len({row["pixels_sha256"] for row in rows}) == 6
    assert any(row["verdict"] == "kept" for row in rows)
    environment = json.loads((tmp_path / "whole" / "env.json").read_text())
    assert environment["model_licence"] == "unknown"
    assert environment["outputs_may_train"] == "unknown"
    seen(name, "resume")


IMG2IMG = {"sd3": diffusers.StableDiffusion3Img2ImgPipeline, "flux dev": diffusers.FluxImg2ImgPipeline}


@pytest.mark.parametrize("name", TUNED)
def test_a_family_edits_pictures(name: str, folders: Any, clean: Any) -> None:
    case, backbone = TUNED[name], clean(name)
    images = torch.randint(0, 256, (2, 3, *SIZE), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    latents = backbone.encode_images(images, SEEDS)
    sides = backbone.encode_positive(PROMPTS), backbone.encode_negative("dirty", 2)

    def edited(strength: float, scale: Guidance = case.guidance) -> Tensor:
        start = Start(latents, strength)
        return backbone.sample_latents(*sides, **told(backbone, scale, steps=5), start=start)

    if name in IMG2IMG:
        expected = opened(folders(name), case, IMG2IMG[name])(
            list(PROMPTS), image=latents, strength=0.6, height=SIZE[0], width=SIZE[1], num_inference_steps=5,
            generator=generators(), output_type="latent", **case.call,
        ).images  # fmt: skip
        expected = unpacked(expected) if case.family == "flux" else expected
        torch.testing.assert_close(edited(0.6), expected, atol=1e-4, rtol=0)
    if not backbone.is_told_scale:
        quiet = Guidance(1.0)
        near, far = ((edited(strength, quiet) - latents).abs().mean() for strength in (0.2, 1.0))
        assert near < far
    oracle = replace(backbone, adapter=Oracle(backbone, latents))
    back = oracle.sample_latents(sides[0], None, **told(backbone, Guidance(1.0), steps=20), start=Start(latents, 0.6))
    torch.testing.assert_close(back, latents, atol=0.12, rtol=0)
    seen(name, "SDEdit")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_familys_images_are_its_pipelines(name: str, folders: Any, backbones: Any) -> None:
    case, backbone = WHOLE[name], backbones(name)
    options = {"height": SIZE[0], "width": SIZE[1], "num_inference_steps": STEPS, "output_type": "pt"}
    pipeline = opened(folders(name), case)
    expected = pipeline(list(PROMPTS), generator=generators(), **options, **case.call).images
    side, other = backbone.encode_positive(PROMPTS), backbone.encode_negative("dirty", 2)
    pixels, broken = backbone.generate(side, other, **told(backbone, case.guidance))
    assert broken == [False, False]
    assert (pixels.float() - expected * 255).abs().max() <= 0.51
    alone, _ = backbone.generate(
        side.rows(slice(1, 2)), other.rows(slice(1, 2)), **told(backbone, case.guidance, seeds=[8])
    )
    assert (alone[0].int() - pixels[1].int()).abs().float().mean() < 1.0  # other lengths of padding, little more
    assert backbone.encode_positive(["a cat", "cat " * 3000]).truncated == (False, True)
    seen(name, "generate")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_family_refuses_in_one_line(
    name: str, folders: Any, backbones: Any, training_set: Path, tmp_path: Path
) -> None:
    backbone, folder, case = backbones(name), folders(name), WHOLE[name]
    family = case.family
    for call in (
        lambda: backbone.encode_images(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [1]),
        lambda: backbone.apply(DualPrompt("output", {}, {}, model_id="x", family=family)),
        lambda: backbone.loss(
            torch.zeros(1, 4, 8, 8),
            backbone.encode_positive(["a"]),
            noise_NCHW=torch.zeros(1, 4, 8, 8),
            timesteps_N=torch.tensor([1]),
        ),
    ):
        with pytest.raises(ModelError, match=f"family {family} only generates") as caught:
            call()
        assert "\n" not in str(caught.value)
    side = backbone.encode_positive(PROMPTS)
    with pytest.raises(ConfigError, match="knows scale alone"):
        backbone.generate(side, side, **told(backbone, Guidance(4.0, start=0.2)))
    with pytest.raises(ConfigError, match=f"guidance: family {family} runs in its pipeline's own call"):
        list(dry_run(run_config(folder, tmp_path / "run", case, "guidance.start=0.2")))
    with pytest.raises(ConfigError, match=f"offload_text_encoders: family {family} encodes in its pipeline's own call"):
        list(dry_run(run_config(folder, tmp_path / "run", case, "offload_text_encoders=true")))
    with pytest.raises(ConfigError, match=f"micro: family {family} is told no sizes, only sdxl is; leave micro out"):
        list(dry_run(run_config(folder, tmp_path / "run", case, "micro.crop=[8, 8]")))
    settings = [f"data.folder={training_set}", f"model={folder}", f"run={tmp_path / 'learn'}", "device=cpu"]
    with pytest.raises(
        ConfigError, match=f"family {family} only generates, genir learn cannot use it; families it can"
    ):
        learn(load_config(Learn, None, settings))
    vectors = {"embeds": torch.zeros(2, 8)}
    dualprompt.save(DualPrompt("output", vectors, vectors, model_id="x", family="sd"), tmp_path / "pair.safetensors")
    with pytest.raises(ConfigError, match=f"family {family} only generates, with plain prompts; set dual=null"):
        list(dry_run(run_config(folder, tmp_path / "run", case, f"dual={tmp_path}/pair.safetensors")))


@pytest.mark.parametrize("name", FLOW_NAMES)
def test_a_flow_familys_samplers_by_name(name: str, folders: Any) -> None:
    """All land on the clean latents; LCM, Turbo and Lightning have theirs among `schedulers.NAMES`."""
    for model in ("sd3", "flux dev", "sana"):
        backbone = load(str(folders(model)), scheduler={"name": name})
        assert type(backbone.scheduler).__name__ == name
        size = (2, backbone.adapter.channels, *(side // backbone.geometry.factor for side in SIZE))
        latents = torch.randn(size, generator=torch.Generator().manual_seed(0))
        oracle = replace(backbone, adapter=Oracle(backbone, latents))
        side = backbone.encode_positive(PROMPTS)
        found = oracle.sample_latents(side, None, **told(backbone, Guidance(1.0), steps=10))
        assert (found - latents).abs().mean() < 0.05, model
    with pytest.raises(ModelError, match="scheduler DDIMScheduler: not for a flow matching model; allowed: FlowMatch"):
        load(str(folders("sd3")), scheduler={"name": "DDIMScheduler"})


def test_a_familys_few_steps_say_that_the_negative_is_not_used(folders: Any, tmp_path: Path) -> None:
    vectors = {"embeds": torch.zeros(2, 32)}
    pair = DualPrompt("output", vectors, vectors, model_id=str(folders("flux schnell")), family="flux")
    dualprompt.save(pair, tmp_path / "pair.safetensors")

    def lines(name: str, guidance: dict[str, Any], *more: str) -> list[str]:
        case = replace(CASES[name], guidance=Guidance(**guidance))
        found = dry_run(run_config(folders(name), tmp_path / "run", case, *more))
        return [line for line in found if line.startswith(("one pass", "licence"))]

    dual = f"dual={tmp_path}/pair.safetensors"
    unknown = "licence    unknown; may its images train other models? unknown"
    assert lines("flux schnell", {"scale": 0.0}, dual) == [
        unknown,
        "one pass   guidance 0 is not above 1: no negative pass, the dual prompt's negative side is not used",
    ]
    assert lines("flux dev", {"scale": 3.5}) == [
        unknown,
        "one pass   the model is told guidance 3.5, true_cfg is not above 1: no negative pass, `negative` is not used",
    ]
    assert lines("flux dev", {"scale": 3.5, "true_cfg": 2.0}) == [unknown]
    assert lines("sd3", {"scale": 5.0}) == [unknown]
    with pytest.raises(ConfigError, match=r"guidance.true_cfg is 2.0: only for models that are told the scale"):
        lines("sd3", {"scale": 5.0, "true_cfg": 2.0})


def test_a_familys_config_without_its_model_fails_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = load_config(Generate, "configs/generate_flux.yaml", [f"run={tmp_path / 'run'}", "device=cpu"])
    for call in (generate, lambda config: list(dry_run(config))):
        with pytest.raises(ModelError, match=r"not in the hub cache .*, and the hub is not reachable; ") as caught:
            call(config)
        assert str(caught.value).startswith("model black-forest-labs/FLUX.1-schnell: ")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_familys_licence_is_known_by_its_name_or_card(tmp_path: Path) -> None:
    def found(name: str, card: str = "") -> Licence:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "README.md").write_text(card)
        return licence(Found(f"owner/{name}", "folder", folder))

    assert (found("FLUX.1-schnell").name, found("FLUX.1-schnell").outputs_may_train) == ("apache-2.0", "yes")
    assert found("FLUX.1-dev").in_words() == "restricted: not to train a model that competes with FLUX.1 [dev]"
    for name, expected in (
        ("stable-diffusion-xl-base-1.0", "openrail++"),
        ("stable-diffusion-3.5-large", "stabilityai-ai-community"),
        ("PixArt-XL-2-1024-MS", "openrail++"),
        ("Sana_1600M_1024px_diffusers", "nvidia-license"),
        ("Qwen-Image", "apache-2.0"),
        ("my-own-model", "unknown"),
    ):
        assert found(name).name == expected
    card = "---\nlicense: other\nlicense_name: some-licence\n---\n"
    assert found("FLUX.1-dev", card) == Licence("some-licence", "unknown")


def test_the_table_of_families(capsys: pytest.CaptureFixture[str]) -> None:
    """What the tests above saw, printed."""
    if len({name for name, _ in SEEN}) < len(CASES):
        pytest.skip("only with the other tests of this file")
    features = ("generate", "resume", "tokens", "output", "learn", "SDEdit")
    known = {(name, "learn") for name in ("sd", "sd lcm", "sdxl")}  # tests/jobs/test_learn.py
    lines = [f"{'family':16}" + "".join(f"{feature:>10}" for feature in features)]
    for name in CASES:
        marks = ["yes" if (name, feature) in SEEN.keys() | known else "-" for feature in features]
        lines.append(f"{name:16}" + "".join(f"{mark:>10}" for mark in marks))
        wanted = features if name in TUNED else features[:2]
        assert [feature for feature, mark in zip(features, marks, strict=True) if mark == "yes"] == list(wanted), name
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert {case.family for case in CASES.values()} == set(FAMILIES)


def test_a_pipelines_own_call_and_speed(folders: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What has no part in it is told, and nothing is left in main memory."""
    backbone, meta = load(str(folders("qwenimage"))), torch.device("meta")
    wanted = speed.Speed(channels_last=True, decoder_tile=64, group_offload=True)
    assert speed.use(backbone, wanted, meta, "auto", lambda: None) == []
    assert [record.message for record in caplog.records] == [
        "speed.decoder_tile is not used: family qwenimage runs in its pipeline's own call",
        "speed.channels_last is not used: AutoencoderKLQwenImage has convolutions over time",
        "speed.group_offload is not used: family qwenimage runs in its pipeline's own call",
    ]
    assert {weight.device for weight in backbone.denoiser.parameters()} == {meta}
    assert {weight.device for weight in backbone.vae.parameters()} == {meta}


def test_layers_are_fused_before_they_are_offloaded(folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offloading watches over the layers that it finds; one that is made later would stay in main memory."""
    backbone, found = load(str(folders("sdxl"))), []

    def offload(backbone: Backbone, device: torch.device) -> str:
        found.extend(module for module in backbone.denoiser.modules() if hasattr(module, "to_qkv"))
        return ""

    monkeypatch.setattr(speed, "_group_offload", offload)
    wanted = speed.Speed(fuse_projections=True, group_offload=True)
    assert speed.use(backbone, wanted, CPU, "auto", lambda: None) == ["fuse_projections", "group_offload"]
    assert found


def test_a_single_files_half_precision_is_its_familys(folders: Any) -> None:
    file = Found("flux.safetensors", "file", Path("flux.safetensors"))
    for name, expected in (("flux dev", torch.bfloat16), ("sdxl", torch.float16)):
        assert _dtype("auto", torch.device("cuda"), file, str(folders(name))) == expected
    assert _dtype("auto", torch.device("cuda"), file, None) == torch.float16
    assert _dtype("auto", CPU, file, None) == torch.float32
