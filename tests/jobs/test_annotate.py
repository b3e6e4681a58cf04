"""`genir annotate`: a stage a domain and captioner, resumed, checked, refused in one line; its exports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_server
import numpy as np
import pyarrow.parquet as pq
import pytest
import readers
import yaml
from PIL import Image
from processes import TESTS, published
from skimage import data

from genir.annotators import selfcheck
from genir.annotators.segments import classes_of
from genir.config.annotate import Annotate
from genir.config.base import load
from genir.config.export import Export
from genir.errors import ConfigError, ExtraError, GenirError, ModelError, PlanError
from genir.jobs.annotate import annotate, dry_run, findings
from genir.jobs.export import export
from genir.jobs.report import report
from genir.jobs.select import select
from genir.jobs.status import status
from genir.jobs.verify import verify
from tools.embedded.render import labelled

DOMAINS = ("edge", "lineart", "depth", "normal", "albedo", "segmentation", "openpose")


def config(source, *overrides):
    return load(Annotate, None, [f"source={json.dumps(str(source))}", "device=cpu", *overrides])


def rows(stage):
    return [row for path in sorted(stage.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def exported(source, out, *overrides, format="jodi"):
    changes = [f"input={json.dumps(str(source))}", f"out={out}", f"format={format}", *overrides]
    assert export(load(Export, "configs/export_jodi.yaml", changes)) == 0
    return out


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Rendered scenes of every subject with their exact labels."""
    folder = tmp_path_factory.mktemp("scenes")
    labelled.write(folder, count=24, size=64, seed=0)
    return folder


def stored(scenes, *names):
    return f"domains={json.dumps({name: {'backend': 'stored', 'folder': str(scenes)} for name in names})}"


@pytest.fixture(scope="session")
def annotated(scenes, tmp_path_factory):
    """A run of the scenes with all seven domains."""
    run = tmp_path_factory.mktemp("runs") / "scenes"
    changes = [f"run={run}", stored(scenes, *DOMAINS), "shard_size=8", "checks.agreement=-1"]
    assert annotate(config(scenes / "image", *changes)) == 0
    return run


def photographs(folder):
    folder.mkdir()
    Image.fromarray(data.coffee()[::3, ::3]).save(folder / "a.png")
    (folder / "a.txt").write_text("a cup of coffee")
    Image.fromarray(data.chelsea()[:90, :120]).save(folder / "b.png")
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes()[:5000])
    Image.fromarray(data.coffee()[:70, :210]).save(folder / "d.png")
    return folder


def test_annotate_rendered_scenes_in_all_domains(annotated, scenes):
    """The labels in the shards are the renderer's, under the keys of the pictures; nobody has no label."""
    pictures = rows(annotated / "image")
    names = [Path(row["source"]).stem for row in pictures]
    assert [row["prompt"] for row in pictures] == [(scenes / "image" / f"{n}.txt").read_text() for n in names]
    for domain in DOMAINS:
        table = rows(annotated / f"annotation_{domain}")
        assert [row["key"] for row in table] == [row["key"] for row in pictures]
        there = [(scenes / f"annotation_{domain}" / f"{name}.png").exists() for name in names]
        assert [row["verdict"] == "kept" for row in table] == there
        assert sum(there) > 18 or domain == "openpose"
        expected = "nobody" if domain == "openpose" else "nothing"
        assert all(row["reason"] == expected for row in table if row["verdict"] != "kept")
        env = json.loads((annotated / f"annotation_{domain}" / "env.json").read_bytes())
        assert (env["backend"], env["self_check"]) == ("stored", "not run")
        assert status(str(annotated / f"annotation_{domain}")).code == 0
    compared = [row["depth_normal"] for row in rows(annotated / "consistency")]
    assert sum(value is not None for value in compared) > 10
    assert findings(annotated) == []


