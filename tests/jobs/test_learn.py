"""Learning on tiny models of the real classes: what changes, kills, processes, refusals, and the use of the result."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
import trainsets
from backbone import tiny
from PIL import Image
from processes import TESTS

from genir import dualprompt
from genir.backbone.load import load as load_model
from genir.config.base import load
from genir.config.generate import Generate
from genir.config.learn import Learn
from genir.errors import ConfigError, ExtraError, GenirError, ModelError, PlanError, TrainSetError
from genir.jobs import learn as job
from genir.jobs.generate import generate
from genir.jobs.learn import learn
from genir.jobs.learn.launch import Launch
from genir.jobs.learn.validate import choose

QUICK = [
    "size=[64,64]",
    "device=cpu",
    "tokens={positive: 3, negative: 3}",
    "words={positive: sharp clean photo, negative: blurry dirty}",
    "batch=2",
    "steps=4",
    "checkpoint.every=1",
    "validation={every: null}",
]
ALL_OBJECTIVES = [
    "objectives={pair: {weight: 1}, reward: {weight: 1, steps: 3, classifier_steps: 3}}",
    "lora={rank: 2, targets: [attn1, attn2]}",
]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A training set and the two tiny models."""
    folder = tmp_path_factory.mktemp("learn")
    trainsets.pairs(folder / "set", 6)
    for family in ("sd", "sdxl"):
        tiny.saved(getattr(tiny, family)(), folder / family)
    return folder


def overrides(place, run, *more, family="sd"):
    return [*QUICK, f"data.folder={place}/set", f"model={place}/{family}", f"run={run}", *more]


def config(place, run, *more, family="sd"):
    return load(Learn, None, overrides(place, run, *more, family=family))


def start(place, run, *more, launcher=(), **environment):
    (place / "empty.yaml").write_text("{}")
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "genir", "learn", f"{place}/empty.yaml", *overrides(place, run, *more)],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def result(run):
    return dualprompt.load(run / "dual.safetensors")


def logged(run):
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def tensors(dual):
    sides = {f"positive.{name}": t for name, t in dual.positive.items()}
    return sides | {f"negative.{name}": t for name, t in dual.negative.items()} | dual.lora


def difference(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.mark.parametrize("mode", ["tokens", "output"])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_ten_steps_change_the_vectors_and_nothing_else(place, tmp_path, monkeypatch, family, mode):
    used = []
    monkeypatch.setattr(job, "load_backbone", lambda *a: used.append(load_model(a[0].id)) or used[0])
    pooled = ["learn_pooled=true"] if (family, mode) == ("sdxl", "output") else []
    run = tmp_path / "run"
    assert learn(config(place, run, "steps=10", "checkpoint.every=10", f"mode={mode}", *pooled, family=family)) == 0
    (backbone,) = used
    fresh = load_model(str(place / family))
    for ours, theirs in ((backbone.denoiser, fresh.denoiser), (backbone.vae, fresh.vae)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    backbone.apply(None)
    for ours, theirs in zip(backbone.text.encoders, fresh.text.encoders, strict=True):
        before, after = theirs.model.state_dict(), ours.model.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], before[name]) for name in before)
    words = config(place, run, f"mode={mode}", *pooled, family=family)
    begun, ended = job.Learned(fresh, words, None, "").dual(0), result(run)
    assert (ended.step, ended.mode, ended.family, ended.lora) == (10, mode, family, {})
    encoders = {"clip_l", "clip_g"} if family == "sdxl" else {"clip_l"}
    expected = encoders if mode == "tokens" else {"embeds", "pooled"} if pooled else {"embeds"}
    assert set(ended.positive) == set(ended.negative) == expected
    for name, tensor in tensors(ended).items():
        assert not torch.equal(tensor, tensors(begun)[name]), name
    assert logged(run) == list(range(1, 11))


def test_a_run_goes_on_to_the_same_weights(place, tmp_path):
    learn(config(place, tmp_path / "straight", "steps=5", *ALL_OBJECTIVES))
    for steps in (2, 3, 5):
        assert learn(config(place, tmp_path / "grown", f"steps={steps}", *ALL_OBJECTIVES)) == 0
    assert difference(result(tmp_path / "straight"), result(tmp_path / "grown")) == 0
    assert logged(tmp_path / "grown") == [1, 2, 3, 4, 5]
    # a state older than the log, as a kill leaves it
    straight = tmp_path / "straight"
    with (straight / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "denoise": 1.0}\n{"step": 7, "den')
    assert learn(config(place, straight, "steps=6", *ALL_OBJECTIVES)) == 0
    assert logged(straight) == [1, 2, 3, 4, 5, 6]


def test_a_learner_killed_at_a_random_step_ends_with_the_same_weights(place, tmp_path):
    """kill -9, then SIGTERM, then to the end."""
    run, steps = tmp_path / "run", 40
    chance = random.Random(4)
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)):
        before = len(list((run / "checkpoints").glob("*"))) if run.exists() else 0
        process = start(place, run, f"steps={steps}", "checkpoint.every=2")
        wanted = before + chance.randint(1, 5)
        while not (run / "checkpoints").exists() or len(list((run / "checkpoints").glob("*.safetensors"))) < wanted:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        process.send_signal(number)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == code, output
    assert "the same command goes on from here" in output
    assert not (run / "dual.safetensors").exists()
    learn(config(place, run, f"steps={steps}", "checkpoint.every=40"))
    learn(config(place, tmp_path / "straight", f"steps={steps}", "checkpoint.every=40"))
    assert difference(result(run), result(tmp_path / "straight")) == 0


