"""Losses of the learned pair: what they compare, where their gradients go, and that steps along them help."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from genir.backbone import lora
from genir.backbone.model import Backbone
from genir.backbone.sdxl import Micro
from genir.objective.batch import Examples
from genir.objective.classifier import Classifier, auc, train
from genir.objective.denoise import denoise
from genir.objective.pair import Pair
from genir.objective.reward import Reward


def examples(seed: int, count: int = 2) -> Examples:
    torch.manual_seed(seed)
    latents, noise = torch.randn(2, count, 4, 8, 8)
    micro = tuple(Micro(original=(20 + n, 16), crop=(n, 0)) for n in range(count))
    return Examples(latents, ("a cat", "the red lake")[:count], micro, noise, torch.randint(0, 1000, (count,)))


def sides(backbone: Backbone) -> dict[str, list[torch.nn.Parameter]]:
    return {side: list(vectors.values()) for side, vectors in backbone.vectors().items()}


def reached(parameters: list[torch.nn.Parameter]) -> list[bool]:
    return [parameter.grad is not None and bool(parameter.grad.abs().sum() > 0) for parameter in parameters]


def noisy_lora(backbone: Backbone) -> list[torch.nn.Parameter]:
    tuned = lora.attach(backbone.denoiser, 2, ["attn1", "attn2"], seed=3)
    with torch.no_grad():
        for parameter in tuned:
            parameter.normal_()
    return tuned


def test_denoise_is_the_mean_over_both_prompts_in_one_pass(backbone: Backbone) -> None:
    good, bad = examples(1), examples(2, count=1)
    both = denoise(backbone, good, bad)
    apart = (2 * denoise(backbone, good, None) + denoise(backbone, None, bad)) / 3
    torch.testing.assert_close(both, apart, atol=1e-5, rtol=1e-5)
    denoise(backbone, good, None).backward()
    assert (all(reached(sides(backbone)["positive"])), any(reached(sides(backbone)["negative"]))) == (True, False)
    denoise(backbone, None, bad).backward()
    assert all(reached(sides(backbone)["negative"]))


def test_each_picture_is_told_its_own_size(backbone: Backbone) -> None:
    good = examples(1)
    swapped = replace(good, micro=good.micro[::-1])
    equal = torch.equal(denoise(backbone, good, None), denoise(backbone, swapped, None))
    assert equal == (backbone.family == "sd")


def test_a_caption_of_a_negative_is_never_read(backbone: Backbone) -> None:
    bad = examples(2)
    assert torch.equal(denoise(backbone, None, bad), denoise(backbone, None, replace(bad, captions=("x", "y"))))


def test_pairs_begin_at_log_2_and_steps_widen_the_margins(backbone: Backbone) -> None:
    learned = [vector for vectors in sides(backbone).values() for vector in vectors]
    begun = [vector.detach().clone() for vector in learned]
    pair = Pair(backbone, 500.0, learned, begun)
    good = examples(1)
    bad = replace(good, latents_NCHW=torch.randn_like(good.latents_NCHW))
    first = pair(good, bad)
    torch.testing.assert_close(first, torch.tensor(2.0).log())
    optimizer = torch.optim.Adam(learned, 0.02)
    for _ in range(4):
        optimizer.zero_grad()
        pair(good, bad).backward()
        assert all(reached(learned))
        optimizer.step()
    assert pair(good, bad) < first - 1e-3
    assert all(not torch.equal(now, before) for now, before in zip(learned, begun, strict=True))


def test_the_reference_of_pairs_has_no_lora(backbone: Backbone) -> None:
    learned = [vector for vectors in sides(backbone).values() for vector in vectors]
    tuned = noisy_lora(backbone)
    good = examples(1)
    bad = replace(good, latents_NCHW=torch.randn_like(good.latents_NCHW))
    found = Pair(backbone, 500.0, learned, [vector.detach().clone() for vector in learned])(good, bad)
    assert (found - torch.tensor(2.0).log()).abs() > 1e-3
    found.backward()
    assert all(reached(tuned))
    assert all(parameter.requires_grad for parameter in tuned)


def test_a_lora_that_was_there_before_is_part_of_the_reference(backbone: Backbone) -> None:
    learned = [vector for vectors in sides(backbone).values() for vector in vectors]
    noisy_lora(backbone)
    backbone.denoiser.requires_grad_(False)
    good = examples(1)
    bad = replace(good, latents_NCHW=torch.randn_like(good.latents_NCHW))
    found = Pair(backbone, 500.0, learned, [vector.detach().clone() for vector in learned])(good, bad)
    torch.testing.assert_close(found, torch.tensor(2.0).log())


class Mean(torch.nn.Module):
    """Stands in for the classifier: likes large latents."""

    def forward(self, latents_NCHW: Tensor) -> Tensor:
        return latents_NCHW.mean(dim=(1, 2, 3))


def test_the_reward_reaches_both_prompts_and_rises(backbone: Backbone) -> None:
    learned = [vector for vectors in sides(backbone).values() for vector in vectors]
    reward = Reward(backbone, Mean(), scale=4.0, steps=6)  # type: ignore[arg-type]
    assert reward.stops == 2
    begun = [reward(examples(1), stop) for stop in range(2)]
    assert begun[0] != begun[1]
    optimizer = torch.optim.Adam(learned, 0.02)
    for _ in range(4):
        optimizer.zero_grad()
        reward(examples(1), 0).backward()
        assert all(reached(learned))
        optimizer.step()
    assert reward(examples(1), 0) < begun[0]
    assert not any(parameter.requires_grad for parameter in backbone.denoiser.parameters())


@pytest.mark.parametrize("size", [(8, 8), (6, 12)])
def test_the_classifier_tells_blurred_latents_from_sharp_ones(size: tuple[int, int]) -> None:
    def draw(step: int) -> tuple[Tensor, Tensor]:
        sharp_NCHW = torch.randn(8, 4, *size, generator=torch.Generator().manual_seed(step))
        return sharp_NCHW, torch.nn.functional.avg_pool2d(sharp_NCHW, 3, 1, 1) * 2

    torch.manual_seed(0)
    classifier = Classifier(4)
    train(classifier, draw, 40)
    assert auc(classifier, [draw(1000), draw(1001)]) > 0.95
    assert not any(parameter.requires_grad for parameter in classifier.parameters())


def test_auc_counts_pairs_in_order() -> None:
    values = torch.tensor([0.9, 0.4]).reshape(2, 1, 1, 1), torch.tensor([0.1, 0.4]).reshape(2, 1, 1, 1)
    assert auc(Mean(), [values]) == pytest.approx(3.5 / 4)  # type: ignore[arg-type]
