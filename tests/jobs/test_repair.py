"""`genir verify --repair` and `genir regenerate` on the embedded model: what is made again equals what was recorded."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from processes import TESTS, published

from genir import images
from genir.errors import PlanError, ShardError
from genir.jobs.generate.regenerate import _difference, regenerate
from genir.jobs.generate.repair import repair
from genir.jobs.verify import verify
from genir.runs.saver import row
from genir.shards import reader
from genir.shards.files import ShardFiles

CONFIG = "configs/generate_embedded.yaml"
SMALL = [
    "size=[64,64]",
    "steps=2",
    "batch=2",
    "shard_size=4",
    "device=cpu",
]


def genir(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "genir", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Twelve images of which the limit, between the scores of a pilot, keeps some and rejects some."""
    run = tmp_path_factory.mktemp("sound") / "run"
    bank = run.parent / "bank.txt"
    bank.write_text("".join(f"a lake below {number} hills\n" for number in range(20)))
    limit = 100.0
    for folder in (run.parent / "pilot", run):
        gates = f"gates={{quality: {{piqe: {{max: {limit}}}}}}}"
        done = genir("generate", CONFIG, *SMALL, gates, "limit=12", f"run={folder}", f"prompts={bank}")
        assert done.returncode == 0, done.stderr
        scores = sorted(row["quality_piqe"] for row in rows(folder))
        limit = (scores[7] + scores[8]) / 2
    return run


@pytest.fixture
def run(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "run")


def rows(run):
    return [row for shard in range(3) for row in reader.rows(ShardFiles.of(run / "image", shard, 5))]


def one(run, verdict):
    return next(row["key"] for row in rows(run) if row["verdict"] == verdict)


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def tar_of(run, key):
    return run / "image" / f"{int(key) // 4:06d}.tar"


def test_repair_makes_only_the_bad_batch_again_and_the_bytes_are_the_old_ones(run, sound):
    key = one(run, "kept")
    tar = tar_of(run, key)
    flip(tar, tar.read_bytes().index(b"IDAT", tar.read_bytes().index(f"{key}.png".encode())) + 40)
    damaged = tar.read_bytes()
    done = genir("verify", run, "--repair")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{key}.png" in done.stdout
    assert f"shard {tar.stem}: 1 of 2 batches made again; its files are byte for byte what they were" in done.stderr
    assert done.stdout.endswith("proven: 3 shards, every hash, row and image\n")
    assert published(run) == published(sound)
    assert (run / "image" / f"{tar.name}.bad").read_bytes() == damaged, "nothing is deleted"


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run / "image" / "000000.parquet").unlink(),
        lambda run: flip(run / "image" / "000000.parquet", 100),
        lambda run: (run / "image" / "000000.done").write_text("{"),
        lambda run: flip(run / "image" / "000000.done", 60),
        lambda run: shutil.copy(run / "image" / "000001.done", run / "image" / "000000.done"),
        lambda run: shutil.copy(run / "image" / "000000.tar", run / "image" / "000000.part"),  # and unfinished work
    ],
    ids=["no table", "a bit of the table", "no marker", "a bit of the marker", "another marker", "work above it"],
)
def test_whatever_was_damaged_comes_back(run, sound, damage):
    damage(run)
    flip(run / "image" / "000000.tar", 700)
    assert list(verify(str(run)).bad) == [0]
    repair(str(run), [0], [])
    assert verify(str(run)).code == 0
    assert {name: sha for name, sha in published(run).items() if not name.endswith(".bad")} == published(sound)


def test_a_missing_tar_is_made_again(run, sound):
    tar_of(run, one(run, "kept")).unlink()
    repair(str(run), verify(str(run)).bad, [])
    assert published(run) == published(sound)


def test_a_shard_that_a_worker_holds_is_left_alone(run, caplog):
    from genir import storage

    before = published(run)
    lock = storage.try_lock(run / "image" / "000000.part")
    assert lock is not None
    with caplog.at_level("WARNING"):
        repair(str(run), [0], [])
    os.close(lock)
    assert "a worker is at it" in caplog.text
    assert published(run) == before