def test_two_processes_learn_what_one_learns(place, tmp_path):
    asked = [
        "steps=3",
        "accumulation=2",
        "validation={every: 3, count: 3, batch: 2, steps: 1, gates: {score_only: true}}",
    ]
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    pair = start(place, tmp_path / "two", *asked, *ALL_OBJECTIVES, launcher=launcher, ACCELERATE_USE_CPU="1")
    learn(config(place, tmp_path / "one", *asked, *ALL_OBJECTIVES))
    output = pair.communicate(timeout=150)[0]
    assert pair.returncode == 0, output
    assert difference(result(tmp_path / "one"), result(tmp_path / "two")) < 1e-5
    assert (tmp_path / "two" / "grids" / "000003.png").read_bytes()


@pytest.mark.parametrize(("family", "mode"), [("sd", "tokens"), ("sdxl", "output")])
def test_generate_takes_the_result_and_its_lora(place, tmp_path, family, mode):
    learn(config(place, tmp_path / "dual", "lora={rank: 2}", f"mode={mode}", "steps=2", family=family))
    dual = result(tmp_path / "dual")
    assert dual.lora
    assert all(name.startswith("unet.") for name in dual.lora)
    bank = tmp_path / "bank.txt"
    bank.write_text("a cat\na dog\n")
    keys = [f"model={place}/{family}", f"prompts={bank}", "size=[64,64]", "steps=2", "gates=score_only", "device=cpu"]
    shas = []
    for name, more in (("plain", []), ("dual", [f"dual={tmp_path}/dual/dual.safetensors"])):
        assert generate(load(Generate, None, [*keys, *more, f"run={tmp_path}/{name}-images"])) == 0
        (marker,) = (tmp_path / f"{name}-images" / "image").glob("*.done")
        shas.append(json.loads(marker.read_bytes()))
    assert shas[0]["kept"] == shas[1]["kept"] == 2
    assert shas[0]["files"] != shas[1]["files"]


