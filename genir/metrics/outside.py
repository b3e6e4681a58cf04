"""Metrics of other packages: LPIPS (lpips), DISTS (piq), Inception for FID and KID (torch-fidelity), and pyiqa's.

All of them are extras, and nothing here downloads: a weight file that is not there becomes one line that names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import io
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from genir.errors import ConfigError, ExtraError, GenirError, ModelError
from genir.metrics.draws import same_draws
from genir.metrics.metric import Batch, Extractor, Metric

PYIQA = "pyiqa:"
_NONCOMMERCIAL = "PolyForm-Noncommercial-1.0.0 (pyiqa)"


def lpips_metric(net: str, device: torch.device) -> Metric:
    """LPIPS 0.1 on `alex` or `vgg` (Zhang et al. 2018, arXiv 1801.03924) by its authors' package."""
    name = f"lpips_{net}"
    package = _import("lpips", name, "lpips")
    with _only_what_is_there(name):
        model = package.LPIPS(net=net, verbose=False)
    model = model.to(device).eval().requires_grad_(False)

    def score(batch: Batch) -> Tensor:
        one, other = (pixels.float() / 127.5 - 1 for pixels in (batch.images_NCHW, batch.references_NCHW))
        return model(one, other).flatten()

    return Metric(name, score, True, "RGB", _version("lpips"), "BSD-2-Clause", True, weights={net: state_sha256(model)})


def dists_metric(device: torch.device) -> Metric:
    """DISTS (Ding et al. 2020, arXiv 2004.07728) as piq has it."""
    package = _import("piq", "dists", "dists")
    with _only_what_is_there("dists"):
        model = package.DISTS(reduction="none")
    model = model.to(device).eval().requires_grad_(False)

    def score(batch: Batch) -> Tensor:
        return model(batch.images_NCHW.float() / 255, batch.references_NCHW.float() / 255).flatten()

    weights = {"dists": state_sha256(model)}
    return Metric("dists", score, True, "RGB", _version("piq"), "Apache-2.0", True, weights=weights)


def inception(device: torch.device) -> Extractor:
    """The 2048 pool features of FID's Inception (the TensorFlow weights of 2015) by torch-fidelity."""
    package = _import("torch_fidelity.feature_extractor_inceptionv3", "inception", "fid")
    with _only_what_is_there("inception"):
        model = package.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    model = model.to(device).eval()

    @torch.no_grad()
    def extract(images_NCHW: Tensor) -> Tensor:
        return model(images_NCHW)[0].float()

    source = _version("torch-fidelity")
    title = "Inception v3 of 2015: FID, KID"
    return Extractor("inception", extract, title, source, "Apache-2.0", {"inception": state_sha256(model)})


def pyiqa_metric(name: str, device: torch.device) -> Metric:
    """`pyiqa:NAME`: a metric under pyiqa's own name, such as `pyiqa:maniqa-pipal`, which is not `pyiqa:maniqa`."""
    own = name.removeprefix(PYIQA)
    package = _import("pyiqa", name, "pyiqa")
    if own not in (known := package.list_models()):
        raise ConfigError(f"metric {name}: pyiqa has no {own!r}; it has {', '.join(known)}")
    with _only_what_is_there(name):
        model = package.create_metric(own, device=device)
    full = model.metric_mode == "FR"
    weights = {own: state_sha256(model)}

    @torch.no_grad()
    def score(batch: Batch) -> Tensor:
        pictures = [batch.images_NCHW, batch.references_NCHW] if full else [batch.images_NCHW]
        with same_draws(device):
            return model(*(pixels.float() / 255 for pixels in pictures)).flatten()

    space = "as pyiqa's default says"
    return Metric(name, score, model.lower_better, space, _version("pyiqa"), _NONCOMMERCIAL, full, weights=weights)


def state_sha256(model: nn.Module) -> str:
    """SHA-256 over the names and numbers of a network: of what it computes with, wherever that was loaded from."""
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _import(module: str, metric: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExtraError(f"metric {metric} needs {error.name or module}: pip install 'genir[{extra}]'") from None


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


@contextlib.contextmanager
def _only_what_is_there(metric: str) -> Iterator[None]:
    """Load quietly, and answer every attempt to download with the line that a user needs."""

    def refuse(url: str, dst: Any, *_: Any, **__: Any) -> None:
        raise ModelError(
            f"metric {metric}: its weights {dst} are not there; fetch them once: curl --create-dirs -Lo '{dst}' '{url}'"
        )

    with contextlib.ExitStack() as stack:
        stack.enter_context(_replaced("torch.hub", "download_url_to_file", refuse))
        with contextlib.suppress(ImportError):
            stack.enter_context(_replaced("pyiqa.utils.download_util", "download_url_to_file", refuse))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            yield
        except GenirError:
            raise
        except ImportError as error:
            raise ExtraError(f"metric {metric} needs {error.name}: install it beside {metric}'s package") from None
        except Exception as error:  # what a foreign package says of a missing or damaged file can be anything
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if type(error).__name__ == "LocalEntryNotFoundError":  # a backbone that timm takes from the hub by itself
                reason = (
                    "its backbone is not in the Hugging Face cache; run it once with a network, HF_HUB_OFFLINE unset"
                )
            raise ModelError(f"metric {metric}: cannot be loaded: {reason}") from error


@contextlib.contextmanager
def _replaced(module: str, name: str, value: Callable[..., None]) -> Iterator[None]:
    place = importlib.import_module(module)
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)
