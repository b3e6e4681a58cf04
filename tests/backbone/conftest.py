from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from genir.backbone.load import load
from genir.backbone.model import Backbone

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.saved(tiny.sd(), tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture(scope="session")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.saved(tiny.sdxl(), tmp_path_factory.mktemp("models") / "sdxl")


@pytest.fixture(scope="session")
def sd(sd_folder: Path) -> Backbone:
    return load(str(sd_folder))


@pytest.fixture(scope="session")
def sdxl(sdxl_folder: Path) -> Backbone:
    return load(str(sdxl_folder))
