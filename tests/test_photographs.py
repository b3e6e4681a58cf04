"""A folder of photographs: what is listed, which text describes it, what is refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from genir.errors import ConfigError, PromptError
from genir.photographs import Photographs
from genir.plan import PhotographPlan


def picture(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)
    return path


def test_names_are_sorted_relative_and_hidden_ones_are_passed_over(tmp_path):
    for name in ("b.png", "a/z.JPG", "a/.hidden.png", ".cache/c.png", "B.tif"):
        picture(tmp_path / name)
    (tmp_path / "notes.md").write_text("no photograph")
    assert Photographs(str(tmp_path), "text").names == ["B.tif", "a/z.JPG", "b.png"]


def test_the_text_beside_a_photograph_goes_before_the_tables(tmp_path):
    for name in ("a.png", "b.png", "sub/c.png", "sub/d.png", "e.png"):
        picture(tmp_path / name)
    (tmp_path / "a.txt").write_text(" a cat,\n  on a sofa \n")
    rows = [{"file_name": f"{name}.png", "text": f"{name} of the table"} for name in ("a", "b", "sub/c", "sub/d")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "sub" / "metadata.csv").write_text("file_name,text\nc.png,nearer\nd.png,\n")
    photographs = Photographs(str(tmp_path), "text")
    found = {name: photographs.caption(name) for name in photographs.names}
    assert found == {
        "a.png": "a cat, on a sofa",
        "b.png": "b of the table",
        "e.png": "",
        "sub/c.png": "nearer",
        "sub/d.png": "sub/d of the table",
    }


def test_another_column_of_a_parquet_table(tmp_path):
    picture(tmp_path / "a.png")
    pq.write_table(pa.table({"file_name": ["a.png"], "blip": ["a stone"]}), tmp_path / "metadata.parquet")
    assert Photographs(str(tmp_path), "blip").caption("a.png") == "a stone"
    assert Photographs(str(tmp_path), "text").caption("a.png") == ""


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        ("metadata.jsonl", '{"file_name": "a.png"', "metadata.jsonl: cannot be read"),
        ("metadata.jsonl", '{"text": "a"}', "metadata.jsonl row 1: no 'file_name'"),
        ("metadata.jsonl", '{"file_name": "/a.png"}', "row 1: no 'file_name' relative to the table"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": 3}', "row 1: 'text' is 3, expected text"),
        ("metadata.parquet", "not parquet", "metadata.parquet: cannot be read"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path, table, content, message):
    picture(tmp_path / "a.png")
    (tmp_path / table).write_text(content)
    with pytest.raises(PromptError) as caught:
        Photographs(str(tmp_path), "text").caption("a.png")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_is_not_utf_8_is_named(tmp_path):
    picture(tmp_path / "a.png").with_suffix(".txt").write_bytes(b"caf\xe9")
    with pytest.raises(PromptError, match=r"a\.txt: not UTF-8 text"):
        Photographs(str(tmp_path), "text").caption("a.png")


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no photograph in it; known endings"):
        Photographs(str(tmp_path), "text")
    with pytest.raises(ConfigError, match="no such folder"):
        Photographs(str(tmp_path / "none"), "text")


def test_another_file_or_size_is_another_set(tmp_path):
    path = picture(tmp_path / "a.png")
    first = Photographs(str(tmp_path), "text").sha256
    assert Photographs(str(tmp_path), "text").sha256 == first
    path.write_bytes(path.read_bytes() + b"more")
    second = Photographs(str(tmp_path), "text").sha256
    picture(tmp_path / "b.png")
    assert len({first, second, Photographs(str(tmp_path), "text").sha256}) == 3


def test_every_photograph_gets_the_size_nearest_to_its_aspect(tmp_path):
    sizes = {"tall.png": (60, 40), "square.png": (50, 52), "wide.png": (40, 90)}
    for name, size in sizes.items():
        picture(tmp_path / name, size)
    (tmp_path / "broken.png").write_bytes(b"no image")
    names = Photographs(str(tmp_path), "text").names
    plan = PhotographPlan(tmp_path, names, ((64, 64), (96, 64), (64, 128)), batch=2, shard_size=3)
    shards = [plan.tasks(shard) for shard in range(plan.n_shards)]
    assert [[(task.key[-1], task.name, task.height, task.width) for task in tasks] for tasks in shards] == [
        [("0", "broken.png", 64, 64), ("1", "square.png", 64, 64), ("2", "tall.png", 96, 64)],
        [("3", "wide.png", 64, 128)],
    ]
    assert [len(batch) for batch in plan.batches(0)] == [2, 1]