def test_learning_goes_on_from_a_file_with_a_lora(place, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    learn(config(place, first, "lora={rank: 2}", "steps=2", "learning_rate={lora: 0.1}"))
    source = str(first / "dual.safetensors")
    learn(config(place, second, "lora={rank: 3}", "steps=1", "learning_rate={lora: 0.1}"), source)
    begun, ended = result(first), result(second)
    assert 0 < difference_of(begun.positive, ended.positive) < 0.02
    for name, tensor in begun.lora.items():
        both = ended.lora[name]
        assert torch.equal(both[:2] if ".lora_A." in name else both[:, :2], tensor)
        assert both.shape[0 if ".lora_A." in name else 1] == 5
    model = load_model(str(place / "sd"))
    model.apply(ended)  # diffusers reads the sum of two
    with pytest.raises(PlanError, match=r"is another run: .*start: other content"):
        learn(config(place, second, "lora={rank: 3}", "steps=1", "learning_rate={lora: 0.1}"))
    with pytest.raises(ConfigError, match=r"the pair of --from is of mode tokens; set mode=tokens"):
        learn(config(place, tmp_path / "third", "mode=output"), source)
    with pytest.raises(ModelError, match=r"learned on family sd, but model .* is sdxl"):
        learn(config(place, tmp_path / "third", family="sdxl"), source)
    assert not (tmp_path / "third").exists()  # refused before anything is written


def test_a_distance_to_too_few_positives_is_refused_before_anything_is_written(place, tmp_path):
    trainsets.pairs(tmp_path / "two", 2)
    asked = [f"data.folder={tmp_path}/two", "steps=1"]
    with pytest.raises(
        ConfigError, match=r"validation.distance: 2 positives of size \[64, 64\], at least 3 are needed"
    ):
        learn(config(place, tmp_path / "run", *asked, "validation={every: 1, distance: scene}"))
    assert not (tmp_path / "run").exists()
    assert learn(config(place, tmp_path / "run", *asked, "validation={every: null, distance: scene}")) == 0


def test_only_pairs_of_chosen_pictures_count(place, tmp_path):
    everything = Launch(config(place, tmp_path / "run"), None)
    assert len(everything.pairs) == len(everything.trainset.pairs()) == 6
    for picture in (place / "set").rglob("metadata.jsonl"):
        rows = [json.loads(line) for line in picture.read_text().splitlines()]
    mixed = tmp_path / "mixed"
    shutil.copytree(place / "set", mixed)
    for number, row in enumerate(row for row in rows if row["role"] == "negative"):
        row["origin"] = "sdedit" if number else row["origin"]
    next(mixed.rglob("metadata.jsonl")).write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [f"data.folder={mixed}", "objectives.pair.weight=1"]
    assert len(Launch(config(place, tmp_path / "run", *asked), None).pairs) == 1
    with pytest.raises(TrainSetError, match=r"among data\.positives and negatives"):
        Launch(config(place, tmp_path / "run", *asked, "data.negatives=[sdedit]"), None)


@pytest.mark.parametrize("branch", ["positive", "negative"])
def test_a_lora_of_one_branch(place, tmp_path, branch):
    tuned = f"lora={{rank: 2, branch: {branch}}}"
    asked = [*ALL_OBJECTIVES, tuned, "steps=2", "learning_rate={lora: 0.1}"]
    learn(config(place, tmp_path / "run", *asked))
    dual = result(tmp_path / "run")
    assert dual.lora_branch == branch
    assert any(float(tensor.abs().max()) > 0 for name, tensor in dual.lora.items() if ".lora_B." in name)
    load_model(str(place / "sd")).apply(dual)
    source = str(tmp_path / "run" / "dual.safetensors")
    learn(config(place, tmp_path / "vectors", "steps=1"), source)
    kept = result(tmp_path / "vectors")
    assert (kept.lora_branch, kept.lora.keys()) == (branch, dual.lora.keys())
    assert all(torch.equal(kept.lora[name], tensor) for name, tensor in dual.lora.items())
    with pytest.raises(ConfigError, match=f"lora.branch {branch}: the LoRA of --from acts on {branch}, and two are"):
        learn(config(place, tmp_path / "more", *asked), source)
    with pytest.raises(ConfigError, match=f"the LoRA of --from acts on the {branch} one alone; set gradient"):
        learn(config(place, tmp_path / "more", "gradient_checkpointing=true"), source)


def difference_of(a, b):
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_validation_draws_the_same_prompts_and_chooses_a_checkpoint(place, tmp_path):
    run = tmp_path / "run"
    gates = "{face: null, quality: {}, signal: {min_std: 4}}"
    wanted = f"validation={{every: 2, count: 3, batch: 2, steps: 2, gates: {gates}, distance: scene}}"
    learn(config(place, run, wanted, "steps=4", "learning_rate={vectors: 0.05}"))
    grids = sorted((run / "grids").iterdir())
    assert [path.name for path in grids] == ["000000.png", "000002.png", "000004.png"]
    assert len({path.read_bytes() for path in grids}) == 3
    with Image.open(grids[0]) as grid:
        assert grid.width > 500
    rows = torch.load(run / "state.pt", weights_only=True)["rows"]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert result(run).step == choose(rows)["step"]
    # only what is drawn with is drawn again
    (run / "grids" / "000004.png").unlink()
    learn(config(place, run, wanted, "steps=4", "learning_rate={vectors: 0.05}"))
    assert not (run / "grids" / "000004.png").exists()


def validations(*facts):
    """Of (step, kept, distance)."""
    return [{"step": s, "judged": 9, "kept": kept, "reasons": {}, "distance": far} for s, kept, far in facts]


def test_the_checkpoint_that_keeps_most_is_chosen_and_never_the_untrained_one():
    rows = validations((0, 9, None), (2, 5, None), (4, 7, None), (6, 7, None), (8, 1, None))
    assert choose(rows)["step"] == 6
    assert choose(rows[:1]) is None


def test_of_checkpoints_that_keep_about_as_many_the_nearest_to_the_positives_is_chosen():
    rows = validations((0, 9, 0.1), (2, 6, 0.4), (4, 7, 0.6), (6, 7, 0.5), (8, 1, 0.2))
    assert choose(rows)["step"] == 2  # 6 of 9 is within the standard error of 7 of 9, 1 of 9 is not


def test_a_loss_that_is_not_a_number_stops_with_one_line_and_the_last_checkpoint(place, tmp_path, monkeypatch):
    from genir.jobs.learn import objectives

    real = objectives.denoise
    calls = []

    def failing(backbone, positives, negatives):
        calls.append(1)
        return real(backbone, positives, negatives) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(objectives, "denoise", failing)
    with pytest.raises(ModelError, match=r"step 3: denoise is nan; the last checkpoint is kept.*--from") as caught:
        learn(config(place, tmp_path / "run"))
    assert "\n" not in str(caught.value)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["000001.safetensors", "000002.safetensors"]
    assert dualprompt.load(tmp_path / "run" / "checkpoints" / kept[-1]).step == 2
    monkeypatch.setattr(objectives, "denoise", real)
    assert learn(config(place, tmp_path / "run")) == 0


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        (["data.folder=/nowhere"], TrainSetError, "/nowhere: no training set there"),
        (["size=[128,128]"], TrainSetError, "9, 10, 11, 12: image smaller than 128x128, what is learned at (size="),
        (["size=[65,64]"], ConfigError, "size [65, 64]: the model needs multiples of 2 pixels"),
        (["data.positives=[roundtrip]"], TrainSetError, "it has 6 positive photograph, 6 negative"),
        (["data.negatives=[sdedit]"], TrainSetError, "no negative of origins sdedit (6 positive photograph, 6"),
        (["words={positive: '   '}"], ConfigError, "reads no token in them"),
        (["model.dtype=float16"], ConfigError, "a CPU cannot learn in it"),
        (["tracker=aim"], ExtraError, "tracker aim: not installed; pip install aim"),
        (["tokens={positive: 30, negative: 3}"], ModelError, "30 vectors do not fit into the 24 positions of clip_l"),
        (["validation.prompts=none.txt"], GenirError, "none.txt"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_line(place, tmp_path, more, error, text):
    with pytest.raises(error) as caught:
        learn(config(place, tmp_path / "run", *more))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_pairs_are_needed_where_two_pictures_are_compared(place, tmp_path):
    rows = [{"file_name": f"a{n}.png", "text": "a cat", "role": "positive"} for n in range(3)]
    trainsets.write(tmp_path / "set", rows)
    data = f"data.folder={tmp_path}/set"
    with pytest.raises(TrainSetError, match="no positive and negative of equal `pair` and `origin`"):
        learn(config(place, tmp_path / "run", data, "objectives={denoise: {weight: 0}, pair: {weight: 1}}"))
    assert learn(config(place, tmp_path / "run", data, "objectives={denoise: {ratio: 0}}", "steps=1")) == 0


def test_a_changed_meaning_is_refused_and_a_second_learner_too(place, tmp_path):
    run = tmp_path / "run"
    learn(config(place, run, "steps=1"))
    with pytest.raises(PlanError, match=r"is another run: learning_rate\.vectors: 0\.001 -> 0\.01; .*run=\.\.\."):
        learn(config(place, run, "steps=1", "learning_rate={vectors: 0.01}"))
    with pytest.raises(PlanError, match=r"holds '.*' but no run of this command"):
        generate(load(Generate, None, [f"run={run}", "limit=1"]))
    from genir import storage

    lock = storage.try_lock(run / "learn.lock")
    with pytest.raises(PlanError, match="another genir learn is at work there"):
        learn(config(place, run, "steps=1"))
    os.close(lock)
    (run / "state.pt").write_bytes(b"cut")
    with pytest.raises(PlanError, match=r"state\.pt: damaged .*--from .*/checkpoints"):
        learn(config(place, run, "steps=1"))


def test_a_dry_run_says_what_would_be_learned_and_writes_nothing(place, tmp_path):
    launch = Launch(config(place, tmp_path / "run", "tokens={positive: 19, negative: 2}", family="sdxl"), None)
    launch.check()
    lines = "\n".join(launch.description())
    assert "6 positive photograph, 6 negative photograph; 6 pairs of equal origin" in lines
    assert "learns     mode tokens, begins with 19 + 2 vectors from words" in lines
    assert "captions   6 of 6 are longer than the text encoder reads" in lines
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_written_through_accelerate(place, tmp_path):
    pytest.importorskip("tensorboard")
    learn(config(place, tmp_path / "run", "steps=2", "tracker=tensorboard"))
    assert list((tmp_path / "run" / "tracker").rglob("events.out.tfevents.*"))


def test_bfloat16_weights_and_gradient_checkpointing_learn_in_float32(place, tmp_path):
    learn(
        config(
            place, tmp_path / "run", "model.dtype=bfloat16", "gradient_checkpointing=true", "lora={rank: 2}", "steps=2"
        )
    )
    dual = result(tmp_path / "run")
    assert all(torch.isfinite(tensor).all() for tensor in tensors(dual).values())
    assert any(float(tensor.abs().max()) > 0 for name, tensor in dual.lora.items() if ".lora_B." in name)
