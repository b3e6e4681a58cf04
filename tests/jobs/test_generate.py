"""The main job on the embedded model: real processes, real launchers, real kills."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from processes import TESTS, published

from genir.config.base import load
from genir.config.generate import Generate
from genir.errors import ConfigError, GenirError, ModelError, PlanError, PromptError
from genir.jobs.generate import generate
from genir.jobs.generate.dry_run import dry_run
from genir.jobs.status import status
from genir.metrics.signal import signal as signal_scores
from genir.records import Prompt, Sample, Task

SMALL = [
    "gates.signal={min_std: 4}",
    "size=[64,64]",
    "steps=2",
    "batch=2",
    "shard_size=4",
    "gates.quality={piqe: {}}",
    "device=cpu",
]
CONFIG = "configs/generate_embedded.yaml"


def config(run, *overrides):
    return load(Generate, CONFIG, [*SMALL, f"run={run}", *overrides])


def command(run, *overrides):
    return ["-m", "genir", "generate", CONFIG, *SMALL, f"run={run}", *overrides]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(TESTS.parent), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **more}


def start(run, *overrides, launcher=(), **more):
    return subprocess.Popen(
        [sys.executable, *launcher, *command(run, *overrides)],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes):
    outputs = [process.communicate(timeout=150)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


def rows(run):
    return [row for path in sorted((run / "image").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def pictures(run):
    """Key -> uint8 RGB CHW of the kept images."""
    found = {}
    for path in sorted((run / "image").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".png"):
                    pixels_HWC = np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())))
                    found[member.name[:-4]] = pixels_HWC.transpose(2, 0, 1)
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Twelve images by one worker; also used by the tests that only read."""
    run = tmp_path_factory.mktemp("alone") / "run"
    finish(start(run, "limit=12"))
    return run


def test_a_run_is_readable_by_others(alone):
    assert sorted(path.name for path in alone.iterdir()) == [
        "README.md",
        "config.yaml",
        "env.json",
        "goal.json",
        "image",
        "logs",
        "plan.json",
        "preview.png",
        "stats",
    ]
    table = rows(alone)
    assert [row["key"] for row in table] == [f"{number:09d}" for number in range(12)]
    kept = {row["key"]: row for row in table if row["verdict"] == "kept"}
    assert kept
    seen = set()
    for path in sorted((alone / "image").glob("*.tar")):
        with tarfile.open(path) as tar:
            content = {info.name: tar.extractfile(info).read() for info in tar}
        for name, data in content.items():
            key, suffix = name.split(".")
            seen.add(key)
            if suffix == "png":
                picture = Image.open(io.BytesIO(data))
                assert picture.size == (64, 64)
                assert "trainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
            elif suffix == "json":
                facts = json.loads(data)
                assert facts["synthetic"] is True
                assert facts["pixels_sha256"] == kept[key]["pixels_sha256"]
                assert facts["steps"] == 2
            else:
                assert data.decode() == kept[key]["prompt"]
    assert seen == set(kept)


@pytest.mark.parametrize("world", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_torchrun_gives_the_same_bytes(alone, tmp_path, world):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(world))
    finish(start(tmp_path / "run", "limit=12", launcher=launcher, ACCELERATE_USE_CPU="1"))
    assert published(tmp_path / "run") == published(alone)
    stats = [json.loads(path.read_bytes()) for path in (tmp_path / "run" / "stats").iterdir()]
    assert sorted(fact["rank"] for fact in stats) == list(range(world))


