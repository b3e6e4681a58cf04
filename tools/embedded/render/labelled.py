"""Rendered scenes with their exact labels: `python -m tools.embedded.render.labelled OUT [--count 48] [--size 256]`.

Writes OUT/image/NAME.png with NAME.txt (what the scene shows), and OUT/annotation_<domain>/NAME.png for edge, lineart,
depth, normal, albedo and segmentation in the conventions of `genir annotate`, which reads them by its backend `stored`:

    genir annotate configs/annotate_stored.yaml run=outputs/scenes      (that file says `scenes`: so call OUT)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from genir.annotators.draw import Sense, label_of
from genir.annotators.segments import CLASSES
from tools.embedded.captions import describe
from tools.embedded.render.canvas import Label, Scene
from tools.embedded.render.scenes import SUBJECTS, render

FAR = 60.0
"""Depth of what lies at infinity, in the units of a scene: sky is the farthest there is."""

_GROUPS = {
    "sky": (Label.SKY, Label.CLOUD, Label.MOON, Label.PLANET, Label.STAR, Label.NEBULA),
    "road, earth, sand": (Label.GROUND, Label.SAND),
    "mountain": (Label.ROCK, Label.SNOW, Label.STONE),
    "water": (Label.WATER,),
    "plant": (Label.GRASS, Label.FOLIAGE, Label.TRUNK, Label.FLOWER),
    "building": (Label.ROOF, Label.WALL, Label.WINDOW, Label.DOOR),
    "wall, floor, ceiling, rug": (Label.BRICK, Label.MORTAR, Label.WOOD),
    "furniture": (Label.TABLE,),
    "other": (Label.FRUIT, Label.BALLOON),
}
"""Class of the twelve -> labels of the renderer; snow lies on mountains and fields, and is called the former."""

TO_TWELVE = np.zeros(len(Label), np.uint8)
for _name, _labels in _GROUPS.items():
    TO_TWELVE[list(_labels)] = CLASSES.index(_name)


def predictions(scene: Scene) -> dict[str, np.ndarray]:
    """Domain -> what a perfect backend would predict."""
    outline_HW = outlines(scene)
    near_HW = 1 / np.clip(np.nan_to_num(scene.depth_HW, posinf=FAR), 0.2, FAR)
    return {
        "edge": outline_HW,
        "lineart": 1 - outline_HW,
        "depth": near_HW,
        "normal": scene.normal_HWC.transpose(2, 0, 1),
        "albedo": scene.albedo_HWC.transpose(2, 0, 1) / np.float32(255),
        "segmentation": TO_TWELVE[scene.label_HW],
    }


def outlines(scene: Scene) -> np.ndarray:
    """Where another class, another depth (by a tenth) or another albedo begins: strength (H, W) 0..1."""
    depth_HW = np.log(np.clip(np.nan_to_num(scene.depth_HW, posinf=FAR), 0.2, FAR))
    albedo_HWC = scene.albedo_HWC.astype(np.float32) / 255
    strength = np.zeros(depth_HW.shape, np.float32)
    for axis in (0, 1):
        cut = (slice(None), slice(1, None)) if axis else (slice(1, None), slice(None))
        steps = [
            np.clip(np.abs(np.diff(depth_HW, axis=axis)) / 0.2, 0, 1),
            (np.diff(scene.label_HW.astype(int), axis=axis) != 0).astype(np.float32),
            np.clip(np.abs(np.diff(albedo_HWC, axis=axis)).max(-1) / 0.4, 0, 1),
        ]
        strength[cut] = np.maximum(strength[cut], np.max(steps, 0))
    return strength


def write(out: Path, count: int, size: int, seed: int) -> None:
    """Scenes of all subjects in turn; a label that its domain does not allow (a flat depth) is left out."""
    subjects = list(SUBJECTS)
    for number in range(count):
        subject = subjects[number % len(subjects)]
        scene = render(subject, seed + number // len(subjects), size)
        name = f"{number:05d}_{subject.replace(' ', '_')}"
        folder = out / "image"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene.image_HWC).save(folder / f"{name}.png")
        text = describe(scene.facts, np.random.default_rng((seed, number)))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        for domain, prediction in predictions(scene).items():
            label = label_of(domain, prediction, scene.label_HW.shape, Sense())
            if label.reason or label.pixels_CHW is None:
                print(f"{name}: no {domain} label: {label.reason}")
                continue
            place = out / f"annotation_{domain}"
            place.mkdir(exist_ok=True)
            pixels = label.pixels_CHW
            Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(place / f"{name}.png")
    (out / "annotation_openpose").mkdir(exist_ok=True)  # nobody is in any of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.out, options.count, options.size, options.seed)


if __name__ == "__main__":
    main()
