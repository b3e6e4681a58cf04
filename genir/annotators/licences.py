"""What the licences of models say, as far as genir knows it. Not legal advice: the model's own text decides."""

from __future__ import annotations

MODELS = {
    "depth-anything/Depth-Anything-V2-Small-hf": "apache-2.0",
    "depth-anything/Depth-Anything-V2-Base-hf": "cc-by-nc-4.0",
    "depth-anything/Depth-Anything-V2-Large-hf": "cc-by-nc-4.0",
    "Intel/dpt-large": "apache-2.0",
    "Intel/zoedepth-nyu-kitti": "mit",
    "prs-eth/marigold-depth-v1-1": "openrail++",
    "prs-eth/marigold-normals-v1-1": "openrail++",
    "prs-eth/marigold-iid-appearance-v1-1": "openrail++",
    "jingheya/lotus-depth-d-v2-0-disparity": "apache-2.0",
    "jingheya/lotus-normal-d-v1-1": "apache-2.0",
    "zheng95z/rgb-to-x": "adobe-research-licence",
    "shi-labs/oneformer_ade20k_swin_large": "mit",
    "shi-labs/oneformer_ade20k_swin_tiny": "mit",
    "nvidia/segformer-b5-finetuned-ade-640-640": "nvidia-source-code-licence",
    "usyd-community/vitpose-base-simple": "apache-2.0",
    "PekingU/rtdetr_r50vd_coco_o365": "apache-2.0",
    "Salesforce/blip2-opt-2.7b": "mit",
    "Qwen/Qwen2-VL-7B-Instruct": "apache-2.0",
}
"""Hub id -> licence, where the model's folder holds no card that says it."""

COMMERCIAL = frozenset(
    [
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense"),
        *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
        *("openrail", "openrail++", "creativeml-openrail-m", "bigscience-openrail-m"),
    ]
)
"""Licences that allow commercial use (the OpenRAIL ones with restrictions of use). Every other one does not, or is not
known to."""


def allows_commercial_use(licence: str) -> bool:
    """Is commercial use known to be allowed? An unknown licence allows nothing."""
    parts = [part.strip() for part in licence.lower().split(" + ")]
    return all(part in COMMERCIAL for part in parts)