def test_annotated_set_is_read_by_jodis_rules(annotated, scenes, tmp_path):
    out = exported(annotated, tmp_path / "out")
    names = {row["key"]: Path(row["source"]).stem for row in rows(annotated / "image")}
    samples = readers.joint(out)
    assert len(samples) == 24
    for key, sample in samples.items():
        assert sample.captions == {"prompt": (scenes / "image" / f"{names[key]}.txt").read_text()}
        assert sample.labels["openpose"] is None
        assert sample.role("openpose") == "empty"
        for domain, label in sample.labels.items():
            folder = {"seg_12colors": "segmentation"}.get(domain, domain)
            path = scenes / f"annotation_{folder}" / f"{names[key]}.png"
            assert (label is not None) == path.exists()
            if label is not None:
                assert np.array_equal(label, readers.pixels(path))
        assert classes_of(sample.labels["seg_12colors"].transpose(2, 0, 1)) is not None
    assert (out / "annotation_seg_12colors/000000000.png.png").exists()
    assert not (out / "annotation_openpose").exists()
    makers = json.loads((out / "labels.json").read_text())
    assert makers["annotation_depth"]["model"] == f"stored: {scenes.name}"


def test_annotate_fifteen_buckets(tmp_path):
    """Pictures of every aspect of Jodi's list are assigned to their own bucket, and come out of it at its size."""
    folder, sizes = tmp_path / "photos", readers.BUCKETS
    folder.mkdir()
    for number, (height, width) in enumerate(sizes):
        picture = Image.fromarray(data.coffee()).resize((width // 8, height // 8))
        picture.save(folder / f"{number:02d}.png")
    annotate(config(folder, f"run={tmp_path}/run", "domains={albedo: retinex}", "resize.short=64"))
    table = rows(tmp_path / "run" / "image")
    kept = [row for row in table if row["verdict"] == "kept"]
    assert all(min(row["height"], row["width"]) == 64 for row in kept)
    assert len(kept) == len(sizes)
    samples = readers.joint(exported(tmp_path / "run", tmp_path / "out", "labels=[albedo]"))
    assert [sample.bucket for sample in samples.values()] == sizes
    for sample in samples.values():
        assert sample.fitted("albedo").shape[:2] == sample.fitted("image").shape[:2] == sample.bucket


def test_annotate_photographs_offline(tmp_path, caplog):
    """Bad files have their reasons, small ones are never enlarged, and no export takes such labels unasked."""
    folder, run = photographs(tmp_path / "photos"), tmp_path / "run"
    changes = [f"run={run}", "domains={edge: canny, lineart: xdog, albedo: retinex}", "resize.short=90"]
    assert annotate(config(folder, *changes)) == 0
    table = rows(run / "image")
    assert [(row["source"], row["verdict"], row["reason"]) for row in table] == [
        *(("a.png", "kept", ""), ("b.png", "kept", "")),
        *(("c.png", "error", "error:ImageError"), ("d.png", "rejected", "small")),
    ]
    edges = rows(run / "annotation_edge")
    assert [row["reason"] for row in edges] == ["", "", "error:ImageError", "small"]
    assert [row["source"] for row in edges[:2]] == ["a.png", "b.png"]
    assert (edges[0]["model"], edges[0]["licence"], edges[0]["height"]) == ("canny", "apache-2.0", 90)
    assert edges[0]["label_sha256"] != edges[1]["label_sha256"]
    plain = readers.joint(exported(run, tmp_path / "plain"))
    assert [sample.labels for sample in plain.values()] == [dict.fromkeys(readers.CONDITIONS)] * 2
    asked = readers.joint(exported(run, tmp_path / "asked", "labels=[edge]"))
    assert all(sample.labels["edge"] is not None and sample.labels["albedo"] is None for sample in asked.values())

    for command in (verify, report):
        with pytest.raises(PlanError):
            command(str(run))
    before = published(run)
    assert annotate(config(folder, *changes)) == 0
    assert published(run) == before
    changes[1] = "domains={edge: {backend: canny, options: {sigma: 2.0}}}"
    with pytest.raises(PlanError, match=r"annotation_edge: is another run: options\.sigma: 1\.4 -> 2\.0"):
        annotate(config(folder, *changes))


def test_annotate_a_run_in_place_and_its_selection(dummy, tmp_path):
    job = {"prompts": 20, "shard_size": 8, "batch": 4, "sizes": [[64, 80]]}
    dummy.run("made", limit=12, **job)
    made = dummy.folder / "made"
    (made / "config.yaml").write_text(yaml.safe_dump({"gates": {"face": None, "signal": None, "quality": {}}}))
    assert annotate(config(made, "domains={edge: canny}")) == 0
    dummy.run("made", **job)
    assert annotate(config(made, "domains={edge: canny}")) == 0  # the run has grown
    table, images = rows(made / "annotation_edge"), rows(made / "image")
    assert [row["key"] for row in table] == [row["key"] for row in images]
    assert [row["reason"] for row in table] == [image["reason"] for image in images]
    kept = {row["key"] for row in images if row["verdict"] == "kept"}
    out = exported(made, tmp_path / "out", "labels=[edge]")
    assert {key for key, sample in readers.joint(out).items() if sample.labels["edge"] is not None} == kept
    assert published(made / "annotation_edge").keys() == published(made / "image").keys()

    list(select(str(made), ["name=some"]))
    assert annotate(config(f"{made}#some", "domains={lineart: xdog}")) == 0
    assert len(rows(made / "annotation_lineart")) == 20


def test_annotate_two_workers_and_a_kill_give_the_same_bytes(scenes, tmp_path):
    changes = [stored(scenes, "depth", "normal"), "shard_size=6", "batch=2", "checks.agreement=-0.5"]
    assert annotate(config(scenes / "image", f"run={tmp_path}/one", *changes)) == 0
    command = ["-m", "genir", "annotate", str(tmp_path / "c.yaml"), f"source={scenes}/image", f"run={tmp_path}/two"]
    (tmp_path / "c.yaml").write_text("device: cpu\n")

    def start(rank):
        env = {**os.environ, "PYTHONPATH": str(TESTS.parent), "RANK": str(rank), "WORLD_SIZE": "2"}
        call = [sys.executable, *command, *changes]
        return subprocess.Popen(call, env=env, stderr=subprocess.PIPE, text=True)

    workers = [start(rank) for rank in range(2)]
    stage = tmp_path / "two" / "annotation_depth"
    while not list(stage.glob("*.done")) and any(worker.poll() is None for worker in workers):
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert workers[1].returncode == 0, errors[1]
    assert annotate(config(scenes / "image", f"run={tmp_path}/two", *changes)) == 0
    assert published(tmp_path / "two") == published(tmp_path / "one")
    assert any("depth_normal" in row for row in rows(tmp_path / "one" / "consistency"))


def test_annotate_labels_that_contradict_each_other_are_not_exported(tmp_path):
    """Normals upside down: both labels of that picture stay in the run, with the reason, and out of the export."""
    known, folder = selfcheck.scene(), tmp_path / "made"
    pictures = {"good": known.normal_CHW, "bad": known.normal_CHW * np.array([1, -1, 1])[:, None, None]}
    for domain in ("depth", "normal"):
        (folder / f"annotation_{domain}").mkdir(parents=True)
    (folder / "image").mkdir()
    for name, normals in pictures.items():
        Image.fromarray(known.pixels_CHW.transpose(1, 2, 0)).save(folder / "image" / f"{name}.png")
        for domain, prediction in (("depth", known.disparity_HW), ("normal", normals)):
            pixels = labelled.label_of(domain, prediction, known.ball_HW.shape, labelled.Sense()).pixels_CHW
            picture = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            Image.fromarray(picture).save(folder / f"annotation_{domain}" / f"{name}.png")
    run = tmp_path / "run"
    assert annotate(config(folder / "image", f"run={run}", stored(folder, "depth", "normal"))) == 0
    table = {row["source"]: row for row in rows(run / "consistency")}
    assert (table["bad.png"]["reason"], table["good.png"]["reason"]) == ("depth against normals", "")
    assert table["bad.png"]["depth_normal"] < 0 < table["good.png"]["depth_normal"]
    samples = readers.joint(exported(run, tmp_path / "out"))
    assert [sample.labels["normal"] is not None for sample in samples.values()] == [False, True]  # bad, good
    assert [sample.labels["depth"] is not None for sample in samples.values()] == [False, True]


def test_annotate_captions_of_two_servers(annotated, scenes, tmp_path, caplog):
    """Every row of the export has every captioner; what speaks of people, or says nothing, is a reason."""
    said = ["a stone house by a lake", "a woman in a red dress", "12 34", "a pine forest under snow"]
    run = tmp_path / "run"

    def answer(handler, request):
        fake_server.says(said[min(len(handler.server.requests), 4) - 1])(handler, request)

    with fake_server.serving(answer) as short, fake_server.serving(fake_server.says("Green hills.")) as long:
        captioners = {
            "BLIP2-OPT-2.7b": {"model": "blip2", "url": short.url, "tries": 1, "parallel": 1, "licence": "mit"},
            "Qwen2-VL-7b-Instruct": {"model": "qwen2", "url": long.url, "licence": "apache-2.0"},
        }
        changes = [f"run={run}", f"captioners={json.dumps(captioners)}", "commercial=true", "limit=4"]
        assert annotate(config(scenes / "image", *changes)) == 0
        asked = len(long.requests)
        assert annotate(config(scenes / "image", *changes)) == 0
        assert len(long.requests) == asked == 4  # nothing is asked twice
    table = rows(run / "caption_BLIP2-OPT-2.7b")
    assert [(row["verdict"], row["reason"]) for row in table] == [
        *(("kept", ""), ("rejected", "people"), ("rejected", "no caption"), ("kept", ""))
    ]
    assert table[1]["caption"] == said[1]
    assert "woman" in table[1]["error"]
    assert (table[0]["model"], table[0]["licence"]) == ("blip2", "mit")
    samples = readers.joint(exported(run, tmp_path / "out"))
    assert [sample.captions for sample in samples.values()] == [
        {"BLIP2-OPT-2.7b": said[0], "Qwen2-VL-7b-Instruct": "Green hills."},
        {"BLIP2-OPT-2.7b": said[3], "Qwen2-VL-7b-Instruct": "Green hills."},
    ]
    one = readers.joint(exported(run, tmp_path / "one", "captioners=[prompt,Qwen2-VL-7b-Instruct]"))
    assert [list(sample.captions) for sample in one.values()] == [["prompt", "Qwen2-VL-7b-Instruct"]] * 4


def test_annotate_by_a_model_of_transformers(scenes, tmp_path):
    """A random one fails the self-check; where a test says so, its labels are made, and the run says that it was not
    checked.
    """
    from annotators import tiny_models

    model = tiny_models.depth_anything(tmp_path / "tiny")
    (model / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    depth = f"domains={json.dumps({'depth': {'backend': 'depth_estimation', 'model': str(model)}})}"
    changes = [f"run={tmp_path}/run", depth, "limit=6", "batch=2", "shard_size=4"]
    with pytest.raises(ModelError, match=r"domains\.depth backend depth_estimation: fails the self-check"):
        annotate(config(scenes / "image", *changes))
    assert not (tmp_path / "run" / "annotation_depth").exists()
    assert annotate(config(scenes / "image", *changes, "self_check=false")) == 0
    stage = tmp_path / "run" / "annotation_depth"
    table = rows(stage)
    assert [row["verdict"] for row in table] == ["kept"] * 6
    assert {(row["model"], row["licence"]) for row in table} == {("depth_estimation: tiny", "cc-by-nc-4.0")}
    env = json.loads((stage / "env.json").read_bytes())
    assert (env["self_check"], env["commercial_use"]) == ("not run", False)
    assert set(env["files"]["model"]) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    with pytest.raises(ConfigError, match=r"its licence is cc-by-nc-4\.0, and commercial is true"):
        annotate(config(scenes / "image", *changes, "self_check=false", "commercial=true"))
    with pytest.raises(PlanError, match="self_check: false -> true"):
        annotate(config(scenes / "image", *changes))


def test_annotate_people_are_a_finding(scenes, tmp_path):
    """A segmentation with a person in it, on pictures that should show nobody."""
    folder = tmp_path / "labels" / "annotation_segmentation"
    folder.mkdir(parents=True)
    for path in sorted((scenes / "annotation_segmentation").iterdir())[:3]:
        pixels = np.asarray(Image.open(path).convert("RGB")).copy()
        if path.name.startswith("00001"):
            pixels[10:20, 10:20] = (255, 127, 255)
        Image.fromarray(pixels).save(folder / path.name)
    changes = [f"run={tmp_path}/run", stored(tmp_path / "labels", "segmentation"), "limit=3", "batch=1"]
    assert annotate(config(scenes / "image", *changes)) == 0
    table = rows(tmp_path / "run" / "annotation_segmentation")
    assert [row["person_area"] for row in table] == [0, pytest.approx(100 / 64**2), 0]
    assert findings(tmp_path / "run") == [
        "annotation_segmentation: pixels called person in 1 pictures (000000001): look at them"
    ]


def test_annotated_webdataset_and_parquet(annotated, tmp_path):
    import tarfile

    out = exported(annotated, tmp_path / "wds", "captioners=null", format="webdataset")
    with tarfile.open(next(out.glob("*.tar"))) as tar:
        names = tar.getnames()
        png = tar.extractfile("000000000.annotation_segmentation.png").read()
    assert {f"000000000.annotation_{domain}.png" for domain in DOMAINS[:-1]} < set(names)
    assert classes_of(readers.pixels(png).transpose(2, 0, 1)) is not None
    out = exported(annotated, tmp_path / "hub", "labels=[depth,albedo]", format="parquet")
    table = pq.read_table(next(out.glob("data/*.parquet"))).to_pylist()
    assert readers.pixels(table[0]["annotation_depth"]["bytes"]).shape == (64, 64, 3)
    assert sum(row["annotation_albedo"] is None for row in table) == sum(
        row["verdict"] != "kept" for row in rows(annotated / "annotation_albedo")
    )
    assert "`annotation_depth`" in (out / "README.md").read_text()


def test_annotated_export_goes_on_when_labels_come(scenes, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    assert annotate(config(scenes / "image", f"run={run}", stored(scenes, "edge"), "limit=4")) == 0
    exported(run, out)
    assert annotate(config(scenes / "image", f"run={run}", stored(scenes, "edge", "normal"), "limit=4")) == 0
    exported(run, out)
    assert all(sample.labels["normal"] is not None for sample in readers.joint(out).values())


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (["domains={edge: canny}"], ConfigError, r"run is not set, and source .* is no run of images"),
        (["run=here"], ConfigError, "neither domains nor captioners are set"),
        (["run=here", "domains={edge: sobel}"], ConfigError, "no such backend; known: hed, canny, pidinet, stored"),
        (["run=here", "domains={edges: canny}"], ConfigError, "edges"),
        (["run=here", "domains={openpose: openpose}"], ConfigError, "not supported: its network is not written here"),
        (["run=here", "domains={normal: lotus}"], ConfigError, r"needs domains\.normal\.model, for example jingheya"),
        (
            ["run=here", "domains={depth: depth_estimation}"],
            ConfigError,
            r"needs domains\.depth\.model, for example dep",
        ),
        (["run=here", "domains={depth: stored}"], ConfigError, r"needs domains\.depth\.folder"),
        (["run=here", "domains={depth: {backend: stored, folder: none}}"], ConfigError, "no folder none/annotation_d"),
        (["run=here", "domains={edge: {backend: canny, model: x}}"], ConfigError, "the backend canny takes none"),
        (["run=here", "domains={edge: {backend: pidinet, model: x.pth}}"], ModelError, "no such file"),
        (["run=here", "domains={depth: {backend: lotus, model: a/b}}"], ModelError, "the hub is not reachable"),
        (["run=here", "domains={edge: {backend: canny, options: {steps: 3}}}"], ConfigError, "no option steps; it has"),
        (
            ["run=here", "domains={edge: {backend: canny, options: {sigma: -1}}}"],
            ConfigError,
            "expected a number above",
        ),
        (["run=here", "captioners={blip: {model: a/b}}"], ModelError, "captioners.blip model a/b: no such folder"),
        (["run=here", "captioners={prompt: {model: a/b}}"], ConfigError, "choose another name"),
        (["run=s3://a", "domains={edge: canny}"], ConfigError, "labels are made of local files"),
    ],
)
def test_annotate_mistakes_are_one_line_before_anything_is_written(tmp_path, overrides, kind, message, monkeypatch):
    folder = photographs(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenirError, match=message) as caught:
        list(dry_run(config(folder, *overrides)))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_annotate_hed_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("genir.annotators.hed.find_spec", lambda name: None)
    with pytest.raises(ExtraError, match="its weights are not installed"):
        annotate(config(photographs(tmp_path / "photos"), f"run={tmp_path}/run", "domains={edge: hed}"))


@pytest.mark.parametrize("name", ["joint", "permissive", "offline", "stored"])
def test_annotate_configs_that_travel_with_genir_load(name):
    loaded = load(Annotate, f"configs/annotate_{name}.yaml")
    if name in ("joint", "permissive"):
        assert list(loaded.domains) == list(DOMAINS)
        assert list(loaded.captioners) == ["BLIP2-OPT-2.7b", "Qwen2-VL-7b-Instruct"]
        assert loaded.self_check
    assert loaded.commercial == (name == "permissive")