def test_torchrun_says_first_and_last_why_a_worker_refused(tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    process = start(tmp_path / "run", "stpes=3", launcher=launcher, ACCELERATE_USE_CPU="1")
    lines = process.communicate(timeout=100)[0].strip().splitlines()
    assert process.returncode == 1
    reason = "genir: override 'stpes=3': unknown key stpes; did you mean steps?"
    assert lines[0] == reason
    assert lines[-2].endswith(reason)


def test_three_workers_killed_and_resumed_give_the_same_bytes(alone, tmp_path):
    run = tmp_path / "run"
    workers = [start(run, "limit=12") for _ in range(3)]
    while not any(path.stat().st_size for path in (run / "image").glob("*.journal")):
        time.sleep(0.05)
        assert any(worker.poll() is None for worker in workers)
    for worker, number in zip(workers, (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM), strict=True):
        worker.send_signal(number)
    for worker in workers:
        worker.communicate(timeout=60)
    assert workers[2].returncode in (75, -signal.SIGTERM)  # the latter before Python could listen
    assert status(str(run)).code == 75
    finish(start(run, "limit=12"))
    assert status(str(run)).code == 0
    assert published(run) == published(alone)


def test_growth_in_this_process_gives_the_same_bytes(alone, tmp_path):
    run = tmp_path / "run"
    for limit, offload in ((1, "true"), (7, "false"), (12, "true")):
        assert generate(config(run, f"limit={limit}", f"offload_text_encoders={offload}")) == 0
    assert published(run) == published(alone)


def test_a_worker_s_statistics_say_how_busy_the_model_was(alone):
    (facts,) = [json.loads(path.read_bytes()) for path in (alone / "stats").iterdir()]
    assert facts["judged"] == 12
    assert 0 < facts["making"] <= facts["making"] + facts["waiting"] + facts["tail"] <= facts["seconds"] + 0.002
    (log,) = [path.read_text() for path in (alone / "logs").iterdir()]
    told = float(re.search(r"the model worked ([0-9.]+) % of", log).group(1))
    assert told == pytest.approx(100 * facts["making"] / facts["seconds"], abs=0.5)


def test_the_preview_goes_on_after_a_resume(alone, tmp_path):
    from genir.sheet import keys_drawn

    run = tmp_path / "run"
    for limit in (1, 3, 12):
        assert generate(config(run, f"limit={limit}")) == 0
    assert keys_drawn((run / "preview.png").read_bytes()) == [f"{number:09d}" for number in range(4)]
    assert (run / "preview.png").read_bytes() == (alone / "preview.png").read_bytes()


def test_a_model_may_move_but_not_change(tmp_path):
    from backbone import tiny

    from genir.jobs.generate.launch import Launch
    from genir.ranks import Worker
    from genir.runs.run import check_run, open_run

    def launch(model):
        return Launch(config(tmp_path / "run", f"model={model}", "dual=null"), Worker())

    first = launch(tiny.saved(tiny.sd(), tmp_path / "model"))
    open_run(first.root, first.plan, {}, first.meaning(), {}, None, first.worker)
    (tmp_path / "model").rename(tmp_path / "moved")
    check_run(first.root, launch(tmp_path / "moved").meaning())
    scheduler = tmp_path / "moved" / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text() + "\n")
    with pytest.raises(PlanError, match=r"is another run: model: other files; choose"):
        check_run(first.root, launch(tmp_path / "moved").meaning())


def test_score_only_keeps_everything(tmp_path):
    harsh = "gates.quality={piqe: {max: 0}}"
    assert generate(config(tmp_path / "strict", harsh, "limit=4")) == 0
    assert {row["reason"] for row in rows(tmp_path / "strict")} == {"quality.piqe"}
    assert generate(config(tmp_path / "open", "gates=score_only", "limit=4")) == 0
    assert {row["verdict"] for row in rows(tmp_path / "open")} == {"kept"}
    assert all(row["face_score"] is not None for row in rows(tmp_path / "open"))


def test_the_guard_stops_a_run_that_keeps_nothing(tmp_path):
    with pytest.raises(PlanError, match=r"only 0 of 4 images were kept.*quality\.piqe 4.*guard\.min_keep=0"):
        generate(config(tmp_path / "run", "gates.quality={piqe: {max: 0}}", "guard.after=4"))
    assert status(str(tmp_path / "run")).code == 75


def test_an_exhausted_target_is_an_error_with_the_numbers(tmp_path):
    with pytest.raises(PlanError, match=r"exhausted: \d of 4 images kept, target\.kept is 9"):
        generate(config(tmp_path / "run", "limit=4", "target.kept=9"))
    assert generate(config(tmp_path / "run", "target.kept=6")) == 0
    assert sum(row["verdict"] == "kept" for row in rows(tmp_path / "run")) >= 6


def test_a_prompt_that_breaks_the_text_encoder_is_a_row(tmp_path, monkeypatch):
    from genir.backbone.model import Backbone

    encode = Backbone.encode_positive

    def poisoned(self, texts):
        if any("poison" in text for text in texts):
            raise ValueError("cannot encode this")
        return encode(self, texts)

    monkeypatch.setattr(Backbone, "encode_positive", poisoned)
    bank = tmp_path / "bank.txt"
    bank.write_text("a lake\npoison\na rock\na forest\n")
    assert generate(config(tmp_path / "run", f"prompts={bank}")) == 0
    table = rows(tmp_path / "run")
    assert [row["verdict"] for row in table][1] == "error"
    assert (table[1]["reason"], table[1]["error"]) == ("error:ValueError", "ValueError: cannot encode this")
    assert [row["batch_executed"] for row in table] == [1, None, None, None]
    assert table[0]["verdict"] != "error"


