"""Exports read back as their consumers do, by code of our own: what they open, in which order, split at which signs."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(source):
    """RGB, (H, W, 3)."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.array(image.convert("RGB"))


def basicsr_list(root):
    """PairedImageDataset with a meta_info_file: the name before the first space; the LQ has the GT's base name."""
    found = {}
    for line in (root / "meta_info.txt").read_text().split("\n")[:-1]:
        name, shape = line.split(" ")
        gt = pixels(root / "gt" / name)
        assert shape == "(" + ",".join(str(side) for side in gt.shape) + ")"
        lq = root / "lq" / Path(name).name
        found[Path(name).stem] = (gt, pixels(lq) if lq.exists() else None)
    return found


def two_folders(root):
    """BasicSR without a list, neosr, traiNNer-redux: equal stems in both folders, sizes in an exact ratio."""
    gt, lq = ({path.stem: pixels(path) for path in (root / folder).iterdir()} for folder in ("gt", "lq"))
    assert gt.keys() == lq.keys()
    for name in gt:
        (high, wide, _), (low, narrow, _) = gt[name].shape, lq[name].shape
        assert (high % low, wide % narrow, high // low) == (0, 0, wide // narrow)
    return {name: (gt[name], lq[name]) for name in gt}


def realesrgan(root):
    """RealESRGANPairedDataset (`gt, lq` a line) and RealESRGANDataset (a path a line)."""
    found = {}
    for line in (root / "meta_info.txt").read_text().splitlines():
        gt, *lq = line.strip().split(", ")
        assert gt == line.strip().split(" ")[0].removesuffix(",")
        found[Path(gt).stem] = (pixels(root / gt), pixels(root / lq[0]) if lq else None)
    return found


def lmdb(root, role):
    """BasicSR: the key is what stands before the first dot of a line."""
    import lmdb

    folder = root / f"{role}.lmdb"
    found = {}
    with lmdb.open(str(folder), readonly=True, lock=False, readahead=False) as environment, environment.begin() as read:
        for line in (folder / "meta_info.txt").read_text().splitlines():
            key = line.split(".")[0]
            value = bytes(read.get(key.encode("ascii")))
            assert value.startswith(b"\x89PNG")
            found[key] = pixels(value)
            height, width, channels = found[key].shape
            assert line == f"{key}.png ({height},{width},{channels}) 1"
        assert environment.stat()["entries"] == len(found)
    return found


def seesr(root, text):
    """PairedCaptionDataset: three globs of equal length, paired by position (sorted, as it should)."""
    found = {}
    lists = [sorted(root.glob(f"{folder}/*")) for folder in ("gt", "sr_bicubic", text, "lr")]
    assert len({len(one) for one in lists}) == 1
    for gt, sr, words, lr in zip(*lists, strict=True):
        assert (gt.suffix, sr.suffix, lr.suffix, words.suffix) == (".png", ".png", ".png", ".txt")
        assert gt.stem == sr.stem == words.stem == lr.stem
        found[gt.stem] = (pixels(gt), pixels(sr), words.read_text(), pixels(lr))
    return found


def dreamclear(root):
    """The list of pairs, the first line of the caption, and the features of the same name."""
    found = {}
    for line in (root / "meta_info.txt").read_text().splitlines():
        gt, sr = line.split(", ")
        name = Path(gt).stem
        assert Path(sr).stem == name
        caption = (root / "caption" / f"{name}.txt").read_text().splitlines()[0]
        npz = root / "npz" / f"{name}.npz"
        features = dict(np.load(npz)) if npz.exists() else None
        found[name] = (pixels(root / gt), pixels(root / sr), caption, features)
    return found


def jodi(root, split=""):
    """metadata[.split].jsonl: image, info, caption by captioner, labels that may be missing, all of one size."""
    found = {}
    for line in (root / f"metadata{split and '.' + split}.jsonl").read_text().splitlines():
        row = json.loads(line)
        image = pixels(root / row["image"])
        assert row["info"] == {"height": image.shape[0], "width": image.shape[1]}
        labels = {key: pixels(root / path) for key, path in row.items() if key.startswith("annotation_")}
        assert all(label.shape == image.shape for label in labels.values())
        found[Path(row["image"]).stem] = (image, row["caption"], labels)
    return found


CONDITIONS = ("edge", "lineart", "depth", "normal", "albedo", "seg_12colors", "openpose")
BUCKETS = [
    *((512, 2048), (576, 1728), (640, 1600), (704, 1408), (768, 1152), (864, 1152), (896, 1088), (1024, 1024)),
    *((1088, 896), (1152, 864), (1152, 768), (1408, 704), (1600, 640), (1728, 576), (2048, 512)),
]
"""(H, W), one for each of the 15 aspects of Joint-1.6M."""
_RATIOS = (0.25, 0.33, 0.4, 0.5, 0.67, 0.75, 0.82, 1.0, 1.21, 1.33, 1.5, 2.0, 2.5, 3.0, 4.0)


class JointSample:
    """One row, as Jodi's dataset takes it: nearest ratio of H/W, cover, crop in the middle; RGB."""

    def __init__(self, root, row):
        self.row, self.captions = row, row["caption"]
        assert self.captions
        assert all(isinstance(text, str) for text in self.captions.values())
        self.image = pixels(root / row["image"])
        ratio = row["info"]["height"] / row["info"]["width"]
        self.bucket = BUCKETS[min(range(15), key=lambda i: abs(_RATIOS[i] - ratio))]
        self.labels = {}
        for name in CONDITIONS:
            path = row.get(f"annotation_{name}")
            self.labels[name] = None if path is None else pixels(root / path)

    def role(self, name):
        if self.labels[name] is not None:
            return "given"
        return "empty" if name == "openpose" else "ignored"

    def fitted(self, name):
        picture = Image.fromarray(self.image if name == "image" else self.labels[name])
        height, width = self.bucket
        factor = max(height / picture.height, width / picture.width)
        size = max(width, int(picture.width * factor)), max(height, int(picture.height * factor))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        return np.array(picture.crop((left, top, left + width, top + height)))


def joint(root, split=""):
    """Key -> sample of an exported Joint set; every row has the same captioners, as a draw by weights needs them."""
    rows = [json.loads(line) for line in (root / f"metadata{split and '.' + split}.jsonl").read_text().splitlines()]
    assert len({tuple(sorted(row["caption"])) for row in rows}) == 1
    return {Path(row["image"]).stem: JointSample(root, row) for row in rows}
