"""LMDB, WebDataset and Hugging Face exports, read by readers of our own and by the libraries themselves."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import readers
from exported import exported, pictures, rows, stored
from torch.utils.data import DataLoader, Dataset

from genir import images as codec

webdataset = pytest.importorskip("webdataset")
datasets = pytest.importorskip("datasets")
lmdb = pytest.importorskip("lmdb")

# the libraries' own
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def prompts(root, stage):
    return {row["key"]: row["prompt"] for row in rows(root, stage)}


def same(found, expected):
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)


def test_lmdb(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "lmdb")
    for position, role in enumerate(("gt", "lq")):
        assert same(readers.lmdb(out, role), {name: pair[position] for name, pair in pictures(pairs, "lq").items()})
    told = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["name"] for row in told] == sorted(pictures(pairs, "lq"))
    assert all(row["synthetic"] is True for row in told)
    with lmdb.open(str(out / "gt.lmdb"), readonly=True, lock=False) as environment, environment.begin() as read:
        assert codec.read_marked(Path("x"), bytes(read.get(told[0]["name"].encode())))[1]


class LmdbPairs(Dataset):
    """Opens the databases in the worker that reads, as BasicSR does."""

    def __init__(self, root):
        self.root, self.read = root, None
        self.names = [line.split(".")[0] for line in (root / "gt.lmdb/meta_info.txt").read_text().splitlines()]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        if self.read is None:
            opened = [lmdb.open(str(self.root / f"{role}.lmdb"), readonly=True, lock=False) for role in ("gt", "lq")]
            self.read = [one.begin() for one in opened]
        gt, lq = (readers.pixels(bytes(one.get(self.names[index].encode()))) for one in self.read)
        return self.names[index], gt, lq


def test_lmdb_in_a_data_loader_with_workers(pairs, tmp_path):
    loader = DataLoader(LmdbPairs(exported(pairs, tmp_path / "out", "lmdb")), batch_size=None, num_workers=2)
    found = {name: (gt.numpy(), lq.numpy()) for name, gt, lq in loader}
    expected = pictures(pairs, "lq")
    assert same({name: pair[0] for name, pair in found.items()}, {name: pair[0] for name, pair in expected.items()})
    assert same({name: pair[1] for name, pair in found.items()}, {name: pair[1] for name, pair in expected.items()})


def test_a_webp_run_becomes_png_in_lmdb(images, tmp_path):
    from exported import make_pairs

    webp = make_pairs(images, tmp_path / "webp", "image.format=webp", "limit=8")
    expected = {name: readers.pixels(files["hq.webp"]) for name, files in stored(webp, "lq").items()}
    assert same(readers.lmdb(exported(webp, tmp_path / "out", "lmdb"), "gt"), expected)
    data = next((exported(webp, tmp_path / "folders", "basicsr") / "gt").iterdir())
    assert data.suffix == ".webp"


def test_webdataset(pairs, tmp_path):
    out = exported(pairs, tmp_path / "out", "webdataset", "shards_per_file=2")
    tars = sorted(out.glob("*.tar"))
    assert [path.name for path in tars] == [f"train-{number:06d}.tar" for number in range(3)]  # of 5 shards
    pipeline = webdataset.WebDataset([str(path) for path in tars], shardshuffle=False).decode("pil")
    found = {sample["__key__"]: sample for sample in pipeline}
    expected = pictures(pairs, "lq")
    assert same(
        {name: np.asarray(one["hq.png"].convert("RGB")) for name, one in found.items()},
        {n: p[0] for n, p in expected.items()},
    )
    assert same(
        {name: np.asarray(one["lq.png"].convert("RGB")) for name, one in found.items()},
        {n: p[1] for n, p in expected.items()},
    )
    texts = prompts(pairs, "lq")
    for name, sample in found.items():
        assert sample["txt"] == sample["json"]["text"] == texts[name[:9]]
        assert sample["json"]["synthetic"] is True
        assert sample["json"]["steps"]  # what the run knows goes along
    loader = DataLoader(webdataset.WebDataset([str(tars[0])], shardshuffle=False), batch_size=None, num_workers=1)
    with tarfile.open(tars[0]) as tar:
        assert len(list(loader)) == len(tar.getnames()) / 4


def test_webdataset_of_a_small_part_has_no_empty_tar(images, tmp_path):
    out = exported(images, tmp_path / "out", "webdataset", "shards_per_file=1", "split.val=0.05")
    names = Counter(path.name.partition("-")[0] for path in out.glob("*.tar"))
    assert names["train"] == 5
    assert names["val"] < 5
    for path in out.glob("*.tar"):
        with tarfile.open(path) as tar:
            assert tar.getnames()


@pytest.mark.parametrize("name", ["imagefolder", "parquet"])
@pytest.mark.parametrize("kind", ["images", "pairs"])
def test_hugging_face(request, tmp_path, name, kind):
    """`load_dataset` of the folder alone: the card says the rest."""
    source, stage = request.getfixturevalue(kind), {"images": "image", "pairs": "lq"}[kind]
    out = exported(source, tmp_path / "out", name, "split={val: 0.3, by: prompt}", "shards_per_file=2")
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation"}
    columns = ("image",) if kind == "images" else ("hq", "lq")
    expected, texts, seen = pictures(source, stage), prompts(source, stage), []
    for split in loaded.values():
        assert {*columns, "text", "key", "synthetic", "height", "width"} == set(split.column_names)
        assert all(isinstance(split.features[column], datasets.Image) for column in columns)
        for row in split:
            assert row["text"] == texts[row["key"]]
            assert row["synthetic"] is True
            found = [np.asarray(row[column].convert("RGB")) for column in columns]
            assert found[0].shape == (row["height"], row["width"], 3)
            names = [one for one in expected if one.startswith(row["key"])]
            seen += [one for one in names if all(map(np.array_equal, found, expected[one]))]
    assert sorted(seen) == sorted(expected)


def test_few_files_in_a_folder(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("genir.exporters.entry.FOLDER", 4)
    out = exported(pairs, tmp_path / "out", "imagefolder")
    counts = Counter(path.parent for path in out.rglob("*.png"))
    assert max(counts.values()) == 2 * 4
    loaded = datasets.load_dataset("imagefolder", data_dir=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == len(pictures(pairs, "lq"))


def test_an_imagefolder_of_images_is_an_input_of_degrade(images, tmp_path):
    from genir.sources import open_source

    source = open_source(str(exported(images, tmp_path / "out", "imagefolder")))
    expected, texts = pictures(images, "image"), prompts(images, "image")
    for original in source.originals(0, 99):
        key = original.name.rpartition("/")[2][:9]
        assert original.text == texts[key]
        pixels_CHW, synthetic = original.read()
        assert np.array_equal(pixels_CHW.transpose(1, 2, 0), expected[key][0])
        assert synthetic
    assert source.n_tasks == len(expected)


def test_parquet_rows_come_in_groups(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("genir.exporters.parquet._GROUP", 5)
    (file,) = (exported(pairs, tmp_path / "out", "parquet") / "data").iterdir()
    read = pq.ParquetFile(file)
    assert read.num_row_groups > 5
    assert read.metadata.num_rows == len(pictures(pairs, "lq"))
