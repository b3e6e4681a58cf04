"""Step caches: a transformer's blocks are skipped where their answer hardly changes from one step to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from genir.backbone.guidance import DenoiserInput, Predict


def enable(denoiser: Any, threshold: float) -> str:
    """Switch diffusers' First Block Cache on; the reason where the model has none.

    The blocks behind the first are skipped while the mean change of the first one's residual, over the whole batch,
    stays below `threshold`: an image then depends on the images denoised with it.
    """
    from diffusers.hooks import FirstBlockCacheConfig
    from diffusers.models.cache_utils import CacheMixin

    if not isinstance(denoiser, CacheMixin):
        return f"diffusers has none for {type(denoiser).__name__}"
    denoiser.enable_cache(FirstBlockCacheConfig(threshold=threshold))
    return ""


def remembering(predict: Predict, denoiser: Any) -> Predict:
    """`predict` for one denoising loop: it remembers nothing of earlier images, and batches with and without a
    negative half apart. Without a step cache `predict` itself.
    """
    if not getattr(denoiser, "is_cache_enabled", False):
        return predict
    denoiser._reset_stateful_cache()

    def cached(latents_NCHW: Tensor, t: Tensor, inputs: DenoiserInput) -> Tensor:
        with denoiser.cache_context(f"{len(latents_NCHW)} images"):
            return predict(latents_NCHW, t, inputs)

    return cached
