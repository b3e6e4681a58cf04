"""Metrics and feature extractors by name; nothing is imported or loaded before it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from genir import __version__
from genir.errors import ConfigError
from genir.metrics import outside, stlpips
from genir.metrics.features import network
from genir.metrics.metric import Batch, Extractor, Metric
from genir.metrics.niqe import load_model, niqe, weights_sha256
from genir.metrics.piqe import piqe
from genir.metrics.psnr import psnr
from genir.metrics.ssim import ssim

_OURS, _LICENCE = f"genir {__version__}", "Apache-2.0"
_RGB, _Y, _GRAY = "RGB", "Y of YCbCr (BT.601, 16..235)", "luma (BT.601)"

Build = Callable[[torch.device], Metric]


def metrics(names: Iterable[str], device: torch.device) -> list[Metric]:
    """The metrics of these names, loaded.

    Raises:
        ConfigError: no such metric.
        ExtraError: its package is not installed.
        ModelError: its weights are not there.
    """
    return [_build(name)(device) for name in names]


def extractors(names: Iterable[str], device: torch.device) -> list[Extractor]:
    """The feature extractors of these names, loaded; raises as `metrics` does."""
    return [EXTRACTORS[name](device) for name in names]


def _build(name: str) -> Build:
    if name.startswith(outside.PYIQA):
        return partial(outside.pyiqa_metric, name)
    if name not in METRICS:
        raise ConfigError(f"metric {name}: unknown; there are {', '.join(METRICS)}, and {outside.PYIQA}NAME")
    return METRICS[name]


def _pixels(name: str, of: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> Metric:
    on_y = name.endswith("_y")

    def score(batch: Batch) -> Tensor:
        return of(*(batch.y if on_y else batch.rgb))

    return Metric(name, score, False, _Y if on_y else _RGB, _OURS, _LICENCE, full=True, cropped=True)


def _niqe(name: str, device: torch.device) -> Metric:
    model = load_model(name)
    weights = {name: weights_sha256(name)}
    return Metric(name, lambda batch: niqe(batch.contrast, model), True, _GRAY, _OURS, _LICENCE, weights=weights)


def _piqe(device: torch.device) -> Metric:
    return Metric("piqe", lambda batch: piqe(batch.contrast), True, _GRAY, _OURS, _LICENCE)


def _st_lpips(net: str, device: torch.device) -> Metric:
    model = stlpips.StLpips(net).to(device).eval()
    weights = {net: hashlib.sha256(stlpips.weights_file(net).read_bytes()).hexdigest()}

    @torch.no_grad()
    def score(batch: Batch) -> Tensor:
        return model(batch.images_NCHW, batch.references_NCHW)

    source, licence = f"{_OURS}, weights of stlpips-pytorch", "BSD-2-Clause (weights)"
    return Metric(f"st_lpips_{net}", score, True, _RGB, source, licence, full=True, weights=weights)


def _scene(device: torch.device) -> Extractor:
    model = network.load().to(device)
    weights = {network.NAME: network.weights_sha256()}
    return Extractor("scene", partial(network.scene_features, model=model), network.NAME, _OURS, _LICENCE, weights)


METRICS: dict[str, Build] = {
    "psnr": partial(_pixels, "psnr", psnr),
    "psnr_y": partial(_pixels, "psnr_y", psnr),
    "ssim": partial(_pixels, "ssim", ssim),
    "ssim_y": partial(_pixels, "ssim_y", ssim),
    "st_lpips_alex": partial(_st_lpips, "alex"),
    "st_lpips_vgg": partial(_st_lpips, "vgg"),
    "lpips_alex": partial(outside.lpips_metric, "alex"),
    "lpips_vgg": partial(outside.lpips_metric, "vgg"),
    "dists": outside.dists_metric,
    "niqe_32": partial(_niqe, "niqe_32"),
    "niqe_96": partial(_niqe, "niqe_96"),
    "piqe": _piqe,
}

EXTRACTORS: dict[str, Callable[[torch.device], Extractor]] = {"scene": _scene, "inception": outside.inception}
