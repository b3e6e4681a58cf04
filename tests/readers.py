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
