"""Samplers by name, made from the model's own scheduler config."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from genir.backbone.forward import is_flow
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

FLOW_NAMES = ("FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler")
"""Likewise, for models of flow matching."""


def named(own: Any, wanted: Mapping[str, Any]) -> Any:
    """A sampler of class `wanted["name"]` with the betas and prediction type (flow matching: the shift) of the model's
    own one.

    The other keys are options of that class. Raises ModelError for an unknown name, option or value.
    """
    import diffusers

    options = dict(wanted)
    name = options.pop("name", type(own).__name__)
    names = FLOW_NAMES if is_flow(own) else NAMES
    if name not in names and name != type(own).__name__:
        if is_flow(own):
            raise ModelError(f"scheduler {name}: not for a flow matching model; allowed: {', '.join(names)}")
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.3) or names
        raise ModelError(f"scheduler {name}: not known; nearest: {', '.join(near)}")
    cls = getattr(diffusers, name)
    allowed = [key for key in inspect.signature(cls.__init__).parameters if key != "self"]
    for key in options:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=3, cutoff=0.3) or allowed
            raise ModelError(f"scheduler {name}: no option {key}; nearest: {', '.join(near)}")
    try:
        return cls.from_config(own.config, **{**_flow_options(own, name), **options})
    except (ValueError, NotImplementedError, TypeError, ImportError) as error:
        raise ModelError(f"scheduler {name} with {options}: {str(error).splitlines()[0]}") from error


def _flow_options(own: Any, name: str) -> dict[str, Any]:
    """What a sampler needs to be told of a flow matching model; nothing for the model's own class."""
    if not is_flow(own) or name == type(own).__name__:
        return {}
    shift = own.config.get("shift", own.config.get("flow_shift", 1.0))
    if name.startswith("FlowMatch"):
        return {"shift": shift}
    return {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
