from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest
import torch

from genir.backbone import attention
from genir.backbone.model import Backbone


@pytest.fixture
def broken_xformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose xformers was built for another torch: it imports, but has no kernel."""

    def fail(*args: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("No operator found for `memory_efficient_attention_forward`\nfa3F is not supported")

    package, ops = ModuleType("xformers"), ModuleType("xformers.ops")
    ops.memory_efficient_attention = fail  # type: ignore[attr-defined]
    package.ops = ops  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "xformers", package)
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)


@pytest.mark.usefixtures("broken_xformers")
def test_a_kernel_that_fails_leaves_sdpa(sd: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    before = {name: type(processor) for name, processor in sd.denoiser.attn_processors.items()}
    # The probe itself runs on the CPU here; only the device named is CUDA
    reason = attention._try_xformers(sd.denoiser, torch.device("cpu"))
    assert reason == "No operator found for `memory_efficient_attention_forward`"
    assert {name: type(processor) for name, processor in sd.denoiser.attn_processors.items()} == before


def test_auto_and_sdpa_ask_for_nothing(sd: Backbone, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="genir"):
        assert attention.use(sd.denoiser, "auto", torch.device("cuda")) == "sdpa"
        assert attention.use(sd.denoiser, "sdpa", torch.device("cpu")) == "sdpa"
    assert not caplog.records


@pytest.mark.gpu
def test_xformers_equals_sdpa_on_a_gpu(sd_folder: object) -> None:
    from genir.backbone.guidance import Guidance
    from genir.backbone.load import load

    images = []
    for wanted in ("sdpa", "xformers"):
        found = load(str(sd_folder), device="cuda", attention=wanted)
        sides = found.encode_positive(["a cat"]), found.encode_negative("", 1)
        images.append(found.generate(*sides, size_HW=(32, 32), seeds=[1], steps=3, guidance=Guidance(4.0))[0].int())
    assert (images[0] - images[1]).abs().max() <= 2