@pytest.mark.parametrize(
    ("overrides", "error", "text"),
    [
        (["size=[100,64]"], ConfigError, "size [100, 64]: the model needs multiples of 8 pixels"),
        (["dual=nowhere.safetensors"], ModelError, "nowhere.safetensors"),
        (["model=/nowhere/sdxl"], ModelError, "/nowhere/sdxl"),
        (["prompts=nowhere.jsonl"], PromptError, "nowhere.jsonl: no such prompt file"),
        (["gates.quality={niqe_96: {max: 9}}"], GenirError, "niqe_96"),
        (["device=cuda:9"], ConfigError, "device 'cuda:9' cannot be used here"),
        (["model.scheduler=Eulerr"], ModelError, "Euler"),
    ],
)
def test_what_cannot_work_is_refused_before_a_run_exists(tmp_path, overrides, error, text):
    with pytest.raises(error) as caught:
        generate(config(tmp_path / "run", *overrides))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_bad_prompt_line_is_named_before_a_run_exists(tmp_path):
    bank = tmp_path / "bank.jsonl"
    bank.write_bytes(b'{"prompt": "a lake"}\n\n{"prompt": 3}\n')
    with pytest.raises(PromptError, match=r'bank\.jsonl line 3: no "prompt"'):
        generate(config(tmp_path / "run", f"prompts={bank}"))
    assert not (tmp_path / "run").exists()


def test_another_threshold_is_another_run_and_says_where_the_scores_are(alone):
    with pytest.raises(PlanError, match=r"gates\.face\.threshold: 0\.3 -> 0\.5; every score is stored: genir select"):
        generate(config(alone, "gates.face.threshold=0.5"))


def test_a_gate_that_was_not_asked_has_left_no_scores(alone):
    with pytest.raises(PlanError, match=r"gates\.quality\.niqe_96: null -> .*choose another run directory"):
        generate(config(alone, "gates.quality={niqe_96: {max: 7}}"))
    with pytest.raises(PlanError, match=r"gates\.face\.long_side: null -> 512; choose another run directory"):
        generate(config(alone, "gates.face.long_side=512"))


def test_another_prompt_file_is_another_run(alone, tmp_path):
    bank = tmp_path / "bank.txt"
    bank.write_text("a lake\n")
    with pytest.raises(PlanError, match=r"prompts: other content"):
        generate(config(alone, f"prompts={bank}"))


@pytest.mark.parametrize("overrides", [["steps=3"], ["batch=4"]])
def test_a_dry_run_refuses_what_the_run_would_refuse(alone, overrides):
    with pytest.raises(PlanError, match=r"is another run"):
        list(dry_run(config(alone, *overrides)))


def test_a_dry_run_writes_nothing(tmp_path):
    lines = "\n".join(dry_run(config(tmp_path / "run", "replicas=3")))
    assert "tasks      3600 of 3600, 64x64 (the model was trained at 128x128) pixels, in batches of 2" in lines
    assert "shards     900 of 4 tasks" in lines
    assert "0 of 1200 prompts are longer than the text encoder reads" in lines
    assert not (tmp_path / "run").exists()


def test_without_a_size_the_model_s_own_is_taken(tmp_path):
    lines = "\n".join(dry_run(load(Generate, CONFIG, [f"run={tmp_path}/run", "size=null"])))
    assert "128x128 pixels" in lines


def test_a_picture_that_a_gate_could_not_judge_is_not_shown():
    from genir.gate import Gate, judge
    from genir.sheet import tile

    def score(images_NCHW, prompts):
        if images_NCHW.any():
            raise RuntimeError("cannot look for faces here")
        return [{"face_count": 0}]

    made = Sample(Task("000000000", Prompt("a person"), 0, 64, 64), np.full((3, 64, 64), 90, np.uint8))
    gate = Gate({"face_count": "int"}, score)
    judge([made], [gate], [], False, torch.device("cpu"))
    assert made.verdict.verdict == "error"
    assert tile(made).pixels_CHW is None


