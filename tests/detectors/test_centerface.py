from pathlib import Path

import pytest
import torch

import genir.detectors
from genir.detectors.centerface import CenterFace, load_centerface, weights_sha256


def test_the_weights_fill_the_network_and_carry_their_licences():
    state = load_centerface().state_dict()
    assert sum(tensor.numel() for name, tensor in state.items() if "running" not in name) > 1_700_000
    assert all(tensor.isfinite().all() for tensor in state.values())
    notice = (Path(genir.detectors.__file__).parent / "weights" / "NOTICE").read_text()
    assert notice.count("MIT License\n\nCopyright (c)") == 2
    assert "Permission is hereby granted, free of charge" in notice
    assert len(weights_sha256()) == 64


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96)])
def test_maps_are_a_quarter_of_the_image(height, width):
    heat, log_size, offset = CenterFace().eval()(torch.zeros(2, 3, height, width))
    assert heat.shape == (2, 1, height // 4, width // 4)
    assert log_size.shape == offset.shape == (2, 2, height // 4, width // 4)
    assert ((heat >= 0) & (heat <= 1)).all()
