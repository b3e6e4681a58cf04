"""Samplers by name, made from the model's own scheduler config."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from genir.errors import ModelError

NAMES = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
)
"""Samplers that a config may ask for: those the denoising loop is tested with."""


def named(own: Any, wanted: Mapping[str, Any]) -> Any:
    """A sampler of class `wanted["name"]` with the betas and prediction type of the model's own one.

    The other keys are options of that class. Raises ModelError for an unknown name, option or value.
    """
    import diffusers

    options = dict(wanted)
    name = options.pop("name", type(own).__name__)
    if name not in NAMES and name != type(own).__name__:
        near = difflib.get_close_matches(str(name), NAMES, n=3, cutoff=0.3) or NAMES
        raise ModelError(f"scheduler {name}: not known; nearest: {', '.join(near)}")
    cls = getattr(diffusers, name)
    allowed = [key for key in inspect.signature(cls.__init__).parameters if key != "self"]
    for key in options:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=3, cutoff=0.3) or allowed
            raise ModelError(f"scheduler {name}: no option {key}; nearest: {', '.join(near)}")
    try:
        return cls.from_config(own.config, **options)
    except (ValueError, NotImplementedError, TypeError, ImportError) as error:
        raise ModelError(f"scheduler {name} with {options}: {str(error).splitlines()[0]}") from error
