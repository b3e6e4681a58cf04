from __future__ import annotations

from pathlib import Path

import pytest
import torch
from backbone import tiny

from genir.backbone.initial import initial_vectors
from genir.backbone.load import load
from genir.backbone.model import Backbone
from genir.dualprompt import DualPrompt

torch.set_num_threads(1)


def _with_pair(folder: Path, mode: str) -> Backbone:
    backbone = load(str(folder))
    sides = [initial_vectors(backbone, mode, words, 3) for words in ("sharp clean photo", "blurry dirty")]
    backbone.apply(DualPrompt(mode, *sides, model_id=backbone.id, family=backbone.family))
    for vectors in backbone.vectors().values():
        for vector in vectors.values():
            vector.requires_grad_(True)
    return backbone


@pytest.fixture(params=[("sd", "tokens"), ("sd", "output"), ("sdxl", "tokens"), ("sdxl", "output")], ids="-".join)
def backbone(request: pytest.FixtureRequest, tmp_path: Path) -> Backbone:
    """A tiny model with a pair that can be learned."""
    family, mode = request.param
    return _with_pair(tiny.saved(getattr(tiny, family)(), tmp_path / "model"), mode)
