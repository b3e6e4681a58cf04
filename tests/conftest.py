"""What several test files share."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")

import pytest
from processes import Dummy


@pytest.fixture
def dummy(tmp_path):
    return Dummy(tmp_path / 'a "run" with spaces')