@pytest.mark.parametrize("verdict", ["kept", "rejected"])
def test_regenerating_proves_pixels_rows_and_bytes(run, verdict):
    key = one(run, verdict)
    before = published(run)
    lines = list(regenerate(str(run), key, []))
    text = "\n".join(lines)
    assert f"task       {key} of shard {tar_of(run, key).stem}, in its batch of 2: {verdict}" in text
    assert "hardware   and libraries are the run's" in text
    assert "pixels     2 of 2 images have the recorded hash\nrows       2 of 2 are equal in every column" in text
    picture = run / "regenerated" / f"{key}.png"
    assert lines[-1] == f"picture    {picture}"
    recorded = {row["key"]: row["pixels_sha256"] for row in rows(run)}
    assert images.pixels_sha256(images.decode(picture.read_bytes())) == recorded[key]
    assert published(run) == before
    if verdict == "kept":
        assert "picture    equal to the stored one" in text
        assert "3 of 3 stored files" in text or "6 of 6 stored files" in text


def test_on_other_hardware_the_difference_is_shown_and_no_error(run, monkeypatch):
    from genir.backbone.model import Backbone

    generate = Backbone.generate

    def elsewhere(self, *args, **options):
        pixels_NCHW, nonfinite = generate(self, *args, **options)
        return pixels_NCHW ^ 1, nonfinite  # every value is off by one

    monkeypatch.setattr(Backbone, "generate", elsewhere)
    key = one(run, "kept")
    with pytest.raises(ShardError, match=r"other pixels although hardware and libraries are the run's"):
        list(regenerate(str(run), key, []))
    env = json.loads((run / "env.json").read_bytes())
    (run / "env.json").write_text(json.dumps({**env, "device": "A100"}))
    text = "\n".join(regenerate(str(run), key, []))
    assert 'or libraries differ: device: "A100" -> "cpu"' in text
    assert "pixels     0 of 2 images have the recorded hash" in text
    assert "picture    PSNR to the stored one 48.1 dB, largest difference 1 of 255" in text


def test_an_image_with_a_face_is_never_written(run, monkeypatch):
    from genir.jobs.generate import regenerate as job

    recorded = job._rows
    monkeypatch.setattr(
        job,
        "_rows",
        lambda *where: {key: {**row, "reason": "face", "verdict": "rejected"} for key, row in recorded(*where).items()},
    )
    lines = list(regenerate(str(run), one(run, "rejected"), []))
    assert lines[-1] == "picture    not written: face rejected it"
    assert not (run / "regenerated").exists()


def test_what_was_not_judged_is_never_written(run, monkeypatch):
    """A gate behind the face gate failed: the row is an error, with the score of a face."""
    from genir.jobs.generate import regenerate as job

    recorded, facts = job._rows, {"verdict": "error", "reason": "error:RuntimeError", "face_score": 0.9}
    monkeypatch.setattr(job, "_rows", lambda *where: {key: {**row, **facts} for key, row in recorded(*where).items()})
    lines = list(regenerate(str(run), one(run, "kept"), []))
    assert lines[-1] == "picture    not written: error:RuntimeError, it was not judged"
    assert not (run / "regenerated").exists()


def test_a_face_that_other_hardware_makes_is_not_written(run, monkeypatch):
    from genir.jobs.generate import again

    monkeypatch.setattr(again, "row", lambda sample: {**row(sample), "verdict": "rejected", "reason": "face"})
    lines = list(regenerate(str(run), one(run, "kept"), []))
    assert lines[-1] == "picture    not written: face rejected it"
    assert not (run / "regenerated").exists()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("000000020", "no task '000000020'; the run's keys go from 000000000 to 000000019"),
        ("-1", "no task '-1'"),
        ("five", "no task 'five'"),
        ("5", "a key has nine digits: --key 000000005"),
        ("000000013", "000000013 is not recorded yet: shard 000003 is unfinished or bad"),
    ],
)
def test_a_key_that_cannot_be_regenerated_is_one_line(run, key, text):
    with pytest.raises(PlanError) as caught:
        list(regenerate(str(run), key, []))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_override_that_makes_another_run_is_refused(run):
    with pytest.raises(PlanError, match=r"is another run: steps: 2 -> 3"):
        list(regenerate(str(run), "000000000", ["steps=3"]))


def test_psnr_of_a_known_difference():
    black = np.zeros((3, 4, 4), np.uint8)
    assert _difference(black, black) == "equal to the stored one"
    assert _difference(black, black + 255) == "PSNR to the stored one 0.0 dB, largest difference 255 of 255"
