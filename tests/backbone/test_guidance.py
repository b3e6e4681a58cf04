from __future__ import annotations

from typing import Any

import diffusers
import pytest
import tiny
import torch
from torch import Tensor

from genir.backbone.adapter import scale_embedding
from genir.backbone.guidance import DenoiserInput, Guidance, denoise
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.backbone.schedulers import NAMES
from genir.errors import ConfigError, Stopped

# diffusers 0.42 mixes numpy and tensors in ways that numpy 2 deprecates
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

SHAPE = (4, 6, 8)


def told(value: float, count: int = 2) -> DenoiserInput:
    return DenoiserInput(torch.full((count, 3, 5), value))


class Recorder:
    """Answers with a fixed share of the latents and remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []

    def __call__(self, latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        self.calls.append(inputs.embeds_NLD[:, 0, 0].tolist())
        return latents_NCHW * 0.1 + inputs.embeds_NLD[:, :1, :1, None] * 0.01


def run(guidance: Guidance, steps: int = 10, **changes: Any) -> tuple[Tensor, list[list[float]]]:
    recorder = Recorder()
    options: dict[str, Any] = {
        "negative": told(-1.0),
        "empty": told(0.0),
        "should_stop": lambda: False,
    } | changes
    sides = told(1.0), options.pop("negative"), options.pop("empty")
    latents = denoise(
        recorder, tiny.scheduler(), SHAPE, *sides, seeds=[1, 2], steps=steps, guidance=guidance, **options
    )
    return latents, recorder.calls


POSITIVE, NEGATIVE, EMPTY = [1.0, 1.0], [-1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("guidance", "calls"),
    [
        (Guidance(4.0), [NEGATIVE] * 10),
        (Guidance(1.0), [POSITIVE] * 10),
        (Guidance(4.0, start=0.2, end=0.7), [POSITIVE] * 2 + [NEGATIVE] * 5 + [POSITIVE] * 3),
        (Guidance(4.0, start=0.3, end=0.3), [POSITIVE] * 10),
        (Guidance(4.0, delay=0.3), [EMPTY] * 3 + [NEGATIVE] * 7),
        (
            Guidance(4.0, start=0.1, end=0.5, delay=0.2),
            [POSITIVE] + [EMPTY] + [NEGATIVE] * 3 + [POSITIVE] * 5,
        ),
        (Guidance(0.0), [POSITIVE] * 10),
    ],
    ids=["whole", "scale-1", "interval", "nothing", "delay", "both", "scale-0"],
)
def test_which_passes_are_run(guidance: Guidance, calls: list[list[float]]) -> None:
    assert run(guidance)[1] == calls


def test_scale_is_diffusers_formula() -> None:
    # One DDIM step is linear in the model's answer, so the result is linear in the scale
    at = {scale: run(Guidance(scale), steps=1)[0] for scale in (1.0, 2.0, 3.0)}
    torch.testing.assert_close(at[3.0], at[1.0] + 2.0 * (at[2.0] - at[1.0]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("guidance", "changes", "missing"),
    [(Guidance(4.0), {"negative": None}, "negative"), (Guidance(4.0, delay=0.5), {"empty": None}, "empty")],
)
def test_a_missing_side_is_named(guidance: Guidance, changes: dict[str, None], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"the {missing} prompt is missing"):
        run(guidance, **changes)


def test_without_guidance_no_other_side_is_needed() -> None:
    assert run(Guidance(1.0, delay=0.5), negative=None, empty=None)[1] == [POSITIVE] * 10


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scale": -1.0}, "guidance.scale is -1.0; allowed: 0 or more"),
        ({"scale": float("nan")}, "guidance.scale is nan"),
        (
            {"scale": 2.0, "start": 0.8, "end": 0.2},
            "guidance.start..end is 0.8..0.2; allowed: 0 <= start <= end <= 1",
        ),
        ({"scale": 2.0, "end": 1.5}, "guidance.start..end is 0.0..1.5"),
        ({"scale": 2.0, "delay": -0.1}, "guidance.delay is -0.1; allowed: 0 .. 1"),
        ({"scale": 2.0, "rescale": 1.1}, "guidance.rescale is 1.1; allowed: 0 .. 1"),
    ],
)
def test_refused_guidance(options: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Guidance(**options)
    assert text in str(caught.value)


def test_stop_is_asked_before_every_step() -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 4

    recorder = Recorder()
    with pytest.raises(Stopped, match="step 3 of 10"):
        denoise(
            recorder, tiny.scheduler(), SHAPE, told(1.0), told(0.0), None,
            seeds=[1, 2], steps=10, guidance=Guidance(2.0), should_stop=stop,
        )  # fmt: skip
    assert len(recorder.calls) == 3


@pytest.mark.parametrize("name", NAMES)
def test_noise_does_not_depend_on_the_batch(name: str) -> None:
    """Initial and later noise, and no state left in the scheduler: 4 = 1 + 2 + 1."""
    scheduler = getattr(diffusers, name).from_config(tiny.scheduler().config)

    def batch(seeds: list[int]) -> Tensor:
        count = len(seeds)
        return denoise(
            lambda latents, t, inputs: latents * 0.1, scheduler, SHAPE, told(1.0, count), None, None,
            seeds=seeds, steps=5, guidance=Guidance(1.0), should_stop=lambda: False,
        )  # fmt: skip

    whole = batch([5, 6, 7, 8])
    assert torch.equal(whole, torch.cat([batch([5]), batch([6, 7]), batch([8])]))
    assert not torch.equal(whole[0], whole[1])


def test_images_do_not_depend_on_their_neighbours(sd: Backbone) -> None:
    texts = ["a cat", "a dog", "red lake", "green house"]

    def batch(at: slice) -> Tensor:
        count = len(texts[at])
        return sd.sample_latents(
            sd.encode_positive(texts[at]), sd.encode_negative("dirty", count),
            size_HW=(32, 32), seeds=[5, 6, 7, 8][at], steps=4, guidance=Guidance(3.0),
        )  # fmt: skip

    parts = [batch(slice(0, 1)), batch(slice(1, 3)), batch(slice(3, 4))]
    torch.testing.assert_close(torch.cat(parts), batch(slice(0, 4)), atol=1e-4, rtol=1e-4)
    assert torch.equal(batch(slice(0, 4)), batch(slice(0, 4)))


def test_the_interval_saves_denoiser_rows(sd: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    handle = sd.denoiser.register_forward_pre_hook(lambda module, args: rows.append(args[0].shape[0]))
    sd.generate(
        sd.encode_positive(["a cat"] * 2), sd.encode_negative("dirty", 2),
        size_HW=(32, 32), seeds=[1, 2], steps=10, guidance=Guidance(5.0, start=0.2, end=0.6),
    )  # fmt: skip
    handle.remove()
    assert rows == [2, 2, 4, 4, 4, 4, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"size_HW": (33, 32)}, "size 33 x 32 (H x W): both must be multiples of 2"),
        ({"size_HW": (0, 32)}, "size 0 x 32"),
        ({"steps": 0}, "steps is 0; allowed: 1 .. 1000"),
        ({"steps": 1001}, "steps is 1001; allowed: 1 .. 1000"),
        ({"seeds": [1]}, "positive prompt for 2 images, but 1 seeds"),
    ],
)
def test_refused_calls(sd: Backbone, changes: dict[str, Any], text: str) -> None:
    options = {"size_HW": (32, 32), "seeds": [1, 2], "steps": 1, "guidance": Guidance(1.0)} | changes
    with pytest.raises(ConfigError) as caught:
        sd.generate(sd.encode_positive(["a", "b"]), None, **options)
    assert text in str(caught.value)


def test_steps_that_a_scheduler_refuses() -> None:
    scheduler = diffusers.LCMScheduler.from_config(tiny.scheduler().config)
    with pytest.raises(ConfigError, match="steps is 60: LCMScheduler refuses it: "):
        denoise(
            Recorder(), scheduler, SHAPE, told(1.0), None, None,
            seeds=[1, 2], steps=60, guidance=Guidance(1.0), should_stop=lambda: False,
        )  # fmt: skip


def test_the_own_scheduler_is_kept_without_a_name(sd_folder: Any) -> None:
    assert type(load(str(sd_folder)).scheduler).__name__ == "DDIMScheduler"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_scale_is_told_as_diffusers_tells_it(dtype: torch.dtype) -> None:
    """Half precision knows an angle of 7,000 to four radians only."""
    scale_N = torch.tensor([8.0, 1.5])
    pipeline: Any = diffusers.StableDiffusionPipeline
    expected = pipeline.get_guidance_scale_embedding(None, scale_N - 1, 255).to(dtype)
    found = scale_embedding(scale_N, 255, dtype)
    assert found is not None
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected)
