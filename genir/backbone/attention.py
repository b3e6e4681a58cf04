"""Which attention kernel the denoiser uses, and keeping xformers out of the process where it is not used."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal, get_args

import torch

from genir.errors import ModelError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

log = logging.getLogger(__name__)

Attention = Literal["auto", "sdpa", "xformers"]


def hide_xformers() -> None:
    """Make diffusers believe that xformers is absent; to be called before the first import of diffusers'
    models.

    Diffusers imports an installed xformers at once, which costs seconds and prints a warning wherever it was
    built for another torch or there is no GPU.
    """
    from diffusers.utils import import_utils

    if "diffusers.models.attention_processor" not in sys.modules:
        import_utils._xformers_available = False


def check(wanted: str) -> None:
    """Raise ModelError for a name that is not an `Attention`."""
    if wanted not in get_args(Attention):
        raise ModelError(f"attention {wanted!r}; allowed: {', '.join(get_args(Attention))}")


def use(unet: UNet2DConditionModel, wanted: Attention, device: torch.device) -> Literal["sdpa", "xformers"]:
    """Set the denoiser's attention and say which one it is.

    "auto" is torch's scaled_dot_product_attention (SDPA), the same on every machine. "xformers" is used on
    CUDA when one tiny forward pass works, else SDPA with one log line.
    """
    if wanted != "xformers":
        return "sdpa"
    if device.type != "cuda":
        log.warning("attention xformers works on CUDA only, not on %s: using sdpa", device.type)
        return "sdpa"
    reason = _try_xformers(unet, device)
    if reason:
        log.warning("attention xformers does not work here (%s): using sdpa", reason)
        return "sdpa"
    return "xformers"


def _try_xformers(unet: UNet2DConditionModel, device: torch.device) -> str:
    """Switch to xformers; the reason if that is not possible (the denoiser is then unchanged)."""
    before = unet.attn_processors
    try:
        import xformers.ops
        from diffusers.models import attention_processor
        from diffusers.utils import import_utils

        probe = torch.zeros(1, 16, 2, 64, device=device, dtype=unet.dtype)
        xformers.ops.memory_efficient_attention(probe, probe, probe)
        import_utils._xformers_available = True
        attention_processor.xformers = xformers
        unet.enable_xformers_memory_efficient_attention()
    except (ImportError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        unet.set_attn_processor(before)
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ""
