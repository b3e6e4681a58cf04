"""Which attention kernel the denoiser uses, and keeping xformers out of the process where it is not used."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from genir.backbone.quiet import quiet
from genir.errors import ModelError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

log = logging.getLogger(__name__)

Attention = Literal["auto", "sdpa", "xformers", "flash"]


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


def use(unet: Any, wanted: Attention, device: torch.device) -> Literal["sdpa", "xformers", "flash"]:
    """Set the denoiser's attention and say which one it is.

    "auto" is torch's scaled_dot_product_attention (SDPA), the same on every machine; it has a flash kernel of its own.
    "xformers", and "flash" (the package flash-attn) for transformers, are used on CUDA when one tiny forward pass
    works, else SDPA with one log line.
    """
    if wanted not in ("xformers", "flash"):
        return "sdpa"
    if device.type != "cuda":
        log.warning("attention %s works on CUDA only, not on %s: using sdpa", wanted, device.type)
        return "sdpa"
    reason = _try_xformers(unet, device) if wanted == "xformers" else _try_flash(unet, device)
    if reason:
        log.warning("attention %s does not work here (%s): using sdpa", wanted, reason)
        return "sdpa"
    return wanted


def _try_xformers(unet: UNet2DConditionModel, device: torch.device) -> str:
    """Switch to xformers; the reason if that is not possible (the denoiser is then unchanged)."""
    if "UNet" not in type(unet).__name__:
        return f"only UNets take it, this is a {type(unet).__name__}"
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
        return _first_line(error)
    return ""


def _try_flash(denoiser: Any, device: torch.device) -> str:
    """Switch to flash-attn by diffusers' dispatcher; the reason if that is not possible."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    if not any(hasattr(getattr(part, "processor", None), "_attention_backend") for part in denoiser.modules()):
        return f"{type(denoiser).__name__} does not ask diffusers' dispatcher; its SDPA has a flash kernel of its own"
    try:
        probe = torch.zeros(1, 16, 2, 64, device=device, dtype=denoiser.dtype)
        with quiet():
            denoiser.set_attention_backend("flash")
            dispatch_attention_fn(probe, probe, probe, backend=AttentionBackendName.FLASH)
    except (ImportError, OSError, RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        with quiet():
            denoiser.reset_attention_backend()
        return _first_line(error)
    return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
