"""A photograph that nothing was fitted on."""

import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def photograph():
    """uint8 (3, 288, 320)."""
    return np.ascontiguousarray(data.chelsea()[:288, 60:380].transpose(2, 0, 1))
