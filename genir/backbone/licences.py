"""Under which licence a model's weights are, and whether its images may train other models (no torch).

A reading of the licences for orientation, not legal advice; what nobody has read is `unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from genir.backbone import hub
from genir.backbone.hub import Found


@dataclass(frozen=True)
class Licence:
    """Of one model."""

    name: str
    """As its publisher's model card names it, or `unknown`."""
    outputs_may_train: Literal["yes", "restricted", "unknown"]
    """May images that the model made train other models?"""
    note: str = ""
    """Which models they may not train, or what else to read."""

    def in_words(self) -> str:
        """For a line and for env.json."""
        return self.outputs_may_train + (f": {self.note}" if self.note else "")


_USE = "within the use restrictions that the licence hands on"
_STABILITY = (
    "not to make or improve a foundational generative model; above 1 M USD of revenue a year a contract is needed"
)
_NAMED = {
    "apache-2.0": Licence("apache-2.0", "yes"),
    "mit": Licence("mit", "yes"),
    "creativeml-openrail-m": Licence("creativeml-openrail-m", "yes", _USE),
    "openrail++": Licence("openrail++", "yes", _USE),
    "stabilityai-ai-community": Licence("stabilityai-ai-community", "restricted", _STABILITY),
    "sai-nc-community": Licence("sai-nc-community", "restricted", "non-commercial; read the licence"),
    "flux-1-dev-non-commercial-license": Licence(
        "flux-1-dev-non-commercial-license", "restricted", "not to train a model that competes with FLUX.1 [dev]"
    ),
    "nvidia-license": Licence("nvidia-license", "restricted", "NVIDIA's and the Gemma text encoder's terms; read both"),
}
"""Licence, as model cards name it -> what it says."""

_MODELS = (
    (r"stable-diffusion-v?1[-.]?\d.*|sd-v1.*", "creativeml-openrail-m"),
    (r"stable-diffusion-2.*", "openrail++"),
    (r"stable-diffusion-xl-(base|refiner)-.*|sd_xl_base_.*|sdxl-lightning.*|lcm-sdxl.*", "openrail++"),
    (r"sdxl-turbo|sd-turbo", "sai-nc-community"),
    (r"stable-diffusion-3.*", "stabilityai-ai-community"),
    (r"pixart-(xl|sigma|alpha).*", "openrail++"),
    (r"sana_.*", "nvidia-license"),
    (r"flux\.1-schnell", "apache-2.0"),
    (r"flux\.1-dev", "flux-1-dev-non-commercial-license"),
    (r"lumina-image-2\.0|cogview4-6b|qwen-image(-\d+)?|z-image(-turbo|-base)?", "apache-2.0"),
)
"""Names of published repositories -> licence, for folders without a model card."""


def licence(found: Found) -> Licence:
    """What the model card says, else what the name of the model does."""
    name = hub.licence(found)
    if name == "unknown":
        own = PurePosixPath(found.id.rstrip("/")).name.lower().removesuffix(".safetensors")
        name = next((known for pattern, known in _MODELS if re.fullmatch(pattern, own)), "unknown")
    return _NAMED.get(name) or Licence(name, "unknown")