def test_the_crop_is_what_is_judged_stored_and_told(tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert generate(config(run, "size=[64, 128]", "crop=[64, 100]", "gates=score_only", "limit=4")) == 0
    assert generate(config(whole, "size=[64, 128]", "gates=score_only", "limit=4")) == 0
    for row in rows(run):
        assert (row["height"], row["width"]) == (64, 100)
    cropped, full = pictures(run), pictures(whole)
    assert cropped.keys() == full.keys()
    for key, pixels_CHW in cropped.items():
        top, left = (full[key].shape[1] - 64) // 2, (full[key].shape[2] - 100) // 2
        assert (pixels_CHW == full[key][:, top : top + 64, left : left + 100]).all()


def test_a_second_pass_is_reduced_then_cropped_and_the_result_is_judged(tmp_path):
    """Size 72x96, second pass 144x192, reduced to 72x96, cropped to 66x90."""
    options = ["size=[72, 96]", "hires={scale: 2, strength: 0.5, tile: 96}", "limit=4", "gates=score_only"]
    stored = tmp_path / "run"
    assert generate(config(stored, *options, "post={downscale: 2}", "crop=[66, 90]")) == 0
    assert generate(config(tmp_path / "large", *options)) == 0
    small, large = pictures(stored), pictures(tmp_path / "large")
    assert len(small) == len(large) == 4
    for row in rows(stored):
        assert (row["height"], row["width"]) == (66, 90)
        assert large[row["key"]].shape == (3, 144, 192)
        whole = Image.fromarray(large[row["key"]].transpose(1, 2, 0)).resize((96, 72), Image.Resampling.LANCZOS)
        expected = np.asarray(whole)[3:69, 3:93].transpose(2, 0, 1)
        assert (small[row["key"]] == expected).all()
        scores = signal_scores(torch.from_numpy(expected.copy())[None])
        assert row["signal_laplacian"] == pytest.approx(float(scores["laplacian"][0]))
    assert again(stored, "000000003")  # one worker's whole batch, made once more from config.yaml alone


def again(run, key):
    from genir.jobs.generate.again import Again

    made = Again(run, ["device=cpu"])
    samples = made.make(next(batch for batch in made.plan.batches(0) if batch[-1].key == key))
    return samples[-1].pixels_CHW.tobytes() == pictures(run)[key].tobytes()


@pytest.mark.slow
def test_2040_x_1356_is_1360_cropped(tmp_path):
    """GenIR's size is no multiple of what models take."""
    run = tmp_path / "run"
    assert generate(config(run, "size=[1360, 2040]", "crop=[1356, 2040]", "batch=1", "limit=1", "steps=1")) == 0
    (row,) = rows(run)
    assert (row["height"], row["width"]) == (1356, 2040)
    with pytest.raises(ConfigError, match=r"size \[1356, 2040\]: the model needs multiples of 8 pixels"):
        generate(config(tmp_path / "other", "size=[1356, 2040]"))


def test_no_prompt_at_all(tmp_path):
    run = tmp_path / "run"
    assert generate(config(run, "prompts=empty", "replicas=3")) == 0
    found = rows(run)
    assert [row["prompt"] for row in found] == ["", "", ""]
    assert len({row["seed"] for row in found}) == len({row["pixels_sha256"] for row in found}) == 3


def test_weights_decide_how_many_images_and_are_meaning(tmp_path):
    bank, run = tmp_path / "bank.jsonl", tmp_path / "run"
    bank.write_text('{"prompt": "a lake", "category": "water"}\n{"prompt": "a rock", "tags": ["stone"]}\n')
    assert generate(config(run, f"prompts={bank}", "weights={water: 2}")) == 0
    assert [row["prompt"] for row in rows(run)] == ["a lake", "a rock", "a lake"]
    with pytest.raises(PlanError, match=r"is another run: weights\.water: 2\.0 -> 3\.0"):
        generate(config(run, f"prompts={bank}", "weights={water: 3}"))


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("crop=[4096, 64]", ConfigError, r"crop \[4096, 64\]: is larger than size"),
        (
            "hires={scale: 1.3, strength: 0.5}",
            ConfigError,
            r"size \[64, 64\] with hires \[83, 83\]: the model needs multiples of 8",
        ),
        ("hires={size: [128, 128], upscaler: latent, strength: 0.5, tile: 64} crop=[129, 128]", ConfigError, "crop"),
        (
            "post={downscale: 3}",
            ConfigError,
            r"post\.downscale: 64x64 / 3 is 21\.3333x21\.3333: not whole pixels; choose",
        ),
        ("hires={size: [64, 128], strength: 1} size=[128, 128]", ConfigError, r"hires\.size \[64, 128\]: is smaller"),
        (
            "hires={size: [128, 128], strength: 1} size=[64, 128]",
            ConfigError,
            r"hires\.size \[128, 128\]: would stretch pictures of size \[64, 128\]; use hires\.scale",
        ),
        ("weights.furr=2", PromptError, r"weights\.furr: no prompt has this category or tag"),
    ],
)
def test_plan_options_that_cannot_be(tmp_path, override, error, message):
    with pytest.raises(error, match=message):
        generate(config(tmp_path / "run", *re.split(r" (?=\w+=)", override)))
    assert not (tmp_path / "run").exists()
