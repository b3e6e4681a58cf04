"""The twelve classes of Joint-1.6M: colours, and which of ADE20K's 150 classes each of them holds.

Sources: ADE20K's scene parsing benchmark (Zhou et al. 2017; class numbers of its objectInfo150 list, from 1), and the
palette and grouping that Jodi reads (arXiv 2505.19084, its segmentation decoder). What is in no group is "other":
furniture is what people sit, lie and work on, not cabinets, lamps or pictures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

CLASSES = (
    "other",
    "person",
    "animal",
    "plant",
    "water",
    "mountain",
    "sky",
    "building",
    "vehicle",
    "wall, floor, ceiling, rug",
    "road, earth, sand",
    "furniture",
)
PERSON = 1

PALETTE = np.array(
    [
        (0, 0, 127),
        (255, 127, 255),
        (255, 127, 0),
        (127, 255, 0),
        (0, 127, 255),
        (0, 255, 127),
        (127, 255, 255),
        (255, 0, 127),
        (127, 0, 255),
        (255, 255, 127),
        (127, 0, 0),
        (0, 127, 0),
    ],
    np.uint8,
)
"""(12, 3) RGB."""

ADE20K: dict[str, dict[int, str]] = {
    "person": {13: "person"},
    "animal": {127: "animal"},
    "plant": {5: "tree", 10: "grass", 18: "plant", 30: "field", 67: "flower", 73: "palm"},
    "water": {
        22: "water",
        27: "sea",
        57: "pool table",
        61: "river",
        105: "fountain",
        110: "swimming pool",
        114: "waterfall",
        129: "lake",
    },
    "mountain": {17: "mountain", 35: "rock", 69: "hill"},
    "sky": {3: "sky"},
    "building": {
        2: "building",
        26: "house",
        49: "skyscraper",
        52: "grandstand",
        62: "bridge",
        80: "hovel",
        85: "tower",
        89: "booth",
        115: "tent",
        141: "pier",
    },
    "vehicle": {
        21: "car",
        77: "boat",
        81: "bus",
        84: "truck",
        91: "airplane",
        103: "van",
        104: "ship",
        117: "minibike",
        123: "tank",
        128: "bicycle",
    },
    "wall, floor, ceiling, rug": {1: "wall", 4: "floor", 6: "ceiling", 29: "rug"},
    "road, earth, sand": {
        7: "road",
        12: "sidewalk",
        14: "earth",
        47: "sand",
        53: "path",
        55: "runway",
        92: "dirt track",
        95: "land",
    },
    "furniture": {
        8: "bed",
        16: "table",
        20: "chair",
        24: "sofa",
        31: "armchair",
        32: "seat",
        34: "desk",
        46: "counter",
        70: "bench",
        76: "swivel chair",
        98: "ottoman",
        111: "stool",
    },
}
"""Group -> class number -> name. 123 is ADE20K's (storage) tank and 57 its pool table: Jodi reads them as a vehicle and
as water, and labels must agree with the ones it was trained on."""

TO_TWELVE = np.zeros(151, np.uint8)
"""Class number 1..150 -> class 0..11; 0, ADE20K's "unlabelled", is other."""
for _name, _members in ADE20K.items():
    TO_TWELVE[list(_members)] = CLASSES.index(_name)

_MARKS = {1: ("wall",), 3: ("sky",), 5: ("tree",), 13: ("person", "people"), 22: ("water",), 27: ("sea",)}
"""Names by which a model's own list of classes is recognised as ADE20K's in its order."""


def is_ade20k(names: Mapping[int, str]) -> bool:
    """Are a model's classes (number from 0 -> name) ADE20K's 150, in its order?"""
    return len(names) == 150 and all(
        any(mark in str(names.get(number - 1, "")).lower() for mark in marks) for number, marks in _MARKS.items()
    )


def coloured(classes_HW: np.ndarray) -> np.ndarray:
    """uint8 RGB (3, H, W) of classes 0..11."""
    return PALETTE[classes_HW].transpose(2, 0, 1)


def classes_of(pixels_CHW: np.ndarray) -> np.ndarray | None:
    """Classes (H, W) of a picture in the palette; None where a pixel has another colour."""
    red, green, blue = pixels_CHW.astype(np.int32)
    known = {(int(r) << 16) | (int(g) << 8) | int(b): number for number, (r, g, b) in enumerate(PALETTE)}
    codes, inverse = np.unique((red << 16) | (green << 8) | blue, return_inverse=True)
    if any(int(code) not in known for code in codes):
        return None
    return np.array([known[int(code)] for code in codes], np.uint8)[inverse].reshape(red.shape)
