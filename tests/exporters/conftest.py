"""One run of images and one of pairs for all formats."""

import pytest
from exported import make_images, make_pairs


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("runs") / "images")


@pytest.fixture(scope="session")
def pairs(images):
    """Two LQs of each image."""
    return make_pairs(images, images.parent / "pairs", "epochs=2")
